#include "server/store/erasure.h"

#include <sodium.h>

#include "server/clock.h"
#include "server/mutant.h"
#include "server/store/ledger.h"
#include "server/store/litter.h"
#include "server/store/record.h"
#include "server/store/subject.h"

enum { OFF_SUBJECT = 0, OFF_EPOCH = 16, OFF_TIME = 24, OFF_CATEGORIES = 32, OFF_FINAL = 34,
	OFF_SEQUENCE = 35, OFF_CLASS = 43 };

void
erasure_encode(const struct erasure *e, uint8_t out[static ERASURE_ROW_LEN])
{
	memcpy(out + OFF_SUBJECT, e->subject, SUBJECT_ID_LEN);
	bytes_put64(out + OFF_EPOCH, e->epoch);
	bytes_put64(out + OFF_TIME, (uint64_t)e->time_ms);
	bytes_put16(out + OFF_CATEGORIES, e->categories);
	out[OFF_FINAL] = e->final;
	bytes_put64(out + OFF_SEQUENCE, e->sequence);
	out[OFF_CLASS] = (uint8_t)e->class;
}

enum status
erasure_decode(struct bytes row, struct erasure *e)
{
	if (row.len != ERASURE_ROW_LEN)
		return STATUS_CORRUPT;
	memcpy(e->subject, row.p + OFF_SUBJECT, SUBJECT_ID_LEN);
	e->epoch = bytes_get64(row.p + OFF_EPOCH);
	e->time_ms = (int64_t)bytes_get64(row.p + OFF_TIME);
	e->categories = bytes_get16(row.p + OFF_CATEGORIES);
	e->final = row.p[OFF_FINAL] != 0;
	e->sequence = bytes_get64(row.p + OFF_SEQUENCE);
	e->class = (char)row.p[OFF_CLASS];
	return STATUS_OK;
}

/* Which of the wanted categories are live, and which live ones stay. */
static enum status
choose(const struct keyring *k, struct erasure *e)
{
	uint16_t live = 0, shredded = 0;

	for (unsigned i = 0; i < CATEGORY_COUNT; i++) {
		if (k->category[i].state == CATEGORY_LIVE)
			live |= (uint16_t)(1u << i);
		if (k->category[i].state == CATEGORY_SHREDDED)
			shredded |= (uint16_t)(1u << i);
	}
	if ((live & e->categories) == 0)
		return (shredded & e->categories) != 0 ? STATUS_CATEGORY_ERASED : STATUS_NO_RECORD;
	e->categories &= live;
	e->final = live == e->categories;
	return STATUS_OK;
}

/* Ciphertext without a key is only litter, but litter that takes room. A category has one record. */
static enum status
delete_records(struct writeset *ws, const uint8_t slot[static 8], const struct erasure *e)
{
	uint8_t key[RECORD_KEY_LEN];
	enum status rc = STATUS_OK;

	for (unsigned i = 0; i < CATEGORY_COUNT && rc == STATUS_OK; i++) {
		if ((e->categories & (1u << i)) == 0)
			continue;
		record_key(bytes_get64(slot), i + 1, 0, key);
		rc = writeset_delete(ws, STORE_RECORDS, bytes_of(key, sizeof(key)));
		if (rc == STATUS_OK && i + 1 == SUBJECT_BILLING)
			rc = litter_drop(ws, slot);
	}
	return rc;
}

/* E2: the key of each category leaves the keyring, which is then sealed under a fresh key. */
static enum status
shred_categories(struct writeset *ws, const struct erasure *e)
{
	struct keyring *k;
	enum status rc;

	if ((rc = writeset_edit_subject(ws, e->subject, &k)) != STATUS_OK)
		return rc;
	for (unsigned i = 0; i < CATEGORY_COUNT; i++)
		if ((e->categories & (1u << i)) != 0)
			subject_shred_category(k, i + 1);
	return STATUS_OK;
}

/* E3: row and ledger are in the same commit, under the epoch that the keys die with. */
static enum status
put_row(struct writeset *ws, const uint8_t slot[static 8], struct erasure *e)
{
	struct ledger_entry entry = { .epoch = writeset_epoch(ws), .time_ms = clock_wall_ms(),
		.slot = bytes_get64(slot), .categories = e->categories,
		.kind = e->final ? LEDGER_WHOLE : LEDGER_PART };
	uint8_t row[ERASURE_ROW_LEN];
	enum status rc;

	memcpy(entry.subject, e->subject, sizeof(entry.subject));
	memcpy(entry.erasure, e->id, sizeof(entry.erasure));
	if ((rc = ledger_append(ws, &entry)) != STATUS_OK)
		return rc;
	e->epoch = entry.epoch;
	e->time_ms = entry.time_ms;
	e->sequence = entry.sequence;
	e->class = vault_class_of_anchor(writeset_vault(ws));
	erasure_encode(e, row);
	return writeset_put(ws, STORE_ERASURES, bytes_of(e->id, sizeof(e->id)),
	    bytes_of(row, sizeof(row)));
}

enum status
erasure_apply(struct writeset *ws, struct erasure *e)
{
	uint8_t slot[8];
	const struct keyring *k;
	enum status rc;

	/* E1: what is to go, by the state that the batch has now. */
	if ((rc = writeset_subject(ws, e->subject, &k)) != STATUS_OK)
		return rc;
	if ((rc = choose(k, e)) != STATUS_OK)
		return rc;
	memcpy(slot, k->slot, sizeof(slot));
	randombytes_buf(e->id, sizeof(e->id));
	/* E2, or the whole subject with its last category. */
	rc = e->final ? writeset_drop_subject(ws, e->subject, e->id) : shred_categories(ws, e);
	if (rc != STATUS_OK)
		return rc;
	if ((rc = delete_records(ws, slot, e)) != STATUS_OK)
		return rc;
	return put_row(ws, slot, e);
}

enum status
erasure_apply_damaged(struct writeset *ws, struct erasure *e)
{
	uint8_t slot[8];
	enum status rc;

	randombytes_buf(e->id, sizeof(e->id));
	e->final = true;
	/* E2: nobody can say what it held; its place goes empty, and so all of it is gone. */
	if ((rc = writeset_drop_damaged(ws, e->subject, e->id, slot)) != STATUS_OK)
		return rc;
	if ((rc = delete_records(ws, slot, e)) != STATUS_OK)
		return rc;
	return put_row(ws, slot, e);
}
