#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pdvault/v1/vault.pb-c.h"
#include "server/rpc/envelope.h"

#define TEXT(s) s, sizeof(s) - 1

/* What protobuf-c packs is read back the same. */
static void
test_decode(void **state)
{
	Pdvault__Rpc__V1__Request q;
	uint8_t key[] = "0123456789abcdef", message[] = { 0, 1, 2 }, packed[512];
	char method[] = "/pdvault.v1.Vault/GetIdentity", purpose[] = "billing", trace[] = "00-x";
	struct envelope e;
	size_t len;

	(void)state;
	pdvault__rpc__v1__request__init(&q);
	q.method = method;
	q.message = (ProtobufCBinaryData){ sizeof(message), message };
	q.timeout_ms = 1234567;
	q.idempotency_key = (ProtobufCBinaryData){ 16, key };
	q.purpose = purpose;
	q.traceparent = trace;
	len = pdvault__rpc__v1__request__pack(&q, packed);
	assert_int_equal(envelope_decode(bytes_of(packed, len), &e), STATUS_OK);
	assert_int_equal(e.method.len, strlen(method));
	assert_memory_equal(e.method.p, method, e.method.len);
	assert_int_equal(e.message.len, sizeof(message));
	assert_memory_equal(e.message.p, message, sizeof(message));
	assert_int_equal(e.timeout_ms, 1234567);
	assert_int_equal(e.key.len, 16);
	assert_memory_equal(e.key.p, key, 16);
	assert_int_equal(e.purpose.len, strlen(purpose));
	assert_int_equal(e.traceparent.len, strlen(trace));
	assert_true(e.method.p > packed && e.traceparent.p + e.traceparent.len <= packed + len);
	assert_int_equal(envelope_decode(bytes_of(packed, 0), &e), STATUS_OK);
	assert_int_equal(e.method.len + e.message.len + e.key.len + e.timeout_ms, 0);
}

static void
test_malformed(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum status want;
	} rows[] = {
		{ TEXT("\x0a\x01/"), STATUS_OK },
		{ TEXT("\x0a\x02/"), STATUS_MALFORMED },
		{ TEXT("\x0a\x01/\x0a\x01/"), STATUS_MALFORMED },	/* twice */
		{ TEXT("\x0a\x01\x00"), STATUS_MALFORMED },
		{ TEXT("\x0a\x01\xff"), STATUS_MALFORMED },
		{ TEXT("\x08\x01"), STATUS_MALFORMED },			/* a number */
		{ TEXT("\x1a\x01" "1"), STATUS_MALFORMED },		/* not a number */
		{ TEXT("\x2a\x01\n"), STATUS_MALFORMED },
		{ TEXT("\x12\x01\x00"), STATUS_OK },
		{ TEXT("\x07"), STATUS_MALFORMED },
		{ TEXT("\x38\x01"), STATUS_OK },			/* unknown */
	};
	struct envelope e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (envelope_decode(bytes_of(rows[i].bytes, rows[i].len), &e) != rows[i].want)
			fail_msg("row %zu", i);
	}
}

/* Each limit at n - 1, n and n + 1. */
static void
test_limits(void **state)
{
	static const struct {
		uint8_t tag;
		size_t max;
	} rows[] = {
		{ 0x0a, ENVELOPE_METHOD_MAX }, { 0x22, ENVELOPE_KEY_MAX },
		{ 0x2a, ENVELOPE_PURPOSE_MAX }, { 0x32, ENVELOPE_TRACEPARENT_MAX },
	};
	uint8_t bytes[256];
	struct envelope e;
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (len = rows[i].max - 1; len <= rows[i].max + 1; len++) {
			size_t n = 0;

			bytes[n++] = rows[i].tag;
			bytes[n++] = (uint8_t)(len | (len >= 0x80 ? 0x80 : 0));
			if (len >= 0x80)
				bytes[n++] = (uint8_t)(len >> 7);
			memset(bytes + n, 'x', len);
			assert_int_equal(envelope_decode(bytes_of(bytes, n + len), &e),
			    len <= rows[i].max ? STATUS_OK : STATUS_MALFORMED);
		}
	}
	for (len = ENVELOPE_UNKNOWN_MAX - 1; len <= ENVELOPE_UNKNOWN_MAX + 1; len++) {
		for (i = 0; i < len; i++)
			memcpy(bytes + 2 * i, "\x78\x01", 2);
		assert_int_equal(envelope_decode(bytes_of(bytes, 2 * len), &e),
		    len <= ENVELOPE_UNKNOWN_MAX ? STATUS_OK : STATUS_MALFORMED);
	}
}

