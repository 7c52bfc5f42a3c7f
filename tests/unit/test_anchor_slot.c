/* The bytes of a slot, without any file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>

#include "server/keys/anchor_internal.h"

/* docs/FORMAT.md: wraps of 256 bytes from 96 on, with what is sealed for a recovery key at 170; the seals. */
#define WRAP_LEN 256u
#define WRAP_SEALED_AT(i) (96u + (i) * WRAP_LEN + 170u)
#define SEALS_AT (96u + 8u * WRAP_LEN)
#define SEALS_LEN 848u
#define SEALS_PADDED 864u

static uint8_t slot[ANCHOR_SLOT_LEN], other[ANCHOR_SLOT_LEN], mixed[ANCHOR_SLOT_LEN];
static const uint8_t vault[16] = "vault-of-a-test";
static const uint8_t commitment[SEAL_DIGEST_LEN] = "commitment";
static struct root root;
static struct anchor_seals seals;
static struct provider_kek keks[PROVIDER_MAX + 1];
static struct anchor_recovery recovery;

static int
begin(void **state)
{
	(void)state;
	if (seal_init() != STATUS_OK)
		return -1;
	seal_key_new(&root.self, SEAL_FOR_ROOT);
	memcpy(root.commitment, commitment, sizeof(commitment));
	crypto_box_keypair(recovery.public, recovery.secret);
	seals.lasting = 3;
	seals.dead_class = PROVIDER_CLASS_C;
	for (unsigned i = 0; i < PROVIDER_MAX + 1; i++) {
		seal_key_new(&keks[i].key, SEAL_FOR_KEK);
		memset(keks[i].id, (int)i + 1, PROVIDER_ID_LEN);
	}
	for (unsigned i = 0; i < PROVIDER_MAX; i++) {
		struct anchor_seal *s = &seals.seal[i];

		s->kind = ANCHOR_SEAL_KEK;
		memcpy(s->id, keks[i].id, sizeof(s->id));
		(void)snprintf(s->name, sizeof(s->name), "provider %u", i);
		s->key = keks[i].key;
		s->since = i + 1;
		s->made_ms = 1700000000000 + i;
	}
	return 0;
}

/* With seals 0 to count - 1. */
static struct anchor_content
content(uint64_t epoch, unsigned count)
{
	root.epoch = epoch;
	seals.count = count;
	return (struct anchor_content){ .vault = vault, .root = &root, .seals = &seals };
}

static void
make(uint8_t *out, uint64_t epoch, unsigned count)
{
	const struct anchor_content c = content(epoch, count);

	seal_random(out + ANCHOR_BLOCK, ANCHOR_STRIPES);
	assert_int_equal(anchor_slot_encode(out, &c), STATUS_OK);
}

/* Makes seal i one for the recovery key, or for its KEK again. */
static void
recoverable(unsigned i, bool on)
{
	seals.seal[i].kind = on ? ANCHOR_SEAL_RECOVERY : ANCHOR_SEAL_KEK;
	if (on)
		memcpy(seals.seal[i].key.b, recovery.public, SEAL_RECOVERY_KEY_LEN);
	else
		seals.seal[i].key = keks[i].key;
}

static struct anchor_slot
decode(const uint8_t *in, unsigned place)
{
	struct anchor_slot found;
	uint8_t digest[SEAL_DIGEST_LEN];

	anchor_slot_decode(in, vault, place, &found, digest);
	/* Nothing comes out of what is not valid. */
	if (!found.valid)
		assert_true(found.epoch == 0 && sodium_is_zero(digest, sizeof(digest)));
	return found;
}

static enum status
unwrap(const uint8_t *in, const struct provider_kek *with, size_t count, struct key *out)
{
	struct anchor_options o = { .keks = with, .kek_count = count };
	struct anchor_slot found;
	uint8_t digest[SEAL_DIGEST_LEN];

	memcpy(o.vault, vault, sizeof(vault));
	anchor_slot_decode(in, vault, 1, &found, digest);
	assert_true(found.valid);
	return anchor_slot_unwrap(in, digest, &o, out);
}

/* By the recovery key alone. */
static enum status
recover(const uint8_t *in, const struct anchor_recovery *with, struct key *out)
{
	struct anchor_options o = { .recovery = with };
	struct anchor_slot found;
	uint8_t digest[SEAL_DIGEST_LEN];

	memcpy(o.vault, vault, sizeof(vault));
	anchor_slot_decode(in, vault, 1, &found, digest);
	assert_true(found.valid);
	return anchor_slot_unwrap(in, digest, &o, out);
}

