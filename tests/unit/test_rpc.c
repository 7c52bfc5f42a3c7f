/*
 * The server's side of the wire as a client sees it, over TLS on loopback.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"
#include "client/transport/sp.h"

#define WAIT 10000	/* ms; only a broken test waits as long */
#define CALLS 200u

BED_WRITER

static const struct rpc_limits defaults = RPC_LIMITS_DEFAULT;
static const struct bed_question echo = { .method = "/test.v1.Test/Echo", .subject = "abc",
	.subject_len = 3 };
static const struct bed_question slow = { .method = "/test.v1.Test/Slow", .subject = "abc",
	.subject_len = 3 };

struct expect {
	struct bed_question q;
	const char *reason;
	unsigned code;
	const char *field, *rule;
};

static const struct expect expected[] = {
	{ { .method = "/test.v1.Test/Echo", .subject = "x", .subject_len = 1 }, "", PDV_OK },
	{ { .method = "/test.v1.Test/Echo" }, "", PDV_OK },
	{ { .method = "/test.v1.Test/Slow", .subject = "x", .subject_len = 1 }, "", PDV_OK },
	{ { .method = "/test.v1.Test/Write", .subject = "x", .subject_len = 1, .key_len = 16 },
	    "", PDV_OK },
	{ { .method = "/test.v1.Test/OrWrite", .subject = "x", .subject_len = 1 }, "", PDV_OK },
	{ { .method = "/test.v1.Test/OrWrite", .subject = "xy", .subject_len = 2 }, "", PDV_OK },
	{ { .method = "/test.v1.Test/Write" }, "IDEMPOTENCY_KEY_REQUIRED",
	    PDV_INVALID_ARGUMENT },
	{ { .method = "/test.v1.Test/Write", .key_len = 15 }, "IDEMPOTENCY_KEY_REQUIRED",
	    PDV_INVALID_ARGUMENT },
	{ { .method = "/test.v1.Test/Write", .key_len = 17 }, "IDEMPOTENCY_KEY_REQUIRED",
	    PDV_INVALID_ARGUMENT },
	{ { .method = "/test.v1.Test/Echo", .key_len = 5 }, "", PDV_OK },
	{ { .method = "/test.v1.Test/Rule" }, "INVALID_ARGUMENT", PDV_INVALID_ARGUMENT,
	    "subject", "TEST_RULE" },
	{ { .method = "/test.v1.Test/Secret" }, "METHOD_NOT_ALLOWED", PDV_PERMISSION_DENIED },
	{ { .method = "/test.v1.Test/None" }, "UNKNOWN_METHOD", PDV_UNIMPLEMENTED },
	{ { .method = "" }, "UNKNOWN_METHOD", PDV_UNIMPLEMENTED },
	{ { .method = "/test.v1.Test/Echo", .message = "\x0a\x7f", .message_len = 2 },
	    "MALFORMED_MESSAGE", PDV_INVALID_ARGUMENT },
};

static void
test_answers(void **state)
{
	struct bed *b = bed_open(&defaults);
	struct bed_answer a;
	nng_socket s;
	size_t i;

	(void)state;
	assert_true(bed_dial(b, "client", &s));
	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		const struct expect *e = &expected[i];

		assert_int_equal(bed_ask(s, &e->q, WAIT, &a), 0);
		assert_int_equal(a.code, e->code);
		assert_string_equal(a.reason, e->reason);
		assert_string_equal(a.field, e->field == NULL ? "" : e->field);
		assert_string_equal(a.rule, e->rule == NULL ? "" : e->rule);
		assert_true(a.vault_right);
		if (e->code == PDV_OK)
			assert_true(a.subject_right);
		assert_int_equal(a.epoch, e->code == PDV_OK && strstr(e->q.method, "Write") != NULL
			? BED_WRITE_EPOCH : BED_EPOCH);
	}
	(void)nng_close(s);
	bed_free(b);
}

static void
test_stranger(void **state)
{
	struct bed *b = bed_open(&defaults);
	struct bed_answer a;
	nng_socket s;
	int i;

	(void)state;
	assert_true(bed_dial(b, "stranger", &s));
	for (i = 0; i < 3; i++) {	/* it is told, and not cut */
		assert_int_equal(bed_ask(s, &echo, WAIT, &a), 0);
		assert_int_equal(a.code, PDV_PERMISSION_DENIED);
		assert_string_equal(a.reason, "UNKNOWN_PRINCIPAL");
	}
	assert_int_equal(rpc_connections(bed_rpc(b)), 1);
	(void)nng_close(s);
	bed_free(b);
}

