/*
 * Limits as a client meets them: of the queue, the house, a connection, a principal.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>

#include <cmocka.h>

#include "bed.h"

#define WAIT 10000	/* ms; only a broken test waits as long */

BED_WRITER

static const struct rpc_limits defaults = RPC_LIMITS_DEFAULT;
static const struct bed_question slow = { .method = "/test.v1.Test/Slow", .subject = "abc",
	.subject_len = 3 };

/* Asks n times, waits until it sees ${busy} refusals, lets the rest go and counts all. */
static void
ask_many(struct bed *b, unsigned n, const char *reason, unsigned busy)
{
	struct bed_pending *p[16];
	unsigned i, refused = 0, done = 0, before = bed_begun();
	struct bed_answer a;
	nng_socket s;

	assert_true(n <= 16 && bed_dial(b, "client", &s));
	bed_hold(true);
	for (i = 0; i < n; i++) {
		p[i] = bed_begin(s, &slow);
		while (bed_begun() == before)	/* the first is out of the queue */
			bed_pause(1);
	}
	bed_pause(200);		/* all have arrived, or the count below is wrong */
	bed_hold(false);
	for (i = 0; i < n; i++) {
		assert_int_equal(bed_fetch(p[i], WAIT, &a), 0);
		if (a.code == PDV_OK) {
			done++;
			continue;
		}
		assert_int_equal(a.code, PDV_RESOURCE_EXHAUSTED);
		assert_string_equal(a.reason, reason);
		assert_true(a.retry_ms > 0);
		refused++;
	}
	assert_int_equal(refused, busy);
	assert_int_equal(done, n - busy);
	assert_int_equal(bed_ask(s, &slow, WAIT, &a), 0);	/* nothing leaked */
	assert_int_equal(a.code, PDV_OK);
	(void)nng_close(s);
}

static void
test_pool_full(void **state)
{
	struct rpc_limits limits = defaults;
	struct bed *b;

	(void)state;
	limits.pool_threads = 1;
	limits.pool_queue = 2;
	b = bed_open(&limits);
	ask_many(b, 8, "QUEUE_FULL", 5);
	bed_free(b);
}

static void
test_requests_full(void **state)
{
	struct rpc_limits limits = defaults;
	struct bed *b;

	(void)state;
	limits.requests = 3;
	b = bed_open(&limits);
	ask_many(b, 8, "QUEUE_FULL", 5);
	bed_free(b);
	limits.requests = 8;		/* the last eighth is for erasures, which these are not */
	b = bed_open(&limits);
	ask_many(b, 10, "QUEUE_FULL", 3);
	bed_free(b);
}

/* The place that a crowd of others leaves free is an erasure's; a second one finds none. */
static void
test_room_for_erasures(void **state)
{
	static const struct bed_question erase = { .method = "/test.v1.Test/Erase", .subject = "abc",
	    .subject_len = 3, .key_len = 16 };
	struct rpc_limits limits = defaults;
	struct bed_pending *p[10];
	struct bed_answer a;
	struct bed *b;
	nng_socket s;

	(void)state;
	limits.requests = 8;
	b = bed_open(&limits);
	assert_true(bed_dial(b, "client", &s));
	bed_hold(true);
	for (size_t i = 0; i < 10; i++) {
		p[i] = bed_begin(s, i < 8 ? &slow : &erase);
		if (i == 7 || i == 9) {		/* refused at once */
			assert_int_equal(bed_fetch(p[i], WAIT, &a), 0);
			assert_int_equal(a.code, PDV_RESOURCE_EXHAUSTED);
		}
		while (rpc_in_flight(bed_rpc(b)) != (i < 7 ? i + 1 : i == 7 ? 7 : 8))
			bed_pause(1);
	}
	bed_hold(false);
	for (size_t i = 0; i < 9; i++) {
		if (i == 7)
			continue;
		assert_int_equal(bed_fetch(p[i], WAIT, &a), 0);
		assert_int_equal(a.code, PDV_OK);
	}
	(void)nng_close(s);
	bed_free(b);
}

static void
test_too_many_in_flight(void **state)
{
	struct rpc_limits limits = defaults;
	struct bed *b;

	(void)state;
	limits.in_flight_per_connection = 4;
	b = bed_open(&limits);
	ask_many(b, 8, "TOO_MANY_IN_FLIGHT", 4);
	ask_many(b, 4, "TOO_MANY_IN_FLIGHT", 0);
	bed_free(b);
}

static void
test_connection_limits(void **state)
{
	struct rpc_limits limits = defaults;
	nng_socket s[4];
	struct bed *b;
	int i;

	(void)state;
	limits.connections = 3;
	limits.connections_per_principal = 2;
	b = bed_open(&limits);
	assert_true(bed_admitted(b, "client", &s[0]) && bed_admitted(b, "client", &s[1]));
	assert_false(bed_admitted(b, "client", &s[2]));
	(void)nng_close(s[2]);
	assert_true(bed_admitted(b, "stranger", &s[2]));
	assert_false(bed_admitted(b, "stranger", &s[3]));
	(void)nng_close(s[3]);
	(void)nng_close(s[1]);
	for (i = 0; rpc_connections(bed_rpc(b)) > 2 && i < 100; i++)
		bed_pause(20);
	assert_int_equal(rpc_connections(bed_rpc(b)), 2);
	assert_true(bed_admitted(b, "client", &s[1]));
	for (i = 0; i < 3; i++)
		(void)nng_close(s[i]);
	bed_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pool_full),
		cmocka_unit_test(test_requests_full),
		cmocka_unit_test(test_room_for_erasures),
		cmocka_unit_test(test_too_many_in_flight),
		cmocka_unit_test(test_connection_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
