#include "server/rotate/job.h"

#include <string.h>

#include "server/store/subject.h"
#include "server/store/vault_internal.h"

enum {
	OFF_KIND = 0,
	OFF_STATE = 1,
	OFF_STEP = 2,
	OFF_CATEGORY = 3,
	OFF_RATE = 4,
	OFF_OLDER = 8,
	OFF_CURSOR_LEN = 13,
	OFF_RETIRE = 14,
	OFF_FLOOR_MS = 16,
	OFF_FLOOR_EPOCH = 24,
	OFF_CREATED = 32,
	OFF_STARTED = 40,
	OFF_UPDATED = 48,
	OFF_ENDED = 56,
	OFF_DONE = 64,
	OFF_TOTAL = 72,
	OFF_DAMAGED = 80,
	OFF_MICROS = 88,
	OFF_SUBJECT = 96,
	OFF_CURSOR = 112,
	OFF_SEAL = 136,
	OFF_PRINCIPAL = OFF_SEAL + PROVIDER_NAME_MAX + 1,
	OFF_FAILURE = OFF_PRINCIPAL + JOB_PRINCIPAL_MAX + 1,
	OFF_END = OFF_FAILURE + JOB_FAILURE_MAX + 1,
	OFF_SIGNER = JOB_SAID_LEN - 8,
	OFF_SIGNATURE = JOB_SAID_LEN
};
_Static_assert(OFF_CURSOR + JOB_CURSOR_MAX <= OFF_SEAL && OFF_END <= OFF_SIGNER, "they stand side by side");
_Static_assert(OFF_SIGNATURE + SEAL_SIGNATURE_LEN == JOB_ROW_LEN, "the signature is the end");

static const char *const kind_names[JOB_KINDS] = { "?", "seal", "tree", "subjects", "index", "signing",
	"seal-add", "seal-remove" };
static const char *const state_names[JOB_STATES] = { "?", "waiting", "running", "paused", "done", "cancelled",
	"failed" };

const char *
job_kind_name(enum job_kind k)
{
	return k < JOB_KINDS ? kind_names[k] : kind_names[0];
}

const char *
job_state_name(enum job_state s)
{
	return s < JOB_STATES ? state_names[s] : state_names[0];
}

bool
job_is_open(const struct job *j)
{
	return j->state == JOB_WAITING || j->state == JOB_RUNNING || j->state == JOB_PAUSED;
}

bool
job_is_switched(const struct job *j)
{
	return (j->kind == JOB_SEAL || j->kind == JOB_SEAL_ADD || j->kind == JOB_SEAL_REMOVE) &&
	    j->step == JOB_STEP_SWITCHED;
}

bool
job_is_whole(const struct job *j)
{
	return j->category == 0 && subject_id_is_zero(j->subject) && j->seal[0] == '\0';
}

/* The numbers of 8 bytes, in the order of the tables below. */
static void
numbers_of(struct job *j, int64_t **times, uint64_t **counts)
{
	int64_t *const t[] = { &j->floor_ms, &j->created_ms, &j->started_ms, &j->updated_ms, &j->ended_ms };
	uint64_t *const c[] = { &j->floor_epoch, &j->done, &j->total, &j->damaged, &j->micros, &j->signer };

	memcpy(times, t, sizeof(t));
	memcpy(counts, c, sizeof(c));
}

static const uint16_t time_offs[] = { OFF_FLOOR_MS, OFF_CREATED, OFF_STARTED, OFF_UPDATED, OFF_ENDED };
static const uint16_t count_offs[] = { OFF_FLOOR_EPOCH, OFF_DONE, OFF_TOTAL, OFF_DAMAGED,
	OFF_MICROS, OFF_SIGNER };
#define TIMES (sizeof(time_offs) / sizeof(time_offs[0]))
#define COUNTS (sizeof(count_offs) / sizeof(count_offs[0]))

