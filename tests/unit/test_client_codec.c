/* The client's codec: every field both ways, and answers that a rogue server may send. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/call.h"
#include "client/reply.h"
#include "pdvault/rpc/v1/rpc.pb-c.h"
#include "pdvault/v1/admin.pb-c.h"
#include "pdvault/v1/health.pb-c.h"
#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"

static uint8_t vault_id[16] = "vault for tests";
static uint8_t subject_id[16] = "the subject's id";
static uint8_t other_id[16] = "another subject.";

static char *
lend(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* --- requests --- */

/* The envelope of a request of method ${id}; the caller frees it. */
static Pdvault__Rpc__V1__Request *
envelope_of(enum method_id id, const void *request, const struct pdv_call_options *o)
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

static const struct pdv_postal_address home = {
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

static const struct pdv_identity person = {
    .name = &(const struct pdv_name){.full = "A Person", .given = "A", .family = "Person"},
    .emails = (const char *const[]){"a@example.org", "b@example.org"},
    .email_count = 2,
    .phones = (const char *const[]){"+49 30 1"},
    .phone_count = 1,
    .locale = "de-DE",
    .date_of_birth = "1990-01-31",
    .postal_addresses = &home,
    .postal_address_count = 1,
    .account_ids = (const char *const[]){"x1", "x2", "x3"},
    .account_id_count = 3,
    .attributes = &(const struct pdv_attribute){"tier", "gold"},
    .attribute_count = 1,
};

static const struct pdv_billing bill = {
    .legal_name = "Person Ltd",
    .billing_address = &home,
    .tax_id = "DE1",
    .processor = "proc",
    .customer_reference = "cus_1",
    .payment_methods = &(const struct pdv_payment_method){"visa", "4242", 12, 2030, "tok_1"},
    .payment_method_count = 1,
};

static void
check_address(const Pdvault__V1__PostalAddress *a)
{
	assert_string_equal(a->label, "home");
	assert_string_equal(a->recipient, "A. Person");
	assert_string_equal(a->organization, "Org");
	assert_int_equal(a->n_lines, 2);
	assert_string_equal(a->lines[1], "Floor 2");
	assert_string_equal(a->locality, "Town ");
	assert_string_equal(a->region, "Region");
	assert_string_equal(a->postal_code, "12345");
	assert_string_equal(a->country, "DE");
}

static void
check_person(const Pdvault__V1__Identity *p)
{
	assert_string_equal(p->name->full, "A Person");
	assert_string_equal(p->name->given, "A");
	assert_string_equal(p->name->family, "Person");
	assert_int_equal(p->n_emails, 2);
	assert_string_equal(p->emails[1], "b@example.org");
	assert_int_equal(p->n_phones, 1);
	assert_string_equal(p->phones[0], "+49 30 1");
	assert_string_equal(p->locale, "de-DE");
	assert_string_equal(p->date_of_birth, "1990-01-31");
	assert_int_equal(p->n_postal_addresses, 1);
	check_address(p->postal_addresses[0]);
	assert_int_equal(p->n_account_ids, 3);
	assert_string_equal(p->account_ids[2], "x3");
	assert_int_equal(p->n_attributes, 1);
	assert_string_equal(p->attributes[0]->key, "tier");
	assert_string_equal(p->attributes[0]->value, "gold");
}

static void
check_bill(const Pdvault__V1__Billing *b)
{
	assert_string_equal(b->legal_name, "Person Ltd");
	check_address(b->billing_address);
	assert_string_equal(b->tax_id, "DE1");
	assert_string_equal(b->processor, "proc");
	assert_string_equal(b->customer_reference, "cus_1");
	assert_int_equal(b->n_payment_methods, 1);
	assert_string_equal(b->payment_methods[0]->brand, "visa");
	assert_string_equal(b->payment_methods[0]->last_four, "4242");
	assert_int_equal(b->payment_methods[0]->expiry_month, 12);
	assert_int_equal(b->payment_methods[0]->expiry_year, 2030);
	assert_string_equal(b->payment_methods[0]->token, "tok_1");
}

static void
test_ask_create(void **state)
{
	const uint8_t key[PDV_KEY_LEN] = "key of the call";
	const struct pdv_call_options o = {
	    .purpose = "test", .idempotency_key = key, .traceparent = "00-ab-cd-01"};
	struct pdv_new_subject s = {&person, &bill};
	Pdvault__V1__CreateSubjectRequest *m;
	Pdvault__Rpc__V1__Request *e;

	(void)state;
	e = envelope_of(METHOD_CREATE_SUBJECT, &s, &o);
	assert_string_equal(e->purpose, "test");
	assert_string_equal(e->traceparent, "00-ab-cd-01");
	assert_memory_equal(e->idempotency_key.data, key, PDV_KEY_LEN);
	m = pdvault__v1__create_subject_request__unpack(NULL, e->message.len, e->message.data);
	assert_non_null(m);
	check_person(m->identity);
	check_bill(m->billing);
	pdvault__v1__create_subject_request__free_unpacked(m, NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);

	s = (struct pdv_new_subject){NULL, NULL};
	e = envelope_of(METHOD_CREATE_SUBJECT, &s, NULL);
	assert_int_equal(e->message.len, 0);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);
}

