/* The ledger that a restore takes: whether the vault's key proves it, and which signing keys it had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "book.h"
#include "scratch.h"
#include "server/restore/forget.h"
#include "server/store/ledger_walk.h"
#include "server/store/vault_internal.h"

static char dir[256], path[320];

static int
setup(void **state)
{
	(void)state;
	book_start();
	scratch_make(dir);
	(void)snprintf(path, sizeof(path), "%s/ledger", dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	scratch_remove(dir);
	return 0;
}

static enum status
take(const struct book *b, unsigned head, unsigned owner, const uint8_t *vouched, struct forget **out)
{
	const struct forget_owner o = { book_vault, book_keys[owner].public_key, vouched };

	*out = NULL;
	book_write(b, head, path);
	return forget_file(path, &o, NULL, out);
}

/* Which keys it says are the vault's, a bit for each. */
static unsigned
known(const struct forget *f)
{
	unsigned found = 0;

	for (unsigned i = 0; i < BOOK_KEYS; i++)
		found |= (unsigned)forget_signer(f, book_keys[i].public_key) << i;
	return found;
}

/* Whichever key the backup of keys has: which keys are known, and whether that one has a successor. */
static void
proven(void **state)
{
	struct forget *f;
	struct book b;

	(void)state;
	book_rotated(&b, 2);
	for (unsigned owner = 0; owner < 3; owner++)
		for (unsigned head = 0; head < 3; head++) {
			assert_int_equal(take(&b, head, owner, NULL, &f), STATUS_OK);
			assert_true(forget_is_proven(f));
			assert_int_equal(known(f), 7);
			assert_true(forget_succeeded(f) == (owner < 2));
			forget_free(f);
		}
	assert_int_equal(take(&b, 2, BOOK_STRANGER, NULL, &f), STATUS_REFUSED);
	assert_null(f);
	book_begin(&b);
	book_put(&b, LEDGER_WHOLE, 0, 1);
	assert_int_equal(take(&b, 1, 1, NULL, &f), STATUS_OK);
	assert_int_equal(known(f), 2);
	assert_false(forget_succeeded(f));
	forget_free(f);
	assert_int_equal(take(&b, 1, 0, NULL, &f), STATUS_REFUSED);
}

/* A past of somebody's own that ends at the vault's key, and a vault's signature that was replaced. */
static void
forged(void **state)
{
	struct forget *f;
	struct book b;

	(void)state;
	book_begin(&b);
	book_put(&b, LEDGER_WHOLE, 0, BOOK_STRANGER);
	book_put(&b, LEDGER_SIGNER, 2, BOOK_STRANGER);
	assert_int_equal(take(&b, BOOK_STRANGER, 2, NULL, &f), STATUS_REFUSED);
	book_rotated(&b, 2);
	book_sign(&b, 2, BOOK_STRANGER);
	for (unsigned owner = 0; owner < 3; owner++)
		assert_int_equal(take(&b, 0, owner, NULL, &f), STATUS_REFUSED);
	book_rotated(&b, 2);
	b.n = 7;			/* ends with the entry that names key 2 */
	assert_int_equal(take(&b, 2, 2, NULL, &f), STATUS_REFUSED);
	assert_int_equal(take(&b, 2, 1, NULL, &f), STATUS_OK);
	forget_free(f);
}

/* A ledger of before the vault's key: proven by nothing; taken when its newest hash was typed. */
static void
vouched(void **state)
{
	uint8_t wrong[SEAL_DIGEST_LEN] = { 1 };
	struct ledger_head h;
	struct forget *f;
	struct book b;

	(void)state;
	book_begin(&b);
	book_put(&b, LEDGER_WHOLE, 0, 0);
	book_turn(&b, 0, 1, 1);
	assert_int_equal(take(&b, 0, 2, NULL, &f), STATUS_REFUSED);
	assert_int_equal(take(&b, 0, 2, wrong, &f), STATUS_REFUSED);
	assert_int_equal(take(&b, 0, 2, b.hash, &f), STATUS_OK);
	assert_false(forget_is_proven(f));
	assert_int_equal(known(f), 4);
	forget_head(f, &h);
	assert_int_equal(h.count, 3);
	forget_free(f);
	/* What does not follow is not taken at anybody's word. */
	b.p[0].entry[20] ^= 1;
	assert_int_equal(take(&b, 0, 2, b.hash, &f), STATUS_REFUSED);
}

static void
open_store(struct vault *v, const char *name)
{
	static char folder[320];
	const struct store_options o = { folder, 64 << 20, 1 << 20, true, false, false };

	(void)snprintf(folder, sizeof(folder), "%s/%s", dir, name);
	memset(v, 0, sizeof(*v));
	memcpy(v->id, book_vault, sizeof(v->id));
	assert_int_equal(store_open(&o, &v->store), STATUS_OK);
}

