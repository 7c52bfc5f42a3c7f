#include "server/restore/look.h"

#include <string.h>

#include "server/arena.h"
#include "server/log.h"
#include "server/store/erasure.h"
#include "server/store/key_backup.h"
#include "server/store/ledger.h"
#include "server/store/lookup_list.h"
#include "server/store/reader.h"
#include "server/store/record.h"
#include "server/store/subject.h"
#include "server/store/vault_internal.h"

struct look {
	struct vault *vault;
	struct store_snapshot *snapshot;
	struct arena *arena;
	struct drill_report *report;
};

static enum status
wrong(const char *what)
{
	log_event(LOG_RESTORE, LOG_S(WHAT, what), LOG_S(WHY, "the restored vault is not as it should be"));
	return STATUS_CORRUPT;
}

/* Each look-up of an identity leads back to it. */
static enum status
find(struct look *l, const uint8_t *subject, const Pdvault__V1__Identity *id)
{
	uint8_t ids[LOOKUP_SHARED_MAX][SUBJECT_ID_LEN];
	struct lookup *item = arena_alloc(l->arena, (lookup_list_max(id) + 1) * sizeof(*item));
	struct lookup_fault bad;
	struct reader *rd = NULL;
	unsigned count = 0, found;
	enum status rc = STATUS_NO_MEMORY;

	if (item == NULL ||
	    (rc = lookup_list(id, vault_country_code(l->vault), item, &count, &bad)) != STATUS_OK ||
	    (rc = reader_begin(l->vault, &rd)) != STATUS_OK)
		return rc;
	for (unsigned i = 0; i < count && rc == STATUS_OK; i++) {
		bool mine = false;

		if ((rc = reader_find(rd, &item[i], ids, &found)) != STATUS_OK)
			break;
		for (unsigned j = 0; j < found; j++)
			mine = mine || memcmp(ids[j], subject, SUBJECT_ID_LEN) == 0;
		/* One that another has was left out, and the report says how many those were. */
		if (!mine && l->report->restored.lookups_taken == 0)
			rc = wrong("a look-up");
		l->report->found += mine;
	}
	reader_end(rd);
	return rc;
}

/* Everything of one who is there. */
static enum status
read_one(struct look *l, const uint8_t *subject)
{
	struct reader_item item[8];
	struct reader_page page = { .limit = 8, .item = item };
	const Pdvault__V1__Identity *id = NULL;
	struct reader *rd = NULL;
	struct bytes plain;
	enum status rc, billing;

	if ((rc = reader_begin(l->vault, &rd)) != STATUS_OK)
		return rc;
	rc = reader_record(rd, subject, SUBJECT_IDENTITY, l->arena, &plain);
	if (rc == STATUS_OK)
		id = (const void *)protobuf_c_message_unpack(&pdvault__v1__identity__descriptor,
		    arena_allocator(l->arena), plain.len - RECORD_HEAD, plain.p + RECORD_HEAD);
	billing = reader_record(rd, subject, SUBJECT_BILLING, l->arena, &plain);
	if (billing == STATUS_OK || billing == STATUS_NO_RECORD)
		billing = reader_transactions(rd, subject, l->arena, &page);
	reader_end(rd);
	if (billing != STATUS_OK && billing != STATUS_CATEGORY_ERASED && billing != STATUS_NO_RECORD)
		return wrong("billing");
	if (rc == STATUS_OK)
		return id != NULL ? find(l, subject, id) : wrong("an identity");
	/* What was lost is in the report of the restore; what was erased in part says so. */
	if (rc != STATUS_LOST && rc != STATUS_CATEGORY_ERASED)
		return wrong("an identity");
	return STATUS_OK;
}

/* A tombstone leads to the erasure, and that to its entry of the ledger. */
static enum status
check_erasure(struct look *l, const uint8_t *subject, const uint8_t *erasure)
{
	struct ledger_entry entry;
	struct erasure e;
	struct bytes row;
	uint8_t key[8];

	if (store_get(l->snapshot, STORE_ERASURES, bytes_of(erasure, sizeof(entry.erasure)),
		&row) != STATUS_OK ||
	    erasure_decode(row, &e) != STATUS_OK || memcmp(e.subject, subject, SUBJECT_ID_LEN) != 0)
		return wrong("an erasure");
	bytes_put64(key, e.sequence);
	if (store_get(l->snapshot, STORE_LEDGER, bytes_of(key, sizeof(key)), &row) != STATUS_OK ||
	    ledger_decode(row, &entry) != STATUS_OK ||
	    memcmp(entry.erasure, erasure, sizeof(entry.erasure)) != 0)
		return wrong("an entry of the ledger");
	return STATUS_OK;
}

