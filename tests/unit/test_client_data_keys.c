/* Requests and answers of data keys: every field, every limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "codec.h"

/* The initialisers that protoc-c writes drop a const, which clang sees in the user's file. */
#pragma GCC diagnostic ignored "-Wcast-qual"

static uint8_t bytes[PDV_CONTEXT_MAX + 2];

static void
begun(enum method_id id, const void *request, bool good)
{
	struct call_request q = {&method_table[id], request, NULL, 4000};
	struct pdv_result *r;
	struct call *c;

	assert_int_equal(call_new(&q, &r, &c), good ? PDV_OK : PDV_INVALID_ARGUMENT);
	assert_string_equal(pdv_result_reason(r), good ? "" : PDV_REASON_INVALID);
	pdv_result_free(r);
}

static void
test_ask_generate(void **state)
{
	struct pdv_data_key_request q = {.category = PDV_CATEGORY_USAGE,
	    .context = (const uint8_t *)"a\0b", .context_length = 3, .count = 7};
	Pdvault__V1__GenerateDataKeysRequest *m;
	Pdvault__Rpc__V1__Request *e;

	(void)state;
	memcpy(q.subject.bytes, codec_subject, PDV_ID_LEN);
	e = codec_envelope(METHOD_GENERATE_DATA_KEYS, &q, NULL);
	m = pdvault__v1__generate_data_keys_request__unpack(NULL, e->message.len, e->message.data);
	assert_memory_equal(m->subject.data, codec_subject, PDV_ID_LEN);
	assert_int_equal(m->category, PDVAULT__V1__CATEGORY__USAGE);
	assert_int_equal(m->context.len, 3);
	assert_memory_equal(m->context.data, "a\0b", 3);
	assert_int_equal(m->count, 7);
	pdvault__v1__generate_data_keys_request__free_unpacked(m, NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);
	for (uint32_t n = 0; n <= PDV_DATA_KEYS_MAX + 1; n++) {
		q.count = n;
		begun(METHOD_GENERATE_DATA_KEYS, &q, n >= 1 && n <= PDV_DATA_KEYS_MAX);
	}
	q.count = 1;
	q.context = bytes;
	for (size_t n = PDV_CONTEXT_MAX - 1; n <= PDV_CONTEXT_MAX + 1; n++) {
		q.context_length = n;
		begun(METHOD_GENERATE_DATA_KEYS, &q, n <= PDV_CONTEXT_MAX);
	}
	q.context = NULL;
	q.context_length = 1;
	begun(METHOD_GENERATE_DATA_KEYS, &q, false);
	q.context_length = 0;
	begun(METHOD_GENERATE_DATA_KEYS, &q, true);
}

static void
test_ask_open(void **state)
{
	static struct pdv_wrapped_key list[PDV_DATA_KEYS_MAX + 1];
	struct pdv_data_key_opening q = {
	    .category = PDV_CATEGORY_CONTENT, .wrapped = list, .count = 2};
	Pdvault__V1__OpenDataKeysRequest *m;
	Pdvault__Rpc__V1__Request *e;

	(void)state;
	memcpy(q.subject.bytes, codec_subject, PDV_ID_LEN);
	list[1] = (struct pdv_wrapped_key){(const uint8_t *)"wrapped", 7};
	e = codec_envelope(METHOD_OPEN_DATA_KEYS, &q, NULL);
	m = pdvault__v1__open_data_keys_request__unpack(NULL, e->message.len, e->message.data);
	assert_memory_equal(m->subject.data, codec_subject, PDV_ID_LEN);
	assert_int_equal(m->category, PDVAULT__V1__CATEGORY__CONTENT);
	assert_int_equal(m->n_wrapped, 2);
	assert_int_equal(m->wrapped[0].len, 0);
	assert_memory_equal(m->wrapped[1].data, "wrapped", 7);
	pdvault__v1__open_data_keys_request__free_unpacked(m, NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);
	for (size_t n = 0; n <= PDV_DATA_KEYS_MAX + 1; n++) {
		q.count = n;
		begun(METHOD_OPEN_DATA_KEYS, &q, n >= 1 && n <= PDV_DATA_KEYS_MAX);
	}
	q.count = 1;
	list[0].bytes = bytes;
	for (size_t n = PDV_WRAPPED_KEY_MAX - 1; n <= PDV_WRAPPED_KEY_MAX + 1; n++) {
		list[0].length = n;
		begun(METHOD_OPEN_DATA_KEYS, &q, n <= PDV_WRAPPED_KEY_MAX);
	}
	list[0] = (struct pdv_wrapped_key){NULL, 1};
	begun(METHOD_OPEN_DATA_KEYS, &q, false);
	q.wrapped = NULL;
	begun(METHOD_OPEN_DATA_KEYS, &q, false);
}