void
job_encode(const struct job *j, uint8_t row[static JOB_ROW_LEN])
{
	struct job copy = *j;
	uint64_t *counts[COUNTS];
	int64_t *times[TIMES];

	memset(row, 0, JOB_ROW_LEN);
	numbers_of(&copy, times, counts);
	row[OFF_KIND] = (uint8_t)j->kind;
	row[OFF_STATE] = (uint8_t)j->state;
	row[OFF_STEP] = j->step;
	row[OFF_CATEGORY] = j->category;
	bytes_put32(row + OFF_RATE, j->rate);
	bytes_put32(row + OFF_OLDER, j->older_s);
	row[OFF_CURSOR_LEN] = j->cursor_len;
	row[OFF_RETIRE] = j->retire;
	for (size_t i = 0; i < TIMES; i++)
		bytes_put64(row + time_offs[i], (uint64_t)*times[i]);
	for (size_t i = 0; i < COUNTS; i++)
		bytes_put64(row + count_offs[i], *counts[i]);
	memcpy(row + OFF_SUBJECT, j->subject, sizeof(j->subject));
	memcpy(row + OFF_CURSOR, j->cursor, j->cursor_len);
	memcpy(row + OFF_SEAL, j->seal, strlen(j->seal));
	memcpy(row + OFF_PRINCIPAL, j->principal, strlen(j->principal));
	memcpy(row + OFF_FAILURE, j->failure, strlen(j->failure));
	memcpy(row + OFF_SIGNATURE, j->signature, sizeof(j->signature));
}

enum status
job_decode(const uint8_t id[static JOB_ID_LEN], struct bytes row, struct job *out)
{
	uint64_t *counts[COUNTS];
	int64_t *times[TIMES];
	struct job j = { .kind = JOB_SEAL };
	uint8_t again[JOB_ROW_LEN];

	if (row.len != JOB_ROW_LEN || row.p[OFF_KIND] < JOB_SEAL || row.p[OFF_KIND] >= JOB_KINDS ||
	    row.p[OFF_STATE] < JOB_WAITING || row.p[OFF_STATE] >= JOB_STATES ||
	    row.p[OFF_CURSOR_LEN] > JOB_CURSOR_MAX || row.p[OFF_CATEGORY] > CATEGORY_COUNT ||
	    row.p[OFF_FAILURE + JOB_FAILURE_MAX] != 0 || row.p[OFF_SEAL + PROVIDER_NAME_MAX] != 0 ||
	    row.p[OFF_PRINCIPAL + JOB_PRINCIPAL_MAX] != 0)
		return STATUS_CORRUPT;
	numbers_of(&j, times, counts);
	memcpy(j.id, id, JOB_ID_LEN);
	j.kind = (enum job_kind)row.p[OFF_KIND];
	j.state = (enum job_state)row.p[OFF_STATE];
	j.step = row.p[OFF_STEP];
	j.category = row.p[OFF_CATEGORY];
	j.rate = bytes_get32(row.p + OFF_RATE);
	j.older_s = bytes_get32(row.p + OFF_OLDER);
	j.cursor_len = row.p[OFF_CURSOR_LEN];
	j.retire = row.p[OFF_RETIRE] != 0;
	for (size_t i = 0; i < TIMES; i++)
		*times[i] = (int64_t)bytes_get64(row.p + time_offs[i]);
	for (size_t i = 0; i < COUNTS; i++)
		*counts[i] = bytes_get64(row.p + count_offs[i]);
	memcpy(j.subject, row.p + OFF_SUBJECT, sizeof(j.subject));
	memcpy(j.cursor, row.p + OFF_CURSOR, j.cursor_len);
	memcpy(j.seal, row.p + OFF_SEAL, PROVIDER_NAME_MAX);
	memcpy(j.principal, row.p + OFF_PRINCIPAL, JOB_PRINCIPAL_MAX);
	memcpy(j.failure, row.p + OFF_FAILURE, JOB_FAILURE_MAX);
	memcpy(j.signature, row.p + OFF_SIGNATURE, sizeof(j.signature));
	/* A job has one row: nothing that is signed is passed over. */
	job_encode(&j, again);
	if (memcmp(again, row.p, sizeof(again)) != 0)
		return STATUS_CORRUPT;
	*out = j;
	return STATUS_OK;
}

