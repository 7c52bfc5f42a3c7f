/* The rules of every field: n - 1, n, n + 1 of each limit, and the forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"
#include "server/methods.h"
#include "server/validate.h"
#include "server/validate_form.h"

/* The initialisers that protoc-c makes cast const away, which clang sees through the macro. */
#pragma GCC diagnostic ignored "-Wcast-qual"

#define TEXT(s) ((char *)(uintptr_t)(s))

static struct call call;

static enum status
validate(const void *message)
{
	memset(&call, 0, sizeof(call));
	call.request = message;
	return validate_message(&call);
}

/* One violation, of that field and rule; NULL: none. */
static void
assert_violation(const void *message, const char *field, const char *rule)
{
	enum status rc = validate(message);

	if (field == NULL) {
		if (rc != STATUS_OK)
			fail_msg("%s %s", call.violations[0].field, call.violations[0].rule);
		return;
	}
	assert_int_equal(rc, STATUS_INVALID);
	assert_int_equal(call.violation_count, 1);
	assert_string_equal(call.violations[0].field, field);
	assert_string_equal(call.violations[0].rule, rule);
}

/* --- every limit of a string, found by its path in a whole request --- */

struct limit {
	const char *field;
	char **at;
	size_t len;
	char fill;
	bool needed;	/* empty is refused, too */
};

static Pdvault__V1__CreateSubjectRequest request;
static Pdvault__V1__Identity identity;
static Pdvault__V1__Billing billing;
static Pdvault__V1__Name name;
static Pdvault__V1__PostalAddress address, *addresses[9], billing_address;
static Pdvault__V1__Attribute attribute, *attributes[33];
static Pdvault__V1__PaymentMethod card, *cards[17];
static char *lines[7], *emails[9], *phones[9], *accounts[9];

static void
make(void)
{
	pdvault__v1__create_subject_request__init(&request);
	pdvault__v1__identity__init(&identity);
	pdvault__v1__billing__init(&billing);
	pdvault__v1__name__init(&name);
	pdvault__v1__postal_address__init(&address);
	pdvault__v1__postal_address__init(&billing_address);
	pdvault__v1__attribute__init(&attribute);
	pdvault__v1__payment_method__init(&card);
	for (unsigned i = 0; i < 33; i++)
		attributes[i] = &attribute;
	for (unsigned i = 0; i < 17; i++)
		cards[i] = &card;
	for (unsigned i = 0; i < 9; i++) {
		addresses[i] = &address;
		emails[i] = TEXT("a@b.c");
		phones[i] = TEXT("+49 30 12345");
		accounts[i] = TEXT("account");
	}
	for (unsigned i = 0; i < 7; i++)
		lines[i] = TEXT("");
	attribute.key = TEXT("key");
	request.identity = &identity;
	request.billing = &billing;
	identity.name = &name;
	identity.n_postal_addresses = identity.n_attributes = 1;
	identity.postal_addresses = addresses;
	identity.attributes = attributes;
	identity.emails = emails;
	identity.phones = phones;
	identity.account_ids = accounts;
	identity.n_emails = identity.n_phones = identity.n_account_ids = 1;
	address.n_lines = 1;
	address.lines = lines;
	billing.billing_address = &billing_address;
	billing.n_payment_methods = 1;
	billing.payment_methods = cards;
}

