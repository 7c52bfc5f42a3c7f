/*
 * Backups: rows as they are sealed, to who may read them all; and the keys, to the recovery key alone.
 */
#include "client/backup/rows.h"
#include "pdvault/v1/backup.pb-c.h"
#include "server/clock.h"
#include "server/log.h"
#include "server/service.h"
#include "server/store/backup.h"
#include "server/store/key_backup.h"
#include "server/validate.h"

#define LIFETIME_DEFAULT (7 * 24 * 3600u)
#define LIFETIME_MAX (KEY_BACKUP_LIFETIME_MAX_MS / 1000)
#define LIST_MAX 1000u

/* Into the arena; data is NULL beyond the budget. */
static ProtobufCBinaryData
keep(struct call *c, const void *p, size_t len)
{
	return (ProtobufCBinaryData){ len, (uint8_t *)(uintptr_t)arena_copy(c->arena, bytes_of(p, len)).p };
}

static enum status
fill_keys(struct call *c, const struct backup_begun *b, Pdvault__V1__BeginBackupResponse *r)
{
	Pdvault__V1__BackupHead *h = r->head;

	h->root_page = keep(c, b->root_page, sizeof(b->root_page));
	h->recovery_key = keep(c, b->row.recovery_key, sizeof(b->row.recovery_key));
	h->expire_time = service_time(c, b->row.expires_ms);
	r->sealed_root = keep(c, b->sealed_root, sizeof(b->sealed_root));
	return h->root_page.data != NULL && h->recovery_key.data != NULL && h->expire_time != NULL &&
	    r->sealed_root.data != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status
fill_head(struct vault *v, struct call *c, const struct backup_begun *b, Pdvault__V1__BackupHead *h)
{
	struct vault_status s;
	enum status rc = vault_status(v, &s);

	if (rc != STATUS_OK)
		return rc;
	h->format = BACKUP_FORMAT;
	h->kind = b->keys ? PDVAULT__V1__BACKUP_KIND__KEYS : PDVAULT__V1__BACKUP_KIND__DATA;
	h->backup = keep(c, b->backup.b, sizeof(b->backup.b));
	h->vault = keep(c, vault_id(v), VAULT_ID_LEN);
	h->vault_number = s.number;
	h->incarnation = s.incarnation;
	h->epoch = b->epoch;
	h->time = service_time(c, b->time_ms);
	h->store_format = VAULT_FORMAT;
	h->country_code = vault_country_code(v);
	h->signing_key = keep(c, b->signing_key, sizeof(b->signing_key));
	h->ledger_entries = b->ledger.count;
	h->ledger_head = keep(c, b->ledger.hash, sizeof(b->ledger.hash));
	h->next_transaction = b->next_transaction;
	h->resurrections = keep(c, s.resurrection, s.resurrections * (size_t)VAULT_RESURRECTION_LEN);
	return h->backup.data != NULL && h->vault.data != NULL && h->time != NULL &&
	    h->signing_key.data != NULL && h->ledger_head.data != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status
fill_tables(struct call *c, const struct backup_begun *b, Pdvault__V1__BeginBackupResponse *r)
{
	if ((r->tables = arena_alloc(c->arena, BACKUP_TABLES_MAX * sizeof(r->tables[0]))) == NULL)
		return STATUS_NO_MEMORY;
	for (unsigned i = 0; i < b->tables; i++) {
		Pdvault__V1__BackupTable *t = service_message(c, &pdvault__v1__backup_table__descriptor);

		if (t == NULL)
			return STATUS_NO_MEMORY;
		t->name = (char *)(uintptr_t)b->table[i].name;
		t->rows = b->table[i].rows;
		r->tables[r->n_tables++] = t;
	}
	return STATUS_OK;
}

static enum status
begin_backup(struct vault *v, struct call *c)
{
	const Pdvault__V1__BeginBackupRequest *q = (const void *)c->request;
	Pdvault__V1__BeginBackupResponse *r =
	    service_message(c, &pdvault__v1__begin_backup_response__descriptor);
	struct backup_begun *b = arena_alloc(c->arena, sizeof(*b));
	enum status rc;

	if (r == NULL || b == NULL ||
	    (r->head = service_message(c, &pdvault__v1__backup_head__descriptor)) == NULL)
		return STATUS_NO_MEMORY;
	rc = backup_begin(v, q->key_backup.len > 0 ? q->key_backup.data : NULL, b);
	if (rc != STATUS_OK || (rc = fill_head(v, c, b, r->head)) != STATUS_OK ||
	    (rc = fill_tables(c, b, r)) != STATUS_OK || (b->keys && (rc = fill_keys(c, b, r)) != STATUS_OK))
		return rc;
	r->session = keep(c, b->session.b, sizeof(b->session.b));
	c->response = &r->base;
	log_event(LOG_BACKUP, LOG_S(WHAT, b->keys ? "a backup of keys begins" : "a backup of data begins"),
	    LOG_S(PRINCIPAL, c->principal), LOG_N(EPOCH, b->epoch));
	return r->session.data != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status
read_backup(struct vault *v, struct call *c)
{
	const Pdvault__V1__ReadBackupRequest *q = (const void *)c->request;
	Pdvault__V1__ReadBackupResponse *r =
	    service_message(c, &pdvault__v1__read_backup_response__descriptor);
	const struct backup_wanted w = {
		.session = q->session.data, .table = q->table,
		.from = bytes_of(q->from.data, q->from.len), .to = bytes_of(q->to.data, q->to.len),
		.digest = q->digest.len > 0 ? q->digest.data : NULL,
	};
	size_t room = w.digest != NULL ? 0 : BACKUP_ROWS_MAX;
	uint8_t *rows = room > 0 ? arena_alloc(c->arena, room) : NULL;
	struct backup_got got = { .len = 0 };
	enum status rc;

	if (r == NULL || (room > 0 && rows == NULL))
		return STATUS_NO_MEMORY;
	if ((rc = backup_read(v, &w, rows, room, &got)) != STATUS_OK)
		return rc == STATUS_INVALID ? call_violates(c, "NO_SUCH_TABLE", "table") : rc;
	r->rows = (ProtobufCBinaryData){ got.len, rows };
	r->same = got.same;
	if (got.next_len > 0 && (r->next = keep(c, got.next, got.next_len)).data == NULL)
		return STATUS_NO_MEMORY;
	c->response = &r->base;
	return STATUS_OK;
}

/* Of a key backup that was read to its end: who came later is not in it. */
static enum status
complete(struct writeset *ws, const struct backup_begun *b)
{
	struct key_backup k;
	enum status rc = key_backup_get(ws, b->backup.b, &k);

	if (rc != STATUS_OK)
		return rc;
	if (!key_backup_is_open(&k, clock_wall_ms()))
		return STATUS_KEY_BACKUP_CLOSED;
	if (k.slots != KEY_BACKUP_ALL_SLOTS)
		return STATUS_OK;
	/* Of every session on it that may have begun before this commit, not of this one alone. */
	k.slots = writeset_root(ws)->next_slot;
	return key_backup_record(ws, &k, LEDGER_KEYS_READ);
}

static enum status
finish_backup(struct vault *v, struct call *c, struct writeset *ws)
{
	const Pdvault__V1__FinishBackupRequest *q = (const void *)c->request;
	struct service_once once = { c, ws, NULL, 0, 0, &pdvault__v1__finish_backup_response__descriptor };
	struct backup_begun *b = arena_alloc(c->arena, sizeof(*b));
	Pdvault__V1__FinishBackupResponse *r;
	uint8_t signature[SEAL_SIGNATURE_LEN];
	enum status rc;

	if ((rc = service_replay(&once)) != STATUS_ABSENT)
		return rc;
	if (b == NULL || (r = service_message(c, once.response)) == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = backup_finish(v, q->session.data, b)) != STATUS_OK)
		return rc;
	/* Its manifest names the key of before, which signs no more: it is to be begun again. */
	if (memcmp(b->signing_key, writeset_root(ws)->public_key, sizeof(b->signing_key)) != 0)
		return STATUS_NO_SESSION;
	if ((b->keys && (rc = complete(ws, b)) != STATUS_OK) ||
	    (rc = backup_note(ws, b->keys ? BACKUP_NOTE_KEYS : BACKUP_NOTE_DATA, b->time_ms)) != STATUS_OK)
		return rc;
	backup_sign(&(struct ledger_signer){ writeset_root(ws), vault_id(v) },
	    q->digest.data, signature);
	r->signature = keep(c, signature, sizeof(signature));
	c->response = &r->base;
	return r->signature.data != NULL ? service_remember(&once, NULL) : STATUS_NO_MEMORY;
}

static enum status
fill(struct call *c, const struct key_backup *b, Pdvault__V1__KeyBackup *m)
{
	int64_t now = clock_wall_ms();

	m->backup = keep(c, b->id, sizeof(b->id));
	m->state = b->destroyed_ms != 0 ? PDVAULT__V1__KEY_BACKUP_STATE__DESTROYED :
	    key_backup_is_open(b, now) ? PDVAULT__V1__KEY_BACKUP_STATE__OUTSTANDING :
	    PDVAULT__V1__KEY_BACKUP_STATE__EXPIRED;
	m->create_time = service_time(c, b->created_ms);
	m->expire_time = service_time(c, b->expires_ms);
	m->recovery_key = keep(c, b->recovery_key, sizeof(b->recovery_key));
	m->epoch = b->epoch;
	m->complete = b->slots != KEY_BACKUP_ALL_SLOTS;
	if (m->backup.data == NULL || m->create_time == NULL || m->expire_time == NULL ||
	    m->recovery_key.data == NULL)
		return STATUS_NO_MEMORY;
	if (b->destroyed_ms == 0)
		return STATUS_OK;
	m->destroy_time = service_time(c, b->destroyed_ms);
	m->destroyed_by = (char *)(uintptr_t)arena_copy(c->arena,
	    bytes_of(b->destroyed_by, strlen(b->destroyed_by))).p;
	return m->destroy_time != NULL && m->destroyed_by != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

Pdvault__V1__KeyBackup *
service_key_backup(struct call *c, const struct key_backup *b)
{
	Pdvault__V1__KeyBackup *m = service_message(c, &pdvault__v1__key_backup__descriptor);

	return m != NULL && fill(c, b, m) == STATUS_OK ? m : NULL;
}

static enum status
validate_create(struct call *c)
{
	const Pdvault__V1__CreateKeyBackupRequest *q = (const void *)c->request;

	return q->lifetime_seconds > LIFETIME_MAX ? call_violates(c, "OUT_OF_RANGE", "lifetime_seconds") :
	    validate_message(c);
}

/* The id, and what stands for it in the batch: the vault knows of it before the first byte leaves. */
static enum status
make(struct vault *v, struct writeset *ws, uint32_t lifetime, struct key_backup *b)
{
	int64_t now = clock_wall_ms();
	unsigned outstanding;
	enum status rc = key_backups_open(ws, now, &outstanding);

	if (rc != STATUS_OK)
		return rc;
	if (outstanding >= KEY_BACKUPS_OPEN_MAX)
		return STATUS_KEY_BACKUPS;
	*b = (struct key_backup){ .created_ms = now, .slots = KEY_BACKUP_ALL_SLOTS,
		.expires_ms = now + (int64_t)(lifetime > 0 ? lifetime : LIFETIME_DEFAULT) * 1000,
		.epoch = vault_epoch(v) };
	key_backup_new_id(b);
	if (!vault_recovery_key(v, b->recovery_key))
		return STATUS_NO_RECOVERY_KEY;
	return key_backup_record(ws, b, LEDGER_KEYS);
}

static enum status
create_key_backup(struct vault *v, struct call *c, struct writeset *ws)
{
	const Pdvault__V1__CreateKeyBackupRequest *q = (const void *)c->request;
	struct service_once once = { c, ws, NULL, 0, 0, &pdvault__v1__key_backup__descriptor };
	Pdvault__V1__KeyBackup *r;
	struct key_backup b;
	enum status rc;

	if ((rc = service_replay(&once)) != STATUS_ABSENT)
		return rc;
	if ((rc = make(v, ws, q->lifetime_seconds, &b)) != STATUS_OK)
		return rc;
	if ((r = service_key_backup(c, &b)) == NULL)
		return STATUS_NO_MEMORY;
	c->response = &r->base;
	return service_remember(&once, NULL);
}

static enum status
destroy_key_backup(struct vault *v, struct call *c, struct writeset *ws)
{
	const Pdvault__V1__DestroyKeyBackupRequest *q = (const void *)c->request;
	struct service_once once = { c, ws, NULL, 0, 0, &pdvault__v1__key_backup__descriptor };
	Pdvault__V1__KeyBackup *r;
	struct key_backup b;
	enum status rc;

	(void)v;
	if ((rc = service_replay(&once)) == STATUS_OK) {
		r = (void *)(uintptr_t)c->response;
		return memcmp(r->backup.data, q->backup.data, KEY_BACKUP_ID_LEN) == 0 ? rc : STATUS_KEY_REUSED;
	}
	if (rc != STATUS_ABSENT || (rc = key_backup_get(ws, q->backup.data, &b)) != STATUS_OK)
		return rc;
	if (b.destroyed_ms == 0) {
		b.destroyed_ms = clock_wall_ms();
		(void)snprintf(b.destroyed_by, sizeof(b.destroyed_by), "%s", c->principal);
		if ((rc = key_backup_record(ws, &b, LEDGER_KEYS_GONE)) != STATUS_OK)
			return rc;
	}
	if ((r = service_key_backup(c, &b)) == NULL)
		return STATUS_NO_MEMORY;
	c->response = &r->base;
	return service_remember(&once, NULL);
}

enum status
service_list_key_backups(struct vault *v, struct call *c, struct service_key_backups *out)
{
	return backup_list(v, c->arena, &out->item, &out->count);
}

static enum status
list_key_backups(struct vault *v, struct call *c)
{
	const Pdvault__V1__ListKeyBackupsRequest *q = (const void *)c->request;
	Pdvault__V1__ListKeyBackupsResponse *r =
	    service_message(c, &pdvault__v1__list_key_backups_response__descriptor);
	struct service_key_backups all;
	enum status rc;

	if (r == NULL || (r->backups = arena_alloc(c->arena, LIST_MAX * sizeof(r->backups[0]))) == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = service_list_key_backups(v, c, &all)) != STATUS_OK)
		return rc;
	for (size_t i = all.count; i-- > 0 && r->n_backups < LIST_MAX; ) {
		if (q->outstanding && !key_backup_is_open(&all.item[i], clock_wall_ms()))
			continue;
		if ((r->backups[r->n_backups] = service_key_backup(c, &all.item[i])) == NULL)
			return STATUS_NO_MEMORY;
		r->n_backups++;
	}
	c->response = &r->base;
	return STATUS_OK;
}

static enum status
validate_note(struct call *c)
{
	const Pdvault__V1__NoteBackupCheckRequest *q = (const void *)c->request;

	return q->check == PDVAULT__V1__BACKUP_CHECK__BACKUP_CHECK_UNSPECIFIED ?
	    call_violates(c, "REQUIRED", "check") : STATUS_OK;
}

/* What an operator says to have done; the vault itself sees neither. */
static enum status
note_backup_check(struct vault *v, struct call *c, struct writeset *ws)
{
	const Pdvault__V1__NoteBackupCheckRequest *q = (const void *)c->request;
	struct service_once once = { c, ws, NULL, 0, 0, &pdvault__v1__note_backup_check_response__descriptor };
	Pdvault__V1__NoteBackupCheckResponse *r;
	int64_t now = clock_wall_ms();
	enum status rc;

	(void)v;
	if ((rc = service_replay(&once)) != STATUS_ABSENT)
		return rc;
	if ((r = service_message(c, once.response)) == NULL || (r->time = service_time(c, now)) == NULL)
		return STATUS_NO_MEMORY;
	rc = backup_note(ws,
	    q->check == PDVAULT__V1__BACKUP_CHECK__DRILL ? BACKUP_NOTE_DRILL : BACKUP_NOTE_VERIFY,
	    now);
	if (rc != STATUS_OK)
		return rc;
	c->response = &r->base;
	return service_remember(&once, NULL);
}

#define BACKUPS(name) "/pdvault.v1.Backups/" name

const struct method service_backup_methods[] = {
	{ BACKUPS("BeginBackup"), &pdvault__v1__begin_backup_request__descriptor, METHOD_POOL,
	    validate_message, begin_backup, NULL, false },
	{ BACKUPS("ReadBackup"), &pdvault__v1__read_backup_request__descriptor, METHOD_POOL,
	    validate_message, read_backup, NULL, false },
	{ BACKUPS("FinishBackup"), &pdvault__v1__finish_backup_request__descriptor, METHOD_WRITER,
	    validate_message, NULL, finish_backup, false },
	{ BACKUPS("CreateKeyBackup"), &pdvault__v1__create_key_backup_request__descriptor, METHOD_WRITER,
	    validate_create, NULL, create_key_backup, false },
	{ BACKUPS("ListKeyBackups"), &pdvault__v1__list_key_backups_request__descriptor, METHOD_POOL,
	    NULL, list_key_backups, NULL, false },
	{ BACKUPS("DestroyKeyBackup"), &pdvault__v1__destroy_key_backup_request__descriptor, METHOD_WRITER,
	    validate_message, NULL, destroy_key_backup, true },
	{ BACKUPS("NoteBackupCheck"), &pdvault__v1__note_backup_check_request__descriptor, METHOD_WRITER,
	    validate_note, NULL, note_backup_check, false },
};
const unsigned service_backup_count = sizeof(service_backup_methods) / sizeof(service_backup_methods[0]);
