/* Boxes, tags and random bytes; tests/vectors/seal.txt was made by other code from docs/FORMAT.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "server/keys/seal.h"

#define PLAIN_MAX 2048u

static uint8_t replay[64];
static size_t replay_at;

static void
fill(void *buf, size_t len)
{
	memcpy(buf, replay + replay_at, len);
	replay_at += len;
}

static void
fill_same(void *buf, size_t len)
{
	memset(buf, 7, len);
}

static void
fill_zero(void *buf, size_t len)
{
	memset(buf, 0, len);
}

/* Blocks that differ, and begin again after so many. */
static unsigned period, draws;

static void
fill_in_turn(void *buf, size_t len)
{
	uint8_t seed[randombytes_SEEDBYTES] = { 1 };

	bytes_put32(seed + 1, draws++ % period);
	randombytes_buf_deterministic(buf, len, seed);
}

static void
fill_fails(void *buf, size_t len)
{
	(void)buf;
	(void)len;
	sodium_misuse();
}

static int
begin(void **state)
{
	(void)state;
	return seal_init() == STATUS_OK ? 0 : -1;
}

static int
real_random(void **state)
{
	(void)state;
	seal_test_random(NULL);
	return 0;
}

/* Next word of a line, as bytes of hexadecimal; "-" is none. */
static size_t
hex(char **line, uint8_t *out, size_t cap)
{
	char *word = strsep(line, " \n");
	size_t len = 0;

	assert_non_null(word);
	if (strcmp(word, "-") != 0)
		assert_int_equal(sodium_hex2bin(out, cap, word, strlen(word), NULL, &len, NULL), 0);
	return len;
}

static uint64_t
number(char **line, int base)
{
	char *word = strsep(line, " \n");

	assert_non_null(word);
	return strtoull(word, NULL, base);
}

struct golden {
	struct key key;
	uint8_t vault[16];
	unsigned boxes, tags;
};

static void
golden_box(const struct golden *g, char *line)
{
	struct seal_context c = { .kind = 0 };
	uint8_t plain[PLAIN_MAX], box[SEAL_BOX_LEN(PLAIN_MAX)], made[SEAL_BOX_LEN(PLAIN_MAX)];
	size_t plain_len, padded, len;

	(void)strsep(&line, " ");
	c.kind = (enum seal_kind)number(&line, 10);
	memcpy(c.vault, g->vault, sizeof(c.vault));
	c.tree = (uint8_t)number(&line, 10);
	c.level = (uint8_t)number(&line, 10);
	c.index = number(&line, 16);
	assert_int_equal(hex(&line, c.subject, sizeof(c.subject)), 16);
	c.category = (uint8_t)number(&line, 10);
	c.record = number(&line, 16);
	c.version = (uint32_t)number(&line, 10);
	padded = (size_t)number(&line, 10);
	replay_at = 0;
	assert_int_equal(hex(&line, replay, sizeof(replay)), SEAL_NONCE_LEN);
	plain_len = hex(&line, plain, sizeof(plain));
	assert_int_equal(hex(&line, box, sizeof(box)), SEAL_BOX_LEN(padded));
	seal_box(&g->key, &c, bytes_of(plain, plain_len), padded, made);
	assert_memory_equal(made, box, SEAL_BOX_LEN(padded));
	assert_int_equal(seal_open(&g->key, &c, bytes_of(box, SEAL_BOX_LEN(padded)), made, &len),
	    STATUS_OK);
	assert_int_equal(len, plain_len);
	assert_memory_equal(made, plain, len);
	assert_memory_equal(seal_nonce(bytes_of(box, SEAL_BOX_LEN(padded))), replay, SEAL_NONCE_LEN);
}

static void
golden_tag(const struct golden *g, char *line)
{
	const char *label = strsep(&line, " ");
	uint8_t a[PLAIN_MAX], b[PLAIN_MAX], want[SEAL_TAG16_LEN], got[SEAL_TAG16_LEN];
	size_t a_len = hex(&line, a, sizeof(a)), b_len = hex(&line, b, sizeof(b));

	(void)hex(&line, want, sizeof(want));
	seal_tag(&g->key, label, bytes_of(a, a_len), bytes_of(b, b_len), got);
	assert_memory_equal(got, want, sizeof(want));
}