static void
test_garbage(void **state)
{
	static const char bytes[] = "\xff\xff\xff garbage";
	struct bed *b = bed_open(&defaults);
	struct bed_answer a;
	nng_socket s;

	(void)state;
	assert_true(bed_dial(b, "client", &s));
	assert_int_equal(bed_ask_raw(s, bytes, sizeof(bytes), WAIT, &a), 0);
	assert_string_equal(a.reason, "MALFORMED_MESSAGE");
	assert_int_equal(bed_ask(s, &echo, WAIT, &a), 0);
	assert_int_equal(a.code, PDV_OK);
	(void)nng_close(s);
	bed_free(b);
}

/* Messages up to the limit go both ways; an answer above it becomes an error. */
static void
test_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 127, 128, 16384, 100000, SP_MESSAGE_MAX - 200 };
	struct bed *b = bed_open(&defaults);
	struct bed_question q = echo;
	struct bed_answer a;
	nng_socket s;
	size_t i;
	char *p = calloc(1, SP_MESSAGE_MAX);

	(void)state;
	assert_true(bed_dial(b, "client", &s));
	q.subject = p;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		q.subject_len = sizes[i];
		assert_int_equal(bed_ask(s, &q, WAIT, &a), 0);
		assert_int_equal(a.code, PDV_OK);
		assert_true(a.subject_right);
	}
	q.subject_len = SP_MESSAGE_MAX - 60;	/* the request still fits, its answer not */
	assert_int_equal(bed_ask(s, &q, WAIT, &a), 0);
	assert_string_equal(a.reason, "MESSAGE_TOO_LARGE");
	(void)nng_close(s);
	free(p);
	bed_free(b);
}

static void
test_expired(void **state)
{
	struct rpc_limits limits = defaults;
	struct bed_question q = slow;
	struct bed_pending *first, *second;
	struct bed_answer a;
	unsigned before = bed_begun();
	nng_socket s;
	struct bed *b;

	(void)state;
	limits.pool_threads = 1;
	b = bed_open(&limits);
	assert_true(bed_dial(b, "client", &s));
	bed_hold(true);
	first = bed_begin(s, &slow);
	while (bed_begun() == before)	/* the first is out of the queue */
		bed_pause(1);
	q.timeout_ms = 20;
	second = bed_begin(s, &q);	/* waits in the queue for longer than it may */
	while (rpc_in_flight(bed_rpc(b)) < 2)
		bed_pause(1);
	bed_pause(200);
	bed_hold(false);
	assert_int_equal(bed_fetch(first, WAIT, &a), 0);
	assert_int_equal(a.code, PDV_OK);
	assert_int_equal(bed_fetch(second, WAIT, &a), 0);
	assert_int_equal(a.code, PDV_DEADLINE_EXCEEDED);
	(void)nng_close(s);
	bed_free(b);
}

static void
test_revoked(void **state)
{
	struct bed *b = bed_open(&defaults);
	char why[TLS_WHY_LEN];
	struct bed_answer a;
	nng_socket s[2];

	(void)state;
	assert_true(bed_admitted(b, "client", &s[0]) && bed_admitted(b, "stranger", &s[1]));
	assert_int_equal(rpc_recheck_peers(bed_rpc(b)), 0);
	pki_crl(bed_pki(b), "stranger", 3600);
	assert_int_equal(tls_context_reload(bed_server(b), why), PDV_OK);
	assert_int_equal(rpc_recheck_peers(bed_rpc(b)), 1);
	assert_int_equal(bed_ask(s[0], &echo, WAIT, &a), 0);
	assert_int_equal(a.code, PDV_OK);
	assert_int_not_equal(bed_ask(s[1], &echo, 1500, &a), 0);
	(void)nng_close(s[0]);
	(void)nng_close(s[1]);
	bed_free(b);
}

static void
test_many_calls(void **state)
{
	static const struct bed_question questions[] = {
		{ .method = "/test.v1.Test/Echo", .subject = "abc", .subject_len = 3 },
		{ .method = "/test.v1.Test/Slow", .subject = "defg", .subject_len = 4 },
		{ .method = "/test.v1.Test/Write", .subject = "hi", .subject_len = 2,
		    .key_len = 16 },
	};
	struct bed *b = bed_open(&defaults);
	struct bed_pending *p[2][30];
	struct bed_answer a;
	nng_socket s[2];
	unsigned i, k, round;

	(void)state;
	assert_true(bed_dial(b, "client", &s[0]) && bed_dial(b, "client", &s[1]));
	for (round = 0; round < 10; round++) {
		for (i = 0; i < 60; i++)
			p[i % 2][i / 2] = bed_begin(s[i % 2], &questions[(i + round) % 3]);
		for (i = 0; i < 2; i++) {
			for (k = 0; k < 30; k++) {
				assert_int_equal(bed_fetch(p[i][k], WAIT, &a), 0);
				assert_int_equal(a.code, PDV_OK);
				assert_true(a.subject_right);
			}
		}
	}
	for (i = 0; rpc_in_flight(bed_rpc(b)) > 0 && i < 100; i++)
		bed_pause(20);
	assert_int_equal(rpc_in_flight(bed_rpc(b)), 0);
	(void)nng_close(s[0]);
	(void)nng_close(s[1]);
	bed_free(b);
}