/* Packs and reads back by protobuf-c; the caller frees. */
static Pdvault__Rpc__V1__Response *
round_trip(const struct envelope_answer *a)
{
	struct envelope_packing p;
	size_t len = envelope_measure(a, &p);
	uint8_t *bytes = malloc(len);	/* so that ASan sees a byte too many */
	Pdvault__Rpc__V1__Response *r;

	assert_non_null(bytes);
	envelope_pack(&p, bytes);
	r = pdvault__rpc__v1__response__unpack(NULL, len, bytes);
	assert_non_null(r);
	free(bytes);
	return r;
}

static void
test_answer(void **state)
{
	static const size_t sizes[] = { 0, 1, 120, 127, 128, 16384, 300000 };
	Pdvault__V1__GetSubjectResponse m = PDVAULT__V1__GET_SUBJECT_RESPONSE__INIT, *got;
	struct call c = { .response = &m.base };
	struct envelope_answer a = { .call = &c, .epoch = 1u << 20,
		.vault = bytes_of("0123456789abcdef", 16) };
	Pdvault__Rpc__V1__Response *r;
	size_t i;

	(void)state;
	assert_non_null(m.subject.data = calloc(1, sizes[6]));
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		m.subject.len = sizes[i];
		r = round_trip(&a);
		assert_int_equal(r->code, 0);
		assert_string_equal(r->reason, "");
		assert_string_equal(r->detail, "");
		assert_int_equal(r->epoch, 1u << 20);
		assert_memory_equal(r->vault.data, "0123456789abcdef", 16);
		got = pdvault__v1__get_subject_response__unpack(
		    NULL, r->message.len, r->message.data);
		assert_int_equal(got->subject.len, sizes[i]);
		pdvault__v1__get_subject_response__free_unpacked(got, NULL);
		pdvault__rpc__v1__response__free_unpacked(r, NULL);
	}
	free(m.subject.data);
}

/* Every status: its own code, reason and text, never a message, and violations. */
static void
test_refusals(void **state)
{
	Pdvault__V1__GetSubjectResponse m = PDVAULT__V1__GET_SUBJECT_RESPONSE__INIT;
	struct call c = { .response = &m.base };
	struct envelope_answer a = { .call = &c, .vault = bytes_of("0123456789abcdef", 16) };
	Pdvault__Rpc__V1__Response *r;
	unsigned s, i;

	(void)state;
	m.state = PDVAULT__V1__SUBJECT_STATE__ACTIVE;
	for (i = 0; i < CALL_VIOLATIONS_MAX + 3; i++)
		assert_int_equal(call_violates(&c, "A_RULE", "field[%u]", i), STATUS_INVALID);
	assert_int_equal(c.violation_count, CALL_VIOLATIONS_MAX);
	for (s = STATUS_OK + 1; s < STATUS_COUNT; s++) {
		a.status = (enum status)s;
		r = round_trip(&a);
		assert_int_equal(r->code, status_code(a.status));
		assert_string_equal(r->reason, status_reason(a.status));
		assert_string_equal(r->detail, status_text(a.status));
		assert_int_equal(r->message.len, 0);
		assert_int_equal(r->n_violations, CALL_VIOLATIONS_MAX);
		assert_string_equal(r->violations[15]->field, "field[15]");
		assert_string_equal(r->violations[15]->rule, "A_RULE");
		pdvault__rpc__v1__response__free_unpacked(r, NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
