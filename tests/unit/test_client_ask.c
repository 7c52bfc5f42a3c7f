/* The client's requests: every field reaches the wire, what breaks the contract does not. */
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
	struct pdv_new_subject s = {&codec_person, &codec_bill};
	Pdvault__V1__CreateSubjectRequest *m;
	Pdvault__Rpc__V1__Request *e;

	(void)state;
	e = codec_envelope(METHOD_CREATE_SUBJECT, &s, &o);
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
	e = codec_envelope(METHOD_CREATE_SUBJECT, &s, NULL);
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
	memcpy(id.bytes, codec_subject, PDV_ID_LEN);
	two[0] = id;
	memcpy(two[1].bytes, codec_other, PDV_ID_LEN);
	for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		e = codec_envelope(plain[i], &id, NULL);
		m = pdvault__v1__get_subject_request__unpack(
		    NULL, e->message.len, e->message.data);
		assert_non_null(m);
		assert_int_equal(m->subject.len, PDV_ID_LEN);
		assert_memory_equal(m->subject.data, codec_subject, PDV_ID_LEN);
		pdvault__v1__get_subject_request__free_unpacked(m, NULL);
		pdvault__rpc__v1__request__free_unpacked(e, NULL);
	}
	e = codec_envelope(METHOD_BATCH_GET_IDENTITY, &list, NULL);
	b = pdvault__v1__batch_get_identity_request__unpack(
	    NULL, e->message.len, e->message.data);
	assert_int_equal(b->n_subjects, 2);
	assert_memory_equal(b->subjects[1].data, codec_other, PDV_ID_LEN);
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
		e = codec_envelope(METHOD_FIND_SUBJECT, &l, NULL);
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
	    .identity = &codec_person, .mask = mask, .mask_count = 2, .etag = "e1"};
	struct pdv_billing_update v = {.billing = &codec_bill};
	Pdvault__V1__UpdateIdentityRequest *m;
	Pdvault__V1__UpdateBillingRequest *n;
	Pdvault__Rpc__V1__Request *e;

	(void)state;
	memcpy(u.subject.bytes, codec_subject, PDV_ID_LEN);
	e = codec_envelope(METHOD_UPDATE_IDENTITY, &u, NULL);
	m = pdvault__v1__update_identity_request__unpack(
	    NULL, e->message.len, e->message.data);
	assert_memory_equal(m->subject.data, codec_subject, PDV_ID_LEN);
	check_person(m->identity);
	assert_int_equal(m->update_mask->n_paths, 2);
	assert_string_equal(m->update_mask->paths[1], "name");
	assert_string_equal(m->etag, "e1");
	pdvault__v1__update_identity_request__free_unpacked(m, NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);

	e = codec_envelope(METHOD_UPDATE_BILLING, &v, NULL);
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
	e = codec_envelope(METHOD_APPEND_TRANSACTIONS, &a, NULL);
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

	e = codec_envelope(METHOD_LIST_TRANSACTIONS, &p, NULL);
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
	e = codec_envelope(METHOD_ERASE_SUBJECT, &q, NULL);
	m = pdvault__v1__erase_subject_request__unpack(NULL, e->message.len, e->message.data);
	assert_int_equal(m->n_categories, 2);
	assert_int_equal(m->categories[0], PDVAULT__V1__CATEGORY__BILLING);
	assert_int_equal(m->categories[1], PDVAULT__V1__CATEGORY__CONSENT);
	pdvault__v1__erase_subject_request__free_unpacked(m, NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);
	e = codec_envelope(METHOD_GET_STATUS, "", NULL);
	pdvault__rpc__v1__request__free_unpacked(e, NULL);
	e = codec_envelope(METHOD_CHECK, "", NULL);
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
	pdvault__rpc__v1__request__free_unpacked(codec_envelope(METHOD_BATCH_GET_IDENTITY,
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
	pdvault__rpc__v1__request__free_unpacked(codec_envelope(METHOD_GET_IDENTITY, ids, &o), NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ask_create),
	    cmocka_unit_test(test_ask_ids),
	    cmocka_unit_test(test_ask_lookup),
	    cmocka_unit_test(test_ask_updates),
	    cmocka_unit_test(test_ask_transactions),
	    cmocka_unit_test(test_ask_erase),
	    cmocka_unit_test(test_ask_refused),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
