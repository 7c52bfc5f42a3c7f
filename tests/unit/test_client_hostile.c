/* Answers that a rogue server may send, and what stays of them in memory. */
#include <fcntl.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

#include "codec.h"

/* The initialisers that protoc-c writes drop a const, which clang sees in the user's file. */
#pragma GCC diagnostic ignored "-Wcast-qual"

/* --- wiping --- */

#define MARK_LEN 24

/* Written without any copy of it in memory but where it is asked for. */
static void
mark(char out[static MARK_LEN + 1])
{
	size_t i;

	for (i = 0; i < MARK_LEN; i++)
		out[i] = (char)('A' + (i * 7 + 3) % 26);
	out[MARK_LEN] = '\0';
}

static int
is_mark(const uint8_t *p)
{
	size_t i;

	for (i = 0; i < MARK_LEN; i++) {
		if (p[i] != (uint8_t)('A' + (i * 7 + 3) % 26))
			return 0;
	}
	return 1;
}

static int
count_in(const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;
	int found = 0;

	while ((p = memchr(p, 'D', (size_t)(end - p))) != NULL && end - p >= MARK_LEN)
		found += is_mark(p++);
	return found;
}

/*
 * How often the mark is in this process's writable memory, freed parts included. Not on the
 * stack: what functions and the dynamic linker leave there is the program's to care for.
 */
static int
count_marks(void)
{
	static uint8_t page[1 << 16];
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY), found = 0;
	unsigned long from, to, at;
	char line[512], mode[8];
	ssize_t n;

	assert_non_null(maps);
	assert_true(mem >= 0);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[1] != 'w' ||
		    to - from > 1ul << 28 || strstr(line, "[stack]") != NULL)
			continue;
		for (at = from; at < to; at += sizeof(page) - MARK_LEN) {
			size_t want = to - at < sizeof(page) ? to - at : sizeof(page);

			n = pread(mem, page, want, (off_t)at);
			/* Its own copy does not count. */
			if (n > 0 && (at >= (unsigned long)page + sizeof(page) ||
					 at + (unsigned long)n <= (unsigned long)page))
				found += count_in(page, (size_t)n);
		}
		sodium_memzero(page, sizeof(page));
	}
	close(mem);
	fclose(maps);
	return found;
}

static void
test_result_wiped(void **state)
{
	Pdvault__V1__GetIdentityResponse m = PDVAULT__V1__GET_IDENTITY_RESPONSE__INIT;
	Pdvault__V1__Identity id = PDVAULT__V1__IDENTITY__INIT;
	char secret[MARK_LEN + 1];
	struct pdv_result *r;

	(void)state;
	mark(secret);
	m.identity = &id;
	id.locale = secret;
	r = codec_read(METHOD_GET_IDENTITY, &m.base, &codec_nothing);
	sodium_memzero(secret, sizeof(secret));
	assert_int_equal(pdv_result_code(r), PDV_OK);
	assert_true(count_marks() > 0);
	pdv_result_free(r);
	assert_int_equal(count_marks(), 0);
}

/* The same where the answer needs more memory than the first block has. */
static void
test_large_result_wiped(void **state)
{
	Pdvault__V1__GetIdentityResponse m = PDVAULT__V1__GET_IDENTITY_RESPONSE__INIT;
	Pdvault__V1__Identity id = PDVAULT__V1__IDENTITY__INIT;
	char secret[MARK_LEN + 1], *emails[1000];
	struct pdv_result *r;
	size_t i;

	(void)state;
	mark(secret);
	for (i = 0; i < 1000; i++)
		emails[i] = secret;
	m.identity = &id;
	id.emails = emails;
	id.n_emails = 1000;
	r = codec_read(METHOD_GET_IDENTITY, &m.base, &codec_nothing);
	sodium_memzero(secret, sizeof(secret));
	assert_int_equal(pdv_result_identity(r)->email_count, 1000);
	assert_true(count_marks() >= 1000);
	pdv_result_free(r);
	assert_int_equal(count_marks(), 0);
}

static void
test_request_wiped(void **state)
{
	struct pdv_lookup l = {PDV_BY_EMAIL, NULL};
	struct call_request q = {&method_table[METHOD_FIND_SUBJECT], &l, NULL, 1000};
	char secret[MARK_LEN + 1];
	struct pdv_result *r;
	struct call *c;
	nng_msg *m;

	(void)state;
	mark(secret);
	l.value = secret;
	assert_int_equal(call_new(&q, &r, &c), PDV_OK);
	sodium_memzero(secret, sizeof(secret));
	m = call_message(c, 1000);
	assert_true(count_marks() > 1);
	call_message_free(m);
	call_settle(c); /* while the result lives on */
	assert_int_equal(count_marks(), 0);
	pdv_result_free(r);
}

