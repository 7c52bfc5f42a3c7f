#include "server/restore/records.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/arena.h"
#include "server/store/record.h"
#include "server/store/subject.h"

#define TABLES 2u
#define BELIEVED_MAX (UINT64_C(1) << 56)	/* slots and numbers; tree S has room for 2^60 */
#define PLAIN_MAX (RECORD_HEAD + RECORD_MESSAGE_MAX + 8192u)	/* of a box that is opened */
static const enum store_table tables[TABLES] = { STORE_RECORDS, STORE_TRANSACTIONS };

struct records {
	struct records_options o;
	struct stream *stream[TABLES][RECORDS_INPUTS_MAX];
	struct records_tally tally;
	struct arena *arena;
	uint8_t *plain;			/* PLAIN_MAX bytes: personal data */
	const struct keyring *keyring;
	bool identity;			/* of this subject was taken */
	uint64_t *stranger;		/* slots, in any order, more than once */
	size_t strangers, room;
};

enum status
records_new(const struct records_options *o, struct records **out)
{
	struct records *r = calloc(1, sizeof(*r));
	enum status rc = STATUS_NO_MEMORY;

	must(o->inputs <= RECORDS_INPUTS_MAX);
	if (r == NULL)
		return rc;
	r->o = *o;
	if ((r->plain = malloc(PLAIN_MAX)) == NULL || (r->arena = arena_new()) == NULL)
		goto out;
	rc = STATUS_OK;
	for (unsigned t = 0; t < TABLES && rc == STATUS_OK; t++)
		for (unsigned i = 0; i < o->inputs && rc == STATUS_OK; i++)
			rc = stream_new(o->input[i], tables[t], &r->stream[t][i]);
	if (rc != STATUS_OK)
		goto out;
	*out = r;
	r = NULL;
out:
	records_free(r);
	return rc;
}

void
records_free(struct records *r)
{
	if (r == NULL)
		return;
	for (unsigned t = 0; t < TABLES; t++)
		for (unsigned i = 0; i < RECORDS_INPUTS_MAX; i++)
			stream_free(r->stream[t][i]);
	if (r->plain != NULL)
		sodium_memzero(r->plain, PLAIN_MAX);
	free(r->plain);
	free(r->stranger);
	arena_free(r->arena);
	free(r);
}

static enum status
row_of(struct stream *s, struct bytes *key, struct bytes *value)
{
	enum status rc = stream_row(s, key, value);

	/* Every key of both tables begins with a slot. */
	return rc == STATUS_OK && (key->len < RECORD_KEY_LEN || key->len > STORE_KEY_MAX) ? STATUS_REFUSED : rc;
}

/* The least key of table ${t} among the inputs. STATUS_ABSENT: they are at their ends. */
static enum status
least(struct records *r, unsigned t, uint8_t out[static STORE_KEY_MAX], size_t *len)
{
	struct bytes best = { NULL, 0 }, key, value;

	for (unsigned i = 0; i < r->o.inputs; i++) {
		enum status rc = row_of(r->stream[t][i], &key, &value);

		if (rc == STATUS_ABSENT)
			continue;
		if (rc != STATUS_OK)
			return rc;
		if (best.p == NULL || bytes_compare(key, best) < 0)
			best = key;
	}
	if (best.p == NULL)
		return STATUS_ABSENT;
	must(best.len <= STORE_KEY_MAX);
	memcpy(out, best.p, best.len);
	*len = best.len;
	return STATUS_OK;
}

/* Beyond what stands here a new slot and a new number may begin. */
static void
note(struct records *r, unsigned t, struct bytes key)
{
	uint64_t slot = bytes_get64(key.p);

	/* What no vault gives away is damage: it must not become the next. */
	if (slot >= BELIEVED_MAX ||
	    (key.len == RECORD_TRANSACTION_KEY_LEN && bytes_get64(key.p + 9) >= BELIEVED_MAX))
		return;
	r->tally.slots = slot >= r->tally.slots ? slot + 1 : r->tally.slots;
	if (tables[t] == STORE_TRANSACTIONS && key.len == RECORD_TRANSACTION_KEY_LEN && key.p[8] == 1 &&
	    bytes_get64(key.p + 9) >= r->tally.next_transaction)
		r->tally.next_transaction = bytes_get64(key.p + 9) + 1;
}

