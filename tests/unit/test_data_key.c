/* Wrapped data keys; tests/vectors/data_key.txt was made by other code from docs/FORMAT.md. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "server/store/data_key.h"
#include "server/store/subject.h"

static uint8_t nonce[SEAL_NONCE_LEN];

static void
fill(void *buf, size_t len)
{
	assert_int_equal(len, sizeof(nonce));
	memcpy(buf, nonce, len);
}

static size_t
unhex(const char *s, uint8_t *out, size_t room)
{
	size_t n = 0;

	if (strcmp(s, "-") != 0)
		assert_int_equal(sodium_hex2bin(out, room, s, strlen(s), NULL, &n, NULL), 0);
	return n;
}

struct golden {
	uint8_t vault[16];
	struct keyring ring;
	struct key key;
};

static void
golden_wrapped(struct golden *g, const char *line)
{
	static char hex[3][1024];
	uint8_t context[256], wrapped[DATA_KEY_WRAPPED_LEN], made[DATA_KEY_WRAPPED_LEN];
	struct data_key_place p = { &g->ring, g->vault, 0, { context, 0 } };
	struct data_key_wrapper w;
	struct key key, out;
	unsigned version;

	assert_int_equal(sscanf(line, "wrapped %u %u %1023s %1023s %1023s", &p.category, &version, hex[0],
	    hex[1], hex[2]), 5);
	p.context.len = unhex(hex[0], context, sizeof(context));
	assert_int_equal(unhex(hex[1], key.b, sizeof(key.b)), DATA_KEY_LEN);
	assert_int_equal(unhex(hex[2], wrapped, sizeof(wrapped)), DATA_KEY_WRAPPED_LEN);
	memset(g->ring.category, 0, sizeof(g->ring.category));
	g->ring.category[p.category - 1].state = CATEGORY_LIVE;
	g->ring.category[p.category - 1].key = g->key;
	bytes_put16(g->ring.category[p.category - 1].version, (uint16_t)version);
	assert_int_equal(data_key_version(bytes_of(wrapped, sizeof(wrapped))), version);
	assert_int_equal(data_key_begin(&p, version, &w), STATUS_OK);
	assert_int_equal(data_key_unwrap(&w, bytes_of(wrapped, sizeof(wrapped)), &out), STATUS_OK);
	assert_memory_equal(out.b, key.b, DATA_KEY_LEN);
	memcpy(nonce, wrapped + 4, sizeof(nonce));
	seal_test_random(fill);
	data_key_wrap(&w, &key, 1, made);
	seal_test_random(NULL);
	assert_memory_equal(made, wrapped, sizeof(wrapped));
	data_key_end(&w);
	assert_true(sodium_is_zero(w.key.b, sizeof(w.key.b)));
}

static void
golden_vectors(void **state)
{
	static char line[4096], path[4096], hex[128];
	size_t n = strlen(__FILE__) - strlen("unit/test_data_key.c");
	struct golden g = { .vault = { 0 } };
	unsigned count = 0;
	FILE *f;

	(void)state;
	(void)snprintf(path, sizeof(path), "%.*s/vectors/data_key.txt", (int)n, __FILE__);
	assert_non_null(f = fopen(path, "re"));
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "vault %127s", hex) == 1)
			(void)unhex(hex, g.vault, sizeof(g.vault));
		else if (sscanf(line, "subject %127s", hex) == 1)
			(void)unhex(hex, g.ring.subject, sizeof(g.ring.subject));
		else if (sscanf(line, "key %127s", hex) == 1)
			(void)unhex(hex, g.key.b, sizeof(g.key.b));
		else if (line[0] != '#') {
			golden_wrapped(&g, line);
			count++;
		}
	}
	(void)fclose(f);
	assert_int_equal(count, 4);
}

/* The context alone of a box decides, too: the same key, and another vault, subject or category. */
static void
bound_alone(void **state)
{
	static struct keyring ring, as;
	static const uint8_t vault[16] = "a vault", another[16] = "another";
	struct data_key_place p = { &ring, vault, SUBJECT_CONTENT, bytes_of("c", 1) };
	struct data_key_wrapper w;
	struct key key, out;
	uint8_t wrapped[DATA_KEY_WRAPPED_LEN];

	(void)state;
	memset(&ring, 0, sizeof(ring));
	memset(ring.category[3].key.b, 7, SEAL_KEY_LEN);
	ring.category[3].state = CATEGORY_LIVE;
	ring.category[3].version[1] = 3;
	ring.category[4] = ring.category[3];
	seal_key_new(&key, SEAL_FOR_DATA);
	assert_int_equal(data_key_begin(&p, 3, &w), STATUS_OK);
	data_key_wrap(&w, &key, 1, wrapped);
	for (unsigned i = 0; i < 6; i++) {
		struct data_key_place q = p;

		as = ring;
		q.keyring = &as;
		as.subject[15] = i == 1;
		q.category = i == 2 ? SUBJECT_USAGE : SUBJECT_CONTENT;
		q.vault = i == 3 ? another : vault;
		q.context.len = i == 4 ? 0 : 1;
		as.category[3].version[1] = i == 5 ? 2 : 3;
		assert_int_equal(data_key_begin(&q, data_key_present(&as, q.category), &w), STATUS_OK);
		assert_int_equal(data_key_unwrap(&w, bytes_of(wrapped, sizeof(wrapped)), &out),
		    i == 0 ? STATUS_OK : STATUS_NO_DATA_KEY);
	}
	assert_int_equal(data_key_begin(&p, 2, &w), STATUS_NO_DATA_KEY);
	assert_int_equal(data_key_begin(&p, 0, &w), STATUS_NO_DATA_KEY);
	ring.category[3].state = CATEGORY_SHREDDED;
	assert_int_equal(data_key_begin(&p, 3, &w), STATUS_NO_DATA_KEY);
}