static void
what_goes_in_comes_out(void **state)
{
	struct anchor_slot found;
	struct key got;

	(void)state;
	for (unsigned count = 1; count <= PROVIDER_MAX; count++) {
		make(slot, 7, count);
		found = decode(slot, 1);
		assert_true(found.valid && found.epoch == 7);
		assert_memory_equal(found.commitment, commitment, SEAL_DIGEST_LEN);
		for (unsigned i = 0; i < count; i++) {
			memset(&got, 0, sizeof(got));
			assert_int_equal(unwrap(slot, &keks[i], 1, &got), STATUS_OK);
			assert_memory_equal(&got, &root.self, sizeof(got));
		}
		/* One that has no wrap there is passed over. */
		assert_int_equal(unwrap(slot, &keks[count], 1, &got), STATUS_FORGED);
	}
	make(slot, 7, 2);
	assert_int_equal(unwrap(slot, &keks[1], 3, &got), STATUS_OK);
	assert_int_equal(unwrap(slot, NULL, 0, &got), STATUS_FORGED);
}

/* The right name with another key, and a wrap that belongs elsewhere. */
static void
wrong_keys_do_not_open(void **state)
{
	struct provider_kek thief = keks[0];
	struct key got = { { 0 } };

	(void)state;
	make(slot, 7, 2);
	thief.key = keks[5].key;
	assert_int_equal(unwrap(slot, &thief, 1, &got), STATUS_FORGED);
	thief = keks[1];
	memcpy(thief.id, keks[0].id, PROVIDER_ID_LEN);
	assert_int_equal(unwrap(slot, &thief, 1, &got), STATUS_FORGED);
	assert_true(seal_key_is_zero(&got));
}

/* What is sealed for the recovery key opens with its secret half, beside the others and alone. */
static void
a_recovery_key_opens(void **state)
{
	struct anchor_recovery stranger;
	struct key got = { { 0 } };

	(void)state;
	crypto_box_keypair(stranger.public, stranger.secret);
	make(slot, 7, 2);
	assert_int_equal(recover(slot, &recovery, &got), STATUS_FORGED);
	recoverable(1, true);
	make(slot, 7, 3);
	assert_int_equal(recover(slot, &stranger, &got), STATUS_FORGED);
	assert_int_equal(unwrap(slot, &keks[1], 1, &got), STATUS_FORGED);
	assert_true(seal_key_is_zero(&got));
	assert_int_equal(recover(slot, &recovery, &got), STATUS_OK);
	assert_memory_equal(&got, &root.self, sizeof(got));
	assert_int_equal(unwrap(slot, &keks[2], 1, &got), STATUS_OK);
	/* Sealed anew for each slot. */
	memcpy(other, slot, sizeof(other));
	make(slot, 7, 3);
	assert_memory_not_equal(slot + WRAP_SEALED_AT(1), other + WRAP_SEALED_AT(1), 32);
	recoverable(1, false);
	recoverable(0, true);
	make(slot, 7, 1);
	assert_int_equal(recover(slot, &recovery, &got), STATUS_OK);
	recoverable(0, false);
}

/* A point of small order is no key that anything can be sealed for. */
static void
a_recovery_key_that_is_none_is_refused(void **state)
{
	const struct anchor_content c = content(7, 1);

	(void)state;
	recoverable(0, true);
	memset(seals.seal[0].key.b, 0, SEAL_KEY_LEN);
	assert_int_equal(anchor_slot_encode(slot, &c), STATUS_REFUSED);
	recoverable(0, false);
}

static void
same_seal(const struct anchor_seal *a, const struct anchor_seal *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_memory_equal(a->id, b->id, sizeof(a->id));
	assert_string_equal(a->name, b->name);
	assert_memory_equal(&a->key, &b->key, sizeof(a->key));
	assert_true(a->since == b->since && a->made_ms == b->made_ms);
}

/* All seals come out with the root key, whichever of them gave it; and with nothing else. */
static void
seals_come_out(void **state)
{
	static struct anchor_seals got;
	uint8_t digest[SEAL_DIGEST_LEN];
	struct anchor_slot found;

	(void)state;
	recoverable(1, true);
	for (unsigned count = 1; count <= PROVIDER_MAX; count++) {
		const struct anchor_content c = content(7, count);

		make(slot, 7, count);
		anchor_slot_decode(slot, vault, 1, &found, digest);
		assert_int_equal(anchor_slot_seals(slot, digest, &root.self, &got), STATUS_OK);
		assert_int_equal(got.count, count);
		assert_true(got.lasting == 3 && got.dead_class == PROVIDER_CLASS_C);
		for (unsigned i = 0; i < count; i++)
			same_seal(&got.seal[i], &seals.seal[i]);
		assert_true(anchor_slot_is(slot, digest, &c));
		assert_int_equal(anchor_slot_seals(slot, digest, &keks[0].key, &got), STATUS_FORGED);
		digest[0] ^= 1;
		assert_int_equal(anchor_slot_seals(slot, digest, &root.self, &got), STATUS_FORGED);
	}
	recoverable(1, false);
}