static void
test_ask_ids(void **state)
{
	static const enum method_id plain[] = {
	    METHOD_GET_SUBJECT, METHOD_GET_IDENTITY, METHOD_GET_BILLING, METHOD_GET_ERASURE};
	struct pdv_subject_id id, two[2];
	struct pdv_subject_list list = {two, 2};
	Pdvault__V1__BatchGetIdentityRequest *b;
	Pdvault__V1__GetSubjectRequest *m;
	Pdvault__Rpc__V1__Request *e;
	size_t i;

	(void)state;
	memcpy(id.bytes, subject_id, PDV_ID_LEN);
	two[0] = id;
	memcpy(two[1].bytes, other_id, PDV_ID_LEN);
	for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		e = envelope_of(plain[i], &id, NULL);
		m = pdvault__v1__get_subject_request__unpack(
		    NULL, e->message.len, e->message.data);
		assert_non_null(m);
		assert_int_equal(m->subject.len, PDV_ID_LEN);
		assert_memory_equal(m->subject.data, subject_id, PDV_ID_LEN);
		pdvault__v1__get_subject_request__free_unpacked(m, NULL);
		pdvault__rpc__v1__request__free_unpacked(e, NULL);
	}
	e = envelope_of(METHOD_BATCH_GET_IDENTITY, &list, NULL);
	b = pdvault__v1__batch_get_identity_request__unpack(
	    NULL, e->message.len, e->message.data);
	assert_int_equal(b->n_subjects, 2);
	assert_memory_equal(b->subjects[1].data, other_id, PDV_ID_LEN);
	pdvault__v1__batch_get_identity_request__free_unpacked(b, NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);
}

static void
test_ask_lookup(void **state)
{
	struct pdv_lookup l = {PDV_BY_EMAIL, "x"};
	Pdvault__V1__FindSubjectRequest *m;
	Pdvault__Rpc__V1__Request *e;
	int by;

	(void)state;
	for (by = PDV_BY_EMAIL; by <= PDV_BY_ACCOUNT_ID; by++) {
		l.by = (enum pdv_lookup_by)by;
		e = envelope_of(METHOD_FIND_SUBJECT, &l, NULL);
		m = pdvault__v1__find_subject_request__unpack(
		    NULL, e->message.len, e->message.data);
		assert_int_equal(m->lookup_case, by);
		assert_string_equal(by == PDV_BY_EMAIL ? m->email
				    : by == PDV_BY_PHONE ? m->phone
							 : m->account_id,
		    "x");
		pdvault__v1__find_subject_request__free_unpacked(m, NULL);
		pdvault__rpc__v1__request__free_unpacked(e, NULL);
	}
}

static void
test_ask_updates(void **state)
{
	const char *mask[] = {"emails", "name"};
	struct pdv_identity_update u = {
	    .identity = &person, .mask = mask, .mask_count = 2, .etag = "e1"};
	struct pdv_billing_update v = {.billing = &bill};
	Pdvault__V1__UpdateIdentityRequest *m;
	Pdvault__V1__UpdateBillingRequest *n;
	Pdvault__Rpc__V1__Request *e;

	(void)state;
	memcpy(u.subject.bytes, subject_id, PDV_ID_LEN);
	e = envelope_of(METHOD_UPDATE_IDENTITY, &u, NULL);
	m = pdvault__v1__update_identity_request__unpack(
	    NULL, e->message.len, e->message.data);
	assert_memory_equal(m->subject.data, subject_id, PDV_ID_LEN);
	check_person(m->identity);
	assert_int_equal(m->update_mask->n_paths, 2);
	assert_string_equal(m->update_mask->paths[1], "name");
	assert_string_equal(m->etag, "e1");
	pdvault__v1__update_identity_request__free_unpacked(m, NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);

	e = envelope_of(METHOD_UPDATE_BILLING, &v, NULL);
	n = pdvault__v1__update_billing_request__unpack(
	    NULL, e->message.len, e->message.data);
	check_bill(n->billing);
	assert_null(n->update_mask);
	assert_string_equal(n->etag, "");
	pdvault__v1__update_billing_request__free_unpacked(n, NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);
}

