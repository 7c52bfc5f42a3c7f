/* The bytes of a slot: tests/vectors/anchor_slot.txt was made by other code from docs/FORMAT.md. */
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

/* Eight wraps of 256 bytes from 96 on, then the box of the seals: 848 bytes padded to 864. */
#define HEAD_LEN (96u + 8u * 256u + SEAL_BOX_LEN(864u))

static uint8_t slot[ANCHOR_SLOT_LEN];

static int
begin(void **state)
{
	(void)state;
	return seal_init() == STATUS_OK ? 0 : -1;
}

static uint8_t counter;

static void
count_up(void *const buf, const size_t len)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = counter++;
}

static const char *
counting(void)
{
	return "counting";
}

static uint32_t
count_once(void)
{
	return counter++;
}

/* Under libsodium, so that the ephemeral key of a sealed box comes from it, too. */
static struct randombytes_implementation counts = { .implementation_name = counting, .random = count_once,
	.buf = count_up };

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
	size_t n = sizeof(__FILE__) - sizeof("unit/test_anchor_golden.c");
	FILE *f;

	assert_true(n < 400);
	(void)snprintf(path, sizeof(path), "%.*s/vectors/anchor_slot.txt", (int)n, __FILE__);
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, cap - 1, f);
	text[n] = '\0';
	(void)fclose(f);
}

static uint64_t
vector64(const char *text, const char *name, unsigned skip)
{
	uint8_t b[8];

	assert_int_equal(vector(text, name, skip, b, sizeof(b)), sizeof(b));
	return bytes_get64(b);
}

static void
vector_seal(const char *text, const char *line, struct anchor_seal *s)
{
	const char *name = strstr(text, line) + strlen(line) + 2 * PROVIDER_ID_LEN + 1;

	s->kind = (enum anchor_seal_kind)(line[4] - '0');
	assert_int_equal(vector(text, line, 0, s->id, sizeof(s->id)), PROVIDER_ID_LEN);
	memcpy(s->name, name, strcspn(name, " "));
	assert_int_equal(vector(text, line, 2, s->key.b, SEAL_KEY_LEN), SEAL_KEY_LEN);
	s->since = vector64(text, line, 3);
	s->made_ms = (int64_t)vector64(text, line, 4);
}

/* What the file has in it. */
struct golden {
	uint8_t vault[16];
	struct root root;
	struct anchor_seals seals;
	struct anchor_recovery recovery;
	struct provider_kek kek;
};

static void
load_golden(const char *text, struct golden *g)
{
	memset(g, 0, sizeof(*g));
	assert_int_equal(vector(text, "vault ", 0, g->vault, 16), 16);
	g->root.epoch = vector64(text, "epoch ", 0);
	assert_int_equal(vector(text, "commitment ", 0, g->root.commitment, 32), 32);
	assert_int_equal(vector(text, "root ", 0, g->root.self.b, 32), 32);
	g->seals.count = 2;
	g->seals.lasting = vector64(text, "lasting ", 0);
	assert_int_equal(vector(text, "dead ", 0, &g->seals.dead_class, 1), 1);
	vector_seal(text, "seal1 ", &g->seals.seal[0]);
	vector_seal(text, "seal2 ", &g->seals.seal[1]);
	memcpy(g->recovery.public, g->seals.seal[1].key.b, SEAL_RECOVERY_KEY_LEN);
	assert_int_equal(vector(text, "secret ", 0, g->recovery.secret, 32), 32);
	memcpy(g->kek.id, g->seals.seal[0].id, PROVIDER_ID_LEN);
	g->kek.key = g->seals.seal[0].key;
	for (size_t i = 0; i < ANCHOR_STRIPES; i++)
		slot[ANCHOR_BLOCK + i] = (uint8_t)(i * 131 + (i >> 8) * 29 + 7);
}

static void
golden_vectors(void **state)
{
	static char text[16384];
	static uint8_t want[ANCHOR_BLOCK];
	static struct golden g;
	struct anchor_content c = { .vault = g.vault, .root = &g.root, .seals = &g.seals };
	uint8_t digest[SEAL_DIGEST_LEN];
	size_t len;

	(void)state;
	load_vectors(text, sizeof(text));
	load_golden(text, &g);
	counter = 0;
	assert_int_equal(randombytes_set_implementation(&counts), 0);
	assert_int_equal(anchor_slot_encode(slot, &c), STATUS_OK);
	assert_int_equal(randombytes_set_implementation(&randombytes_sysrandom_implementation), 0);
	len = vector(text, "head ", 0, want, sizeof(want));
	assert_int_equal(len, HEAD_LEN);
	assert_memory_equal(slot, want, len);
	assert_true(sodium_is_zero(slot + len, ANCHOR_BLOCK - 32 - len));
	(void)vector(text, "checksum ", 0, want, sizeof(want));
	assert_memory_equal(slot + ANCHOR_BLOCK - 32, want, 32);
	(void)vector(text, "slot_blake2b_256 ", 0, want, sizeof(want));
	seal_digest(bytes_of(slot, sizeof(slot)), digest);
	assert_memory_equal(digest, want, 32);
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

/* The same slot, opened in both ways. */
static void
golden_slot_opens(void **state)
{
	static char text[16384];
	static struct golden g;
	static struct anchor_seals got;
	struct anchor_options by_kek = { .keks = &g.kek, .kek_count = 1 };
	struct anchor_options by_recovery = { .recovery = &g.recovery };
	uint8_t digest[SEAL_DIGEST_LEN];
	struct anchor_slot found;
	struct key k;

	(void)state;
	load_vectors(text, sizeof(text));
	load_golden(text, &g);
	(void)vector(text, "head ", 0, slot, ANCHOR_BLOCK);
	(void)vector(text, "checksum ", 0, slot + ANCHOR_BLOCK - 32, 32);
	anchor_slot_decode(slot, g.vault, 1, &found, digest);
	assert_true(found.valid && found.epoch == g.root.epoch);
	assert_int_equal(anchor_slot_unwrap(slot, digest, &by_kek, &k), STATUS_OK);
	assert_memory_equal(&k, &g.root.self, sizeof(k));
	memset(&k, 0, sizeof(k));
	assert_int_equal(anchor_slot_unwrap(slot, digest, &by_recovery, &k), STATUS_OK);
	assert_memory_equal(&k, &g.root.self, sizeof(k));
	assert_int_equal(anchor_slot_seals(slot, digest, &k, &got), STATUS_OK);
	assert_true(got.count == 2 && got.lasting == g.seals.lasting && got.dead_class == g.seals.dead_class);
	same_seal(&got.seal[0], &g.seals.seal[0]);
	same_seal(&got.seal[1], &g.seals.seal[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_vectors),
		cmocka_unit_test(golden_slot_opens),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