/* Every bit of the wrapped form counts, and its length. */
static void
every_bit(void **state)
{
	static const uint8_t vault[16] = "a vault";
	static struct keyring ring;
	struct data_key_place p = { &ring, vault, SUBJECT_USAGE, { NULL, 0 } };
	uint8_t wrapped[DATA_KEY_WRAPPED_LEN + 1] = { 0 };
	struct data_key_wrapper w;
	struct key key, out;

	(void)state;
	ring.category[SUBJECT_USAGE - 1].state = CATEGORY_LIVE;
	bytes_put16(ring.category[SUBJECT_USAGE - 1].version, 1);
	seal_key_new(&ring.category[SUBJECT_USAGE - 1].key, SEAL_FOR_CATEGORY);
	seal_key_new(&key, SEAL_FOR_DATA);
	assert_int_equal(data_key_begin(&p, 1, &w), STATUS_OK);
	data_key_wrap(&w, &key, 1, wrapped);
	for (unsigned bit = 0; bit < 8 * DATA_KEY_WRAPPED_LEN; bit++) {
		wrapped[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(data_key_unwrap(&w, bytes_of(wrapped, DATA_KEY_WRAPPED_LEN), &out),
		    STATUS_NO_DATA_KEY);
		wrapped[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len <= DATA_KEY_WRAPPED_LEN + 1; len++)
		assert_int_equal(data_key_unwrap(&w, bytes_of(wrapped, len), &out),
		    len == DATA_KEY_WRAPPED_LEN ? STATUS_OK : STATUS_NO_DATA_KEY);
	assert_memory_equal(out.b, key.b, sizeof(key.b));
	data_key_end(&w);
}

#define MOST 256u

static struct keyring many_ring;
static struct data_key_wrapper many_wrapper;
static struct key many_keys[MOST];
static uint8_t many_wrapped[MOST * DATA_KEY_WRAPPED_LEN];

static void
begin_many(void)
{
	static const uint8_t vault[16] = "a vault";
	const struct data_key_place p = { &many_ring, vault, SUBJECT_USAGE, { NULL, 0 } };

	memset(&many_ring, 0, sizeof(many_ring));
	subject_use_category(&many_ring, SUBJECT_USAGE);
	assert_int_equal(data_key_begin(&p, 1, &many_wrapper), STATUS_OK);
	seal_keys_new(many_keys, MOST, SEAL_FOR_DATA);
}

/* Any number at once: each opens to its own, and no nonce comes twice. */
static void
many(void **state)
{
	static const size_t counts[] = { 1, 2, 63, 64, 65, 127, 128, 129, MOST };
	struct key out;

	(void)state;
	begin_many();
	for (size_t n = 0; n < sizeof(counts) / sizeof(counts[0]); n++) {
		memset(many_wrapped, 0, sizeof(many_wrapped));
		data_key_wrap(&many_wrapper, many_keys, counts[n], many_wrapped);
		for (size_t i = 0; i < counts[n]; i++) {
			const uint8_t *w = many_wrapped + i * DATA_KEY_WRAPPED_LEN;

			assert_int_equal(data_key_unwrap(&many_wrapper, bytes_of(w, DATA_KEY_WRAPPED_LEN),
			    &out), STATUS_OK);
			assert_memory_equal(out.b, many_keys[i].b, DATA_KEY_LEN);
			for (size_t j = 0; j < i; j++)
				assert_memory_not_equal(w + 4, many_wrapped + j * DATA_KEY_WRAPPED_LEN + 4,
				    SEAL_NONCE_LEN);
		}
		assert_true(sodium_is_zero(many_wrapped + counts[n] * DATA_KEY_WRAPPED_LEN,
		    (MOST - counts[n]) * DATA_KEY_WRAPPED_LEN));
	}
}

static void
constant(void *buf, size_t len)
{
	memset(buf, 7, len);
}

/* A source that repeats itself ends the process, also when nonces are drawn together. */
static void
repeats_itself(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	begin_many();
	for (size_t count = 1; count <= 2; count++) {
		assert_true((pid = fork()) >= 0);
		if (pid == 0) {
			if (freopen("/dev/null", "w", stderr) == NULL)
				_exit(1);
			seal_test_random(constant);
			data_key_wrap(&many_wrapper, many_keys, count, many_wrapped);
			data_key_wrap(&many_wrapper, many_keys, count, many_wrapped);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

static int
begin(void **state)
{
	(void)state;
	return seal_init() == STATUS_OK ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_vectors),
		cmocka_unit_test(bound_alone),
		cmocka_unit_test(every_bit),
		cmocka_unit_test(many),
		cmocka_unit_test(repeats_itself),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