static void
test_ask_transactions(void **state)
{
	const struct pdv_time t = {1234567890123, 999999999};
	const struct pdv_transaction list[] = {
	    {"t1", &t, -198, "EUR", "paid", "a thing", "inv 1"}, {.id = "t2"}};
	struct pdv_transaction_append a = {.transactions = list, .count = 2};
	struct pdv_transaction_page p = {.page_size = 7, .page_token = "next"};
	Pdvault__V1__AppendTransactionsRequest *m;
	Pdvault__V1__ListTransactionsRequest *n;
	Pdvault__Rpc__V1__Request *e;

	(void)state;
	e = envelope_of(METHOD_APPEND_TRANSACTIONS, &a, NULL);
	m = pdvault__v1__append_transactions_request__unpack(
	    NULL, e->message.len, e->message.data);
	assert_int_equal(m->n_transactions, 2);
	assert_string_equal(m->transactions[0]->id, "t1");
	assert_true(m->transactions[0]->time->seconds == t.seconds);
	assert_int_equal(m->transactions[0]->time->nanos, t.nanos);
	assert_true(m->transactions[0]->amount_minor == -198);
	assert_string_equal(m->transactions[0]->currency, "EUR");
	assert_string_equal(m->transactions[0]->status, "paid");
	assert_string_equal(m->transactions[0]->description, "a thing");
	assert_string_equal(m->transactions[0]->invoice_reference, "inv 1");
	assert_null(m->transactions[1]->time);
	pdvault__v1__append_transactions_request__free_unpacked(m, NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);

	e = envelope_of(METHOD_LIST_TRANSACTIONS, &p, NULL);
	n = pdvault__v1__list_transactions_request__unpack(
	    NULL, e->message.len, e->message.data);
	assert_int_equal(n->page_size, 7);
	assert_string_equal(n->page_token, "next");
	pdvault__v1__list_transactions_request__free_unpacked(n, NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);
}

static void
test_ask_erase(void **state)
{
	const enum pdv_category list[] = {PDV_CATEGORY_BILLING, PDV_CATEGORY_CONSENT};
	struct pdv_erase q = {.categories = list, .category_count = 2};
	Pdvault__V1__EraseSubjectRequest *m;
	Pdvault__Rpc__V1__Request *e;

	(void)state;
	e = envelope_of(METHOD_ERASE_SUBJECT, &q, NULL);
	m = pdvault__v1__erase_subject_request__unpack(NULL, e->message.len, e->message.data);
	assert_int_equal(m->n_categories, 2);
	assert_int_equal(m->categories[0], PDVAULT__V1__CATEGORY__BILLING);
	assert_int_equal(m->categories[1], PDVAULT__V1__CATEGORY__CONSENT);
	pdvault__v1__erase_subject_request__free_unpacked(m, NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);
	e = envelope_of(METHOD_GET_STATUS, "", NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);
	e = envelope_of(METHOD_CHECK, "", NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);
}

static void
refused(enum method_id id, const void *request, const struct pdv_call_options *o,
    const char *reason)
{
	struct call_request q = {&method_table[id], request, o, 4000};
	struct pdv_result *r;
	struct call *c;

	assert_int_equal(call_new(&q, &r, &c), PDV_INVALID_ARGUMENT);
	assert_int_equal(pdv_result_code(r), PDV_INVALID_ARGUMENT);
	assert_string_equal(pdv_result_reason(r), reason);
	pdv_result_free(r);
}

