/* The client's answers: every field reaches the caller. */
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

static void
test_identity_round_trip(void **state)
{
	Pdvault__V1__GetIdentityResponse m = PDVAULT__V1__GET_IDENTITY_RESPONSE__INIT;
	struct pdv_new_subject s = {&codec_person, &codec_bill};
	Pdvault__V1__GetBillingResponse n = PDVAULT__V1__GET_BILLING_RESPONSE__INIT;
	Pdvault__V1__CreateSubjectRequest *q;
	const struct pdv_identity *id;
	const struct pdv_billing *b;
	Pdvault__Rpc__V1__Request *e;
	struct pdv_result *r;

	(void)state;
	e = codec_envelope(METHOD_CREATE_SUBJECT, &s, NULL);
	q = pdvault__v1__create_subject_request__unpack(NULL, e->message.len, e->message.data);
	m.identity = q->identity;
	m.etag = codec_lend("tag");
	r = codec_read(METHOD_GET_IDENTITY, &m.base, &codec_nothing);
	assert_int_equal(pdv_result_code(r), PDV_OK);
	assert_string_equal(pdv_result_etag(r), "tag");
	assert_true(pdv_result_epoch(r) == 9);
	assert_memory_equal(pdv_result_vault(r), codec_vault, 16);
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
	r = codec_read(METHOD_GET_BILLING, &n.base, &codec_nothing);
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
	r = codec_read(METHOD_GET_IDENTITY, &m.base, &codec_nothing);
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
	struct method_asked asked = {codec_subject, 1};
	const struct pdv_subject_status *s;
	struct pdv_result *r;

	(void)state;
	m.subject = (ProtobufCBinaryData){PDV_ID_LEN, codec_subject};
	m.state = PDVAULT__V1__SUBJECT_STATE__RESTRICTED;
	t.seconds = 55;
	c.category = PDVAULT__V1__CATEGORY__BILLING;
	c.state = PDVAULT__V1__SUBJECT_STATE__ERASED;
	m.create_time = &t;
	m.categories = list;
	m.n_categories = 1;
	r = codec_read(METHOD_GET_SUBJECT, &m.base, &asked);
	s = pdv_result_subject_status(r);
	assert_non_null(s);
	assert_int_equal(s->state, PDV_STATE_RESTRICTED);
	assert_int_equal(s->category_count, 1);
	assert_int_equal(s->categories[0].category, PDV_CATEGORY_BILLING);
	assert_int_equal(s->categories[0].state, PDV_STATE_ERASED);
	assert_true(s->create_time->seconds == 55);
	pdv_result_free(r);

	m.subject.data = codec_other; /* not whom we asked for */
	r = codec_read(METHOD_GET_SUBJECT, &m.base, &asked);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	assert_null(pdv_result_subject_status(r));
	pdv_result_free(r);

	m.subject = (ProtobufCBinaryData){PDV_ID_LEN, codec_subject};
	t.nanos = 1000000000;
	r = codec_read(METHOD_GET_SUBJECT, &m.base, &asked);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	pdv_result_free(r);

	t.nanos = 0;
	c.category = (Pdvault__V1__Category)77; /* a later server's */
	r = codec_read(METHOD_GET_SUBJECT, &m.base, &asked);
	assert_int_equal(pdv_result_code(r), PDV_UNIMPLEMENTED);
	assert_string_equal(pdv_result_reason(r), PDV_REASON_TOO_NEW);
	pdv_result_free(r);
}