/* What a row is; category 0: it is made anew, or is none. */
static struct record_place
place_of(const struct records *r, unsigned t, struct bytes key)
{
	struct record_place p = { SEAL_RECORD, r->keyring, r->o.vault, 0, 0 };

	if (tables[t] == STORE_RECORDS && key.len == RECORD_KEY_LEN && key.p[8] >= 1 &&
	    key.p[8] <= CATEGORY_COUNT) {
		p.category = key.p[8];
		p.number = bytes_get32(key.p + 9);
	} else if (tables[t] == STORE_TRANSACTIONS && key.len == RECORD_TRANSACTION_KEY_LEN && key.p[8] == 1) {
		p.kind = SEAL_TRANSACTION;
		p.category = SUBJECT_BILLING;
		p.number = bytes_get64(key.p + 9);
	}
	return p;
}

/* The row that tells whether the id of a transaction is there. */
static enum status
index_transaction(struct records *r, const struct record_place *p, struct bytes message)
{
	uint8_t key[RECORD_TRANSACTION_ID_KEY_LEN], number[8];
	const Pdvault__V1__Transaction *m = (const void *)protobuf_c_message_unpack(
	    &pdvault__v1__transaction__descriptor, arena_allocator(r->arena), message.len, message.p);
	enum status rc = STATUS_CORRUPT;

	if (m != NULL) {
		record_transaction_id_key(p, bytes_of(m->id, strlen(m->id)), key);
		bytes_put64(number, p->number);
		rc = bulk_put(r->o.bulk, STORE_TRANSACTIONS, bytes_of(key, sizeof(key)),
		    bytes_of(number, sizeof(number)));
	}
	arena_reset(r->arena);
	return rc;
}

/* Opens it and, if it is whole, takes the sealed bytes. STATUS_FORGED, STATUS_CORRUPT: it is not. */
static enum status
take(struct records *r, unsigned t, struct bytes key, struct bytes box)
{
	struct record_place p = place_of(r, t, key);
	struct bytes message;
	size_t len;
	enum status rc;

	if (box.len < SEAL_OVERHEAD || box.len > PLAIN_MAX)
		return STATUS_CORRUPT;
	if ((rc = record_open(&p, box, r->plain, &len)) != STATUS_OK)
		return rc;
	message = bytes_of(r->plain + RECORD_HEAD, len - RECORD_HEAD);
	if (p.kind == SEAL_TRANSACTION) {
		if ((rc = index_transaction(r, &p, message)) != STATUS_OK)
			return rc;
		r->tally.transactions++;
	} else if (p.category == SUBJECT_IDENTITY) {
		/* What an earlier restore has lost may be in another input. */
		if (bytes_get64(r->plain) == RECORD_LOST_ETAG)
			return STATUS_ABSENT;
		if ((rc = entries_add(r->o.entries, r->keyring->subject, message)) != STATUS_OK)
			return rc;
		r->identity = true;
	}
	r->tally.records += p.kind == SEAL_RECORD;
	return bulk_put(r->o.bulk, tables[t], key, box);
}

/* One key: the first input whose row opens; all inputs that have it go on. */
static enum status
take_first(struct records *r, unsigned t, struct bytes key)
{
	struct record_place p = place_of(r, t, key);
	bool live = p.category != 0 && r->keyring->category[p.category - 1].state == CATEGORY_LIVE;
	bool taken = false;
	struct bytes found, box;

	note(r, t, key);
	for (unsigned i = 0; i < r->o.inputs; i++) {
		enum status rc = row_of(r->stream[t][i], &found, &box);

		if (rc == STATUS_ABSENT || (rc == STATUS_OK && bytes_compare(found, key) != 0))
			continue;
		if (rc == STATUS_OK && live && !taken) {
			rc = take(r, t, key, box);
			taken = rc == STATUS_OK;
			r->tally.damaged += rc == STATUS_FORGED || rc == STATUS_CORRUPT;
		}
		if (rc != STATUS_OK && rc != STATUS_FORGED && rc != STATUS_CORRUPT && rc != STATUS_ABSENT)
			return rc;
		stream_step(r->stream[t][i]);
	}
	r->tally.keyless += !live && p.category != 0;
	return STATUS_OK;
}