static void
test_ask_refused(void **state)
{
	static struct pdv_subject_id ids[PDV_BATCH_MAX + 1];
	static struct pdv_transaction list[PDV_APPEND_MAX + 1];
	static char big[PDV_REQUEST_MAX + 2], purpose[PDV_PURPOSE_MAX + 2];
	const char *hole[] = {"a", NULL};
	struct pdv_identity id = {.emails = hole, .email_count = 2};
	struct pdv_new_subject s = {&id, NULL};
	struct pdv_transaction_append a = {.transactions = list, .count = PDV_APPEND_MAX + 1};
	struct pdv_call_options o = {.purpose = purpose};

	(void)state;
	refused(METHOD_GET_IDENTITY, NULL, NULL, PDV_REASON_INVALID);
	refused(METHOD_CREATE_SUBJECT, &s, NULL, PDV_REASON_INVALID);
	id = (struct pdv_identity){.email_count = 1};
	refused(METHOD_CREATE_SUBJECT, &s, NULL, PDV_REASON_INVALID);
	id = (struct pdv_identity){.emails = hole, .email_count = SIZE_MAX};
	refused(METHOD_CREATE_SUBJECT, &s, NULL, PDV_REASON_INVALID);
	refused(METHOD_FIND_SUBJECT, &(struct pdv_lookup){PDV_BY_EMAIL, NULL}, NULL,
	    PDV_REASON_INVALID);
	refused(METHOD_FIND_SUBJECT, &(struct pdv_lookup){(enum pdv_lookup_by)0, "x"}, NULL,
	    PDV_REASON_INVALID);
	refused(METHOD_BATCH_GET_IDENTITY, &(struct pdv_subject_list){ids, 0}, NULL,
	    PDV_REASON_INVALID);
	refused(METHOD_BATCH_GET_IDENTITY, &(struct pdv_subject_list){ids, PDV_BATCH_MAX + 1},
	    NULL, PDV_REASON_INVALID);
	pdvault__rpc__v1__request__free_unpacked(envelope_of(METHOD_BATCH_GET_IDENTITY,
						     &(struct pdv_subject_list){ids, PDV_BATCH_MAX}, NULL),
	    NULL);
	refused(METHOD_APPEND_TRANSACTIONS, &a, NULL, PDV_REASON_INVALID);
	a.count = 0;
	refused(METHOD_APPEND_TRANSACTIONS, &a, NULL, PDV_REASON_INVALID);
	memset(big, 'x', sizeof(big) - 1);
	refused(METHOD_FIND_SUBJECT, &(struct pdv_lookup){PDV_BY_EMAIL, big}, NULL,
	    PDV_REASON_TOO_LARGE);
	memset(purpose, 'p', PDV_PURPOSE_MAX + 1);
	refused(METHOD_GET_IDENTITY, ids, &o, PDV_REASON_INVALID);
	purpose[PDV_PURPOSE_MAX] = '\0';
	pdvault__rpc__v1__request__free_unpacked(envelope_of(METHOD_GET_IDENTITY, ids, &o), NULL);
}

/* --- answers --- */

static struct pdv_result *
read_bytes(enum method_id id, const uint8_t *body, size_t len, const struct method_asked *asked)
{
	struct pdv_result *r = result_new();
	struct reply reply;

	assert_non_null(r);
	if (reply_open(r, body, len, &reply) && r->code == PDV_OK)
		reply_take(r, &method_table[id], asked, &reply);
	bump_check(&r->memory);
	return r;
}

/* An answer of message ${m} read by method ${id}. */
static struct pdv_result *
read_answer(enum method_id id, const ProtobufCMessage *m, const struct method_asked *asked)
{
	Pdvault__Rpc__V1__Response e = PDVAULT__RPC__V1__RESPONSE__INIT;
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *body = malloc(len + 1), *out;
	struct pdv_result *r;

	protobuf_c_message_pack(m, body);
	e.epoch = 9;
	e.vault = (ProtobufCBinaryData){16, vault_id};
	e.message = (ProtobufCBinaryData){len, body};
	len = pdvault__rpc__v1__response__get_packed_size(&e);
	out = malloc(len);
	pdvault__rpc__v1__response__pack(&e, out);
	r = read_bytes(id, out, len, asked);
	sodium_memzero(body, e.message.len);
	sodium_memzero(out, len);
	free(body);
	free(out);
	return r;
}

static const struct method_asked nothing_asked;

/* What was asked for, as bytes of the request's maker would give it. */
static void
test_identity_round_trip(void **state)
{
	Pdvault__V1__GetIdentityResponse m = PDVAULT__V1__GET_IDENTITY_RESPONSE__INIT;
	struct pdv_new_subject s = {&person, &bill};
	Pdvault__V1__GetBillingResponse n = PDVAULT__V1__GET_BILLING_RESPONSE__INIT;
	Pdvault__V1__CreateSubjectRequest *q;
	const struct pdv_identity *id;
	const struct pdv_billing *b;
	Pdvault__Rpc__V1__Request *e;
	struct pdv_result *r;

	(void)state;
	e = envelope_of(METHOD_CREATE_SUBJECT, &s, NULL);
	q = pdvault__v1__create_subject_request__unpack(NULL, e->message.len, e->message.data);
	m.identity = q->identity;
	m.etag = lend("tag");
	r = read_answer(METHOD_GET_IDENTITY, &m.base, &nothing_asked);
	assert_int_equal(pdv_result_code(r), PDV_OK);
	assert_string_equal(pdv_result_etag(r), "tag");
	assert_true(pdv_result_epoch(r) == 9);
	assert_memory_equal(pdv_result_vault(r), vault_id, 16);
	assert_null(pdv_result_billing(r));
	id = pdv_result_identity(r);
	assert_string_equal(id->name->family, "Person");
	assert_int_equal(id->email_count, 2);
	assert_string_equal(id->emails[1], "b@example.org");
	assert_string_equal(id->phones[0], "+49 30 1");
	assert_string_equal(id->locale, "de-DE");
	assert_string_equal(id->date_of_birth, "1990-01-31");
	assert_int_equal(id->postal_address_count, 1);
	assert_int_equal(id->postal_addresses[0].line_count, 2);
	assert_string_equal(id->postal_addresses[0].locality, "Town ");
	assert_int_equal(id->account_id_count, 3);
	assert_string_equal(id->account_ids[2], "x3");
	assert_string_equal(id->attributes[0].value, "gold");
	pdv_result_free(r);

	n.billing = q->billing;
	r = read_answer(METHOD_GET_BILLING, &n.base, &nothing_asked);
	b = pdv_result_billing(r);
	assert_string_equal(b->legal_name, "Person Ltd");
	assert_string_equal(b->billing_address->postal_code, "12345");
	assert_int_equal(b->payment_method_count, 1);
	assert_string_equal(b->payment_methods[0].token, "tok_1");
	assert_int_equal(b->payment_methods[0].expiry_year, 2030);
	assert_null(pdv_result_etag(r));
	pdv_result_free(r);
	pdvault__v1__create_subject_request__free_unpacked(q, NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);
}