static void
golden_line(struct golden *g, char *line)
{
	const char *word = strsep(&line, " ");
	uint8_t in[PLAIN_MAX], want[SEAL_DIGEST_LEN], got[SEAL_DIGEST_LEN];

	if (strcmp(word, "vault") == 0) {
		(void)hex(&line, g->vault, sizeof(g->vault));
	} else if (strcmp(word, "key") == 0) {
		(void)hex(&line, g->key.b, sizeof(g->key.b));
	} else if (strcmp(word, "box") == 0) {
		golden_box(g, line);
		g->boxes++;
	} else if (strcmp(word, "tag") == 0) {
		golden_tag(g, line);
		g->tags++;
	} else if (strcmp(word, "digest") == 0) {
		size_t len = hex(&line, in, sizeof(in));

		(void)hex(&line, want, sizeof(want));
		seal_digest(bytes_of(in, len), got);
		assert_memory_equal(got, want, sizeof(want));
	}
}

static void
golden_vectors(void **state)
{
	static char line[16384], path[4096];
	size_t n = strlen(__FILE__) - strlen("unit/test_seal.c");
	struct golden g = { .boxes = 0 };
	FILE *f;

	(void)state;
	(void)snprintf(path, sizeof(path), "%.*s/vectors/seal.txt", (int)n, __FILE__);
	assert_non_null(f = fopen(path, "re"));
	while (fgets(line, sizeof(line), f) != NULL) {
		seal_test_random(fill);		/* nonces come again in them */
		if (line[0] != '#')
			golden_line(&g, line);
	}
	seal_test_random(NULL);
	(void)fclose(f);
	assert_int_equal(g.boxes, 9);
	assert_int_equal(g.tags, 4);
}

static const struct seal_context place = { .kind = SEAL_RECORD, .vault = { 1 }, .tree = 1,
	.level = 2, .index = 3, .subject = { 4 }, .category = 5, .record = 6, .version = 7 };

static void
assert_forged(const struct key *k, const struct seal_context *c, struct bytes box)
{
	uint8_t out[256];
	size_t len = 99;

	memset(out, 0xEE, sizeof(out));
	assert_int_equal(seal_open(k, c, box, out, &len), STATUS_FORGED);
	assert_int_equal(len, 99);
	/* Nothing of what did not open is left behind. */
	if (box.len > SEAL_OVERHEAD && box.p[0] == SEAL_VERSION)
		assert_true(sodium_is_zero(out, box.len - SEAL_OVERHEAD));
}

static void
every_bit_counts(void **state)
{
	uint8_t box[SEAL_BOX_LEN(64)];
	struct key k;

	(void)state;
	seal_key_new(&k, SEAL_FOR_CATEGORY);
	seal_box(&k, &place, bytes_of("text", 4), 64, box);
	for (size_t i = 0; i < sizeof(box); i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			box[i] ^= (uint8_t)(1u << bit);
			assert_forged(&k, &place, bytes_of(box, sizeof(box)));
			box[i] ^= (uint8_t)(1u << bit);
		}
	}
	for (size_t len = 0; len < sizeof(box); len++)
		assert_forged(&k, &place, bytes_of(box, len));
	for (size_t i = 0; i < SEAL_KEY_LEN; i++) {
		k.b[i] ^= 1;
		assert_forged(&k, &place, bytes_of(box, sizeof(box)));
		k.b[i] ^= 1;
	}
}

static void
every_field_of_the_context_counts(void **state)
{
	struct seal_context other[10];
	uint8_t box[SEAL_BOX_LEN(64)];
	struct key k;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		other[i] = place;
	other[0].kind = SEAL_TRANSACTION;
	other[1].vault[15] ^= 1;
	other[2].tree ^= 2;
	other[3].level ^= 1;
	other[4].index ^= UINT64_C(1) << 63;
	other[5].subject[15] ^= 1;
	other[6].category ^= 1;
	other[7].record ^= UINT64_C(1) << 63;
	other[8].version ^= 1u << 31;
	/* Bytes that move from one field to its neighbour. */
	other[9].tree = place.level;
	other[9].level = place.tree;
	seal_key_new(&k, SEAL_FOR_CATEGORY);
	seal_box(&k, &place, bytes_of("text", 4), 64, box);
	for (unsigned i = 0; i < 10; i++)
		assert_forged(&k, &other[i], bytes_of(box, sizeof(box)));
}

