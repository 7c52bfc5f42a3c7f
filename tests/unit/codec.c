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

uint8_t codec_vault[16] = "vault for tests";
uint8_t codec_subject[16] = "the subject's id";
uint8_t codec_other[16] = "another subject.";

char *
codec_lend(const char *s)
{
	return (char *)(uintptr_t)s;
}

Pdvault__Rpc__V1__Request *
codec_envelope(enum method_id id, const void *request, const struct pdv_call_options *o)
{
	struct call_request q = {&method_table[id], request, o, 4000};
	Pdvault__Rpc__V1__Request *e;
	struct pdv_result *r;
	struct call *c;
	nng_msg *m;

	assert_int_equal(call_new(&q, &r, &c), PDV_OK);
	bump_check(&r->memory);
	m = call_message(c, 1234);
	assert_non_null(m);
	e = pdvault__rpc__v1__request__unpack(NULL, nng_msg_len(m), nng_msg_body(m));
	assert_non_null(e);
	assert_string_equal(e->method, method_table[id].name);
	assert_int_equal(e->timeout_ms, 1234);
	assert_int_equal(e->idempotency_key.len, method_table[id].mutates ? PDV_KEY_LEN : 0);
	assert_int_equal(r->has_key, method_table[id].mutates);
	call_message_free(m);
	pdv_result_free(r);
	return e;
}

const struct pdv_postal_address codec_home = {
    .label = "home",
    .recipient = "A. Person",
    .organization = "Org",
    .lines = (const char *const[]){"Street 1", "Floor 2"},
    .line_count = 2,
    .locality = "Town ",
    .region = "Region",
    .postal_code = "12345",
    .country = "DE",
};

const struct pdv_identity codec_person = {
    .name = &(const struct pdv_name){.full = "A Person", .given = "A", .family = "Person"},
    .emails = (const char *const[]){"a@example.org", "b@example.org"},
    .email_count = 2,
    .phones = (const char *const[]){"+49 30 1"},
    .phone_count = 1,
    .locale = "de-DE",
    .date_of_birth = "1990-01-31",
    .postal_addresses = &codec_home,
    .postal_address_count = 1,
    .account_ids = (const char *const[]){"x1", "x2", "x3"},
    .account_id_count = 3,
    .attributes = &(const struct pdv_attribute){"tier", "gold"},
    .attribute_count = 1,
};

const struct pdv_billing codec_bill = {
    .legal_name = "Person Ltd",
    .billing_address = &codec_home,
    .tax_id = "DE1",
    .processor = "proc",
    .customer_reference = "cus_1",
    .payment_methods = &(const struct pdv_payment_method){"visa", "4242", 12, 2030, "tok_1"},
    .payment_method_count = 1,
};

struct pdv_result *
codec_read_bytes(enum method_id id, const uint8_t *body, size_t len, const struct method_asked *asked)
{
	struct pdv_result *r = result_new();
	struct reply reply;

	assert_non_null(r);
	if (reply_open(r, body, len, &reply) && r->code == PDV_OK)
		reply_take(r, &method_table[id], asked, &reply);
	bump_check(&r->memory);
	return r;
}

struct pdv_result *
codec_read(enum method_id id, const ProtobufCMessage *m, const struct method_asked *asked)
{
	Pdvault__Rpc__V1__Response e = PDVAULT__RPC__V1__RESPONSE__INIT;
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *body = malloc(len + 1), *out;
	struct pdv_result *r;

	protobuf_c_message_pack(m, body);
	e.epoch = 9;
	e.vault = (ProtobufCBinaryData){16, codec_vault};
	e.message = (ProtobufCBinaryData){len, body};
	len = pdvault__rpc__v1__response__get_packed_size(&e);
	out = malloc(len);
	pdvault__rpc__v1__response__pack(&e, out);
	r = codec_read_bytes(id, out, len, asked);
	sodium_memzero(body, e.message.len);
	sodium_memzero(out, len);
	free(body);
	free(out);
	return r;
}

const struct method_asked codec_nothing;