/* anchor_slot_is(): one less, another id, another key, another root key. */
static void
other_seals_are_noticed(void **state)
{
	struct anchor_content c = content(7, 3);
	uint8_t digest[SEAL_DIGEST_LEN];
	struct root another = root;
	struct anchor_slot found;

	(void)state;
	make(slot, 7, 3);
	anchor_slot_decode(slot, vault, 1, &found, digest);
	assert_true(anchor_slot_is(slot, digest, &c));
	seals.count = 2;
	assert_false(anchor_slot_is(slot, digest, &c));
	seals.count = 3;
	seals.seal[2].id[0] ^= 1;
	assert_false(anchor_slot_is(slot, digest, &c));
	seals.seal[2].id[0] ^= 1;
	seals.seal[2].key = keks[3].key;
	assert_false(anchor_slot_is(slot, digest, &c));
	seals.seal[2].key = keks[2].key;
	another.self = keks[0].key;
	c.root = &another;
	assert_false(anchor_slot_is(slot, digest, &c));
}

/* Seals sealed under the right key that cannot be. */
static void
bad_seals_are_forged(void **state)
{
	static const struct { size_t at; uint8_t value; enum status rc; } rows[] = {
		{ 0, 0, STATUS_FORGED }, { 0, 1, STATUS_OK }, { 0, 8, STATUS_FORGED }, { 0, 9, STATUS_FORGED },
		{ 64, 0, STATUS_FORGED }, { 64, 2, STATUS_OK }, { 64, 3, STATUS_FORGED } };
	struct seal_context ctx = { .kind = SEAL_SEALS, .index = 7 };
	uint8_t plain[SEALS_LEN + 1] = { 1 }, digest[SEAL_DIGEST_LEN];
	static struct anchor_seals got;
	struct anchor_slot found;
	struct key k;

	(void)state;
	memcpy(ctx.vault, vault, sizeof(ctx.vault));
	make(slot, 7, 1);
	anchor_slot_decode(slot, vault, 1, &found, digest);
	seal_wrap_key(&root.self, digest, &k);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		plain[0] = plain[64] = 1;
		plain[rows[i].at] = rows[i].value;
		seal_box(&k, &ctx, bytes_of(plain, SEALS_LEN), SEALS_PADDED, slot + SEALS_AT);
		assert_int_equal(anchor_slot_seals(slot, digest, &root.self, &got), rows[i].rc);
	}
	plain[0] = plain[64] = 1;
	for (size_t len = SEALS_LEN - 1; len <= SEALS_LEN + 1; len++) {
		seal_box(&k, &ctx, bytes_of(plain, len), SEALS_PADDED, slot + SEALS_AT);
		assert_int_equal(anchor_slot_seals(slot, digest, &root.self, &got),
		    len == SEALS_LEN ? STATUS_OK : STATUS_FORGED);
	}
}

static void
another_vault_place_or_time_is_not_valid(void **state)
{
	static const uint8_t foreign[16] = "another-vault..";
	struct anchor_slot found;
	uint8_t digest[SEAL_DIGEST_LEN];

	(void)state;
	make(slot, 7, 1);
	assert_false(decode(slot, 0).valid);
	anchor_slot_decode(slot, foreign, 1, &found, digest);
	assert_false(found.valid);
	memset(slot, 0, sizeof(slot));
	assert_false(decode(slot, 0).valid);
	seal_random(slot, sizeof(slot));
	assert_false(decode(slot, 1).valid);
}

/* Epoch and vault are bound into the wraps too, not only into the checksum. */
static void
wraps_do_not_move_between_epochs(void **state)
{
	struct anchor_options o = { .keks = keks, .kek_count = 1 };
	static struct anchor_seals got_seals;
	struct anchor_slot found;
	uint8_t digest[SEAL_DIGEST_LEN];
	struct key got;

	(void)state;
	make(slot, 7, 1);
	anchor_slot_decode(slot, vault, 1, &found, digest);
	memcpy(o.vault, vault, sizeof(vault));
	assert_int_equal(anchor_slot_unwrap(slot, digest, &o, &got), STATUS_OK);
	bytes_put64(slot + 32, 9);
	assert_int_equal(anchor_slot_unwrap(slot, digest, &o, &got), STATUS_FORGED);
	assert_int_equal(anchor_slot_seals(slot, digest, &root.self, &got_seals), STATUS_FORGED);
	bytes_put64(slot + 32, 7);
	slot[16 + 3] ^= 1;
	assert_int_equal(anchor_slot_unwrap(slot, digest, &o, &got), STATUS_FORGED);
	slot[16 + 3] ^= 1;
	digest[31] ^= 1;
	assert_int_equal(anchor_slot_unwrap(slot, digest, &o, &got), STATUS_FORGED);
}

