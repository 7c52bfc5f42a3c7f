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

static uint8_t slot[ANCHOR_SLOT_LEN], other[ANCHOR_SLOT_LEN], mixed[ANCHOR_SLOT_LEN];
static const uint8_t vault[16] = "vault-of-a-test";
static const uint8_t commitment[SEAL_DIGEST_LEN] = "commitment";
static struct key keks[PROVIDER_MAX + 1], root;
static struct provider providers[PROVIDER_MAX + 1];

static int
begin(void **state)
{
	unsigned i;

	(void)state;
	if (seal_init() != STATUS_OK)
		return -1;
	seal_key_new(&root, SEAL_FOR_ROOT);
	for (i = 0; i < PROVIDER_MAX + 1; i++) {
		seal_key_new(&keks[i], SEAL_FOR_KEK);
		(void)snprintf(providers[i].name, sizeof(providers[i].name), "provider %u", i);
		memset(providers[i].id, (int)i + 1, PROVIDER_ID_LEN);
		providers[i].kek = &keks[i];
	}
	return 0;
}

static void
make(uint8_t *out, uint64_t epoch, size_t count)
{
	const struct anchor_content c = {
		.vault = vault, .epoch = epoch, .commitment = commitment,
		.providers = providers, .provider_count = count, .root = &root
	};

	seal_random(out + ANCHOR_BLOCK, ANCHOR_STRIPES);
	anchor_slot_encode(out, &c);
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
unwrap(const uint8_t *in, struct provider *with, size_t count, struct key *out)
{
	struct anchor_options o = { .providers = with, .provider_count = count };
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
	size_t count, i;

	(void)state;
	for (count = 1; count <= PROVIDER_MAX; count++) {
		make(slot, 7, count);
		found = decode(slot, 1);
		assert_true(found.valid && found.epoch == 7);
		assert_memory_equal(found.commitment, commitment, SEAL_DIGEST_LEN);
		for (i = 0; i < count; i++) {
			memset(&got, 0, sizeof(got));
			assert_int_equal(unwrap(slot, &providers[i], 1, &got), STATUS_OK);
			assert_memory_equal(&got, &root, sizeof(root));
		}
		/* One that has no wrap there is passed over. */
		assert_int_equal(unwrap(slot, &providers[count], 1, &got), STATUS_FORGED);
	}
	make(slot, 7, 2);
	assert_int_equal(unwrap(slot, &providers[1], 3, &got), STATUS_OK);
}

/* The right name with another key, and a wrap that belongs elsewhere. */
static void
wrong_keys_do_not_open(void **state)
{
	struct provider thief = providers[0];
	struct key got = { { 0 } };

	(void)state;
	make(slot, 7, 2);
	thief.kek = &keks[5];
	assert_int_equal(unwrap(slot, &thief, 1, &got), STATUS_FORGED);
	thief = providers[1];
	memcpy(thief.id, providers[0].id, PROVIDER_ID_LEN);
	assert_int_equal(unwrap(slot, &thief, 1, &got), STATUS_FORGED);
	assert_true(seal_key_is_zero(&got));
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
	struct anchor_options o = { .providers = providers, .provider_count = 1 };
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
	bytes_put64(slot + 32, 7);
	o.vault[3] ^= 1;
	assert_int_equal(anchor_slot_unwrap(slot, digest, &o, &got), STATUS_FORGED);
	o.vault[3] ^= 1;
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
	for (i = 0; i < ANCHOR_SLOT_LEN; i += i < 300 ? 1 : 53) {
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
	bytes_put16(slot + 8, 2);	/* a newer format */
	memcpy(in, slot, ANCHOR_BLOCK - 32);
	seal_digest(bytes_of(in, sizeof(in)), slot + ANCHOR_BLOCK - 32);
	assert_false(decode(slot, 1).valid);
}

/* The digest of the stripes would, with a KEK, do instead of all the stripes. */
static void
the_stripes_digest_is_not_in_the_slot(void **state)
{
	uint8_t digest[SEAL_DIGEST_LEN];
	struct anchor_slot found;

	(void)state;
	make(slot, 7, 1);
	anchor_slot_decode(slot, vault, 1, &found, digest);
	assert_null(memmem(slot, sizeof(slot), digest, sizeof(digest)));
	assert_null(memmem(slot, sizeof(slot), root.b, sizeof(root.b)));
	assert_null(memmem(slot, sizeof(slot), keks[0].b, sizeof(keks[0].b)));
}

static uint8_t counter;

static void
count_up(void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len-- > 0)
		*p++ = counter++;
}

/* The hexadecimal word of the line that begins with ${name}, after ${skip} other words. */
static size_t
vector(const char *text, const char *name, unsigned skip, uint8_t *out, size_t cap)
{
	const char *at = strstr(text, name);
	size_t len = 0;

	assert_non_null(at);
	assert_int_equal(at[-1], '\n');
	for (at = strchr(at, ' ') + 1; skip > 0; skip--)
		at = strchr(at, ' ') + 1;
	assert_int_equal(sodium_hex2bin(out, cap, at, strcspn(at, " \n"), NULL, &len, NULL), 0);
	return len;
}

static void
load_vectors(char *text, size_t cap)
{
	char path[512];
	size_t n = sizeof(__FILE__) - sizeof("unit/test_anchor_slot.c");
	FILE *f;

	assert_true(n < 400);
	(void)snprintf(path, sizeof(path), "%.*s/vectors/anchor_slot.txt", (int)n, __FILE__);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, cap - 1, f);
	text[n] = '\0';
	(void)fclose(f);
}

