#include "backup_make.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backup_call.h"
#include "backup_diff.h"
#include "backup_index.h"
#include "backup_sealed.h"
#include "client/backup/chunk.h"
#include "client/backup/digest.h"
#include "client/backup/file.h"
#include "client/backup/message.h"
#include "must.h"

#define TRIES 5
#define PAUSE_MS 1000u
#define SLEEP_MAX_MS 20000u	/* a session ends a minute after its last call */

/* Where a range begins, and what is wanted of it. */
struct at {
	const char *table;
	uint8_t key[BACKUP_KEY_MAX];
	size_t len;
};

/* One go, from BeginBackup on. */
struct turn {
	struct backup_make *m;
	Pdvault__V1__BeginBackupResponse *begun;
	Pdvault__V1__BackupRange **ranges;	/* done */
	size_t count;
	struct backup_buffer rows, diff;	/* of the range in the making; what differs from the base */
	uint64_t rows_count;
	struct at last;				/* row of the range */
	int64_t started_ms;
	struct backup_index had, base;		/* chunks of earlier tries; what the base has */
};

static int64_t
now_ms(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
pause_ms(uint64_t ms)
{
	const struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

	(void)nanosleep(&t, NULL);
}

/* So many bytes should have taken so long. */
static void
hold_back(struct turn *t, size_t bytes)
{
	uint64_t due, took = (uint64_t)(now_ms() - t->started_ms);

	t->m->bytes += bytes;
	if (t->m->rate == 0)
		return;
	due = t->m->bytes * 1000 / t->m->rate;
	if (due > took)
		pause_ms(due - took < SLEEP_MAX_MS ? due - took : SLEEP_MAX_MS);
}

static ProtobufCBinaryData
key_of(const struct at *a)
{
	return backup_message_bytes(a->key, a->len);
}

static enum pdv_code
read_rows(struct turn *t, const Pdvault__V1__ReadBackupRequest *q, Pdvault__V1__ReadBackupResponse **out,
    struct failure *f)
{
	return raw_call(t->m->session, &backup_read_call, &q->base, out, f);
}

static Pdvault__V1__ReadBackupRequest
request(const struct turn *t, const struct at *a, ProtobufCBinaryData to)
{
	Pdvault__V1__ReadBackupRequest q;

	pdvault__v1__read_backup_request__init(&q);
	q.session = t->begun->session;
	q.table = (char *)(uintptr_t)a->table;
	q.from = key_of(a);
	q.to = to;
	return q;
}

static enum pdv_code
keep(struct turn *t, const Pdvault__V1__BackupRange *r, struct failure *f)
{
	Pdvault__V1__BackupRange **more = realloc(t->ranges, (t->count + 1) * sizeof(*more));

	if (more == NULL)
		return failure_memory(f);
	t->ranges = more;
	if ((more[t->count] = backup_range_copy(r)) == NULL)
		return failure_memory(f);
	t->count++;
	t->m->rows += r->rows;
	progress_show(&t->m->progress, t->m->rows < t->m->rows_all ? t->m->rows : t->m->rows_all,
	    t->m->rows, 0);
	return PDV_OK;
}

/* A range that begins here in a list, and whose rows the vault still has so; NULL: none. */
static enum pdv_code
still_same(struct turn *t, const struct at *a, const Pdvault__V1__BackupRange *r, bool *same, struct failure *f)
{
	Pdvault__V1__ReadBackupRequest q = request(t, a, r->to);
	Pdvault__V1__ReadBackupResponse *answer;
	enum pdv_code rc;

	q.digest = r->digest;
	if ((rc = read_rows(t, &q, &answer, f)) != PDV_OK)
		return rc;
	*same = answer->same != 0;
	pdvault__v1__read_backup_response__free_unpacked(answer, NULL);
	return PDV_OK;
}

static bool
begins(const Pdvault__V1__BackupRange *r, const struct at *a)
{
	return strcmp(r->table, a->table) == 0 && r->from.len == a->len &&
	    (a->len == 0 || memcmp(r->from.data, a->key, a->len) == 0);
}

/* The first of these that begins here and is the same still; NULL: none. */
static enum pdv_code
find_same(struct turn *t, const struct backup_index *x, const struct at *a,
    const Pdvault__V1__BackupRange **out, struct failure *f)
{
	size_t i = backup_index_find(x, a->table, key_of(a));
	bool same = false;
	enum pdv_code rc;

	*out = NULL;
	for (; i < x->count && begins(x->ranges[i], a); i++) {
		if ((rc = still_same(t, a, x->ranges[i], &same, f)) != PDV_OK)
			return rc;
		if (same) {
			*out = x->ranges[i];
			return PDV_OK;
		}
	}
	return PDV_OK;
}

/* Takes what is had already: a chunk of an earlier try, or what the base has. */
static enum pdv_code
take_had(struct turn *t, const struct at *a, const Pdvault__V1__BackupRange **out, struct failure *f)
{
	Pdvault__V1__BackupRange unchanged;
	enum pdv_code rc;

	if ((rc = find_same(t, &t->had, a, out, f)) != PDV_OK)
		return rc;
	if (*out != NULL)
		return keep(t, *out, f);
	if ((rc = find_same(t, &t->base, a, out, f)) != PDV_OK || *out == NULL)
		return rc;
	unchanged = **out;
	unchanged.chunk = 0;
	unchanged.chunk_digest.len = 0;
	return keep(t, &unchanged, f);
}

/* The nearest place behind this one at which something begins that is had. Empty: the end of the table. */
static ProtobufCBinaryData
border(const struct turn *t, const struct at *a)
{
	const struct backup_index *const both[] = {&t->had, &t->base};
	ProtobufCBinaryData best = {0, NULL};
	size_t k, i;

	for (k = 0; k < 2; k++) {
		i = backup_index_find(both[k], a->table, key_of(a));
		while (i < both[k]->count && begins(both[k]->ranges[i], a))
			i++;
		if (i < both[k]->count && strcmp(both[k]->ranges[i]->table, a->table) == 0 && (best.len == 0 ||
		    backup_key_compare(both[k]->ranges[i]->from.data, both[k]->ranges[i]->from.len, best.data,
		    best.len) < 0))
			best = both[k]->ranges[i]->from;
	}
	return best;
}

/* An answer's rows, behind those that are there; they must be rows, and in order. */
static enum pdv_code
append(struct turn *t, const Pdvault__V1__ReadBackupResponse *answer, struct failure *f)
{
	const uint8_t *p = answer->rows.data, *end;
	struct backup_row row;
	enum backup_step step = BACKUP_END;

	if (answer->rows.len == 0)
		return PDV_OK;
	end = p + answer->rows.len;
	while ((step = backup_row_next(&p, end, &row)) == BACKUP_ROW && !row.gone &&
	    row.key_len <= BACKUP_KEY_MAX &&
	    backup_key_compare(row.key, row.key_len, t->last.key, t->last.len) > 0) {
		memcpy(t->last.key, row.key, t->last.len = row.key_len);
		t->rows_count++;
	}
	if (step != BACKUP_END)
		return failure_set(f, PDV_DATA_LOSS, PDV_REASON_MALFORMED, "the vault sends what are no rows");
	if (!backup_buffer_room(&t->rows, answer->rows.len))
		return failure_memory(f);
	memcpy(t->rows.p + t->rows.len, answer->rows.data, answer->rows.len);
	t->rows.len += answer->rows.len;
	return PDV_OK;
}

/* Rows from here to a border, or as many as a range should have. *next: where it ends; empty at the end. */
static enum pdv_code
fetch(struct turn *t, const struct at *a, ProtobufCBinaryData to, struct at *next, struct failure *f)
{
	Pdvault__V1__ReadBackupResponse *answer = NULL;
	enum pdv_code rc = PDV_OK;
	bool more = true;

	*next = *a;
	t->rows.len = t->last.len = 0;
	t->rows_count = 0;
	while (rc == PDV_OK && more && t->rows.len < BACKUP_RANGE_ROWS) {
		Pdvault__V1__ReadBackupRequest q = request(t, next, to);

		if ((rc = read_rows(t, &q, &answer, f)) != PDV_OK)
			break;
		hold_back(t, answer->rows.len);
		rc = append(t, answer, f);
		more = answer->next.len > 0;
		if (rc == PDV_OK && more && (answer->next.len > BACKUP_KEY_MAX || backup_key_compare(
		    answer->next.data, answer->next.len, next->key, next->len) <= 0))
			rc = failure_set(f, PDV_DATA_LOSS, PDV_REASON_MALFORMED, "the vault does not go on");
		else if (rc == PDV_OK && more)
			memcpy(next->key, answer->next.data, next->len = answer->next.len);
		pdvault__v1__read_backup_response__free_unpacked(answer, NULL);
	}
	if (rc == PDV_OK && !more && (next->len = to.len) > 0)
		memcpy(next->key, to.data, to.len);
	return rc;
}

/* The range as it was fetched, in a chunk of its own. */
static enum pdv_code
write_range(struct turn *t, const struct at *a, const struct at *next, struct failure *f)
{
	struct backup_folder *b = t->m->folder;
	Pdvault__V1__BackupRange r;
	uint8_t digest[BACKUP_DIGEST_LEN], chunk[BACKUP_DIGEST_LEN];
	struct backup_chunk_new n = {b->path, b->id, t->rows.p, t->rows.len};
	struct backup_fault fault;
	enum pdv_code rc;

	backup_digest_of(t->rows.p, t->rows.len, digest);
	pdvault__v1__backup_range__init(&r);
	r.table = (char *)(uintptr_t)a->table;
	r.from = key_of(a);
	r.to = key_of(next);
	r.rows = t->rows_count;
	r.digest = backup_message_bytes(digest, sizeof(digest));
	if (t->m->since != NULL) {
		const struct backup_span span = {a->table, key_of(a), key_of(next), t->rows.p, t->rows.len};

		rc = backup_failed(backup_diff(t->m->since, &span, &t->diff, &fault), &fault, f);
		if (rc != PDV_OK)
			return rc;
		n.rows = t->diff.p;
		n.len = t->diff.len;
	}
	if (t->m->since == NULL || t->diff.len > 0) {
		if (b->next > BACKUP_CHUNKS_MAX)
			return failure_set(f, PDV_RESOURCE_EXHAUSTED, "TOO_MANY_CHUNKS",
			    "%s: too many chunks", b->path);
		r.chunk = b->next++;
		if ((rc = backup_failed(backup_chunk_write(&n, &r, chunk, &fault), &fault, f)) != PDV_OK)
			return rc;
		r.chunk_digest = backup_message_bytes(chunk, sizeof(chunk));
	}
	return keep(t, &r, f);
}

static enum pdv_code
make_table(struct turn *t, const char *table, struct failure *f)
{
	struct at a = {.table = table}, next;
	const Pdvault__V1__BackupRange *had;
	enum pdv_code rc;

	do {
		if ((rc = take_had(t, &a, &had, f)) != PDV_OK)
			return rc;
		next = a;
		if (had != NULL) {
			t->m->kept++;
			if ((next.len = had->to.len) > 0)
				memcpy(next.key, had->to.data, had->to.len);
		} else if ((rc = fetch(t, &a, border(t, &a), &next, f)) != PDV_OK ||
		    (rc = write_range(t, &a, &next, f)) != PDV_OK) {
			return rc;
		}
		a = next;
	} while (a.len > 0);
	return PDV_OK;
}

/* Of a backup of keys: before any chunk, so that it is there to be destroyed. */
static enum pdv_code
write_sealed(struct turn *t, struct failure *f)
{
	if (t->begun->sealed_root.len != BACKUP_SEALED_LEN)
		return failure_set(
		    f, PDV_DATA_LOSS, PDV_REASON_MALFORMED, "the vault sends no sealed root key");
	return backup_sealed_write(t->m->folder->path, t->begun->sealed_root.data, f);
}

/* What is read now can stand behind the base: else nobody could ever read the two as one. */
static enum pdv_code
fits_base(const struct turn *t, struct failure *f)
{
	const Pdvault__V1__BackupManifest *base = t->m->since_manifest;
	const Pdvault__V1__BackupHead *h = t->begun->head;
	size_t i, n = 0;
	bool same = true;

	if (memcmp(base->head->vault.data, h->vault.data, BACKUP_ID_LEN) != 0)
		return failure_set(f, PDV_FAILED_PRECONDITION, "OTHER_VAULT",
		    "--since is a backup of another vault");
	for (i = 0; i < base->n_ranges; i++)
		if (base->ranges[i]->from.len == 0) {
			same = same && n < t->begun->n_tables &&
			    strcmp(base->ranges[i]->table, t->begun->tables[n]->name) == 0;
			n++;
		}
	return same && n == t->begun->n_tables ? PDV_OK : failure_set(f, PDV_FAILED_PRECONDITION,
	    "OTHER_TABLES", "--since has other tables than the vault: make a full backup");
}

static enum pdv_code
begin(struct turn *t, struct failure *f)
{
	struct backup_make *m = t->m;
	Pdvault__V1__BeginBackupRequest q = PDVAULT__V1__BEGIN_BACKUP_REQUEST__INIT;
	struct backup_fault fault;
	size_t i;
	enum pdv_code rc;

	if (m->keys)
		q.key_backup = backup_message_bytes(m->folder->id, sizeof(m->folder->id));
	rc = raw_call(m->session, &backup_begin_call, &q.base, &t->begun, f);
	if (rc != PDV_OK && m->keys && strcmp(f->reason, "KEY_BACKUP_CLOSED") == 0)
		return failure_set(f, rc, "KEY_BACKUP_CLOSED", "%s: the vault has closed this backup of keys, "
		    "or it expired: `pdvault backup destroy` it, and make another", m->folder->path);
	if (rc != PDV_OK)
		return rc;
	if (t->begun->head == NULL ||
	    backup_manifest_head_ok(t->begun->head, &fault) != BACKUP_OK)
		return failure_set(
		    f, PDV_DATA_LOSS, PDV_REASON_MALFORMED, "the vault sends no head of a backup");
	if ((t->begun->head->kind == PDVAULT__V1__BACKUP_KIND__KEYS) != m->keys)
		return failure_set(
		    f, PDV_DATA_LOSS, PDV_REASON_MALFORMED, "the vault sends a backup of the other kind");
	if (m->since_manifest != NULL && (rc = fits_base(t, f)) != PDV_OK)
		return rc;
	m->begun = true;
	m->rows = m->rows_all = m->kept = 0;
	for (i = 0; i < t->begun->n_tables; i++)
		m->rows_all += t->begun->tables[i]->rows;
	m->progress.size = m->rows_all;
	return m->keys ? write_sealed(t, f) : PDV_OK;
}

/* The manifest makes it whole. */
static enum pdv_code
finish(struct turn *t, struct failure *f)
{
	struct backup_folder *b = t->m->folder;
	Pdvault__V1__BackupManifest manifest = PDVAULT__V1__BACKUP_MANIFEST__INIT;
	Pdvault__V1__FinishBackupRequest q = PDVAULT__V1__FINISH_BACKUP_REQUEST__INIT;
	Pdvault__V1__FinishBackupResponse *answer = NULL;
	Pdvault__V1__BackupHead head = *t->begun->head;
	struct backup_packed packed = {.p = NULL};
	struct backup_fault fault;
	enum pdv_code rc;

	/* A backup of data keeps the id of its first try. */
	head.backup = backup_message_bytes(b->id, sizeof(b->id));
	manifest.head = &head;
	if (t->m->since != NULL)
		manifest.since = backup_message_bytes(b->since, sizeof(b->since));
	manifest.n_ranges = t->count;
	manifest.ranges = t->ranges;
	rc = backup_failed(backup_manifest_pack(&manifest, &packed, &fault), &fault, f);
	if (rc == PDV_OK)
		rc = backup_failed(backup_manifest_prepare(b->path, &packed, &fault), &fault, f);
	if (rc != PDV_OK)
		goto out;
	q.session = t->begun->session;
	q.digest = backup_message_bytes(packed.digest, sizeof(packed.digest));
	if ((rc = raw_call(t->m->session, &backup_finish_call, &q.base, &answer, f)) != PDV_OK)
		goto out;
	if (answer->signature.len != BACKUP_SIGNATURE_LEN ||
	    !backup_manifest_signed(&head, packed.digest, answer->signature.data))
		rc = failure_set(f, PDV_DATA_LOSS, PDV_REASON_MALFORMED,
		    "the vault does not sign what was read");
	else
		rc = backup_failed(
		    backup_manifest_complete(b->path, answer->signature.data, &fault), &fault, f);
	if (rc == PDV_OK)
		backup_folder_finish(b, &manifest);
	pdvault__v1__finish_backup_response__free_unpacked(answer, NULL);
out:
	free(packed.p);
	return rc;
}

static enum pdv_code
index_all(struct turn *t, struct failure *f)
{
	const Pdvault__V1__BackupManifest *base = t->m->since_manifest;

	if (!backup_index_make(&t->had, t->m->folder->ranges, t->m->folder->count) ||
	    (base != NULL && !backup_index_make(&t->base, base->ranges, base->n_ranges)))
		return failure_memory(f);
	return PDV_OK;
}

static enum pdv_code
turn(struct backup_make *m, struct failure *f)
{
	struct turn t = {.m = m, .started_ms = now_ms()};
	size_t i;
	enum pdv_code rc;

	m->bytes = 0;
	if ((rc = backup_folder_reload(m->folder, f)) == PDV_OK && (rc = index_all(&t, f)) == PDV_OK)
		rc = begin(&t, f);
	for (i = 0; rc == PDV_OK && i < t.begun->n_tables; i++)
		rc = make_table(&t, t.begun->tables[i]->name, f);
	if (rc == PDV_OK)
		rc = finish(&t, f);
	while (t.count > 0)
		free(t.ranges[--t.count]);
	free(t.ranges);
	backup_index_free(&t.had);
	backup_index_free(&t.base);
	free(t.rows.p);
	free(t.diff.p);
	if (t.begun != NULL)
		pdvault__v1__begin_backup_response__free_unpacked(t.begun, NULL);
	progress_clear(&m->progress);
	return rc;
}

void
backup_make_way(void)
{
	const struct sched_param p = {.sched_priority = 0};

	(void)sched_setscheduler(0, SCHED_IDLE, &p);
}

enum pdv_code
backup_make(struct backup_make *m, struct failure *f)
{
	enum pdv_code rc = turn(m, f);

	for (int tries = 1; rc != PDV_OK && tries < TRIES && m->begun && backup_call_again(f); tries++) {
		pause_ms(PAUSE_MS);
		rc = turn(m, f);
	}
	return rc;
}
