/* Outcomes of mutations, kept for a day. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/clock.h"
#include "server/store/idempotency.h"
#include "ws_bed.h"

static struct ws_bed w;
static const uint8_t keys[3][IDEMPOTENCY_KEY_LEN] = { "key-one........", "key-two........",
	"key-three......" };

static int
setup(void **state)
{
	(void)state;
	ws_bed_new(&w);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ws_bed_free(&w);
	return 0;
}

static struct idempotency_request
asked(unsigned key, const char *principal, const char *method)
{
	return (struct idempotency_request){ keys[key], principal, method, bytes_of("text", 4) };
}

static void
put(const struct idempotency_request *q, const char *response)
{
	struct idempotency_row row = { .epoch = 5, .fingerprint = { 1, 2, 3 },
		.response = bytes_of(response, strlen(response)) };

	assert_int_equal(idempotency_put(w.ws, q, &row), STATUS_OK);
}

#define ROW_LEAST 22u	/* of a row: without a response */

/* A row as it was written some seconds ago. */
static void
put_aged(unsigned key, const char *principal, uint32_t age, size_t len)
{
	uint8_t k[IDEMPOTENCY_KEY_LEN + 16], v[64] = { 0 };

	memcpy(k, keys[key], IDEMPOTENCY_KEY_LEN);
	memcpy(k + IDEMPOTENCY_KEY_LEN, principal, strlen(principal));
	bytes_put32(v, (uint32_t)(clock_wall_ms() / 1000) - age);
	assert_int_equal(writeset_put(w.ws, STORE_IDEMPOTENCY,
	    bytes_of(k, IDEMPOTENCY_KEY_LEN + strlen(principal)), bytes_of(v, len)), STATUS_OK);
}

static void
kept(void **state)
{
	struct idempotency_request q = asked(0, "shop", "/a/B");
	struct idempotency_row row;

	(void)state;
	for (int round = 0; round < 3; round++) {
		/* In the request itself, in the batch, in the store. */
		if (round == 0) {
			assert_int_equal(idempotency_find(w.ws, &q, &row), STATUS_ABSENT);
			put(&q, "answer");
		} else if (round == 1) {
			assert_int_equal(writeset_merge(w.ws), STATUS_OK);
			writeset_reset(w.ws);
		} else {
			ws_bed_commit(&w);
		}
		assert_int_equal(idempotency_find(w.ws, &q, &row), STATUS_OK);
		assert_int_equal(row.epoch, 5);
		assert_memory_equal(row.fingerprint, "\1\2\3\0\0\0\0\0", 8);
		assert_int_equal(bytes_compare(row.response, bytes_of("answer", 6)), 0);
	}
}

/* The principal and the key together; another method is another request. */
static void
told_apart(void **state)
{
	struct idempotency_request q = asked(0, "shop", "/a/B"), other_key = asked(1, "shop", "/a/B"),
	    other_who = asked(0, "shops", "/a/B"), other_method = asked(0, "shop", "/a/C");
	struct idempotency_row row;

	(void)state;
	put(&q, "");
	assert_int_equal(idempotency_find(w.ws, &q, &row), STATUS_OK);
	assert_int_equal(row.response.len, 0);
	assert_int_equal(idempotency_find(w.ws, &other_key, &row), STATUS_ABSENT);
	assert_int_equal(idempotency_find(w.ws, &other_who, &row), STATUS_ABSENT);
	assert_int_equal(idempotency_find(w.ws, &other_method, &row), STATUS_KEY_REUSED);
}

static void
fingerprints(void **state)
{
	const struct key k = { { 1 } }, other = { { 2 } };
	struct idempotency_request q = asked(0, "shop", "/a/B"), r = q;
	uint8_t a[IDEMPOTENCY_FINGERPRINT_LEN], b[IDEMPOTENCY_FINGERPRINT_LEN];

	(void)state;
	idempotency_fingerprint(&k, NULL, &q, a);
	idempotency_fingerprint(&k, NULL, &q, b);
	assert_memory_equal(a, b, sizeof(a));
	r.message = bytes_of("texu", 4);
	idempotency_fingerprint(&k, NULL, &r, b);
	assert_memory_not_equal(a, b, sizeof(a));
	/* Without the category's key it says nothing. */
	idempotency_fingerprint(&other, NULL, &q, b);
	assert_memory_not_equal(a, b, sizeof(a));
	/* Of a message that tells of two categories it takes the keys of both. */
	idempotency_fingerprint(&k, &other, &q, a);
	idempotency_fingerprint(&k, &other, &q, b);
	assert_memory_equal(a, b, sizeof(a));
	idempotency_fingerprint(&k, NULL, &q, b);
	assert_memory_not_equal(a, b, sizeof(a));
	idempotency_fingerprint(&k, &k, &q, b);
	assert_memory_not_equal(a, b, sizeof(a));
	idempotency_fingerprint(&other, &other, &q, b);
	assert_memory_not_equal(a, b, sizeof(a));
}