/* Writes it into a store; what a vault there would send, walked through from that key on. */
static uint64_t
written(const struct forget *f, struct vault *v, const struct root *present, unsigned from)
{
	struct store_snapshot *s = NULL;
	struct ledger_proof p;
	struct ledger_entry e;
	struct ledger_head h;
	struct ledger_walk w;
	struct bytes kept;
	struct bulk *b;
	uint8_t key[8];

	assert_int_equal(bulk_new(v->store, &b), STATUS_OK);
	assert_int_equal(forget_write(f, b), STATUS_OK);
	assert_int_equal(bulk_commit(b), STATUS_OK);
	bulk_free(b);
	forget_head(f, &h);
	ledger_walk_begin(
	    &w, book_vault, from < BOOK_KEYS ? book_keys[from].public_key : present->public_key);
	assert_int_equal(store_snapshot_new(v->store, &s), STATUS_OK);
	assert_int_equal(store_snapshot_begin(s), STATUS_OK);
	for (uint64_t n = 1; n <= h.count; n++) {
		bytes_put64(key, n);
		assert_int_equal(ledger_get(s, n, p.entry), STATUS_OK);
		ledger_sign(&(struct ledger_signer){ present, book_vault }, &p);
		if (store_get(s, STORE_SIGNERS, bytes_of(key, sizeof(key)), &kept) == STATUS_OK)
			memcpy(p.signature, kept.p, sizeof(p.signature));
		assert_int_equal(ledger_walk_next(&w, &p, &e), STATUS_OK);
	}
	store_snapshot_free(s);
	assert_memory_equal(w.at.hash, h.hash, sizeof(h.hash));
	return ledger_walk_doubt(&w);
}

/* The kept signatures come with the ledger, out of a copy and out of a store; without one nothing is taken. */
static void
carried(void **state)
{
	const struct forget_owner o = { book_vault, book_keys[2].public_key, NULL };
	const struct forget_owner first = { book_vault, book_keys[0].public_key, NULL };
	struct vault one, two;
	uint8_t key[8];
	struct forget *f, *again;
	struct input *in;
	struct bulk *b;
	struct book copy;

	(void)state;
	book_rotated(&copy, 2);
	assert_int_equal(take(&copy, 2, 2, NULL, &f), STATUS_OK);
	open_store(&one, "one");
	open_store(&two, "two");
	for (unsigned from = 0; from < 3; from++)
		assert_int_equal(written(f, &one, &book_keys[2], from), 0);
	assert_int_equal(input_vault(&one, &in), STATUS_OK);
	assert_int_equal(forget_store(in, &o, &again), STATUS_OK);
	assert_int_equal(known(again), 7);
	for (unsigned from = 0; from < 3; from++)
		assert_int_equal(written(again, &two, &book_keys[2], from), 0);
	forget_free(f);
	forget_free(again);
	/* Behind a copy that is older: they are taken, but who is named there is not believed. */
	copy.n = 2;
	book_sign(&copy, 0, 0);
	book_sign(&copy, 1, 0);
	book_write(&copy, 0, path);
	assert_int_equal(forget_file(path, &first, in, &f), STATUS_OK);
	assert_int_equal(known(f), 1);
	assert_true(forget_succeeded(f));
	input_free(in);
	forget_free(f);
	assert_int_equal(bulk_new(one.store, &b), STATUS_OK);
	bytes_put64(key, 3);
	assert_int_equal(bulk_put(b, STORE_SIGNERS, bytes_of(key, sizeof(key)), bytes_of(key, 0)), STATUS_OK);
	assert_int_equal(bulk_commit(b), STATUS_OK);
	bulk_free(b);
	assert_int_equal(input_vault(&one, &in), STATUS_OK);
	assert_int_equal(forget_store(in, &o, &again), STATUS_REFUSED);
	input_free(in);
	store_close(one.store);
	store_close(two.store);
}

/* The keys are older than the last rotation: the vault gets another one, which proves all. */
static void
lost_key(void **state)
{
	static struct root fresh;
	struct vault v;
	struct forget *f;
	struct book b;

	(void)state;
	for (unsigned owner = 0; owner < 2; owner++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "s%u", owner);
		book_rotated(&b, 2);
		assert_int_equal(take(&b, 0, owner, NULL, &f), STATUS_OK);
		assert_true(forget_succeeded(f));
		assert_int_equal(forget_turn(f, &book_keys[owner], &fresh), STATUS_OK);
		assert_true(fresh.signer == book_keys[owner].signer + 1);
		assert_true(forget_signer(f, fresh.public_key) && known(f) == 7);
		open_store(&v, name);
		assert_int_equal(written(f, &v, &fresh, BOOK_KEYS), 0);
		assert_int_not_equal(written(f, &v, &fresh, 2), 0);
		assert_int_not_equal(written(f, &v, &fresh, owner), 0);
		store_close(v.store);
		forget_free(f);
	}
}

/* Entries that name a signing key say nothing of key backups. */
static void
no_key_backup(void **state)
{
	struct key_backup k;
	size_t at = 0, found = 0;
	struct forget *f;
	struct book b;

	(void)state;
	book_rotated(&b, 2);
	assert_int_equal(take(&b, 2, 2, NULL, &f), STATUS_OK);
	while (forget_key_backup(f, &at, &k)) {
		assert_int_equal(k.destroyed_ms, 0);
		found++;
	}
	assert_int_equal(found, 2);
	forget_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(proven, setup, teardown),
		cmocka_unit_test_setup_teardown(forged, setup, teardown),
		cmocka_unit_test_setup_teardown(vouched, setup, teardown),
		cmocka_unit_test_setup_teardown(carried, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_key, setup, teardown),
		cmocka_unit_test_setup_teardown(no_key_backup, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