static void
lengths(void **state)
{
	uint8_t plain[65], box[SEAL_BOX_LEN(65)], out[65];
	struct key k;
	size_t len;

	(void)state;
	memset(plain, 0, sizeof(plain));
	seal_key_new(&k, SEAL_FOR_CATEGORY);
	/* Zeros at the end of the text are text, not padding. */
	for (size_t n = 0; n < 64; n++) {
		seal_box(&k, &place, bytes_of(plain, n), 64, box);
		assert_int_equal(seal_open(&k, &place, bytes_of(box, SEAL_BOX_LEN(64)), out, &len),
		    STATUS_OK);
		assert_int_equal(len, n);
	}
}

/* A box whose commitment and tag are right, of a text that is not padded as it must be. */
static void
seal_raw(const struct key *k, const uint8_t *text, size_t len, uint8_t *box)
{
	uint8_t in[SEAL_NONCE_LEN + SEAL_CONTEXT_LEN] = { 0 }, split[64], *c = in + SEAL_NONCE_LEN;

	box[0] = SEAL_VERSION;
	randombytes_buf(box + 1, SEAL_NONCE_LEN);
	memcpy(in, box + 1, SEAL_NONCE_LEN);
	c[0] = SEAL_VERSION;
	c[1] = (uint8_t)SEAL_RECORD;
	must(crypto_generichash(split, 64, in, sizeof(in), k->b, SEAL_KEY_LEN) == 0);
	memcpy(box + 1 + SEAL_NONCE_LEN, split + 32, 32);
	must(crypto_aead_xchacha20poly1305_ietf_encrypt(box + 57, NULL, text, len, NULL, 0, NULL,
	    box + 1, split) == 0);
}

static void
padding(void **state)
{
	static const struct seal_context c = { .kind = SEAL_RECORD };
	uint8_t box[SEAL_BOX_LEN(8)], out[8];
	struct key k;
	size_t len;

	(void)state;
	seal_key_new(&k, SEAL_FOR_CATEGORY);
	seal_raw(&k, (const uint8_t *)"abc\x80\0\0\0", 8, box);
	assert_int_equal(seal_open(&k, &c, bytes_of(box, sizeof(box)), out, &len), STATUS_OK);
	assert_int_equal(len, 3);
	seal_raw(&k, (const uint8_t *)"\0\0\0\0\0\0\0", 8, box);
	assert_forged(&k, &c, bytes_of(box, sizeof(box)));
	seal_raw(&k, (const uint8_t *)"abcdefgh", 8, box);
	assert_forged(&k, &c, bytes_of(box, sizeof(box)));
}

static void
random_keys(void **state)
{
	struct key a, b;
	uint8_t long1[4096], long2[4096];

	(void)state;
	seal_key_new(&a, SEAL_FOR_PAGE);
	seal_key_new(&b, SEAL_FOR_PAGE);
	assert_memory_not_equal(&a, &b, sizeof(a));
	assert_false(seal_key_is_zero(&a));
	assert_true(seal_key_equal(&a, &a));
	assert_false(seal_key_equal(&a, &b));
	seal_key_wipe(&a);
	assert_true(seal_key_is_zero(&a));
	seal_random(long1, sizeof(long1));
	seal_random(long2, sizeof(long2));
	assert_memory_not_equal(long1, long2, sizeof(long1));
	assert_memory_not_equal(long1, long1 + 2048, 2048);
}

/* A random source that repeats itself is noticed before any key is made of it. */
static void
broken_random(void **state)
{
	(void)state;
	seal_test_random(fill_same);
	assert_int_equal(seal_init(), STATUS_REFUSED);
	seal_test_random(fill_zero);
	assert_int_equal(seal_init(), STATUS_REFUSED);
	for (period = 1; period < SEAL_START_DRAWS; period += period / 8 + 1) {
		draws = 0;
		seal_test_random(fill_in_turn);
		assert_int_equal(seal_init(), STATUS_REFUSED);
	}
	seal_test_random(NULL);
	assert_int_equal(seal_init(), STATUS_OK);
}

