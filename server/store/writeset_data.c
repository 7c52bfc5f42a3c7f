/*
 * Look-ups, records and transactions of a request.
 */
#include <sodium.h>
#include <stdlib.h>

#include "server/mutant.h"
#include "server/store/damage.h"
#include "server/store/overlay.h"
#include "server/store/record.h"
#include "server/store/subject.h"
#include "server/store/vault_internal.h"
#include "server/store/writeset_internal.h"

/* The entry of the n-th subject that shares a value. STATUS_ABSENT: there is none. */
static enum status
find(struct writeset *ws, const struct lookup *l, unsigned n, struct bucket_entry *out)
{
	struct overlay_item *it = NULL;
	const struct bucket *b = NULL;
	enum status rc;
	int at;

	memset(out, 0, sizeof(*out));
	lookup_tag(&overlay_root(ws->overlay)->index, l, n, out->tag);
	out->kind = (uint8_t)l->kind;
	/* Of a value that many may share most is only looked at; another one is about to be changed. */
	if (lookup_is_shared(l->kind))
		rc = overlay_peek_bucket(ws->overlay, out->tag, &b);
	else if ((rc = overlay_bucket(ws->overlay, out->tag, &it)) == STATUS_OK)
		b = (const struct bucket *)(const void *)it->now;
	if (rc != STATUS_OK)
		return rc;
	if ((at = lookup_in_bucket(b, out->tag)) < 0)
		return STATUS_ABSENT;
	*out = b->entry[at];
	return STATUS_OK;
}

/* Loads what the merge will change, so that it meets no damage. */
static enum status
stage(struct writeset *ws, bool add, const struct bucket_entry *e)
{
	struct overlay_item *it;
	enum status rc = overlay_bucket(ws->overlay, e->tag, &it);

	if (rc != STATUS_OK && rc != STATUS_ABSENT)
		return rc;
	if (mutant(tag_as_key) && (rc = writeset_put(ws, STORE_META, bytes_of(e->tag, sizeof(e->tag)),
	    bytes_of(e->subject, SUBJECT_ID_LEN))) != STATUS_OK)
		return rc;
	must(ws->entry_count < WRITESET_ENTRIES_MAX);
	ws->entry[ws->entry_count++] = (struct writeset_entry){ add, *e };
	return STATUS_OK;
}

/*
 * What damage left behind: the subject is erased or that category of it is, but its entry could
 * not be removed with it.
 */
static bool
is_left_over(struct writeset *ws, const struct bucket_entry *e)
{
	const struct keyring *k;
	struct bytes row;
	uint64_t slot;
	enum status rc;

	if (writeset_get(ws, STORE_SUBJECTS, bytes_of(e->subject, SUBJECT_ID_LEN), &row) != STATUS_OK)
		return false;
	if ((rc = subject_parse(row, &slot, NULL)) != STATUS_OK)
		return rc == STATUS_ERASED;
	if (overlay_peek_keyring(ws->overlay, slot, &k) != STATUS_OK)
		return false;
	return subject_category(k, e->category) == STATUS_CATEGORY_ERASED;
}

enum status
writeset_add_lookup(struct writeset *ws, const struct lookup *l, unsigned category,
    const uint8_t id[static SUBJECT_ID_LEN])
{
	unsigned most = lookup_is_shared(l->kind) ? LOOKUP_SHARED_MAX : 1;
	struct bucket_entry e = { 0 }, place = { 0 };
	bool free_place = false;
	enum status rc = STATUS_OK;

	for (unsigned n = 0; n < most; n++) {
		if ((rc = find(ws, l, n, &e)) != STATUS_OK)
			break;
		if (memcmp(e.subject, id, SUBJECT_ID_LEN) == 0)
			goto out;
		if (!free_place && is_left_over(ws, &e)) {
			place = e;
			free_place = true;
		}
	}
	if (rc != STATUS_OK && rc != STATUS_ABSENT)
		goto out;
	if (rc == STATUS_OK && !free_place) {
		rc = lookup_is_shared(l->kind) ? STATUS_CROWDED : STATUS_LOOKUP_TAKEN;
		goto out;
	}
	if (!free_place)
		place = e;
	else if ((rc = stage(ws, false, &place)) != STATUS_OK)
		goto out;
	place.category = (uint8_t)category;
	memcpy(place.subject, id, SUBJECT_ID_LEN);
	rc = stage(ws, true, &place);
out:
	sodium_memzero(&e, sizeof(e));
	sodium_memzero(&place, sizeof(place));
	return rc;
}

/* The last of those who share it moves into the gap. */
enum status
writeset_remove_lookup(struct writeset *ws, const struct lookup *l,
    const uint8_t id[static SUBJECT_ID_LEN])
{
	unsigned most = lookup_is_shared(l->kind) ? LOOKUP_SHARED_MAX : 1, n;
	struct bucket_entry e = { 0 }, mine = { 0 }, last = { 0 };
	bool found = false;
	enum status rc = STATUS_OK;

	for (n = 0; n < most; n++) {
		if ((rc = find(ws, l, n, &e)) != STATUS_OK)
			break;
		if (memcmp(e.subject, id, SUBJECT_ID_LEN) == 0) {
			mine = e;
			found = true;
		}
		last = e;
	}
	if (rc != STATUS_OK && rc != STATUS_ABSENT)
		goto out;
	rc = STATUS_OK;
	if (!found)
		goto out;
	if ((rc = stage(ws, false, &last)) != STATUS_OK ||
	    memcmp(last.tag, mine.tag, sizeof(mine.tag)) == 0)
		goto out;
	if ((rc = stage(ws, false, &mine)) != STATUS_OK)
		goto out;
	memcpy(mine.subject, last.subject, SUBJECT_ID_LEN);
	rc = stage(ws, true, &mine);
out:
	sodium_memzero(&e, sizeof(e));
	sodium_memzero(&mine, sizeof(mine));
	sodium_memzero(&last, sizeof(last));
	return rc;
}