static enum status
sample_one(struct look *l, struct bytes subject, struct bytes row)
{
	uint8_t erasure[16];
	uint64_t slot;
	enum status rc = subject_parse(row, &slot, erasure);

	if (subject.len != SUBJECT_ID_LEN || (rc != STATUS_OK && rc != STATUS_ERASED))
		return wrong("a row of subjects");
	if (rc == STATUS_ERASED) {
		l->report->erased_sampled++;
		return check_erasure(l, subject.p, erasure);
	}
	l->report->sampled++;
	rc = read_one(l, subject.p);
	arena_reset(l->arena);
	return rc;
}

/* Ids are random, so every so-and-so-many-th is a fair sample. */
static enum status
sample(struct look *l, uint64_t every, const volatile sig_atomic_t *stop)
{
	struct input *in = NULL;
	struct stream *s = NULL;
	struct bytes key, row;
	uint64_t at = 0;
	enum status rc;

	if ((rc = input_vault(l->vault, &in)) != STATUS_OK ||
	    (rc = stream_new(in, STORE_SUBJECTS, &s)) != STATUS_OK)
		goto out;
	for (; (rc = stream_row(s, &key, &row)) == STATUS_OK; stream_step(s), at++) {
		if (stop != NULL && *stop) {
			log_event(LOG_FATAL, LOG_S(WHAT, "stopped"));
			rc = STATUS_REFUSED;
			goto out;
		}
		if (at % every == 0 && (rc = sample_one(l, key, row)) != STATUS_OK)
			goto out;
	}
	rc = rc == STATUS_ABSENT ? STATUS_OK : rc;
out:
	stream_free(s);
	input_free(in);
	return rc;
}

static bool
count_it(const struct key_backup *b, void *arg)
{
	uint64_t *n = arg;

	(void)b;
	++*n;
	return true;
}

/* As many rows as the restore says that it wrote. A transaction has two: itself, and its id. */
static enum status
count(struct look *l, uint64_t *subjects)
{
	const struct restore_report *r = &l->report->restored;
	const struct {
		enum store_table table;
		uint64_t rows;
		const char *what;
	} want[] = {
		{ STORE_KEYRINGS, r->subjects, "the number of keyrings" },
		{ STORE_RECORDS, r->rows.records + r->rows.lost, "the number of records" },
		{ STORE_TRANSACTIONS, 2 * r->rows.transactions, "the number of transactions" },
		{ STORE_LEDGER, r->ledger_entries, "the number of entries of the ledger" },
	};
	uint64_t rows, key_backups = 0;
	struct vault_status st;
	enum status rc = vault_status(l->vault, &st);

	if (rc == STATUS_OK && st.subjects != r->subjects)
		rc = wrong("the number of subjects");
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]) && rc == STATUS_OK; i++)
		if ((rc = store_count(l->snapshot, want[i].table, &rows)) == STATUS_OK && rows != want[i].rows)
			rc = wrong(want[i].what);
	if (rc == STATUS_OK && (rc = store_count(l->snapshot, STORE_SUBJECTS, subjects)) == STATUS_OK &&
	    *subjects != st.subjects + st.erased)
		rc = wrong("the number of rows of subjects");
	if (rc == STATUS_OK && (rc = key_backup_each(l->snapshot, count_it, &key_backups)) == STATUS_OK &&
	    (rc = store_count(l->snapshot, STORE_BACKUPS, &rows)) == STATUS_OK && rows != key_backups)
		rc = wrong("the number of key backups");
	return rc;
}

enum status
look_at(struct vault *v, const volatile sig_atomic_t *stop, struct drill_report *report)
{
	struct look l = { .vault = v, .report = report, .arena = arena_new() };
	uint64_t subjects;
	enum status rc = STATUS_NO_MEMORY;

	if (l.arena != NULL && (rc = store_snapshot_new(v->store, &l.snapshot)) == STATUS_OK &&
	    (rc = store_snapshot_begin(l.snapshot)) == STATUS_OK && (rc = count(&l, &subjects)) == STATUS_OK)
		rc = sample(&l, subjects / DRILL_SAMPLES + 1, stop);
	store_snapshot_free(l.snapshot);
	arena_free(l.arena);
	return rc;
}
