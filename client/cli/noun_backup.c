#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backup_call.h"
#include "backup_make.h"
#include "backup_sealed.h"
#include "client/backup/message.h"
#include "json_out.h"
#include "must.h"
#include "nouns.h"

#define LIFETIME_MAX (366ul * 24 * 3600)
#define HEX_BYTES_MAX 64u
#define RATE_MAX 4096ul			/* MiB a second */
#define MIB (1024u * 1024u)

/* --- what a backup is, as JSON --- */

static json_t *
hex_of(ProtobufCBinaryData b)
{
	/* Nothing here is longer, unless who answers is not a vault. */
	return b.len <= HEX_BYTES_MAX ? json_out_hex(b.data, b.len) : json_null();
}

static json_t *
time_of(const Pdvault__V1__Timestamp *t)
{
	const struct pdv_time time = {t->seconds, t->nanos};

	return json_out_time(&time);
}

static void
put_time(json_t *doc, const char *name, const Pdvault__V1__Timestamp *t)
{
	if (t != NULL)
		(void)json_object_set_new(doc, name, time_of(t));
}

/* Rows of each table, and the chunks that it has. */
static void
put_tables(json_t *doc, const Pdvault__V1__BackupManifest *m)
{
	json_t *tables = json_object();
	json_int_t chunks = 0;

	for (size_t i = 0; i < m->n_ranges; i++) {
		const Pdvault__V1__BackupRange *r = m->ranges[i];
		json_int_t rows = json_integer_value(json_object_get(tables, r->table));

		(void)json_object_set_new(tables, r->table, json_integer(rows + (json_int_t)r->rows));
		chunks += r->chunk > 0;
	}
	(void)json_object_set_new(doc, "rows", tables);
	(void)json_object_set_new(doc, "chunks", json_integer(chunks));
}

static json_t *
manifest_json(const Pdvault__V1__BackupManifest *m)
{
	const Pdvault__V1__BackupHead *h = m->head;
	json_t *doc = json_pack("{s:s, s:o, s:o, s:I, s:I}", "kind",
	    h->kind == PDVAULT__V1__BACKUP_KIND__KEYS ? "KEYS" : "DATA", "backup", hex_of(h->backup), "vault",
	    hex_of(h->vault), "incarnation", (json_int_t)h->incarnation, "epoch", (json_int_t)h->epoch);

	if (m->since.len > 0)
		(void)json_object_set_new(doc, "since", hex_of(m->since));
	put_time(doc, "time", h->time);
	put_time(doc, "expire_time", h->expire_time);
	if (h->recovery_key.len > 0)
		(void)json_object_set_new(doc, "recovery_key", hex_of(h->recovery_key));
	put_tables(doc, m);
	(void)json_object_set_new(doc, "ledger_entries", json_integer((json_int_t)h->ledger_entries));
	(void)json_object_set_new(doc, "ledger_head", hex_of(h->ledger_head));
	return doc;
}