/* Seals in a process of its own until that ends; how many boxes were made, or -1: it did not abort. */
static int
boxes_until_abort(void (*source)(void *, size_t), unsigned most)
{
	static const struct seal_context ctx = { .kind = SEAL_PAGE };
	uint8_t box[SEAL_BOX_LEN(64)], plain[32] = { 0 };
	int ends[2], made = 0, status;
	struct key k;
	pid_t child;

	draws = 0;
	seal_test_random(source);
	assert_int_equal(pipe(ends), 0);
	assert_true((child = fork()) >= 0);
	if (child == 0) {
		(void)signal(SIGABRT, SIG_DFL);		/* cmocka takes it for a failure of the test */
		for (unsigned i = 0; i < most; i++) {
			seal_key_new(&k, SEAL_FOR_PAGE);
			seal_box(&k, &ctx, bytes_of(plain, sizeof(plain)), 64, box);
			if (write(ends[1], box, 1) != 1)
				_exit(1);
		}
		_exit(0);
	}
	assert_int_equal(close(ends[1]), 0);
	while (read(ends[0], box, 1) == 1)
		made++;
	assert_int_equal(close(ends[0]), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? made : -1;
}

/*
 * One that begins to repeat later ends the process when a nonce comes again. A box takes two draws, the second
 * for its nonce: with an odd period the source goes round twice until then.
 */
static void
random_repeats_later(void **state)
{
	static const unsigned periods[] = { 1, 2, 3, 64, 1000, 1001, 3000 };
	char *log;

	(void)state;
	for (unsigned i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		int around;

		period = periods[i];
		around = (int)(period % 2 == 0 ? period / 2 : period);
		scratch_log_begin();
		/* Some nonces of a long period were pushed out by others. */
		assert_in_range(boxes_until_abort(fill_in_turn, 20000), around, around + 16);
		log = scratch_log_end(NULL);
		assert_non_null(strstr(log, "the random source repeats itself"));
		free(log);
	}
	period = UINT_MAX;
	assert_int_equal(boxes_until_abort(fill_in_turn, 20000), -1);	/* the control */
}

/* libsodium aborts when the kernel gives nothing; it is told before. */
static void
random_fails(void **state)
{
	char *log;

	(void)state;
	scratch_log_begin();
	assert_int_equal(boxes_until_abort(fill_fails, 1), 0);
	log = scratch_log_end(NULL);
	assert_non_null(strstr(log, "the random source failed"));
	free(log);
}

static void
same_tag(const char *label, const char *a, const char *b, uint8_t out[static SEAL_TAG16_LEN])
{
	static const struct key k = { { 9 } };

	seal_tag(&k, label, bytes_of(a, strlen(a)), bytes_of(b, strlen(b)), out);
}

/* Bytes that move between label, a and b give another tag. */
static void
tags_are_injective(void **state)
{
	static const char *const parts[][3] = {
		{ "label", "ab", "c" }, { "label", "a", "bc" }, { "label", "abc", "" },
		{ "label", "", "abc" }, { "labela", "b", "c" }, { "labe", "lab", "c" },
	};
	uint8_t tag[6][SEAL_TAG16_LEN];

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		same_tag(parts[i][0], parts[i][1], parts[i][2], tag[i]);
		for (unsigned j = 0; j < i; j++)
			assert_memory_not_equal(tag[i], tag[j], SEAL_TAG16_LEN);
	}
}

static void
wrap_keys(void **state)
{
	struct key kek = { { 1 } }, a, b;
	uint8_t digest[SEAL_DIGEST_LEN] = { 2 };

	(void)state;
	seal_wrap_key(&kek, digest, &a);
	seal_wrap_key(&kek, digest, &b);
	assert_memory_equal(&a, &b, sizeof(a));
	digest[31] ^= 1;
	seal_wrap_key(&kek, digest, &b);
	assert_memory_not_equal(&a, &b, sizeof(a));
	digest[31] ^= 1;
	kek.b[31] ^= 1;
	seal_wrap_key(&kek, digest, &b);
	assert_memory_not_equal(&a, &b, sizeof(a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(golden_vectors, real_random),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(every_field_of_the_context_counts),
		cmocka_unit_test(lengths),
		cmocka_unit_test(padding),
		cmocka_unit_test(random_keys),
		cmocka_unit_test_teardown(broken_random, real_random),
		cmocka_unit_test_teardown(random_repeats_later, real_random),
		cmocka_unit_test_teardown(random_fails, real_random),
		cmocka_unit_test(tags_are_injective),
		cmocka_unit_test(wrap_keys),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
