#include "backup_vault.h"

#include <stdlib.h>
#include <string.h>

#include "client/backup/digest.h"
#include "client/backup/message.h"
#include "pdvault/code.h"
#include "server/must.h"

/* The initialisers that protoc-c writes drop a const, which clang sees in the user's file. */
#pragma GCC diagnostic ignored "-Wcast-qual"

enum { ROOT_PAGE_LEN = 329, SEALED = 0x40 };

struct backup_vault backup_vault = {.lock = PTHREAD_MUTEX_INITIALIZER};

void
backup_vault_reset(const struct backup_bed_vault *rows)
{
	struct backup_vault *v = &backup_vault;

	v->rows = rows;
	v->expires = INT32_MAX;
	v->vault = 0;
	memset(v->key_backup, 0x7b, sizeof(v->key_backup));
	v->sealed = v->begun = v->finished = v->destroyed = v->lose_after = v->fail_after = 0;
	v->sent = 0;
	v->bad_signature = v->less_tables = v->twice = false;
}

size_t
backup_vault_value(const struct backup_bed_row *row, uint8_t out[static BACKUP_VAULT_VALUE])
{
	size_t i;

	for (i = 0; i < BACKUP_VAULT_TIMES; i++)
		memcpy(out + i * row->value_len, row->value, row->value_len);
	return row->value_len * BACKUP_VAULT_TIMES;
}

static void
fail_with(struct fake_reply *out, uint32_t code, const char *reason)
{
	out->response.code = code;
	out->response.reason = (char *)(uintptr_t)reason;
}

static void
session_of(uint8_t out[static BACKUP_ID_LEN])
{
	memset(out, 0, BACKUP_ID_LEN);
	out[0] = (uint8_t)backup_vault.begun;
}

static void
begin(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	struct backup_bed_plan plan;
	Pdvault__V1__BeginBackupResponse m = PDVAULT__V1__BEGIN_BACKUP_RESPONSE__INIT;
	Pdvault__V1__BackupTable tables[BACKUP_BED_TABLES], *list[BACKUP_BED_TABLES];
	Pdvault__V1__BeginBackupRequest *r =
	    pdvault__v1__begin_backup_request__unpack(NULL, q->message.len, q->message.data);
	uint8_t session[BACKUP_ID_LEN], vault[BACKUP_ID_LEN], sealed[BACKUP_SEALED_LEN];
	uint8_t page[ROOT_PAGE_LEN] = {1};
	Pdvault__V1__Timestamp expires = PDVAULT__V1__TIMESTAMP__INIT;
	bool keys = r->key_backup.len > 0;
	size_t i;

	if (keys && memcmp(r->key_backup.data, backup_vault.key_backup, BACKUP_ID_LEN) != 0) {
		fail_with(out, PDV_FAILED_PRECONDITION, "KEY_BACKUP_CLOSED");
		goto out;
	}
	backup_vault.begun++;
	session_of(session);
	backup_bed_plan(&plan, "", backup_vault.rows);
	memset(vault, backup_vault.vault, sizeof(vault));
	if (backup_vault.vault != 0)
		plan.head.vault = backup_message_bytes(vault, sizeof(vault));
	expires.seconds = backup_vault.expires;
	if (keys) {
		plan.head.kind = PDVAULT__V1__BACKUP_KIND__KEYS;
		plan.head.backup = r->key_backup;
		plan.head.root_page = backup_message_bytes(page, sizeof(page));
		plan.head.expire_time = &expires;
		plan.head.recovery_key = plan.head.signing_key;
		memset(sealed, SEALED + (int)++backup_vault.sealed, sizeof(sealed));
		m.sealed_root = backup_message_bytes(sealed, sizeof(sealed));
	}
	for (i = 0; i < BACKUP_BED_TABLES; i++) {
		pdvault__v1__backup_table__init(&tables[i]);
		tables[i].name = (char *)(uintptr_t)backup_bed_names[i];
		tables[i].rows = backup_vault.rows->tables[i].n;
		list[i] = &tables[i];
	}
	m.session = backup_message_bytes(session, sizeof(session));
	m.head = &plan.head;
	m.tables = list;
	m.n_tables = BACKUP_BED_TABLES - backup_vault.less_tables;
	fake_message(out, &m.base);
out:
	pdvault__v1__begin_backup_request__free_unpacked(r, NULL);
}

static const struct backup_bed_table *
table_of(const char *name)
{
	size_t i = 0;

	while (i < BACKUP_BED_TABLES && strcmp(backup_bed_names[i], name) != 0)
		i++;
	must(i < BACKUP_BED_TABLES);
	return &backup_vault.rows->tables[i];
}

/* Whether that is the digest of rows i to end. */
static bool
is_digest(const struct backup_bed_table *t, size_t i, size_t end, const uint8_t *want)
{
	static uint8_t value[BACKUP_VAULT_VALUE], row[BACKUP_VAULT_VALUE + 64];
	struct backup_digest d;
	uint8_t digest[BACKUP_DIGEST_LEN];
	size_t len;

	backup_digest_begin(&d);
	for (; i < end; i++) {
		len = backup_vault_value(&t->rows[i], value);
		backup_digest_add(&d, row, (size_t)(backup_row_put(&(struct backup_row){ t->rows[i].key, value,
		    t->rows[i].key_len, len, false }, row) - row));
	}
	backup_digest_end(&d, digest);
	return memcmp(digest, want, sizeof(digest)) == 0;
}

