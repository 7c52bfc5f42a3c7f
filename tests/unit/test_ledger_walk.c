/* Whom a ledger is believed: both walks, the server's and the client's, through every order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "book.h"
#include "pdvault/pdvault.h"
#include "server/store/ledger_walk.h"

enum { BROKEN = 1000 };

static int
start(void **state)
{
	(void)state;
	book_start();
	return 0;
}

/* What both walks say of the first ${n} entries from that key on: the doubt, or BROKEN; and whom they trust. */
static uint64_t
walked(const struct book *b, size_t n, unsigned from, uint8_t trusted[static SEAL_PUBLIC_LEN])
{
	struct pdv_ledger_walk client;
	struct pdv_ledger_entry said;
	struct pdv_ledger_proof p;
	struct ledger_walk server;
	struct ledger_entry e;

	ledger_walk_begin(&server, book_vault, book_keys[from].public_key);
	pdv_ledger_walk_begin(&client, book_vault, book_keys[from].public_key);
	for (size_t i = 0; i < n; i++) {
		enum status rc = ledger_walk_next(&server, &b->p[i], &e);

		memcpy(p.entry, b->p[i].entry, sizeof(p.entry));
		memcpy(p.signature, b->p[i].signature, sizeof(p.signature));
		assert_int_equal(pdv_ledger_walk_next(&client, &p, &said),
		    rc == STATUS_OK ? PDV_OK : PDV_DATA_LOSS);
		if (rc != STATUS_OK)
			return BROKEN;
		assert_int_equal((int)e.kind, (int)said.kind);
		assert_true(server.at.count == i + 1 && client.entries == i + 1);
		assert_true(server.proven == client.proven && server.owed == client.owed);
		assert_memory_equal(server.at.hash, client.hash, sizeof(client.hash));
		assert_memory_equal(server.key, client.signing_key, sizeof(server.key));
	}
	memcpy(trusted, server.key, SEAL_PUBLIC_LEN);
	assert_int_equal(ledger_walk_doubt(&server), pdv_ledger_walk_doubt(&client));
	return ledger_walk_doubt(&server);
}

static uint64_t
doubt(const struct book *b, unsigned from)
{
	uint8_t trusted[SEAL_PUBLIC_LEN];

	return walked(b, b->n, from, trusted);
}

/* The same by other means: from the generations alone. */
static bool
is_proven(const struct book *b, size_t n, unsigned from)
{
	unsigned turns = 0, trusted;
	size_t behind = 0;

	if (n == 0)
		return true;
	for (size_t i = 0; i + 1 < n; i++)
		turns += b->kind[i] == LEDGER_SIGNER;
	trusted = turns > from ? turns : from;
	if (b->signer[n - 1] != trusted)
		return false;
	for (size_t i = 0; i < n; i++)
		behind = b->kind[i] == LEDGER_SIGNER ? i + 1 : behind;
	for (size_t i = behind; i < n; i++)
		if (b->signer[i] != trusted)
			return false;
	return true;
}

static void
assert_as_meant(const struct book *b)
{
	uint8_t trusted[SEAL_PUBLIC_LEN];

	for (unsigned from = 0; from < BOOK_KEYS; from++)
		for (size_t n = 0; n <= b->n; n++)
			assert_true((walked(b, n, from, trusted) == 0) == is_proven(b, n, from));
	for (unsigned from = 0; from <= 2; from++) {
		assert_int_equal(walked(b, b->n, from, trusted), 0);
		assert_memory_equal(trusted, book_keys[2].public_key, sizeof(trusted));
	}
	assert_int_not_equal(walked(b, b->n, BOOK_STRANGER, trusted), 0);
}

/* A vault that never had another key: each entry must be signed with it. */
static void
one_key(void **state)
{
	struct book b;

	(void)state;
	book_begin(&b);
	assert_int_equal(doubt(&b, 0), 0);
	for (unsigned i = 0; i < 5; i++)
		book_put(&b, LEDGER_WHOLE, 0, 0);
	assert_int_equal(doubt(&b, 0), 0);
	assert_int_equal(doubt(&b, 1), 1);
	for (size_t i = 0; i < b.n; i++) {
		b.p[i].signature[7] ^= 1;
		assert_int_equal(doubt(&b, 0), i + 1);
		b.p[i].signature[7] ^= 1;
	}
}

/*
 * Files as they come to be: what stands in one was signed with the key that was present when it was added, at
 * any time after the entry was made. All are proven from each of the keys on, cut off where they may be.
 */
static void
orders(void **state)
{
	struct book b;
	size_t free_at[BOOK_ENTRIES], free_n = 0, tried = 0;
	unsigned earliest[BOOK_ENTRIES], code[BOOK_ENTRIES] = { 0 }, turns = 0;

	(void)state;
	book_rotated(&b, 2);
	for (size_t i = 0; i < b.n; i++) {
		turns += b.kind[i] == LEDGER_SIGNER;
		if (b.kind[i] == LEDGER_SIGNER)
			continue;
		earliest[free_n] = turns;
		free_at[free_n++] = i;
	}
	for (;;) {
		size_t k = 0;
		bool grows = true;

		for (size_t i = 0; i < free_n; i++)
			grows = grows && code[i] >= earliest[i] && (i == 0 || code[i] >= code[i - 1]);
		for (size_t i = 0; i < free_n && grows; i++)
			book_sign(&b, free_at[i], code[i]);
		if (grows) {
			assert_as_meant(&b);
			tried++;
		}
		while (k < free_n && ++code[k] > 2)
			code[k++] = 0;
		if (k == free_n)
			break;
	}
	assert_true(tried >= 12);
}

