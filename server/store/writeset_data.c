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

/* The subjects that share a value, entry by entry, under one index key. */
struct sharers {
	const struct lookup *l;
	enum lookup_age age;
	bool places;		/* places that are left over are looked for */
};

/* The entry of the n-th of them. STATUS_ABSENT: there is none. */
static enum status
find(struct writeset *ws, const struct sharers *s, unsigned n, struct bucket_entry *out)
{
	struct overlay_item *it = NULL;
	const struct bucket *b = NULL;
	enum status rc;
	int at;

	memset(out, 0, sizeof(*out));
	lookup_entry(overlay_root(ws->overlay), s->age, s->l, n, out);
	/* Of a value that many may share most is only looked at; another one is about to be changed. */
	if (lookup_is_shared(s->l->kind))
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

static unsigned
most_of(const struct lookup *l)
{
	return lookup_is_shared(l->kind) ? LOOKUP_SHARED_MAX : 1;
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

/* What a walk over those who share a value has found; an entry of zeros: none. */
struct found {
	struct bucket_entry mine;	/* of the subject that is meant */
	struct bucket_entry left_over;	/* a place to take */
	struct bucket_entry last;
	struct bucket_entry end;	/* the first place that is free, if not ${full} */
	bool taken, full;		/* by somebody else; all places are */
	unsigned living;		/* places that are not left over, as far as that was looked for */
};

static bool
is_entry(const struct bucket_entry *e)
{
	return e->kind != 0;
}

static enum status
walk(struct writeset *ws, const struct sharers *s, const uint8_t *id, struct found *out)
{
	struct bucket_entry e = { 0 };
	unsigned n, most = most_of(s->l);
	enum status rc = STATUS_OK;

	memset(out, 0, sizeof(*out));
	for (n = 0; n < most; n++) {
		if ((rc = find(ws, s, n, &e)) != STATUS_OK)
			break;
		out->last = e;
		if (memcmp(e.subject, id, SUBJECT_ID_LEN) == 0)
			out->mine = e;
		else if (s->places && !is_entry(&out->left_over) && is_left_over(ws, &e))
			out->left_over = e;
		else
			out->taken = true;
	}
	if (rc == STATUS_ABSENT) {
		out->end = e;
		rc = STATUS_OK;
	}
	out->full = n == most;
	out->living = n - is_entry(&out->left_over);
	sodium_memzero(&e, sizeof(e));
	return rc;
}

/* Where the entry goes: the place of one that is left over, or the end. */
static enum status
take_place(struct writeset *ws, const struct found *f, const struct lookup *l, struct bucket_entry *out)
{
	if (is_entry(&f->left_over)) {
		*out = f->left_over;
		return stage(ws, false, out);
	}
	if (f->full)
		return lookup_is_shared(l->kind) ? STATUS_CROWDED : STATUS_LOOKUP_TAKEN;
	*out = f->end;
	return STATUS_OK;
}

enum status
writeset_add_lookup(struct writeset *ws, const struct lookup *l, unsigned category,
    const uint8_t id[static SUBJECT_ID_LEN])
{
	bool before = lookup_has_before(overlay_root(ws->overlay));
	struct bucket_entry place = { 0 };
	struct found f = { .taken = false };
	unsigned living = 0;
	enum status rc = STATUS_OK;

	for (enum lookup_age age = before ? LOOKUP_BEFORE : LOOKUP_NOW; age < LOOKUP_AGES; age++) {
		if ((rc = walk(ws, &(struct sharers){ l, age, true }, id, &f)) != STATUS_OK ||
		    is_entry(&f.mine))
			goto out;
		/* All of them must fit under one key in the end. */
		living += f.living;
		rc = f.taken && !lookup_is_shared(l->kind) ? STATUS_LOOKUP_TAKEN :
		    lookup_is_shared(l->kind) && living >= LOOKUP_SHARED_MAX ? STATUS_CROWDED : STATUS_OK;
		if (rc != STATUS_OK)
			goto out;
	}
	if ((rc = take_place(ws, &f, l, &place)) != STATUS_OK)
		goto out;
	place.category = (uint8_t)category;
	memcpy(place.subject, id, SUBJECT_ID_LEN);
	rc = stage(ws, true, &place);
out:
	sodium_memzero(&f, sizeof(f));
	sodium_memzero(&place, sizeof(place));
	return rc;
}

/* The last of those who share it moves into the gap. */
static enum status
remove_from(struct writeset *ws, const struct found *f)
{
	struct bucket_entry moved = f->mine;
	enum status rc;

	if ((rc = stage(ws, false, &f->last)) != STATUS_OK ||
	    memcmp(f->last.tag, f->mine.tag, sizeof(f->mine.tag)) == 0 ||
	    (rc = stage(ws, false, &f->mine)) != STATUS_OK)
		goto out;
	moved.category = f->last.category;
	memcpy(moved.subject, f->last.subject, SUBJECT_ID_LEN);
	rc = stage(ws, true, &moved);
out:
	sodium_memzero(&moved, sizeof(moved));
	return rc;
}

enum status
writeset_remove_lookup(struct writeset *ws, const struct lookup *l,
    const uint8_t id[static SUBJECT_ID_LEN])
{
	bool before = lookup_has_before(overlay_root(ws->overlay));
	struct found f = { .taken = false };
	enum status rc = STATUS_OK;

	for (enum lookup_age age = before ? LOOKUP_BEFORE : LOOKUP_NOW; age < LOOKUP_AGES; age++)
		if ((rc = walk(ws, &(struct sharers){ l, age, false }, id, &f)) != STATUS_OK ||
		    is_entry(&f.mine))
			break;
	if (rc == STATUS_OK && is_entry(&f.mine))
		rc = remove_from(ws, &f);
	sodium_memzero(&f, sizeof(f));
	return rc;
}

enum status
writeset_move_lookup(struct writeset *ws, const struct lookup *l, const uint8_t id[static SUBJECT_ID_LEN],
    bool *moved)
{
	struct bucket_entry place = { 0 };
	struct found old, now = { .taken = false };
	unsigned staged = ws->entry_count;
	enum status rc;

	*moved = false;
	if ((rc = walk(ws, &(struct sharers){ l, LOOKUP_BEFORE, false }, id, &old)) != STATUS_OK ||
	    !is_entry(&old.mine) || (rc = remove_from(ws, &old)) != STATUS_OK ||
	    (rc = walk(ws, &(struct sharers){ l, LOOKUP_NOW, true }, id, &now)) != STATUS_OK ||
	    is_entry(&now.mine) || (rc = take_place(ws, &now, l, &place)) != STATUS_OK)
		goto out;
	place.category = old.mine.category;
	memcpy(place.subject, id, SUBJECT_ID_LEN);
	rc = stage(ws, true, &place);
	*moved = rc == STATUS_OK;
out:
	/* It is moved, or nothing of it is: other values of the subject may go on. */
	if (!*moved) {
		sodium_memzero(&ws->entry[staged], (ws->entry_count - staged) * sizeof(ws->entry[0]));
		ws->entry_count = staged;
	}
	sodium_memzero(&old, sizeof(old));
	sodium_memzero(&now, sizeof(now));
	sodium_memzero(&place, sizeof(place));
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