static void
read_rows(const Pdvault__V1__ReadBackupRequest *r, struct fake_reply *out)
{
	static uint8_t rows[BACKUP_ROWS_MAX], value[BACKUP_VAULT_VALUE];
	Pdvault__V1__ReadBackupResponse m = PDVAULT__V1__READ_BACKUP_RESPONSE__INIT;
	const struct backup_bed_table *t = table_of(r->table);
	size_t i = backup_bed_find(t, r->from.data, r->from.len),
	    end = r->to.len > 0 ? backup_bed_find(t, r->to.data, r->to.len) : t->n, len = 0;

	m.same = r->digest.len > 0 && is_digest(t, i, end, r->digest.data);
	for (; i < end && r->digest.len == 0; i++) {
		struct backup_row row = {t->rows[i].key, value, t->rows[i].key_len, 0, false};

		row.value_len = backup_vault_value(&t->rows[i], value);
		if (len + backup_row_len(&row) > sizeof(rows)) {
			m.next = backup_message_bytes(t->rows[i].key, t->rows[i].key_len);
			break;
		}
		len = (size_t)(backup_row_put(&row, rows + len) - rows);
		if (backup_vault.twice && len == backup_row_len(&row))
			len = (size_t)(backup_row_put(&row, rows + len) - rows);
	}
	m.rows = backup_message_bytes(rows, len);
	backup_vault.sent += len;
	fake_message(out, &m.base);
}

static void
read_backup(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	Pdvault__V1__ReadBackupRequest *r =
	    pdvault__v1__read_backup_request__unpack(NULL, q->message.len, q->message.data);
	uint8_t session[BACKUP_ID_LEN];
	bool lost = backup_vault.lose_after > 0 && --backup_vault.lose_after == 0;

	session_of(session);
	if (lost || r->session.len != sizeof(session) || memcmp(r->session.data, session, sizeof(session)) != 0)
		fail_with(out, PDV_NOT_FOUND, "SESSION_NOT_FOUND");
	else
		read_rows(r, out);
	pdvault__v1__read_backup_request__free_unpacked(r, NULL);
}

static void
finish(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	Pdvault__V1__FinishBackupRequest *r =
	    pdvault__v1__finish_backup_request__unpack(NULL, q->message.len, q->message.data);
	Pdvault__V1__FinishBackupResponse m = PDVAULT__V1__FINISH_BACKUP_RESPONSE__INIT;
	uint8_t signature[BACKUP_SIGNATURE_LEN];

	backup_vault.finished++;
	backup_bed_signature(r->digest.data, signature);
	signature[0] ^= backup_vault.bad_signature;
	m.signature = backup_message_bytes(signature, sizeof(signature));
	fake_message(out, &m.base);
	pdvault__v1__finish_backup_request__free_unpacked(r, NULL);
}

static void
tell(struct fake_reply *out, Pdvault__V1__KeyBackupState state)
{
	Pdvault__V1__KeyBackup m = PDVAULT__V1__KEY_BACKUP__INIT;
	struct backup_bed_plan plan;

	backup_bed_plan(&plan, "", backup_vault.rows);
	m.backup = backup_message_bytes(backup_vault.key_backup, BACKUP_ID_LEN);
	m.state = state;
	m.create_time = m.expire_time = plan.head.time;
	m.recovery_key = plan.head.signing_key;
	fake_message(out, &m.base);
}

static void
create(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	(void)q;
	tell(out, PDVAULT__V1__KEY_BACKUP_STATE__OUTSTANDING);
}

static void
destroy(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	Pdvault__V1__DestroyKeyBackupRequest *r =
	    pdvault__v1__destroy_key_backup_request__unpack(NULL, q->message.len, q->message.data);

	if (memcmp(r->backup.data, backup_vault.key_backup, BACKUP_ID_LEN) == 0) {
		backup_vault.destroyed++;
		tell(out, PDVAULT__V1__KEY_BACKUP_STATE__DESTROYED);
	} else {
		fail_with(out, PDV_NOT_FOUND, "KEY_BACKUP_NOT_FOUND");
	}
	pdvault__v1__destroy_key_backup_request__free_unpacked(r, NULL);
}

static const struct {
	const char *method;
	void (*run)(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out);
} methods[] = {
	{"BeginBackup", begin}, {"ReadBackup", read_backup}, {"FinishBackup", finish},
	{"CreateKeyBackup", create}, {"DestroyKeyBackup", destroy},
};

void
backup_vault_serve(void *arg, const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	const char *method = strrchr(q->method, '/') + 1;
	size_t i;

	(void)arg;
	(void)pthread_mutex_lock(&backup_vault.lock);
	if (backup_vault.fail_after > 0 && --backup_vault.fail_after == 0) {
		backup_vault.fail_after = 1;
		fail_with(out, PDV_INTERNAL, "BUG");
	} else {
		for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
			if (strcmp(methods[i].method, method) == 0)
				methods[i].run(q, out);
	}
	(void)pthread_mutex_unlock(&backup_vault.lock);
}