static enum status
open_row(const struct record_place *p, struct bytes box, struct arena *a, struct bytes *plain)
{
	uint8_t *text = arena_alloc(a, box.len);
	size_t len;
	enum status rc;

	if (text == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = record_open(p, box, text, &len)) != STATUS_OK)
		return damage_judged(rc, "a record that a write needs");
	*plain = bytes_of(text, len);
	return STATUS_OK;
}

/* Sealed before it reaches any row: a batch that is dropped leaves traces, too. */
static enum status
put_row(struct writeset *ws, const struct record_place *p, enum store_table t, struct bytes key,
    struct bytes plain)
{
	size_t len = SEAL_BOX_LEN(record_class(plain.len));
	uint8_t *box = malloc(len);
	struct store_batch *b = NULL;
	enum status rc;

	if (box == NULL)
		return STATUS_NO_MEMORY;
	if (mutant(plaintext_aborted) && store_batch_begin(ws->vault->store, &b) == STATUS_OK) {
		rc = store_batch_put(b, t, key, plain);
		store_batch_abort(b);
	}
	record_seal(p, plain, box);
	rc = writeset_put(ws, t, key, bytes_of(box, len));
	free(box);
	return rc;
}

enum status
writeset_record(struct writeset *ws, const struct keyring *k, unsigned category,
    struct arena *a, struct bytes *plain)
{
	struct record_place p = { SEAL_RECORD, k, ws->vault->id, category, 0 };
	uint8_t key[RECORD_KEY_LEN];
	struct bytes box;
	enum status rc;

	if ((rc = subject_category(k, category)) != STATUS_OK)
		return rc;
	record_key(bytes_get64(k->slot), category, 0, key);
	rc = writeset_get(ws, STORE_RECORDS, bytes_of(key, sizeof(key)), &box);
	if (rc == STATUS_ABSENT)
		return category != SUBJECT_IDENTITY ? STATUS_NO_RECORD :
		    damage_judged(STATUS_CORRUPT, "an identity is missing");
	return rc == STATUS_OK ? open_row(&p, box, a, plain) : rc;
}

enum status
writeset_put_record(struct writeset *ws, const struct keyring *k, unsigned category,
    struct bytes plain)
{
	struct record_place p = { SEAL_RECORD, k, ws->vault->id, category, 0 };
	uint8_t key[RECORD_KEY_LEN];

	record_key(bytes_get64(k->slot), category, 0, key);
	return put_row(ws, &p, STORE_RECORDS, bytes_of(key, sizeof(key)), plain);
}

enum status
writeset_transaction(struct writeset *ws, const struct keyring *k, struct bytes id,
    struct arena *a, struct bytes *plain)
{
	struct record_place p = { SEAL_TRANSACTION, k, ws->vault->id, SUBJECT_BILLING, 0 };
	uint8_t by_id[RECORD_TRANSACTION_ID_KEY_LEN], key[RECORD_TRANSACTION_KEY_LEN];
	struct bytes number, box;
	enum status rc;

	record_transaction_id_key(&p, id, by_id);
	rc = writeset_get(ws, STORE_TRANSACTIONS, bytes_of(by_id, sizeof(by_id)), &number);
	if (rc != STATUS_OK)
		return rc;
	if (number.len != 8)
		return damage_judged(STATUS_CORRUPT, "the number of a transaction");
	p.number = bytes_get64(number.p);
	record_transaction_key(bytes_get64(k->slot), p.number, key);
	rc = writeset_get(ws, STORE_TRANSACTIONS, bytes_of(key, sizeof(key)), &box);
	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? damage_judged(STATUS_CORRUPT, "a transaction") : rc;
	return open_row(&p, box, a, plain);
}

enum status
writeset_put_transaction(struct writeset *ws, const struct keyring *k, struct bytes id,
    struct bytes plain)
{
	/* A number that a failed request took is left out: they need only grow. */
	struct record_place p = { SEAL_TRANSACTION, k, ws->vault->id, SUBJECT_BILLING,
		ws->vault->sequence++ };
	uint8_t by_id[RECORD_TRANSACTION_ID_KEY_LEN], key[RECORD_TRANSACTION_KEY_LEN], number[8];
	enum status rc;

	bytes_put64(number, ws->vault->sequence);
	rc = writeset_put(ws, STORE_META, META_KEY(META_SEQUENCE), bytes_of(number, sizeof(number)));
	if (rc != STATUS_OK)
		return rc;
	record_transaction_id_key(&p, id, by_id);
	bytes_put64(number, p.number);
	rc = writeset_put(ws, STORE_TRANSACTIONS, bytes_of(by_id, sizeof(by_id)),
	    bytes_of(number, sizeof(number)));
	if (rc != STATUS_OK)
		return rc;
	record_transaction_key(bytes_get64(k->slot), p.number, key);
	return put_row(ws, &p, STORE_TRANSACTIONS, bytes_of(key, sizeof(key)), plain);
}