static void
test_absent(void **state)
{
	Pdvault__V1__GetIdentityResponse m = PDVAULT__V1__GET_IDENTITY_RESPONSE__INIT;
	const struct pdv_identity *id;
	struct pdv_result *r;

	(void)state;
	r = read_answer(METHOD_GET_IDENTITY, &m.base, &nothing_asked);
	id = pdv_result_identity(r);
	assert_non_null(id);
	assert_null(id->name);
	assert_null(id->emails);
	assert_int_equal(id->email_count, 0);
	assert_null(id->locale);
	pdv_result_free(r);
}

static void
test_subject_status(void **state)
{
	Pdvault__V1__GetSubjectResponse m = PDVAULT__V1__GET_SUBJECT_RESPONSE__INIT;
	Pdvault__V1__CategoryStatus c = PDVAULT__V1__CATEGORY_STATUS__INIT;
	Pdvault__V1__CategoryStatus *list[] = {&c};
	Pdvault__V1__Timestamp t = PDVAULT__V1__TIMESTAMP__INIT;
	struct method_asked asked = {subject_id, 1};
	const struct pdv_subject_status *s;
	struct pdv_result *r;

	(void)state;
	m.subject = (ProtobufCBinaryData){PDV_ID_LEN, subject_id};
	m.state = PDVAULT__V1__SUBJECT_STATE__RESTRICTED;
	t.seconds = 55;
	c.category = PDVAULT__V1__CATEGORY__BILLING;
	c.state = PDVAULT__V1__SUBJECT_STATE__ERASED;
	m.create_time = &t;
	m.categories = list;
	m.n_categories = 1;
	r = read_answer(METHOD_GET_SUBJECT, &m.base, &asked);
	s = pdv_result_subject_status(r);
	assert_non_null(s);
	assert_int_equal(s->state, PDV_STATE_RESTRICTED);
	assert_int_equal(s->category_count, 1);
	assert_int_equal(s->categories[0].category, PDV_CATEGORY_BILLING);
	assert_int_equal(s->categories[0].state, PDV_STATE_ERASED);
	assert_null(s->categories[0].create_time);
	assert_true(s->create_time->seconds == 55);
	pdv_result_free(r);

	m.subject.data = other_id; /* not whom we asked for */
	r = read_answer(METHOD_GET_SUBJECT, &m.base, &asked);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	assert_null(pdv_result_subject_status(r));
	pdv_result_free(r);

	m.subject = (ProtobufCBinaryData){PDV_ID_LEN, subject_id};
	t.nanos = 1000000000;
	r = read_answer(METHOD_GET_SUBJECT, &m.base, &asked);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	pdv_result_free(r);

	t.nanos = 0;
	c.category = (Pdvault__V1__Category)77; /* a later server's */
	r = read_answer(METHOD_GET_SUBJECT, &m.base, &asked);
	assert_int_equal(pdv_result_code(r), PDV_UNIMPLEMENTED);
	assert_string_equal(pdv_result_reason(r), PDV_REASON_TOO_NEW);
	pdv_result_free(r);
}