/* Any bit of an entry, and any signature behind the last rotation or of one, is missed. */
static void
damaged(void **state)
{
	struct book b;

	(void)state;
	book_rotated(&b, 2);
	for (unsigned from = 0; from <= 2; from++) {
		for (size_t i = 0; i < b.n; i++) {
			for (size_t at = 0; at < LEDGER_ENTRY_LEN; at++) {
				b.p[i].entry[at] ^= 0x10;
				assert_int_not_equal(doubt(&b, from), 0);
				b.p[i].entry[at] ^= 0x10;
			}
			b.p[i].signature[40] ^= 1;
			if (b.kind[i] == LEDGER_SIGNER || i >= 7)
				assert_int_not_equal(doubt(&b, from), 0);
			b.p[i].signature[40] ^= 1;
		}
		assert_int_equal(doubt(&b, from), 0);
	}
}

/* Who has none of the keys, and may write whatever they like. */
static void
forged(void **state)
{
	uint8_t trusted[SEAL_PUBLIC_LEN];
	struct book b;

	(void)state;
	/* A rotation of their own, behind all. */
	book_rotated(&b, 2);
	book_turn(&b, BOOK_STRANGER, BOOK_STRANGER, BOOK_STRANGER);
	for (unsigned from = 0; from <= 2; from++)
		assert_int_equal(doubt(&b, from), 11);
	/* One that names the true key, so that nothing seems to change. */
	book_rotated(&b, 2);
	book_put(&b, LEDGER_SIGNER, 2, BOOK_STRANGER);
	for (unsigned from = 0; from <= 2; from++)
		assert_int_equal(doubt(&b, from), 11);
	/* Themselves as the key before: of a rotation of the vault's, of theirs, and of none. */
	book_begin(&b);
	book_put(&b, LEDGER_SIGNER, 1, 0);
	book_put(&b, LEDGER_SIGNER_BEFORE, BOOK_STRANGER, 1);
	assert_int_equal(doubt(&b, 1), BROKEN);
	book_begin(&b);
	book_turn(&b, BOOK_STRANGER, 1, BOOK_STRANGER);
	assert_int_equal(doubt(&b, 1), 1);
	book_begin(&b);
	book_put(&b, LEDGER_SIGNER_BEFORE, BOOK_STRANGER, 0);
	assert_int_equal(doubt(&b, 0), BROKEN);
	/* The true key before, but not behind the entry that names the next. */
	book_rotated(&b, 2);
	book_put(&b, LEDGER_SIGNER_BEFORE, 1, 2);
	for (unsigned from = 0; from <= 2; from++)
		assert_int_equal(doubt(&b, from), BROKEN);
	/* Another past, handed over to the true key: who trusts that is not deceived. */
	book_begin(&b);
	book_put(&b, LEDGER_WHOLE, 0, BOOK_STRANGER);
	book_turn(&b, BOOK_STRANGER, 1, BOOK_STRANGER);
	assert_int_equal(walked(&b, 2, BOOK_STRANGER, trusted), 0);
	assert_int_equal(doubt(&b, 0), 1);
	assert_int_equal(doubt(&b, 1), 1);
}

/* Who has got hold of a key that was given up: it says nothing more behind the entry that names the next. */
static void
given_up(void **state)
{
	struct book b;

	(void)state;
	book_rotated(&b, 2);
	book_put(&b, LEDGER_WHOLE, 0, 0);
	for (unsigned from = 0; from <= 2; from++)
		assert_int_equal(doubt(&b, from), 11);
	book_rotated(&b, 2);
	book_turn(&b, 0, BOOK_STRANGER, BOOK_STRANGER);
	book_put(&b, LEDGER_WHOLE, 0, BOOK_STRANGER);
	for (unsigned from = 0; from <= 2; from++)
		assert_int_equal(doubt(&b, from), 11);
}

/* What the client's library says of such entries. */
static void
named(void **state)
{
	static const uint8_t none[PDV_SIGNING_KEY_LEN];
	struct pdv_ledger_entry e;
	struct pdv_ledger_proof p;
	struct book b;

	(void)state;
	book_rotated(&b, 2);
	for (size_t i = 1; i < 4; i++) {
		memcpy(p.entry, b.p[i].entry, sizeof(p.entry));
		memcpy(p.signature, b.p[i].signature, sizeof(p.signature));
		assert_int_equal(
		    pdv_ledger_verify(&p, book_vault, book_keys[i == 2 ? 0 : 2].public_key, &e), PDV_OK);
		assert_int_equal((int)e.kind, (int)b.kind[i]);
		assert_memory_equal(e.signing_key, i == 1 ? none : book_keys[i == 2].public_key, sizeof(none));
	}
	p.entry[66] = PDV_LEDGER_SIGNER_BEFORE + 1;
	assert_int_equal(pdv_ledger_verify(&p, book_vault, book_keys[2].public_key, &e), PDV_DATA_LOSS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_key),
		cmocka_unit_test(orders),
		cmocka_unit_test(damaged),
		cmocka_unit_test(forged),
		cmocka_unit_test(given_up),
		cmocka_unit_test(named),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