static void
string_limits(void **state)
{
	static char text[2048];
	static const struct limit limits[] = {
		{ "identity.name.full", &name.full, 256, 'a', false },
		{ "identity.name.given", &name.given, 128, 'a', false },
		{ "identity.name.family", &name.family, 128, 'a', false },
		{ "identity.postal_addresses[0].label", &address.label, 64, 'a', false },
		{ "identity.postal_addresses[0].recipient", &address.recipient, 256, 'a', false },
		{ "identity.postal_addresses[0].organization", &address.organization, 256, 'a', false },
		{ "identity.postal_addresses[0].lines[0]", &lines[0], 256, 'a', false },
		{ "identity.postal_addresses[0].locality", &address.locality, 128, 'a', false },
		{ "identity.postal_addresses[0].region", &address.region, 128, 'a', false },
		{ "identity.postal_addresses[0].postal_code", &address.postal_code, 32, 'a', false },
		{ "identity.postal_addresses[0].country", &address.country, 64, 'a', false },
		{ "identity.attributes[0].key", &attribute.key, 64, 'a', true },
		{ "identity.attributes[0].value", &attribute.value, 1024, 'a', false },
		{ "identity.account_ids[0]", &accounts[0], 128, 'a', true },
		{ "billing.legal_name", &billing.legal_name, 256, 'a', false },
		{ "billing.tax_id", &billing.tax_id, 64, 'a', false },
		{ "billing.processor", &billing.processor, 64, 'a', false },
		{ "billing.customer_reference", &billing.customer_reference, 128, 'a', false },
		{ "billing.billing_address.locality", &billing_address.locality, 128, 'a', false },
		{ "billing.payment_methods[0].brand", &card.brand, 32, 'a', false },
		{ "billing.payment_methods[0].token", &card.token, 256, 'a', false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		const struct limit *l = &limits[i];

		for (size_t n = 0; n <= l->len + 1; n = n == 0 ? l->len - 1 : n + 1) {
			make();
			memset(text, l->fill, n);
			text[n] = '\0';
			*l->at = text;
			if (n == 0 && l->needed)
				assert_int_equal(validate(&request), STATUS_INVALID);
			else
				assert_violation(&request, n > l->len ? l->field : NULL, "TOO_LONG");
		}
	}
}

static void
counts(void **state)
{
	static const struct { const char *field; size_t *at, most; } limits[] = {
		{ "identity.emails", &identity.n_emails, 8 },
		{ "identity.phones", &identity.n_phones, 8 },
		{ "identity.account_ids", &identity.n_account_ids, 8 },
		{ "identity.postal_addresses", &identity.n_postal_addresses, 8 },
		{ "identity.postal_addresses[0].lines", &address.n_lines, 6 },
		{ "identity.attributes", &identity.n_attributes, 32 },
		{ "billing.payment_methods", &billing.n_payment_methods, 16 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		for (size_t n = 0; n <= limits[i].most + 1; n += n == 0 ? limits[i].most - 1 : 1) {
			make();
			*limits[i].at = n;
			assert_violation(&request, n > limits[i].most ? limits[i].field : NULL, "TOO_MANY");
		}
	}
}

static void
forms_in_fields(void **state)
{
	(void)state;
	make();
	emails[0] = TEXT("no email");
	assert_violation(&request, "identity.emails[0]", "NOT_AN_EMAIL");
	make();
	identity.n_phones = 3;
	phones[2] = TEXT("12");
	assert_violation(&request, "identity.phones[2]", "NOT_A_PHONE");
	make();
	identity.locale = TEXT("de_DE");
	assert_violation(&request, "identity.locale", "NOT_A_LOCALE");
	make();
	identity.date_of_birth = TEXT("2023-02-29");
	assert_violation(&request, "identity.date_of_birth", "NOT_A_DATE");
	make();
	name.full = TEXT("  ");
	assert_violation(&request, "identity.name.full", "BLANK");
	make();
	card.last_four = TEXT("123");
	assert_violation(&request, "billing.payment_methods[0].last_four", "NOT_FOUR_DIGITS");
	make();
	card.last_four = TEXT("12345");
	assert_violation(&request, "billing.payment_methods[0].last_four", "TOO_LONG");
}

/* More violations than are kept are cut, not written beyond the end. */
static void
many_violations(void **state)
{
	(void)state;
	make();
	for (unsigned i = 0; i < 9; i++)
		emails[i] = phones[i] = accounts[i] = TEXT(" ");
	identity.n_emails = identity.n_phones = identity.n_account_ids = 8;
	assert_int_equal(validate(&request), STATUS_INVALID);
	assert_int_equal(call.violation_count, CALL_VIOLATIONS_MAX);
	assert_string_equal(call.violations[15].field, "identity.phones[7]");
}

static void
other_requests(void **state)
{
	Pdvault__V1__AppendTransactionsRequest a = PDVAULT__V1__APPEND_TRANSACTIONS_REQUEST__INIT;
	Pdvault__V1__Transaction t = PDVAULT__V1__TRANSACTION__INIT, *list[101];
	Pdvault__V1__Timestamp time = PDVAULT__V1__TIMESTAMP__INIT;
	Pdvault__V1__GetErasureRequest e = PDVAULT__V1__GET_ERASURE_REQUEST__INIT;
	uint8_t id[17] = { 0 };
	char *currency[] = { TEXT("eur"), TEXT("EU"), TEXT("EURO"), TEXT("E1R"), TEXT("") };

	(void)state;
	for (unsigned i = 0; i < 101; i++)
		list[i] = &t;
	a.subject = (ProtobufCBinaryData){ 16, id };
	a.transactions = list;
	t.id = TEXT("t");
	t.currency = TEXT("EUR");
	t.time = &time;
	assert_violation(&a, "transactions", "REQUIRED");
	a.n_transactions = 1;
	assert_violation(&a, NULL, NULL);
	for (size_t i = 0; i < sizeof(currency) / sizeof(currency[0]); i++) {
		t.currency = currency[i];
		assert_int_equal(validate(&a), STATUS_INVALID);
		assert_string_equal(call.violations[0].field, "transactions[0].currency");
	}
	t.currency = TEXT("EUR");
	t.id = TEXT("");
	assert_violation(&a, "transactions[0].id", "REQUIRED");
	t.id = TEXT("t");
	t.time = NULL;
	assert_violation(&a, "transactions[0].time", "REQUIRED");
	t.time = &time;
	a.n_transactions = 101;
	assert_violation(&a, "transactions", "TOO_MANY");
	for (size_t n = 0; n <= 17; n++) {
		e.erasure = (ProtobufCBinaryData){ n, id };
		assert_violation(&e, n == 16 ? NULL : "erasure", n == 0 ? "REQUIRED" : "WRONG_LENGTH");
	}
}

/* --- forms --- */

struct form {
	bool (*is)(const char *);
	const char *yes[8], *no[14];
};

static const struct form forms[] = {
	{ validate_form_email, { "a@b", "a.b+c@d.e", " a@b.c ", "\xC3\xA9@b.c", "\"x\"@y" },
	    { "", "a", "@b", "a@", "a@.b", "a@b..c", "a b@c", "a@b c", "a@b@c", "@", "a@ b", " " } },
	{ validate_form_phone, { "12345", "+49 (30) 1-2.3/4", "0049301234" },
	    { "", "1234", "+", "abc", "12345x", "1234567890123456" } },
	{ validate_form_locale, { "de", "de-DE", "zh-Hant-TW", "sr-Latn-RS-1996", "x-12345678" },
	    { "", "-", "de-", "-de", "de--DE", "de_DE", "abcdefghi", "de DE", "d\xC3\xA9" } },
	{ validate_form_date, { "0001-01-01", "2024-02-29", "2000-02-29", "1999-12-31", "9999-12-31" },
	    { "", "0000-01-01", "2023-02-29", "1900-02-29", "2023-00-01", "2023-13-01", "2023-04-31",
	    "2023-01-00", "2023-1-01", "20230101", "2023-01-32", "2023/01/01", "2023-01-01 ", "+023-01-01" } },
	{ validate_form_key, { "a", "a1", "a.b-c_d" }, { "", "1a", "A", ".a", "a b", "a/b", "\xC3\xA9" } },
	{ validate_form_currency, { "EUR", "USD" }, { "", "eur", "EU", "EURO", "E R", "1UR" } },
	{ validate_form_last_four, { "0000", "1234" }, { "", "123", "12345", "12a4", " 123", "-123" } },
	{ validate_form_text, { "a", " a ", "\xC2\xA0" }, { "", " ", "    " } },
};

static void
forms_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		for (size_t n = 0; n < 8 && forms[i].yes[n] != NULL; n++)
			if (!forms[i].is(forms[i].yes[n]))
				fail_msg("form %zu does not take '%s'", i, forms[i].yes[n]);
		for (size_t n = 0; n < 14 && forms[i].no[n] != NULL; n++)
			if (forms[i].is(forms[i].no[n]))
				fail_msg("form %zu takes '%s'", i, forms[i].no[n]);
	}
}