/* --- hostile answers --- */

static struct pdv_result *
read_envelope(Pdvault__Rpc__V1__Response *e)
{
	size_t len = pdvault__rpc__v1__response__get_packed_size(e);
	uint8_t *out = malloc(len + 1);
	struct pdv_result *r;

	pdvault__rpc__v1__response__pack(e, out);
	r = codec_read_bytes(METHOD_GET_IDENTITY, out, len, &codec_nothing);
	free(out);
	return r;
}

static void
expect(struct pdv_result *r, enum pdv_code code, const char *reason)
{
	assert_int_equal(pdv_result_code(r), code);
	assert_string_equal(pdv_result_reason(r), reason);
	if (code != PDV_OK)
		assert_null(pdv_result_identity(r));
	pdv_result_free(r);
}

static void
test_envelope_refusal(void **state)
{
	Pdvault__Rpc__V1__Response e = PDVAULT__RPC__V1__RESPONSE__INIT;
	Pdvault__Rpc__V1__Violation v = PDVAULT__RPC__V1__VIOLATION__INIT;
	Pdvault__Rpc__V1__Violation *list[] = {&v};
	const struct pdv_violation *got;
	struct pdv_result *r;
	size_t n;

	(void)state;
	e.code = PDV_INVALID_ARGUMENT;
	e.reason = codec_lend("FIELD_INVALID");
	e.detail = codec_lend("a field breaks a rule");
	v.field = codec_lend("identity.emails[1]");
	v.rule = codec_lend("TOO_LONG");
	e.violations = list;
	e.n_violations = 1;
	e.retry_after_ms = 77;
	e.epoch = 3;
	e.vault = (ProtobufCBinaryData){16, codec_vault};
	r = read_envelope(&e);
	got = pdv_result_violations(r, &n);
	assert_int_equal(n, 1);
	assert_string_equal(got[0].field, "identity.emails[1]");
	assert_string_equal(got[0].rule, "TOO_LONG");
	assert_string_equal(pdv_result_detail(r), "a field breaks a rule");
	assert_int_equal(pdv_result_retry_after_ms(r), 77);
	expect(r, PDV_INVALID_ARGUMENT, "FIELD_INVALID");
	e.code = 999;
	expect(read_envelope(&e), PDV_UNKNOWN, "FIELD_INVALID");
}

static void
test_envelope_malformed(void **state)
{
	static char detail[REPLY_DETAIL_MAX + 2];
	Pdvault__Rpc__V1__Response good = PDVAULT__RPC__V1__RESPONSE__INIT, e;

	(void)state;
	good.code = PDV_NOT_FOUND;
	good.reason = codec_lend("SUBJECT_UNKNOWN");
	good.epoch = 3;
	good.vault = (ProtobufCBinaryData){16, codec_vault};
	expect(read_envelope(&good), PDV_NOT_FOUND, "SUBJECT_UNKNOWN");
	e = good;
	e.reason = codec_lend("lower case");
	expect(read_envelope(&e), PDV_DATA_LOSS, PDV_REASON_MALFORMED);
	e = good;
	e.detail = codec_lend("\x1b[2J"); /* a terminal would obey */
	expect(read_envelope(&e), PDV_DATA_LOSS, PDV_REASON_MALFORMED);
	e = good;
	memset(detail, 'd', sizeof(detail) - 1);
	e.detail = detail;
	expect(read_envelope(&e), PDV_DATA_LOSS, PDV_REASON_MALFORMED);
	detail[REPLY_DETAIL_MAX] = '\0';
	expect(read_envelope(&e), PDV_NOT_FOUND, "SUBJECT_UNKNOWN");
	e = good;
	e.vault.len = 15;
	expect(read_envelope(&e), PDV_DATA_LOSS, PDV_REASON_MALFORMED);
	e = good;
	e.vault.len = 0; /* an epoch of nobody */
	expect(read_envelope(&e), PDV_DATA_LOSS, PDV_REASON_MALFORMED);
	e.epoch = 0;
	expect(read_envelope(&e), PDV_NOT_FOUND, "SUBJECT_UNKNOWN");
	e.code = PDV_OK; /* an answer of nobody */
	expect(read_envelope(&e), PDV_DATA_LOSS, PDV_REASON_MALFORMED);
	e = good;
	e.message = (ProtobufCBinaryData){3, codec_vault}; /* a refusal with data */
	expect(read_envelope(&e), PDV_DATA_LOSS, PDV_REASON_MALFORMED);
	e = good;
	e.code = PDV_OK;
	e.message = (ProtobufCBinaryData){3, codec_vault}; /* not a message */
	expect(read_envelope(&e), PDV_DATA_LOSS, PDV_REASON_MALFORMED);
	expect(codec_read_bytes(METHOD_GET_IDENTITY, (const uint8_t *)"", 0, &codec_nothing),
	    PDV_DATA_LOSS, PDV_REASON_MALFORMED);
}