/* tests/vectors/anchor_slot.txt was made by other code from docs/FORMAT.md. */
static void
golden_vectors(void **state)
{
	static char text[8192];
	uint8_t v[16], epoch[8], com[32], want[512], digest[SEAL_DIGEST_LEN];
	struct key k[2], r;
	struct provider p[2] = { { .name = "file", .kek = &k[0] },
		{ .name = "thirty-one-characters-of-a-name", .kek = &k[1] } };
	struct anchor_content c = { .vault = v, .commitment = com, .providers = p,
		.provider_count = 2, .root = &r };
	size_t i, len;

	(void)state;
	load_vectors(text, sizeof(text));
	assert_int_equal(vector(text, "vault ", 0, v, 16), 16);
	assert_int_equal(vector(text, "epoch ", 0, epoch, 8), 8);
	assert_int_equal(vector(text, "commitment ", 0, com, 32), 32);
	assert_int_equal(vector(text, "root ", 0, r.b, 32), 32);
	assert_int_equal(vector(text, "provider 60", 0, p[0].id, 16), 16);
	assert_int_equal(vector(text, "provider 60", 2, k[0].b, 32), 32);
	assert_int_equal(vector(text, "provider 70", 0, p[1].id, 16), 16);
	assert_int_equal(vector(text, "provider 70", 2, k[1].b, 32), 32);
	c.epoch = bytes_get64(epoch);
	for (i = 0; i < ANCHOR_STRIPES; i++)
		slot[ANCHOR_BLOCK + i] = (uint8_t)(i * 131 + (i >> 8) * 29 + 7);
	counter = 0;
	seal_test_random(count_up);
	anchor_slot_encode(slot, &c);
	seal_test_random(NULL);
	len = vector(text, "head ", 0, want, sizeof(want));
	assert_int_equal(len, 96 + 2 * 192);
	assert_memory_equal(slot, want, len);
	assert_true(sodium_is_zero(slot + len, ANCHOR_BLOCK - 32 - len));
	(void)vector(text, "checksum ", 0, want, sizeof(want));
	assert_memory_equal(slot + ANCHOR_BLOCK - 32, want, 32);
	(void)vector(text, "slot_blake2b_256 ", 0, want, sizeof(want));
	seal_digest(bytes_of(slot, sizeof(slot)), digest);
	assert_memory_equal(digest, want, 32);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out),
		cmocka_unit_test(wrong_keys_do_not_open),
		cmocka_unit_test(another_vault_place_or_time_is_not_valid),
		cmocka_unit_test(wraps_do_not_move_between_epochs),
		cmocka_unit_test(a_torn_slot_is_never_valid),
		cmocka_unit_test(every_damaged_byte_is_seen),
		cmocka_unit_test(limits_hold_behind_a_right_checksum),
		cmocka_unit_test(the_stripes_digest_is_not_in_the_slot),
		cmocka_unit_test(golden_vectors),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