/* Every string, bytes and repeated field of a request has a rule, or the walk would stop the process. */
static void
visit(const ProtobufCMessageDescriptor *d, unsigned depth)
{
	ProtobufCMessage *m = calloc(1, d->sizeof_message);

	assert_non_null(m);
	assert_true(depth <= 4);
	protobuf_c_message_init(d, m);
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		uint8_t *at = (uint8_t *)m + f->offset;
		char *text = TEXT("x");
		uint8_t byte = 1;

		if (f->type == PROTOBUF_C_TYPE_MESSAGE)
			visit(f->descriptor, depth + 1);
		else if (f->label != PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_STRING)
			memcpy(at, &text, sizeof(text));
		else if (f->label != PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_BYTES)
			*(ProtobufCBinaryData *)(void *)at = (ProtobufCBinaryData){ 1, &byte };
		if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
			memcpy((uint8_t *)m + f->quantifier_offset, &f->id, sizeof(f->id));
		(void)!validate(m);
	}
	free(m);
}

static void
every_field_has_a_rule(void **state)
{
	unsigned count;
	const struct method *m = methods_table(&count);

	(void)state;
	for (unsigned i = 0; i < count; i++)
		visit(m[i].request, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(string_limits),
		cmocka_unit_test(counts),
		cmocka_unit_test(forms_in_fields),
		cmocka_unit_test(many_violations),
		cmocka_unit_test(other_requests),
		cmocka_unit_test(forms_alone),
		cmocka_unit_test(every_field_has_a_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