/* Torn after any number of sectors, in either direction, over another slot or random bytes. */
static void
a_torn_slot_is_never_valid(void **state)
{
	const size_t sector = 512;
	size_t cut;
	int over;

	(void)state;
	make(slot, 7, 1);
	for (over = 0; over < 2; over++) {
		if (over == 0)
			make(other, 5, 1);
		else
			seal_random(other, sizeof(other));
		for (cut = sector; cut < ANCHOR_SLOT_LEN; cut += sector) {
			memcpy(mixed, other, sizeof(mixed));
			memcpy(mixed, slot, cut);
			assert_false(decode(mixed, 1).valid);
			memcpy(mixed, slot, sizeof(mixed));
			memcpy(mixed, other, cut);
			assert_false(decode(mixed, 1).valid);
			/* One sector that did not arrive. */
			memcpy(mixed, slot, sizeof(mixed));
			memcpy(mixed + cut, other + cut, sector);
			assert_int_equal(decode(mixed, 1).valid,
			    memcmp(mixed, slot, sizeof(slot)) == 0);
		}
	}
}

static void
every_damaged_byte_is_seen(void **state)
{
	size_t i;

	(void)state;
	make(slot, 7, 1);
	for (i = 0; i < ANCHOR_SLOT_LEN; i += i < 400 || (i > SEALS_AT && i < SEALS_AT + 200) ? 1 : 53) {
		slot[i] ^= 0x10;
		assert_false(decode(slot, 1).valid);
		slot[i] ^= 0x10;
	}
	slot[ANCHOR_BLOCK - 1] ^= 1;
	assert_false(decode(slot, 1).valid);
	slot[ANCHOR_BLOCK - 1] ^= 1;
	assert_true(decode(slot, 1).valid);
}

/* With the checksum made anew, the fields' own limits are left. */
static void
limits_hold_behind_a_right_checksum(void **state)
{
	static const struct {
		unsigned count;
		bool valid;
	} rows[] = { { 0, false }, { 1, true }, { PROVIDER_MAX, true }, { PROVIDER_MAX + 1, false },
		{ 0xffff, false } };
	uint8_t in[ANCHOR_BLOCK];
	size_t i;

	(void)state;
	make(slot, 7, 1);
	seal_digest(bytes_of(slot + ANCHOR_BLOCK, ANCHOR_STRIPES), in + ANCHOR_BLOCK - 32);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bytes_put16(slot + 10, (uint16_t)rows[i].count);
		memcpy(in, slot, ANCHOR_BLOCK - 32);
		seal_digest(bytes_of(in, sizeof(in)), slot + ANCHOR_BLOCK - 32);
		assert_int_equal(decode(slot, 1).valid, rows[i].valid);
	}
	bytes_put16(slot + 10, 1);
	for (unsigned format = 1; format <= 3; format++) {	/* the one before, this, a newer one */
		bytes_put16(slot + 8, (uint16_t)format);
		memcpy(in, slot, ANCHOR_BLOCK - 32);
		seal_digest(bytes_of(in, sizeof(in)), slot + ANCHOR_BLOCK - 32);
		assert_int_equal(decode(slot, 1).valid, format == 2);
	}
}

/* The digest of the stripes would, with a KEK, do instead of all the stripes; keys stand nowhere. */
static void
no_secret_is_in_the_slot(void **state)
{
	uint8_t digest[SEAL_DIGEST_LEN];
	struct anchor_slot found;

	(void)state;
	make(slot, 7, 1);
	anchor_slot_decode(slot, vault, 1, &found, digest);
	assert_null(memmem(slot, sizeof(slot), digest, sizeof(digest)));
	assert_null(memmem(slot, sizeof(slot), root.self.b, SEAL_KEY_LEN));
	assert_null(memmem(slot, sizeof(slot), keks[0].key.b, SEAL_KEY_LEN));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out),
		cmocka_unit_test(wrong_keys_do_not_open),
		cmocka_unit_test(a_recovery_key_opens),
		cmocka_unit_test(a_recovery_key_that_is_none_is_refused),
		cmocka_unit_test(seals_come_out),
		cmocka_unit_test(other_seals_are_noticed),
		cmocka_unit_test(bad_seals_are_forged),
		cmocka_unit_test(another_vault_place_or_time_is_not_valid),
		cmocka_unit_test(wraps_do_not_move_between_epochs),
		cmocka_unit_test(a_torn_slot_is_never_valid),
		cmocka_unit_test(every_damaged_byte_is_seen),
		cmocka_unit_test(limits_hold_behind_a_right_checksum),
		cmocka_unit_test(no_secret_is_in_the_slot),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