static void
test_subjects(void **state)
{
	Pdvault__V1__FindSubjectResponse m = PDVAULT__V1__FIND_SUBJECT_RESPONSE__INIT;
	Pdvault__V1__CreateSubjectResponse c = PDVAULT__V1__CREATE_SUBJECT_RESPONSE__INIT;
	ProtobufCBinaryData two[] = {{PDV_ID_LEN, subject_id}, {PDV_ID_LEN, other_id}};
	const struct pdv_subject_id *ids;
	struct pdv_result *r;
	size_t n;

	(void)state;
	m.subjects = two;
	m.n_subjects = 2;
	r = read_answer(METHOD_FIND_SUBJECT, &m.base, &nothing_asked);
	ids = pdv_result_subjects(r, &n);
	assert_int_equal(n, 2);
	assert_memory_equal(ids[1].bytes, other_id, PDV_ID_LEN);
	pdv_result_free(r);
	two[1].len = 15;
	r = read_answer(METHOD_FIND_SUBJECT, &m.base, &nothing_asked);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	assert_null(pdv_result_subjects(r, &n));
	pdv_result_free(r);
	m.n_subjects = 0;
	r = read_answer(METHOD_FIND_SUBJECT, &m.base, &nothing_asked);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	pdv_result_free(r);

	c.subject = two[0];
	r = read_answer(METHOD_CREATE_SUBJECT, &c.base, &nothing_asked);
	assert_memory_equal(pdv_result_subject(r)->bytes, subject_id, PDV_ID_LEN);
	assert_null(pdv_result_subjects(r, &n));
	pdv_result_free(r);
	c.subject.len = 0;
	r = read_answer(METHOD_CREATE_SUBJECT, &c.base, &nothing_asked);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	assert_string_equal(pdv_result_reason(r), PDV_REASON_MALFORMED);
	assert_null(pdv_result_subject(r));
	pdv_result_free(r);
}

static void
test_batch(void **state)
{
	Pdvault__V1__BatchGetIdentityResponse m = PDVAULT__V1__BATCH_GET_IDENTITY_RESPONSE__INIT;
	Pdvault__V1__IdentityOutcome one = PDVAULT__V1__IDENTITY_OUTCOME__INIT;
	Pdvault__V1__IdentityOutcome two = PDVAULT__V1__IDENTITY_OUTCOME__INIT;
	Pdvault__V1__IdentityOutcome *list[] = {&one, &two};
	Pdvault__V1__GetIdentityResponse found = PDVAULT__V1__GET_IDENTITY_RESPONSE__INIT;
	uint8_t ids[2 * PDV_ID_LEN];
	struct method_asked asked = {ids, 2};
	const struct pdv_identity_outcome *o;
	struct pdv_result *r;
	size_t n;

	(void)state;
	memcpy(ids, subject_id, PDV_ID_LEN);
	memcpy(ids + PDV_ID_LEN, other_id, PDV_ID_LEN);
	one.subject = (ProtobufCBinaryData){PDV_ID_LEN, subject_id};
	two.subject = (ProtobufCBinaryData){PDV_ID_LEN, other_id};
	found.etag = lend("x");
	one.result = &found;
	two.code = PDV_NOT_FOUND;
	two.reason = lend("SUBJECT_UNKNOWN");
	m.outcomes = list;
	m.n_outcomes = 2;
	r = read_answer(METHOD_BATCH_GET_IDENTITY, &m.base, &asked);
	o = pdv_result_outcomes(r, &n);
	assert_int_equal(n, 2);
	assert_int_equal(o[0].code, PDV_OK);
	assert_non_null(o[0].identity);
	assert_string_equal(o[0].etag, "x");
	assert_int_equal(o[1].code, PDV_NOT_FOUND);
	assert_string_equal(o[1].reason, "SUBJECT_UNKNOWN");
	assert_null(o[1].identity);
	pdv_result_free(r);

	list[0] = &two; /* in another order */
	list[1] = &one;
	r = read_answer(METHOD_BATCH_GET_IDENTITY, &m.base, &asked);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	pdv_result_free(r);
	list[0] = &one;
	m.n_outcomes = 1; /* one is missing */
	r = read_answer(METHOD_BATCH_GET_IDENTITY, &m.base, &asked);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	pdv_result_free(r);
	m.n_outcomes = 2;
	list[1] = &two;
	one.result = NULL; /* OK without a result */
	r = read_answer(METHOD_BATCH_GET_IDENTITY, &m.base, &asked);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	pdv_result_free(r);
}