static void
test_generated(void **state)
{
	Pdvault__V1__GenerateDataKeysResponse m = PDVAULT__V1__GENERATE_DATA_KEYS_RESPONSE__INIT;
	Pdvault__V1__DataKey k[2] = {PDVAULT__V1__DATA_KEY__INIT, PDVAULT__V1__DATA_KEY__INIT};
	Pdvault__V1__DataKey *list[] = {&k[0], &k[1]};
	struct method_asked asked = {.items = 2};
	const struct pdv_data_key *got;
	struct pdv_result *r;
	size_t n;

	(void)state;
	m.keys = list;
	m.n_keys = 2;
	for (int i = 0; i < 2; i++) {
		memset(bytes, 'k', sizeof(bytes));
		k[i].key = (ProtobufCBinaryData){PDV_DATA_KEY_LEN, bytes};
		k[i].wrapped = (ProtobufCBinaryData){PDV_WRAPPED_KEY_MAX, bytes};
	}
	r = codec_read(METHOD_GENERATE_DATA_KEYS, &m.base, &asked);
	got = pdv_result_data_keys(r, &n);
	assert_int_equal(n, 2);
	assert_memory_equal(got[1].key, bytes, PDV_DATA_KEY_LEN);
	assert_int_equal(got[1].wrapped.length, PDV_WRAPPED_KEY_MAX);
	assert_memory_equal(got[1].wrapped.bytes, bytes, PDV_WRAPPED_KEY_MAX);
	assert_null(pdv_result_data_key_outcomes(r, &n));
	pdv_result_free(r);
	/* Not as many as were asked for; a key or a wrapped form of a wrong length. */
	for (int i = 0; i < 5; i++) {
		asked.items = i == 0 ? 1 : 2;
		m.n_keys = i == 1 ? 1 : 2;
		k[0].key.len = i == 2 ? PDV_DATA_KEY_LEN - 1 : PDV_DATA_KEY_LEN;
		k[0].wrapped.len = i == 3 ? 0 : i == 4 ? PDV_WRAPPED_KEY_MAX + 1 : 5;
		r = codec_read(METHOD_GENERATE_DATA_KEYS, &m.base, &asked);
		assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
		assert_null(pdv_result_data_keys(r, &n));
		assert_int_equal(n, 0);
		pdv_result_free(r);
	}
}

static void
test_opened(void **state)
{
	Pdvault__V1__OpenDataKeysResponse m = PDVAULT__V1__OPEN_DATA_KEYS_RESPONSE__INIT;
	Pdvault__V1__DataKeyOutcome o[2] = {
	    PDVAULT__V1__DATA_KEY_OUTCOME__INIT, PDVAULT__V1__DATA_KEY_OUTCOME__INIT};
	Pdvault__V1__DataKeyOutcome *list[] = {&o[0], &o[1]};
	struct method_asked asked = {.items = 2};
	const struct pdv_data_key_outcome *got;
	struct pdv_result *r;
	size_t n;

	(void)state;
	m.outcomes = list;
	m.n_outcomes = 2;
	o[0].key = (ProtobufCBinaryData){PDV_DATA_KEY_LEN, bytes};
	o[0].rewrapped = (ProtobufCBinaryData){9, bytes};
	o[1].code = PDV_INVALID_ARGUMENT;
	o[1].reason = codec_lend("DATA_KEY_INVALID");
	r = codec_read(METHOD_OPEN_DATA_KEYS, &m.base, &asked);
	got = pdv_result_data_key_outcomes(r, &n);
	assert_int_equal(n, 2);
	assert_int_equal(got[0].code, PDV_OK);
	assert_null(got[0].reason);
	assert_memory_equal(got[0].key, bytes, PDV_DATA_KEY_LEN);
	assert_int_equal(got[0].rewrapped.length, 9);
	assert_int_equal(got[1].code, PDV_INVALID_ARGUMENT);
	assert_string_equal(got[1].reason, "DATA_KEY_INVALID");
	assert_null(got[1].key);
	pdv_result_free(r);
	for (int i = 0; i < 4; i++) {
		asked.items = i == 0 ? 3 : 2;
		m.n_outcomes = i == 1 ? 1 : 2;
		o[0].key.len = i == 2 ? 0 : PDV_DATA_KEY_LEN;
		o[0].rewrapped.len = i == 3 ? PDV_WRAPPED_KEY_MAX + 1 : 0;
		r = codec_read(METHOD_OPEN_DATA_KEYS, &m.base, &asked);
		assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
		assert_null(pdv_result_data_key_outcomes(r, &n));
		pdv_result_free(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ask_generate),
	    cmocka_unit_test(test_ask_open),
	    cmocka_unit_test(test_generated),
	    cmocka_unit_test(test_opened),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