static void
test_subjects(void **state)
{
	Pdvault__V1__FindSubjectResponse m = PDVAULT__V1__FIND_SUBJECT_RESPONSE__INIT;
	Pdvault__V1__CreateSubjectResponse c = PDVAULT__V1__CREATE_SUBJECT_RESPONSE__INIT;
	ProtobufCBinaryData two[] = {{PDV_ID_LEN, codec_subject}, {PDV_ID_LEN, codec_other}};
	const struct pdv_subject_id *ids;
	struct pdv_result *r;
	size_t n;

	(void)state;
	m.subjects = two;
	m.n_subjects = 2;
	r = codec_read(METHOD_FIND_SUBJECT, &m.base, &codec_nothing);
	ids = pdv_result_subjects(r, &n);
	assert_int_equal(n, 2);
	assert_memory_equal(ids[1].bytes, codec_other, PDV_ID_LEN);
	pdv_result_free(r);
	two[1].len = 15;
	r = codec_read(METHOD_FIND_SUBJECT, &m.base, &codec_nothing);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	assert_null(pdv_result_subjects(r, &n));
	pdv_result_free(r);
	m.n_subjects = 0;
	r = codec_read(METHOD_FIND_SUBJECT, &m.base, &codec_nothing);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	pdv_result_free(r);

	c.subject = two[0];
	r = codec_read(METHOD_CREATE_SUBJECT, &c.base, &codec_nothing);
	assert_memory_equal(pdv_result_subject(r)->bytes, codec_subject, PDV_ID_LEN);
	assert_null(pdv_result_subjects(r, &n));
	pdv_result_free(r);
	c.subject.len = 0;
	r = codec_read(METHOD_CREATE_SUBJECT, &c.base, &codec_nothing);
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
	memcpy(ids, codec_subject, PDV_ID_LEN);
	memcpy(ids + PDV_ID_LEN, codec_other, PDV_ID_LEN);
	one.subject = (ProtobufCBinaryData){PDV_ID_LEN, codec_subject};
	two.subject = (ProtobufCBinaryData){PDV_ID_LEN, codec_other};
	found.etag = codec_lend("x");
	one.result = &found;
	two.code = PDV_NOT_FOUND;
	two.reason = codec_lend("SUBJECT_UNKNOWN");
	m.outcomes = list;
	m.n_outcomes = 2;
	r = codec_read(METHOD_BATCH_GET_IDENTITY, &m.base, &asked);
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
	r = codec_read(METHOD_BATCH_GET_IDENTITY, &m.base, &asked);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	pdv_result_free(r);
	list[0] = &one;
	m.n_outcomes = 1; /* one is missing */
	r = codec_read(METHOD_BATCH_GET_IDENTITY, &m.base, &asked);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	pdv_result_free(r);
	m.n_outcomes = 2;
	list[1] = &two;
	one.result = NULL; /* OK without a result */
	r = codec_read(METHOD_BATCH_GET_IDENTITY, &m.base, &asked);
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
	t.id = codec_lend("t1");
	t.amount_minor = INT64_MIN;
	t.currency = codec_lend("JPY");
	m.transactions = list;
	m.n_transactions = 1;
	m.next_page_token = codec_lend("more");
	r = codec_read(METHOD_LIST_TRANSACTIONS, &m.base, &codec_nothing);
	got = pdv_result_transactions(r, &n);
	assert_int_equal(n, 1);
	assert_string_equal(got[0].id, "t1");
	assert_true(got[0].amount_minor == INT64_MIN);
	assert_null(got[0].time);
	assert_null(got[0].status);
	assert_string_equal(pdv_result_next_page(r), "more");
	pdv_result_free(r);
	m.n_transactions = 0;
	m.next_page_token = codec_lend("");
	r = codec_read(METHOD_LIST_TRANSACTIONS, &m.base, &codec_nothing);
	assert_int_equal(pdv_result_code(r), PDV_OK);
	assert_null(pdv_result_transactions(r, &n));
	assert_int_equal(n, 0);
	assert_null(pdv_result_next_page(r));
	pdv_result_free(r);

	a.appended = 3;
	a.unchanged = 4;
	r = codec_read(METHOD_APPEND_TRANSACTIONS, &a.base, &codec_nothing);
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
	Pdvault__V1__LedgerProof proof = PDVAULT__V1__LEDGER_PROOF__INIT;
	uint8_t entry[PDV_LEDGER_ENTRY_LEN] = {7};
	struct method_asked asked = {codec_other, 1};
	const struct pdv_erasure *got;
	struct pdv_result *r;

	(void)state;
	m.erasure = (ProtobufCBinaryData){PDV_ID_LEN, codec_other};
	m.subject = (ProtobufCBinaryData){PDV_ID_LEN, codec_subject};
	m.state = PDVAULT__V1__ERASURE_STATE__PENDING;
	m.epoch = 12;
	m.categories = all;
	m.n_categories = 2;
	r = codec_read(METHOD_GET_ERASURE, &m.base, &asked);
	got = pdv_result_erasure(r);
	assert_non_null(got);
	assert_memory_equal(got->subject->bytes, codec_subject, PDV_ID_LEN);
	assert_int_equal(got->state, PDV_ERASURE_PENDING);
	assert_true(got->epoch == 12);
	assert_int_equal(got->category_count, 2);
	assert_int_equal(got->categories[1], PDV_CATEGORY_BILLING);
	assert_null(got->ledger);
	pdv_result_free(r);

	e.erasure = m.erasure;
	e.state = PDVAULT__V1__ERASURE_STATE__SHREDDED;
	e.ledger = &proof;
	proof.entry = (ProtobufCBinaryData){sizeof(entry), entry};
	proof.signature = (ProtobufCBinaryData){PDV_SIGNATURE_LEN, entry};
	r = codec_read(METHOD_ERASE_SUBJECT, &e.base, &codec_nothing);
	got = pdv_result_erasure(r);
	assert_int_equal(got->state, PDV_ERASURE_SHREDDED);
	assert_null(got->subject);
	assert_memory_equal(got->ledger->entry, entry, PDV_LEDGER_ENTRY_LEN);
	pdv_result_free(r);
	proof.signature.len--;
	r = codec_read(METHOD_ERASE_SUBJECT, &e.base, &codec_nothing);
	assert_int_equal(pdv_result_code(r), PDV_DATA_LOSS);
	pdv_result_free(r);
}