static void
test_transactions(void **state)
{
	Pdvault__V1__ListTransactionsResponse m = PDVAULT__V1__LIST_TRANSACTIONS_RESPONSE__INIT;
	Pdvault__V1__AppendTransactionsResponse a =
	    PDVAULT__V1__APPEND_TRANSACTIONS_RESPONSE__INIT;
	Pdvault__V1__Transaction t = PDVAULT__V1__TRANSACTION__INIT;
	Pdvault__V1__Transaction *list[] = {&t};
	const struct pdv_transaction *got;
	struct pdv_result *r;
	size_t n;

	(void)state;
	t.id = lend("t1");
	t.amount_minor = INT64_MIN;
	t.currency = lend("JPY");
	m.transactions = list;
	m.n_transactions = 1;
	m.next_page_token = lend("more");
	r = read_answer(METHOD_LIST_TRANSACTIONS, &m.base, &nothing_asked);
	got = pdv_result_transactions(r, &n);
	assert_int_equal(n, 1);
	assert_string_equal(got[0].id, "t1");
	assert_true(got[0].amount_minor == INT64_MIN);
	assert_null(got[0].time);
	assert_null(got[0].status);
	assert_string_equal(pdv_result_next_page(r), "more");
	pdv_result_free(r);
	m.n_transactions = 0;
	m.next_page_token = lend("");
	r = read_answer(METHOD_LIST_TRANSACTIONS, &m.base, &nothing_asked);
	assert_int_equal(pdv_result_code(r), PDV_OK);
	assert_null(pdv_result_transactions(r, &n));
	assert_int_equal(n, 0);
	assert_null(pdv_result_next_page(r));
	pdv_result_free(r);

	a.appended = 3;
	a.unchanged = 4;
	r = read_answer(METHOD_APPEND_TRANSACTIONS, &a.base, &nothing_asked);
	assert_int_equal(pdv_result_appended(r)->appended, 3);
	assert_int_equal(pdv_result_appended(r)->unchanged, 4);
	pdv_result_free(r);
}

static void
test_erasures(void **state)
{
	Pdvault__V1__GetErasureResponse m = PDVAULT__V1__GET_ERASURE_RESPONSE__INIT;
	Pdvault__V1__EraseSubjectResponse e = PDVAULT__V1__ERASE_SUBJECT_RESPONSE__INIT;
	Pdvault__V1__Category all[] = {
	    PDVAULT__V1__CATEGORY__IDENTITY, PDVAULT__V1__CATEGORY__BILLING};
	struct method_asked asked = {other_id, 1};
	const struct pdv_erasure *got;
	struct pdv_result *r;

	(void)state;
	m.erasure = (ProtobufCBinaryData){PDV_ID_LEN, other_id};
	m.subject = (ProtobufCBinaryData){PDV_ID_LEN, subject_id};
	m.state = PDVAULT__V1__ERASURE_STATE__PENDING;
	m.epoch = 12;
	m.categories = all;
	m.n_categories = 2;
	r = read_answer(METHOD_GET_ERASURE, &m.base, &asked);
	got = pdv_result_erasure(r);
	assert_non_null(got);
	assert_memory_equal(got->subject->bytes, subject_id, PDV_ID_LEN);
	assert_int_equal(got->state, PDV_ERASURE_PENDING);
	assert_true(got->epoch == 12);
	assert_int_equal(got->category_count, 2);
	assert_int_equal(got->categories[1], PDV_CATEGORY_BILLING);
	pdv_result_free(r);

	e.erasure = m.erasure;
	e.state = PDVAULT__V1__ERASURE_STATE__SHREDDED;
	r = read_answer(METHOD_ERASE_SUBJECT, &e.base, &nothing_asked);
	got = pdv_result_erasure(r);
	assert_int_equal(got->state, PDV_ERASURE_SHREDDED);
	assert_null(got->subject);
	pdv_result_free(r);
}