void
job_statement(const struct job *j, const uint8_t vault[static VAULT_ID_LEN],
    uint8_t out[static JOB_STATEMENT_LEN])
{
	uint8_t row[JOB_ROW_LEN];

	job_encode(j, row);
	memcpy(out, JOB_LABEL, sizeof(JOB_LABEL) - 1);
	out += sizeof(JOB_LABEL) - 1;
	memcpy(out, vault, VAULT_ID_LEN);
	out += VAULT_ID_LEN;
	memcpy(out, j->id, JOB_ID_LEN);
	out += JOB_ID_LEN;
	memcpy(out, row, JOB_SAID_LEN);
}

void
job_sign(struct job *j, const struct ledger_signer *s)
{
	uint8_t said[JOB_STATEMENT_LEN];

	j->signer = s->root->signer;
	job_statement(j, s->vault, said);
	seal_sign(&s->root->signing, s->root->public_key, bytes_of(said, sizeof(said)), j->signature);
}

enum status
job_load(struct writeset *ws, const uint8_t id[static JOB_ID_LEN], struct job *out)
{
	struct bytes row;
	enum status rc = writeset_get(ws, STORE_JOBS, bytes_of(id, JOB_ID_LEN), &row);

	return rc == STATUS_OK ? job_decode(id, row, out) : rc;
}

enum status
job_save(struct writeset *ws, const struct job *j)
{
	uint8_t row[JOB_ROW_LEN];

	job_encode(j, row);
	return writeset_put(ws, STORE_JOBS, bytes_of(j->id, JOB_ID_LEN), bytes_of(row, sizeof(row)));
}

/* All rows in the order of ids; of a ring of ${limit} the newest stay. */
static enum status
collect(struct store_snapshot *s, const uint8_t *before, struct job *out, unsigned limit, unsigned *seen)
{
	uint8_t from[JOB_ID_LEN + 1] = { 0 };
	struct bytes key, value, at = bytes_of(from, 0);
	enum status rc;

	*seen = 0;
	while ((rc = store_seek(s, STORE_JOBS, at, &key, &value)) == STATUS_OK) {
		if (key.len != JOB_ID_LEN)
			return STATUS_CORRUPT;
		if (before != NULL && memcmp(key.p, before, JOB_ID_LEN) >= 0)
			break;
		if ((rc = job_decode(key.p, value, &out[*seen % limit])) != STATUS_OK)
			return rc;
		(*seen)++;
		memcpy(from, key.p, JOB_ID_LEN);
		at = bytes_of(from, JOB_ID_LEN + 1);
	}
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

/* Newest first, in place. */
static void
turn(struct job *j, unsigned seen, unsigned limit)
{
	unsigned count = seen < limit ? seen : limit;

	/* The ring begins at the oldest that stayed. */
	for (unsigned turns = seen > limit ? seen % limit : 0; turns > 0; turns--) {
		struct job first = j[0];

		memmove(j, j + 1, (count - 1) * sizeof(*j));
		j[count - 1] = first;
	}
	for (unsigned i = 0; i < count / 2; i++) {
		struct job x = j[i];

		j[i] = j[count - 1 - i];
		j[count - 1 - i] = x;
	}
}

enum status
job_list(struct vault *v, const uint8_t *before, struct job *out, unsigned limit, unsigned *count)
{
	struct store_snapshot *s = NULL;
	unsigned seen = 0;
	enum status rc;

	must(limit > 0);
	if ((rc = store_snapshot_new(v->store, &s)) != STATUS_OK)
		return rc;
	if ((rc = store_snapshot_begin(s)) == STATUS_OK) {
		rc = collect(s, before, out, limit, &seen);
		store_snapshot_end(s);
	}
	store_snapshot_free(s);
	if (rc != STATUS_OK)
		return rc;
	turn(out, seen, limit);
	*count = seen < limit ? seen : limit;
	return STATUS_OK;
}

enum status
job_get(struct vault *v, const uint8_t id[static JOB_ID_LEN], struct job *out)
{
	struct store_snapshot *s = NULL;
	struct bytes row;
	enum status rc;

	if ((rc = store_snapshot_new(v->store, &s)) != STATUS_OK)
		return rc;
	if ((rc = store_snapshot_begin(s)) == STATUS_OK) {
		if ((rc = store_get(s, STORE_JOBS, bytes_of(id, JOB_ID_LEN), &row)) == STATUS_OK)
			rc = job_decode(id, row, out);
		store_snapshot_end(s);
	}
	store_snapshot_free(s);
	return rc;
}