static enum status
add_stranger(struct records *r, uint64_t slot)
{
	if (slot >= BELIEVED_MAX || (r->strangers > 0 && r->stranger[r->strangers - 1] == slot))
		return STATUS_OK;
	if (r->strangers == r->room) {
		size_t room = r->room * 2 + 256;
		uint64_t *more = realloc(r->stranger, room * sizeof(*more));

		if (more == NULL)
			return STATUS_NO_MEMORY;
		r->stranger = more;
		r->room = room;
	}
	r->stranger[r->strangers++] = slot;
	return STATUS_OK;
}

static int
by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

const uint64_t *
records_strangers(struct records *r, size_t *count)
{
	size_t n = 0;

	if (r->strangers > 0)
		qsort(r->stranger, r->strangers, sizeof(*r->stranger), by_number);
	for (size_t i = 0; i < r->strangers; i++)
		if (n == 0 || r->stranger[n - 1] != r->stranger[i])
			r->stranger[n++] = r->stranger[i];
	*count = r->strangers = n;
	return r->stranger;
}

/* Rows of slots before ${slot}: nobody has a key for them. */
static enum status
skip(struct records *r, unsigned t, unsigned i, uint64_t slot)
{
	struct bytes key, value;
	enum status rc;

	while ((rc = row_of(r->stream[t][i], &key, &value)) == STATUS_OK && bytes_get64(key.p) < slot) {
		note(r, t, key);
		if (place_of(r, t, key).category != 0) {
			r->tally.keyless++;
			if ((rc = add_stranger(r, bytes_get64(key.p))) != STATUS_OK)
				return rc;
		}
		stream_step(r->stream[t][i]);
	}
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

/* An identity that is not there is not the same as a row that somebody took away. */
static enum status
put_lost(struct records *r)
{
	struct record_place p = { SEAL_RECORD, r->keyring, r->o.vault, SUBJECT_IDENTITY, 0 };
	uint8_t plain[RECORD_HEAD] = { [7] = RECORD_LOST_ETAG }, key[RECORD_KEY_LEN];
	uint8_t box[SEAL_BOX_LEN(64)];

	must(record_class(sizeof(plain)) == 64);
	record_key(bytes_get64(r->keyring->slot), SUBJECT_IDENTITY, 0, key);
	record_seal(&p, bytes_of(plain, sizeof(plain)), box);
	r->tally.lost++;
	if (r->o.lost != NULL)
		r->o.lost(r->o.arg, r->keyring->subject);
	return bulk_put(r->o.bulk, STORE_RECORDS, bytes_of(key, sizeof(key)), bytes_of(box, sizeof(box)));
}

enum status
records_restore(struct records *r, const struct keyring *k)
{
	uint64_t slot = bytes_get64(k->slot);
	uint8_t key[STORE_KEY_MAX];
	size_t len;
	enum status rc = STATUS_OK;

	r->keyring = k;
	r->identity = false;
	for (unsigned t = 0; t < TABLES && rc == STATUS_OK; t++) {
		for (unsigned i = 0; i < r->o.inputs && rc == STATUS_OK; i++)
			rc = skip(r, t, i, slot);
		while (rc == STATUS_OK && (rc = least(r, t, key, &len)) == STATUS_OK &&
		    bytes_get64(key) == slot)
			rc = take_first(r, t, bytes_of(key, len));
		rc = rc == STATUS_ABSENT ? STATUS_OK : rc;
	}
	if (rc == STATUS_OK && !r->identity && subject_category(k, SUBJECT_IDENTITY) == STATUS_OK)
		rc = put_lost(r);
	return rc;
}

enum status
records_end(struct records *r)
{
	enum status rc = STATUS_OK;

	for (unsigned t = 0; t < TABLES; t++)
		for (unsigned i = 0; i < r->o.inputs && rc == STATUS_OK; i++)
			rc = skip(r, t, i, UINT64_MAX);
	return rc;
}

const struct records_tally *
records_tally(const struct records *r)
{
	return &r->tally;
}