static enum pdv_code
print_manifest(const struct args *a, const char *folder, const struct backup_make *m, struct failure *f)
{
	Pdvault__V1__BackupManifest *manifest = NULL;
	struct backup_fault fault;
	json_t *doc;
	enum pdv_code rc = backup_failed(backup_manifest_load(folder, &manifest, &fault), &fault, f);

	if (rc != PDV_OK)
		return rc;
	doc = manifest_json(manifest);
	if (m != NULL) {
		(void)json_object_set_new(doc, "read_bytes", json_integer((json_int_t)m->bytes));
		(void)json_object_set_new(doc, "kept_ranges", json_integer((json_int_t)m->kept));
	}
	pdvault__v1__backup_manifest__free_unpacked(manifest, NULL);
	return json_out_print(doc, a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
}

/* --- data and keys --- */

/* The backups that this one is since, the oldest first, as a chain. */
static enum pdv_code
open_since(const struct args *a, struct backup_make *m, Pdvault__V1__BackupManifest **manifest,
    struct failure *f)
{
	struct backup_fault fault;
	enum pdv_code rc;

	if (a->repeated_n == 0)
		return PDV_OK;
	rc = backup_failed(backup_chain_open(a->repeated, a->repeated_n, &m->since, &fault), &fault, f);
	if (rc != PDV_OK)
		return rc;
	rc = backup_failed(backup_manifest_load(a->repeated[a->repeated_n - 1], manifest, &fault), &fault, f);
	if (rc != PDV_OK)
		return rc;
	if ((*manifest)->head->kind != PDVAULT__V1__BACKUP_KIND__DATA)
		return failure_set(f, PDV_FAILED_PRECONDITION, "WRONG_KIND", "--since is not a backup of data");
	m->since_manifest = *manifest;
	memcpy(m->folder->since, (*manifest)->head->backup.data, BACKUP_ID_LEN);
	return PDV_OK;
}

enum pdv_code
noun_backup_data(const struct args *a, struct failure *f)
{
	struct backup_folder folder = {.path = a->operand, .lock = -1};
	struct session s = {.client = NULL};
	struct backup_make m = {.session = &s, .folder = &folder};
	Pdvault__V1__BackupManifest *since = NULL;
	unsigned long rate = 0;
	enum pdv_code rc;

	if (a->values[FLAG_RATE] != NULL)
		backup_make_way();
	if ((rc = args_number(a, FLAG_RATE, RATE_MAX, &rate, f)) != PDV_OK ||
	    (rc = open_since(a, &m, &since, f)) != PDV_OK || (rc = session_open(&s, a, 0, f)) != PDV_OK ||
	    (rc = backup_folder_open(&folder, f)) != PDV_OK)
		goto out;
	m.rate = (uint64_t)rate * MIB;
	if (!folder.begun) {
		randombytes_buf(folder.id, sizeof(folder.id));
		if ((rc = backup_folder_begin(&folder, f)) != PDV_OK)
			goto out;
	}
	progress_start(&m.progress, STDERR_FILENO, stderr, 0);
	if ((rc = backup_make(&m, f)) == PDV_OK)
		rc = print_manifest(a, folder.path, &m, f);
out:
	backup_chain_close(m.since);
	if (since != NULL)
		pdvault__v1__backup_manifest__free_unpacked(since, NULL);
	backup_folder_close(&folder);
	session_close(&s);
	return rc;
}

/* The vault remembers it from here on. */
static enum pdv_code
create(struct session *s, struct backup_folder *b, uint32_t lifetime, struct failure *f)
{
	Pdvault__V1__CreateKeyBackupRequest q = PDVAULT__V1__CREATE_KEY_BACKUP_REQUEST__INIT;
	Pdvault__V1__KeyBackup *answer = NULL;
	enum pdv_code rc;

	q.lifetime_seconds = lifetime;
	if ((rc = raw_call(s, &backup_create_call, &q.base, &answer, f)) != PDV_OK)
		return rc;
	if (answer->backup.len == BACKUP_ID_LEN)
		memcpy(b->id, answer->backup.data, BACKUP_ID_LEN);
	else
		rc = failure_set(f, PDV_DATA_LOSS, PDV_REASON_MALFORMED, "the vault sends no id");
	pdvault__v1__key_backup__free_unpacked(answer, NULL);
	return rc == PDV_OK ? backup_folder_begin(b, f) : rc;
}

enum pdv_code
noun_backup_keys(const struct args *a, struct failure *f)
{
	struct backup_folder folder = {.path = a->operand, .keys = true, .lock = -1};
	struct session s = {.client = NULL};
	struct backup_make m = {.session = &s, .folder = &folder, .keys = true};
	uint32_t seconds;
	enum pdv_code rc;

	if ((rc = args_time(a, FLAG_LIFETIME, LIFETIME_MAX, &seconds, f)) != PDV_OK ||
	    (rc = session_open(&s, a, 0, f)) != PDV_OK ||
	    (rc = backup_folder_open(&folder, f)) != PDV_OK ||
	    (!folder.begun && (rc = create(&s, &folder, seconds, f)) != PDV_OK))
		goto out;
	progress_start(&m.progress, STDERR_FILENO, stderr, 0);
	if ((rc = backup_make(&m, f)) == PDV_OK)
		rc = print_manifest(a, folder.path, &m, f);
out:
	backup_folder_close(&folder);
	session_close(&s);
	return rc;
}

/* --- verify --- */

static void
show(void *arg, uint64_t done, uint64_t of)
{
	struct progress *p = arg;

	p->size = of;
	progress_show(p, done, done, 0);
}

/* What a backup of keys needs besides its chunks, or it opens nothing. */
static enum pdv_code
check_keys(const char *folder, struct failure *f)
{
	Pdvault__V1__BackupManifest *m = NULL;
	struct backup_fault fault;
	struct timespec now;
	enum pdv_code rc = backup_failed(backup_manifest_load(folder, &m, &fault), &fault, f);

	if (rc != PDV_OK)
		return rc;
	must(clock_gettime(CLOCK_REALTIME, &now) == 0);
	if (m->head->kind == PDVAULT__V1__BACKUP_KIND__KEYS) {
		if ((rc = backup_sealed_check(folder, f)) == PDV_OK &&
		    m->head->expire_time->seconds <= (int64_t)now.tv_sec)
			rc = failure_set(f, PDV_FAILED_PRECONDITION, "KEY_BACKUP_EXPIRED",
			    "%s: has expired, and is taken by no restore", folder);
	}
	pdvault__v1__backup_manifest__free_unpacked(m, NULL);
	return rc;
}

enum pdv_code
noun_backup_verify(const struct args *a, struct failure *f)
{
	const char *path[ARGS_REPEAT_MAX + 1];
	struct backup_chain *c = NULL;
	struct backup_fault fault;
	struct progress p;
	size_t n = 0;
	enum pdv_code rc;

	for (; n < a->repeated_n; n++)
		path[n] = a->repeated[n];
	path[n++] = a->operand;
	progress_start(&p, STDERR_FILENO, stderr, 0);
	if ((rc = backup_failed(backup_chain_open(path, n, &c, &fault), &fault, f)) == PDV_OK)
		rc = backup_failed(backup_chain_verify(c, show, &p, &fault), &fault, f);
	progress_clear(&p);
	backup_chain_close(c);
	if (rc == PDV_OK)
		rc = check_keys(a->operand, f);
	if (rc == PDV_OK && a->values[FLAG_NOTE] != NULL)
		rc = backup_note(a, PDVAULT__V1__BACKUP_CHECK__VERIFY, f);
	if (rc == PDV_OK && (rc = print_manifest(a, a->operand, NULL, f)) == PDV_OK &&
	    a->values[FLAG_JSON] == NULL)
		(void)fprintf(stderr, "pdvault: verified%s\n",
		    a->values[FLAG_NOTE] != NULL ? ", and the vault has noted it" : "");
	return rc;
}

/* --- list, destroy --- */

static json_t *
key_backup_json(const Pdvault__V1__KeyBackup *b)
{
	static const char *const states[] = {"UNSPECIFIED", "OUTSTANDING", "EXPIRED", "DESTROYED"};
	json_t *doc = json_pack("{s:o, s:s, s:o, s:I, s:b}", "backup", hex_of(b->backup), "state",
	    (unsigned)b->state < 4 ? states[b->state] : states[0], "recovery_key",
	    hex_of(b->recovery_key), "epoch", (json_int_t)b->epoch, "complete", b->complete != 0);

	put_time(doc, "create_time", b->create_time);
	put_time(doc, "expire_time", b->expire_time);
	put_time(doc, "destroy_time", b->destroy_time);
	if (b->destroyed_by != NULL && b->destroyed_by[0] != '\0')
		(void)json_object_set_new(doc, "destroyed_by", json_string(b->destroyed_by));
	return doc;
}

enum pdv_code
noun_backup_list(const struct args *a, struct failure *f)
{
	Pdvault__V1__ListKeyBackupsRequest q = PDVAULT__V1__LIST_KEY_BACKUPS_REQUEST__INIT;
	Pdvault__V1__ListKeyBackupsResponse *answer = NULL;
	struct session s = {.client = NULL};
	json_t *list = json_array();
	enum pdv_code rc;

	q.outstanding = a->values[FLAG_OUTSTANDING] != NULL;
	if ((rc = session_open(&s, a, 0, f)) != PDV_OK ||
	    (rc = raw_call(&s, &backup_list_call, &q.base, &answer, f)) != PDV_OK)
		goto out;
	for (size_t i = 0; i < answer->n_backups; i++)
		(void)json_array_append_new(list, key_backup_json(answer->backups[i]));
	rc = json_out_print(json_pack("{s:O}", "key_backups", list), a->values[FLAG_JSON] != NULL,
	    STDOUT_FILENO, f);
	pdvault__v1__list_key_backups_response__free_unpacked(answer, NULL);
out:
	json_decref(list);
	session_close(&s);
	return rc;
}

/* The id of the key backup in a folder, whole or not. */
static enum pdv_code
id_of(const char *folder, uint8_t out[static BACKUP_ID_LEN], struct failure *f)
{
	Pdvault__V1__BackupManifest *m = NULL;
	struct backup_folder b = {.path = folder, .keys = true, .lock = -1};
	struct backup_fault fault;
	enum backup_result r = backup_manifest_load(folder, &m, &fault);
	enum pdv_code rc = PDV_OK;

	if (r == BACKUP_ABSENT) {
		if ((rc = backup_folder_open(&b, f)) == PDV_OK && !b.begun)
			rc = failure_set(f, PDV_NOT_FOUND, "NO_BACKUP", "%s: has no backup", folder);
		memcpy(out, b.id, BACKUP_ID_LEN);
		backup_folder_close(&b);
		return rc;
	}
	if (r != BACKUP_OK)
		return backup_failed(r, &fault, f);
	if (m->head->kind != PDVAULT__V1__BACKUP_KIND__KEYS)
		rc = failure_set(f, PDV_FAILED_PRECONDITION, "WRONG_KIND",
		    "%s: is not a backup of keys", folder);
	memcpy(out, m->head->backup.data, BACKUP_ID_LEN);
	pdvault__v1__backup_manifest__free_unpacked(m, NULL);
	return rc;
}

/* A folder, or the id alone, of one that was destroyed otherwise. */
static enum pdv_code
destroy_files(const char *operand, uint8_t id[static BACKUP_ID_LEN], struct failure *f)
{
	const char *end = NULL;
	size_t len = 0;
	struct stat st;
	enum pdv_code rc;

	if (stat(operand, &st) == 0) {
		if ((rc = id_of(operand, id, f)) != PDV_OK)
			return rc;
		if (backup_sealed_check(operand, f) != PDV_OK)
			(void)fprintf(
			    stderr, "pdvault: %s; if it lies elsewhere, destroy it there\n", f->detail);
		return backup_sealed_destroy(operand, f);
	}
	if (sodium_hex2bin(id, BACKUP_ID_LEN, operand, strlen(operand), NULL, &len, &end) != 0 ||
	    *end != '\0' || len != BACKUP_ID_LEN)
		return failure_set(f, PDV_NOT_FOUND, "NO_BACKUP",
		    "%s: no folder, and no id of 32 hexadecimal digits", operand);
	(void)fputs("pdvault: only the vault is told; the files of that backup are yours to destroy\n",
	    stderr);
	return PDV_OK;
}

enum pdv_code
noun_backup_destroy(const struct args *a, struct failure *f)
{
	Pdvault__V1__DestroyKeyBackupRequest q = PDVAULT__V1__DESTROY_KEY_BACKUP_REQUEST__INIT;
	Pdvault__V1__KeyBackup *answer = NULL;
	struct session s = {.client = NULL};
	uint8_t id[BACKUP_ID_LEN];
	enum pdv_code rc;

	if (a->values[FLAG_YES] == NULL)
		return failure_usage(f, "what is destroyed restores nobody any more: say --yes");
	if ((rc = session_open(&s, a, 0, f)) != PDV_OK || (rc = destroy_files(a->operand, id, f)) != PDV_OK)
		goto out;
	q.backup = backup_message_bytes(id, sizeof(id));
	if ((rc = raw_call(&s, &backup_destroy_call, &q.base, &answer, f)) != PDV_OK)
		goto out;
	rc = json_out_print(key_backup_json(answer), a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
	pdvault__v1__key_backup__free_unpacked(answer, NULL);
out:
	session_close(&s);
	return rc;
}
