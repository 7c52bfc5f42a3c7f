/*
 * A new key for a category of a subject, and all that is sealed under the old one sealed again, in one request.
 */
#include <sodium.h>
#include <string.h>

#include "pdvault/v1/subject.pb-c.h"
#include "server/clock.h"
#include "server/mutant.h"
#include "server/store/overlay.h"
#include "server/store/record.h"
#include "server/store/subject.h"
#include "server/store/vault_internal.h"
#include "server/store/writeset_internal.h"

#define VERSION_MAX 65535u

/* A row under the old key, and where it goes under the new one. */
struct resealed {
	struct record_place old, now;
	enum store_table table;
	uint8_t key[RECORD_TRANSACTION_KEY_LEN];
	size_t key_len;
	struct bytes text;	/* out: opened, in the arena */
};

static enum status
reseal(struct writeset *ws, struct arena *a, struct bytes box, struct resealed *r)
{
	uint8_t *plain = arena_alloc(a, box.len), *out = NULL;
	enum status rc = STATUS_NO_MEMORY;
	size_t len, room;

	if (plain == NULL)
		return rc;
	if ((rc = record_open(&r->old, box, plain, &len)) != STATUS_OK)
		return rc;
	room = SEAL_BOX_LEN(record_class(len));
	if ((out = arena_alloc(a, room)) == NULL)
		return STATUS_NO_MEMORY;
	r->text = bytes_of(plain, len);
	record_seal(&r->now, r->text, out);
	return writeset_put(ws, r->table, bytes_of(r->key, r->key_len), bytes_of(out, room));
}

/* The record of the category, where it has one. */
static enum status
reseal_record(struct writeset *ws, struct arena *a, struct resealed *r)
{
	struct bytes box;
	enum status rc;

	r->key_len = RECORD_KEY_LEN;
	record_key(bytes_get64(ws->keyring->slot), r->now.category, 0, r->key);
	rc = writeset_get(ws, STORE_RECORDS, bytes_of(r->key, r->key_len), &box);
	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_OK : rc;
	r->old.kind = r->now.kind = SEAL_RECORD;
	r->table = STORE_RECORDS;
	rc = reseal(ws, a, box, r);
	arena_reset(a);
	return rc;
}

/* The row that tells of its id is under a tag of the category's key, too. */
static enum status
retag(struct writeset *ws, struct arena *a, const struct resealed *r)
{
	uint8_t old[RECORD_TRANSACTION_ID_KEY_LEN], now[RECORD_TRANSACTION_ID_KEY_LEN], number[8];
	const Pdvault__V1__Transaction *m = (const void *)protobuf_c_message_unpack(
	    &pdvault__v1__transaction__descriptor, arena_allocator(a), r->text.len - RECORD_HEAD,
	    r->text.p + RECORD_HEAD);
	enum status rc;

	if (m == NULL)
		return STATUS_CORRUPT;
	record_transaction_id_key(&r->old, bytes_of(m->id, strlen(m->id)), old);
	record_transaction_id_key(&r->now, bytes_of(m->id, strlen(m->id)), now);
	bytes_put64(number, r->now.number);
	if ((rc = writeset_delete(ws, STORE_TRANSACTIONS, bytes_of(old, sizeof(old)))) != STATUS_OK)
		return rc;
	return writeset_put(
	    ws, STORE_TRANSACTIONS, bytes_of(now, sizeof(now)), bytes_of(number, sizeof(number)));
}

static enum status
reseal_transactions(struct writeset *ws, struct arena *a, struct resealed *r)
{
	uint8_t from[RECORD_TRANSACTION_KEY_LEN];
	struct bytes found, box;
	uint64_t number = 0;
	enum status rc;

	r->old.kind = r->now.kind = SEAL_TRANSACTION;
	r->table = STORE_TRANSACTIONS;
	r->key_len = sizeof(r->key);
	for (;;) {
		record_transaction_key(bytes_get64(ws->keyring->slot), number, from);
		rc = store_seek(overlay_snapshot(ws->overlay), STORE_TRANSACTIONS, bytes_of(from, sizeof(from)),
		    &found, &box);
		if (rc != STATUS_OK || found.len != r->key_len || memcmp(found.p, from, 9) != 0)
			return rc == STATUS_ABSENT ? STATUS_OK : rc;
		memcpy(r->key, found.p, r->key_len);
		r->old.number = r->now.number = bytes_get64(r->key + 9);
		number = r->now.number + 1;
		if ((rc = reseal(ws, a, box, r)) == STATUS_OK)
			rc = retag(ws, a, r);
		arena_reset(a);
		if (rc != STATUS_OK)
			return rc;
	}
}

bool
writeset_has_transactions(const struct overlay_row *rows, uint64_t slot)
{
	for (; rows != NULL; rows = rows->next)
		if (rows->table == STORE_TRANSACTIONS && rows->key.len > 8 && bytes_get64(rows->key.p) == slot)
			return true;
	return false;
}

/* Data keys may still be wrapped under it: it goes by writeset_retire() alone. */
static bool
has_before(const struct writeset *ws, unsigned category)
{
	return subject_keeps_before(category) &&
	    ws->keyring->before[category - CATEGORY_CONTENT].state != CATEGORY_UNUSED;
}

static void
renew_key(struct keyring *k, unsigned category)
{
	struct keyring_category *c = &k->category[category - 1];

	if (subject_keeps_before(category))
		k->before[category - CATEGORY_CONTENT] = *c;
	if (!mutant(category_key_stays))
		seal_key_new(&c->key, SEAL_FOR_CATEGORY);
	bytes_put16(c->version, (uint16_t)(bytes_get16(c->version) + 1));
	bytes_put32(c->made, (uint32_t)(clock_wall_ms() / 1000));
}

void
writeset_retire(struct writeset *ws, unsigned category)
{
	must(ws->subject == WRITESET_EDITED);
	must(subject_keeps_before(category));
	sodium_memzero(&ws->keyring->before[category - CATEGORY_CONTENT], sizeof(ws->keyring->before[0]));
}

enum status
writeset_rekey(struct writeset *ws, unsigned category, struct arena *a)
{
	struct resealed r = { { .keyring = ws->old, .vault = ws->vault->id, .category = category },
		{ .keyring = ws->keyring, .vault = ws->vault->id, .category = category } };
	enum status rc;

	must(ws->subject == WRITESET_EDITED || ws->subject == WRITESET_NEW);
	must(ws->keyring->category[category - 1].state == CATEGORY_LIVE);
	/* A rotation each day would come here after 179 years. */
	if (bytes_get16(ws->keyring->category[category - 1].version) == VERSION_MAX ||
	    has_before(ws, category))
		return STATUS_CROWDED;
	*ws->old = *ws->keyring;
	renew_key(ws->keyring, category);
	rc = reseal_record(ws, a, &r);
	if (rc == STATUS_OK && category == SUBJECT_BILLING)
		rc = reseal_transactions(ws, a, &r);
	sodium_memzero(ws->old, sizeof(*ws->old));
	return rc;
}