static void
test_status(void **state)
{
	Pdvault__V1__GetStatusResponse m = PDVAULT__V1__GET_STATUS_RESPONSE__INIT;
	Pdvault__V1__CheckResponse h = PDVAULT__V1__CHECK_RESPONSE__INIT;
	char *seals[] = {lend("file")};
	const struct pdv_status *s;
	struct pdv_result *r;

	(void)state;
	m.vault = (ProtobufCBinaryData){16, vault_id};
	m.version = lend("1.2.3");
	m.epoch = 5;
	m.subjects = 59;
	m.anchor_class = lend("C");
	m.read_only = 1;
	m.seals = seals;
	m.n_seals = 1;
	r = read_answer(METHOD_GET_STATUS, &m.base, &nothing_asked);
	s = pdv_result_status(r);
	assert_string_equal(s->version, "1.2.3");
	assert_true(s->epoch == 5 && s->subjects == 59);
	assert_string_equal(s->anchor_class, "C");
	assert_int_equal(s->read_only, 1);
	assert_string_equal(s->seals[0], "file");
	pdv_result_free(r);
	h.status = PDVAULT__V1__SERVING_STATUS__READ_ONLY;
	r = read_answer(METHOD_CHECK, &h.base, &nothing_asked);
	assert_int_equal(pdv_result_serving(r), PDV_SERVING_READ_ONLY);
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
	r = read_bytes(METHOD_GET_IDENTITY, out, len, &nothing_asked);
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
	e.reason = lend("FIELD_INVALID");
	e.detail = lend("a field breaks a rule");
	v.field = lend("identity.emails[1]");
	v.rule = lend("TOO_LONG");
	e.violations = list;
	e.n_violations = 1;
	e.retry_after_ms = 77;
	e.epoch = 3;
	e.vault = (ProtobufCBinaryData){16, vault_id};
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
	good.reason = lend("SUBJECT_UNKNOWN");
	good.epoch = 3;
	good.vault = (ProtobufCBinaryData){16, vault_id};
	expect(read_envelope(&good), PDV_NOT_FOUND, "SUBJECT_UNKNOWN");
	e = good;
	e.reason = lend("lower case");
	expect(read_envelope(&e), PDV_DATA_LOSS, PDV_REASON_MALFORMED);
	e = good;
	e.detail = lend("\x1b[2J"); /* a terminal would obey */
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
	e.message = (ProtobufCBinaryData){3, vault_id}; /* a refusal with data */
	expect(read_envelope(&e), PDV_DATA_LOSS, PDV_REASON_MALFORMED);
	e = good;
	e.code = PDV_OK;
	e.message = (ProtobufCBinaryData){3, vault_id}; /* not a message */
	expect(read_envelope(&e), PDV_DATA_LOSS, PDV_REASON_MALFORMED);
	expect(read_bytes(METHOD_GET_IDENTITY, (const uint8_t *)"", 0, &nothing_asked),
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
		id.locale = lend(bad[i]);
		expect(read_answer(METHOD_GET_IDENTITY, &m.base, &nothing_asked), PDV_DATA_LOSS,
		    PDV_REASON_MALFORMED);
	}
	id.locale = lend("\xe2\x82\xac");
	expect(read_answer(METHOD_GET_IDENTITY, &m.base, &nothing_asked), PDV_OK, "");
	expect(read_bytes(METHOD_GET_IDENTITY, nul, sizeof(nul), &nothing_asked), PDV_DATA_LOSS,
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
	expect(read_bytes(METHOD_BATCH_GET_IDENTITY, body, at, &nothing_asked), PDV_DATA_LOSS,
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
	pdv_result_free(read_bytes(METHOD_GET_IDENTITY, good, sizeof(good), &nothing_asked));
	for (id = 0; id < METHOD_COUNT; id++) {
		struct method_asked asked = {subject_id, 1};

		for (i = 0; i < sizeof(good); i++)
			pdv_result_free(read_bytes((enum method_id)id, good, i, &asked));
		for (i = 0; i < sizeof(good) * 8; i++) {
			memcpy(copy, good, sizeof(good));
			copy[i / 8] ^= (uint8_t)(1 << i % 8);
			pdv_result_free(
			    read_bytes((enum method_id)id, copy, sizeof(copy), &asked));
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
			pdv_result_free(read_bytes((enum method_id)id, noise, n, &asked));
		}
	}
}

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

/* How often the mark is in this process's writable memory, freed parts included. */
static int
count_marks(void)
{
	static uint8_t page[1 << 16];
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY), found = 0;
	unsigned long from, to, at;
	char line[512], mode[8];
	ssize_t n, i;

	assert_non_null(maps);
	assert_true(mem >= 0);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[1] != 'w' ||
		    to - from > 1ul << 30)
			continue;
		for (at = from; at < to; at += sizeof(page) - MARK_LEN) {
			size_t want = to - at < sizeof(page) ? to - at : sizeof(page);

			n = pread(mem, page, want, (off_t)at);
			for (i = 0; i + MARK_LEN <= n; i++)
				found += is_mark(page + i) && (at + (unsigned long)i <
					(unsigned long)page || at + (unsigned long)i >=
					(unsigned long)page + sizeof(page));
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
	r = read_answer(METHOD_GET_IDENTITY, &m.base, &nothing_asked);
	sodium_memzero(secret, sizeof(secret));
	assert_int_equal(pdv_result_code(r), PDV_OK);
	assert_true(count_marks() > 0);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_result_wiped),
	    cmocka_unit_test(test_request_wiped),
	    cmocka_unit_test(test_ask_create),
	    cmocka_unit_test(test_ask_ids),
	    cmocka_unit_test(test_ask_lookup),
	    cmocka_unit_test(test_ask_updates),
	    cmocka_unit_test(test_ask_transactions),
	    cmocka_unit_test(test_ask_erase),
	    cmocka_unit_test(test_ask_refused),
	    cmocka_unit_test(test_identity_round_trip),
	    cmocka_unit_test(test_absent),
	    cmocka_unit_test(test_subject_status),
	    cmocka_unit_test(test_subjects),
	    cmocka_unit_test(test_batch),
	    cmocka_unit_test(test_transactions),
	    cmocka_unit_test(test_erasures),
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_envelope_refusal),
	    cmocka_unit_test(test_envelope_malformed),
	    cmocka_unit_test(test_strings_malformed),
	    cmocka_unit_test(test_amplification),
	    cmocka_unit_test(test_mutations),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
