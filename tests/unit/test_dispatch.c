/*
 * From bytes to a call, without a socket: the checks and their order.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"
#include "pdvault/v1/vault.pb-c.h"
#include "server/rpc/dispatch.h"

#define MS UINT64_C(1000000)
#define ARRIVED (1000 * MS)

BED_WRITER

struct setting {
	struct access *access;
	struct dispatch *dispatch;
	struct call call;
};

static void
open_setting(struct setting *s)
{
	struct dispatch_options o = { .methods = bed_methods, .method_count = bed_method_count,
		.default_timeout_ms = 50, .max_timeout_ms = 400 };

	s->access = bed_access();
	o.access = s->access;
	assert_int_equal(dispatch_new(&o, &s->dispatch), STATUS_OK);
	s->call = (struct call){ .arrived_ns = ARRIVED };
	assert_non_null(s->call.arena = arena_new());
}

static void
close_setting(struct setting *s)
{
	arena_free(s->call.arena);
	dispatch_free(s->dispatch);
	access_free(s->access);
}

static enum status
ask(struct setting *s, const struct bed_question *q, int principal)
{
	size_t len;
	uint8_t *bytes = bed_pack(q, &len);
	enum status rc = dispatch_request(s->dispatch, bytes_of(bytes, len), principal, &s->call);

	free(bytes);
	return rc;
}

static void
test_find(void **state)
{
	struct setting s;
	unsigned i;

	(void)state;
	open_setting(&s);
	for (i = 0; i < bed_method_count; i++)
		assert_int_equal(dispatch_find(s.dispatch,
		    bytes_of(bed_names[i], strlen(bed_names[i]))), i);
	assert_int_equal(dispatch_find(s.dispatch, bytes_of("", 0)), bed_method_count);
	assert_int_equal(dispatch_find(s.dispatch, bytes_of(NULL, 0)), bed_method_count);
	assert_int_equal(dispatch_find(s.dispatch, bytes_of("/test.v1.Test/Ech", 17)),
	    bed_method_count);
	assert_int_equal(dispatch_find(s.dispatch, bytes_of("/test.v1.Test/Echo2", 19)),
	    bed_method_count);
	assert_int_equal(dispatch_find(s.dispatch, bytes_of("/test.v1.Test/Z", 15)),
	    bed_method_count);
	close_setting(&s);
}

/*
 * Each row breaks one more rule than the row below it: the first one is what is answered,
 * so nobody learns about a message from a method that he may not call.
 */
static void
test_order(void **state)
{
	static const struct {
		const char *method;
		int principal;
		size_t key_len;
		const char *message;
		enum status want;
	} rows[] = {
		{ "/test.v1.Test/\n", ACCESS_NONE, 3, "\x0a", STATUS_MALFORMED },
		{ "/test.v1.Test/None", ACCESS_NONE, 3, "\x0a", STATUS_NO_METHOD },
		{ "/test.v1.Test/Write", ACCESS_NONE, 3, "\x0a", STATUS_NOT_A_PRINCIPAL },
		{ "/test.v1.Test/Secret", 0, 3, "\x0a", STATUS_DENIED },
		{ "/test.v1.Test/Write", 0, 3, "\x0a", STATUS_KEY_MISSING },
		{ "/test.v1.Test/Write", 0, 16, "\x0a", STATUS_MALFORMED },
		{ "/test.v1.Test/Rule", 0, 0, "\x0a", STATUS_MALFORMED },
		{ "/test.v1.Test/Rule", 0, 0, "", STATUS_INVALID },
		{ "/test.v1.Test/Write", 0, 16, "", STATUS_OK },
	};
	struct setting s;
	size_t i;

	(void)state;
	open_setting(&s);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bed_question q = { .method = rows[i].method, .key_len = rows[i].key_len,
			.message = rows[i].message, .message_len = strlen(rows[i].message) };
		enum status rc = ask(&s, &q, rows[i].principal);

		if (rc != rows[i].want)
			fail_msg("row %zu: %s", i, status_reason(rc));
		assert_int_equal(s.call.method_index, s.call.method == NULL ? bed_method_count
		    : (unsigned)(s.call.method - bed_methods));
	}
	close_setting(&s);
}

static void
test_call(void **state)
{
	static const struct bed_question q = { .method = "/test.v1.Test/Write", .subject = "xyz",
		.subject_len = 3, .key_len = 16 };
	const Pdvault__V1__GetIdentityRequest *m;
	struct setting s;

	(void)state;
	open_setting(&s);
	s.call.violation_count = 5;	/* left over from the request before */
	assert_int_equal(ask(&s, &q, 0), STATUS_OK);
	assert_string_equal(s.call.principal, "backend");
	assert_memory_equal(s.call.idempotency_key, "key of a request", CALL_KEY_LEN);
	assert_int_equal(s.call.violation_count, 0);
	assert_null(s.call.response);
	m = (const void *)s.call.request;
	assert_int_equal(m->subject.len, 3);
	assert_memory_equal(m->subject.data, "xyz", 3);
	close_setting(&s);
}

static void
test_deadline(void **state)
{
	static const struct {
		uint32_t timeout_ms, want_ms;
	} rows[] = { { 0, 50 }, { 1, 1 }, { 399, 399 }, { 400, 400 }, { 401, 400 },
		{ UINT32_MAX, 400 } };
	struct setting s;
	size_t i;

	(void)state;
	open_setting(&s);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bed_question q = { .method = "/test.v1.Test/Echo",
			.timeout_ms = rows[i].timeout_ms };

		assert_int_equal(ask(&s, &q, 0), STATUS_OK);
		assert_int_equal(s.call.deadline_ns, ARRIVED + rows[i].want_ms * MS);
	}
	close_setting(&s);
}

/* A rule broken on the wire names field and rule; the method's own rules come later. */
static void
test_violation(void **state)
{
	struct bed_question q = { .method = "/test.v1.Test/Rule", .message = "\x0a\x00\x0a\x00",
		.message_len = 4 };
	struct setting s;

	(void)state;
	open_setting(&s);
	assert_int_equal(ask(&s, &q, 0), STATUS_INVALID);
	assert_int_equal(s.call.violation_count, 1);
	assert_string_equal(s.call.violations[0].field, "subject");
	assert_string_equal(s.call.violations[0].rule, "DUPLICATE_FIELD");
	close_setting(&s);
}

/* What needs more memory than one request may have is refused, and the next one is not. */
static void
test_budget(void **state)
{
	struct bed_question q = { .method = "/test.v1.Test/Echo", .subject_len = ARENA_BUDGET };
	struct setting s;

	(void)state;
	open_setting(&s);
	assert_non_null(q.subject = calloc(1, ARENA_BUDGET));
	assert_int_equal(ask(&s, &q, 0), STATUS_NO_MEMORY);
	arena_reset(s.call.arena);
	q.subject_len = ARENA_BUDGET / 4;
	assert_int_equal(ask(&s, &q, 0), STATUS_OK);
	free((void *)(uintptr_t)q.subject);
	close_setting(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_call),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_violation),
		cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