/* Strings that protobuf-c would take as they come. */
static void
test_strings_malformed(void **state)
{
	static const char *const bad[] = {"\xff", "\xc0\x80", "\xed\xa0\x80", "abc\xe2\x82"};
	Pdvault__V1__GetIdentityResponse m = PDVAULT__V1__GET_IDENTITY_RESPONSE__INIT;
	Pdvault__V1__Identity id = PDVAULT__V1__IDENTITY__INIT;
	/* OK, epoch 1, a vault; message: identity { locale: "a\0b" } */
	static const uint8_t nul[] = {0x30, 1, 0x42, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
	    13, 14, 15, 16, 0x3a, 7, 0x0a, 5, 0x22, 3, 'a', 0, 'b'};
	size_t i;

	(void)state;
	m.identity = &id;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		id.locale = codec_lend(bad[i]);
		expect(codec_read(METHOD_GET_IDENTITY, &m.base, &codec_nothing), PDV_DATA_LOSS,
		    PDV_REASON_MALFORMED);
	}
	id.locale = codec_lend("\xe2\x82\xac");
	expect(codec_read(METHOD_GET_IDENTITY, &m.base, &codec_nothing), PDV_OK, "");
	expect(codec_read_bytes(METHOD_GET_IDENTITY, nul, sizeof(nul), &codec_nothing), PDV_DATA_LOSS,
	    PDV_REASON_MALFORMED);
}

/* A body that unpacks to many times its size ends at the budget. */
static void
test_amplification(void **state)
{
	size_t len = 1000000, i;
	uint8_t *body = malloc(len + 30);
	size_t at = 0;

	(void)state;
	body[at++] = 0x30;
	body[at++] = 1;
	body[at++] = 0x42;
	body[at++] = 16;
	memset(body + at, 7, 16);
	at += 16;
	body[at++] = 0x3a; /* message of len bytes */
	for (i = len; i > 127; i >>= 7)
		body[at++] = (uint8_t)(0x80 | (i & 0x7f));
	body[at++] = (uint8_t)i;
	for (i = 0; i < len; i += 2) { /* a million empty outcomes */
		body[at++] = 0x0a;
		body[at++] = 0;
	}
	expect(codec_read_bytes(METHOD_BATCH_GET_IDENTITY, body, at, &codec_nothing), PDV_DATA_LOSS,
	    PDV_REASON_ANSWER_TOO_LARGE);
	free(body);
}

/* Every prefix, every single-bit change, and noise: never more than a refusal. */
static void
test_mutations(void **state)
{
	static const uint8_t good[] = {0x30, 1, 0x42, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
	    13, 14, 15, 16, 0x3a, 22, 0x0a, 15, 0x0a, 4, 0x0a, 2, 'a', 'b', 0x12, 2, 'c', 'd',
	    0x22, 3, 'd', 'e', '-', 0x12, 3, 'x', 'y', 'z'};
	uint8_t copy[sizeof(good)], noise[300];
	size_t i, n;
	int id;

	(void)state;
	pdv_result_free(codec_read_bytes(METHOD_GET_IDENTITY, good, sizeof(good), &codec_nothing));
	for (id = 0; id < METHOD_COUNT; id++) {
		struct method_asked asked = {codec_subject, 1};

		for (i = 0; i < sizeof(good); i++)
			pdv_result_free(codec_read_bytes((enum method_id)id, good, i, &asked));
		for (i = 0; i < sizeof(good) * 8; i++) {
			memcpy(copy, good, sizeof(good));
			copy[i / 8] ^= (uint8_t)(1 << i % 8);
			pdv_result_free(
			    codec_read_bytes((enum method_id)id, copy, sizeof(copy), &asked));
		}
		for (i = 0; i < 2000; i++) {
			n = randombytes_uniform(sizeof(noise) - 22);
			randombytes_buf(noise, sizeof(noise));
			if (n > 0 && n < 128) { /* inside a good envelope */
				memcpy(noise, good, 20);
				noise[20] = 0x3a;
				noise[21] = (uint8_t)n;
				n += 22;
			}
			pdv_result_free(codec_read_bytes((enum method_id)id, noise, n, &asked));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_result_wiped),
	    cmocka_unit_test(test_large_result_wiped),
	    cmocka_unit_test(test_request_wiped),
	    cmocka_unit_test(test_envelope_refusal),
	    cmocka_unit_test(test_envelope_malformed),
	    cmocka_unit_test(test_strings_malformed),
	    cmocka_unit_test(test_amplification),
	    cmocka_unit_test(test_mutations),
	};

	if (sodium_init() < 0)
		return 1;
	/* Now, since threads are born with the registers of who starts them. */
	nng_msleep(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