static void
test_status(void **state)
{
	Pdvault__V1__GetStatusResponse m = PDVAULT__V1__GET_STATUS_RESPONSE__INIT;
	Pdvault__V1__CheckResponse h = PDVAULT__V1__CHECK_RESPONSE__INIT;
	uint8_t key[PDV_SIGNING_KEY_LEN] = {9, 8};
	char *seals[] = {codec_lend("file")};
	const struct pdv_status *s;
	struct pdv_result *r;

	(void)state;
	m.vault = (ProtobufCBinaryData){16, codec_vault};
	m.signing_key = (ProtobufCBinaryData){PDV_SIGNING_KEY_LEN, key};
	m.ledger_entries = 4;
	m.version = codec_lend("1.2.3");
	m.epoch = 5;
	m.subjects = 59;
	m.anchor_class = codec_lend("C");
	m.read_only = 1;
	m.seals = seals;
	m.n_seals = 1;
	r = codec_read(METHOD_GET_STATUS, &m.base, &codec_nothing);
	s = pdv_result_status(r);
	assert_string_equal(s->version, "1.2.3");
	assert_true(s->epoch == 5 && s->subjects == 59 && s->ledger_entries == 4);
	assert_memory_equal(s->signing_key, key, sizeof(key));
	assert_string_equal(s->anchor_class, "C");
	assert_int_equal(s->read_only, 1);
	assert_string_equal(s->seals[0], "file");
	pdv_result_free(r);
	h.status = PDVAULT__V1__SERVING_STATUS__READ_ONLY;
	r = codec_read(METHOD_CHECK, &h.base, &codec_nothing);
	assert_int_equal(pdv_result_serving(r), PDV_SERVING_READ_ONLY);
	pdv_result_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_identity_round_trip),
	    cmocka_unit_test(test_absent),
	    cmocka_unit_test(test_subject_status),
	    cmocka_unit_test(test_subjects),
	    cmocka_unit_test(test_batch),
	    cmocka_unit_test(test_transactions),
	    cmocka_unit_test(test_erasures),
	    cmocka_unit_test(test_status),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