/* Clients that leave while they are being served: nothing of them stays. */
static void
test_leavers(void **state)
{
	static const struct bed_question write = { .method = "/test.v1.Test/Write",
		.key_len = 16 };
	struct bed *b = bed_open(&defaults);
	struct bed_pending *p[8];
	struct bed_answer a;
	nng_socket s;
	int i;

	(void)state;
	assert_true(bed_dial(b, "client", &s));
	bed_hold(true);
	for (i = 0; i < 8; i++)
		p[i] = bed_begin(s, i % 2 == 0 ? &slow : &write);
	while (rpc_in_flight(bed_rpc(b)) < 8)
		bed_pause(1);
	(void)nng_close(s);
	for (i = 0; i < 8; i++)
		assert_int_not_equal(bed_fetch(p[i], WAIT, &a), 0);
	while (rpc_connections(bed_rpc(b)) > 0)
		bed_pause(1);
	bed_hold(false);
	for (i = 0; rpc_in_flight(bed_rpc(b)) > 0 && i < 500; i++)
		bed_pause(20);
	assert_int_equal(rpc_in_flight(bed_rpc(b)), 0);
	assert_true(bed_admitted(b, "client", &s));
	(void)nng_close(s);
	bed_free(b);
}

static void *
release_later(void *arg)
{
	bed_pause(500);
	bed_hold(false);
	return arg;
}

/* What takes longer than the limit is cut off, and its memory is freed all the same. */
static void
test_drain_limit(void **state)
{
	struct bed *b = bed_open(&defaults);
	struct bed_pending *p;
	struct bed_answer a;
	nng_socket s;
	pthread_t t;

	(void)state;
	assert_true(bed_dial(b, "client", &s));
	bed_hold(true);
	p = bed_begin(s, &slow);
	while (rpc_in_flight(bed_rpc(b)) < 1)
		bed_pause(1);
	assert_int_equal(pthread_create(&t, NULL, release_later, NULL), 0);
	bed_drain(b, 50);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_not_equal(bed_fetch(p, 1500, &a), 0);
	(void)nng_close(s);
	bed_free(b);
}

static void
test_refused_options(void **state)
{
	static const char *const urls[] = { "ipc:///tmp/x", "tcp://127.0.0.1:0",
		"abstract://x", "tls+tcp://127.0.0.1", "inproc://x" };
	struct rpc_options o = { .url_count = 1, .methods = bed_methods,
		.method_count = bed_method_count, .limits = RPC_LIMITS_DEFAULT };
	struct rpc *r = NULL;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		o.urls = &urls[i];
		assert_int_equal(rpc_start(&o, &r), STATUS_CONFIG);
	}
	o.url_count = 0;
	assert_int_equal(rpc_start(&o, &r), STATUS_CONFIG);
	o.url_count = 1;
	o.limits.requests = RPC_CONTEXTS_MAX + 1;
	assert_int_equal(rpc_start(&o, &r), STATUS_CONFIG);
	assert_null(r);
}

/* An address in use, which may pass, and one that is not ours: nothing is left running. */
static void
test_port_taken(void **state)
{
	struct bed *b = bed_open(&defaults);
	struct access *access = bed_access();
	char url[64];
	const char *const urls[] = { "tls+tcp://127.0.0.1:0", url };
	struct rpc_options o = { .urls = urls, .url_count = 2, .methods = bed_methods,
		.method_count = bed_method_count, .limits = RPC_LIMITS_DEFAULT,
		.tls = bed_server(b), .access = access };
	struct rpc *r = NULL;

	(void)state;
	(void)snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%d", bed_port(b));
	assert_int_equal(rpc_start(&o, &r), STATUS_IO);
	(void)snprintf(url, sizeof(url), "tls+tcp://192.0.2.1:0");
	assert_int_equal(rpc_start(&o, &r), STATUS_CONFIG);
	assert_null(r);
	access_free(access);
	bed_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_stranger),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_revoked),
		cmocka_unit_test(test_many_calls),
		cmocka_unit_test(test_leavers),
		cmocka_unit_test(test_drain_limit),
		cmocka_unit_test(test_refused_options),
		cmocka_unit_test(test_port_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