static void
for_a_day(void **state)
{
	struct idempotency_request q = asked(0, "shop", "/a/B"), r = asked(1, "shop", "/a/B"),
	    future = asked(2, "shop", "/a/B");
	struct idempotency_row row;

	(void)state;
	put_aged(0, "shop", IDEMPOTENCY_SECONDS + 10, ROW_LEAST);
	put_aged(1, "shop", IDEMPOTENCY_SECONDS - 10, ROW_LEAST);
	/* The clock was set back since. */
	put_aged(2, "shop", (uint32_t)-5000, ROW_LEAST);
	assert_int_equal(idempotency_find(w.ws, &q, &row), STATUS_ABSENT);
	assert_int_equal(idempotency_find(w.ws, &r, &row), STATUS_KEY_REUSED);
	assert_int_equal(idempotency_find(w.ws, &future, &row), STATUS_KEY_REUSED);
}

static void
damaged_row(void **state)
{
	struct idempotency_request q = asked(0, "shop", "/a/B");
	struct idempotency_row row;

	(void)state;
	put_aged(0, "shop", 0, 19);
	assert_int_equal(idempotency_find(w.ws, &q, &row), STATUS_CORRUPT);
}

static uint64_t
count_rows(void)
{
	uint64_t n;

	assert_int_equal(store_count(overlay_snapshot(w.overlay), STORE_IDEMPOTENCY, &n), STATUS_OK);
	return n;
}

/* Old rows go, also damaged ones; young ones stay; the sweep goes round in a circle. */
static void
swept(void **state)
{
	struct idempotency_sweep s = { .at_len = 0 };
	char who[8];
	unsigned deleted = 0;

	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		(void)snprintf(who, sizeof(who), "p%u", i);
		put_aged(i % 3, who, i % 2 == 0 ? IDEMPOTENCY_SECONDS + 10 : 5, i == 7 ? 10 : 24);
	}
	ws_bed_commit(&w);
	for (int round = 0; round < 8; round++) {
		assert_int_equal(idempotency_sweep(w.ws, &s, 4), STATUS_OK);
		deleted += s.deleted;
		ws_bed_commit(&w);
	}
	assert_int_equal(deleted, 16);
	assert_int_equal(count_rows(), 14);
	for (int round = 0; round < 8; round++) {
		assert_int_equal(idempotency_sweep(w.ws, &s, 4), STATUS_OK);
		assert_int_equal(s.deleted, 0);
	}
}

/* An outdated key that is used again in the batch that would sweep it: the new outcome stays. */
static void
sweep_spares_what_the_batch_puts(void **state)
{
	struct idempotency_request q = asked(0, "shop", "/a/B");
	struct idempotency_sweep s = { .at_len = 0 };
	struct idempotency_row row;

	(void)state;
	put_aged(0, "shop", IDEMPOTENCY_SECONDS + 10, ROW_LEAST);
	ws_bed_commit(&w);
	put(&q, "new");
	assert_int_equal(writeset_merge(w.ws), STATUS_OK);
	writeset_reset(w.ws);
	assert_int_equal(idempotency_sweep(w.ws, &s, 10), STATUS_OK);
	assert_int_equal(s.deleted, 0);
	ws_bed_commit(&w);
	assert_int_equal(idempotency_find(w.ws, &q, &row), STATUS_OK);
	assert_int_equal(bytes_compare(row.response, bytes_of("new", 3)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kept, setup, teardown),
		cmocka_unit_test_setup_teardown(told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(fingerprints, setup, teardown),
		cmocka_unit_test_setup_teardown(for_a_day, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_row, setup, teardown),
		cmocka_unit_test_setup_teardown(swept, setup, teardown),
		cmocka_unit_test_setup_teardown(sweep_spares_what_the_batch_puts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
