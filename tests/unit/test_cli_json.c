/* JSON to the client library's structs and back, and what a row changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/cli/json_in.h"
#include "client/cli/json_out.h"
#include "client/cli/keep.h"
#include "client/cli/merge.h"

enum { TEXT_LEN = 4096 };

static json_t *
parse(const char *text)
{
	json_t *doc = json_loads(text, JSON_DECODE_ANY, NULL);

	if (doc == NULL)
		fail_msg("not JSON: %s", text);
	return doc;
}

/* ${in} is read as ${s} and written again as ${out}. */
static void
round_trip(const struct schema *s, const char *in, const char *out)
{
	json_t *doc = parse(in), *expected = parse(out), *written;
	struct keep k = {NULL};
	struct json_in how = {s, s->name, &k};
	struct failure f = {0};
	const void *message;

	if (json_in_message(&how, doc, &message, &f) != PDV_OK)
		fail_msg("%s: %s", f.violations[0].field, f.violations[0].rule);
	written = json_out_message(s, message);
	if (!json_equal(written, expected))
		fail_msg("%s", json_dumps(written, 0));
	json_decref(written);
	keep_free(&k);
	json_decref(doc);
	json_decref(expected);
}

/* ${in} is refused with these violations. */
static void
refused(const struct schema *s, const char *in, const char *violations)
{
	json_t *doc = parse(in);
	struct keep k = {NULL};
	struct json_in how = {s, s->name, &k};
	struct failure f = {0};
	char said[TEXT_LEN] = "";
	const void *message;
	size_t i;

	assert_int_equal(json_in_message(&how, doc, &message, &f), PDV_INVALID_ARGUMENT);
	for (i = 0; i < f.violations_n; i++)
		(void)snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s:%s;",
		    f.violations[i].field, f.violations[i].rule);
	assert_string_equal(said, violations);
	keep_free(&k);
	json_decref(doc);
}

static void
identity(void **state)
{
	static const char whole[] = "{\"name\":{\"full\":\"A B\",\"given\":\"A\",\"family\":\"B\"},"
	    "\"emails\":[\"a@x\",\"b@x\"],\"phones\":[\"+1\"],\"locale\":\"de-CH\","
	    "\"date_of_birth\":\"1980-02-29\",\"postal_addresses\":[{\"label\":\"home\","
	    "\"recipient\":\"R\",\"organization\":\"O\",\"lines\":[\"1\",\"2\"],\"locality\":\"L \","
	    "\"region\":\"G\",\"postal_code\":\"P\",\"country\":\"CH\"},{\"country\":\"DE\"}],"
	    "\"account_ids\":[\"7\"],\"attributes\":{\"fax\":\"1\",\"vip\":\"\xc3\xbc\"}}";

	(void)state;
	round_trip(&schema_identity, whole, whole);
	round_trip(&schema_identity, "{}", "{}");
	round_trip(&schema_identity, "{\"emails\":[],\"name\":null,\"locale\":\"\",\"phones\":null}",
	    "{}");
	round_trip(&schema_identity, "{\"attributes\":[{\"key\":\"fax\",\"value\":\"1\"}]}",
	    "{\"attributes\":{\"fax\":\"1\"}}");
}

static void
billing(void **state)
{
	static const char whole[] = "{\"legal_name\":\"L\",\"billing_address\":{\"country\":\"CH\"},"
	    "\"tax_id\":\"T\",\"processor\":\"P\",\"customer_reference\":\"C\",\"payment_methods\":"
	    "[{\"brand\":\"visa\",\"last_four\":\"4242\",\"expiry_month\":12,\"expiry_year\":2031,"
	    "\"token\":\"tok\"},{\"brand\":\"sepa\"}]}";

	(void)state;
	round_trip(&schema_billing, whole, whole);
}

static void
transaction(void **state)
{
	(void)state;
	round_trip(&schema_transaction, "{\"id\":\"1\",\"time\":\"2021-01-01T01:00:00.50+01:00\","
	    "\"amount_minor\":-9223372036854775808,\"currency\":\"USD\",\"status\":\"paid\","
	    "\"description\":\"d\",\"invoice_reference\":\"r\"}",
	    "{\"id\":\"1\",\"time\":\"2021-01-01T00:00:00.5Z\","
	    "\"amount_minor\":-9223372036854775808,\"currency\":\"USD\",\"status\":\"paid\","
	    "\"description\":\"d\",\"invoice_reference\":\"r\"}");
	round_trip(&schema_transaction, "{\"id\":\"1\"}", "{\"id\":\"1\",\"amount_minor\":0}");
}

static void
violations(void **state)
{
	(void)state;
	refused(&schema_identity, "{\"emial\":[]}", "identity.emial:UNKNOWN_FIELD;");
	refused(&schema_identity, "{\"name\":{\"nick\":\"x\"}}", "identity.name.nick:UNKNOWN_FIELD;");
	refused(&schema_identity, "[]", "identity:NOT_AN_OBJECT;");
	refused(&schema_identity, "{\"emails\":\"a@x\"}", "identity.emails:NOT_A_LIST;");
	refused(&schema_identity, "{\"emails\":[\"a@x\",1]}", "identity.emails[1]:NOT_A_STRING;");
	refused(&schema_identity, "{\"name\":\"x\",\"locale\":5}",
	    "identity.name:NOT_AN_OBJECT;identity.locale:NOT_A_STRING;");
	refused(&schema_identity, "{\"postal_addresses\":[{},{\"lines\":[\"a\",{}]}]}",
	    "identity.postal_addresses[1].lines[1]:NOT_A_STRING;");
	refused(&schema_identity, "{\"date_of_birth\":\"1.2.1980\"}",
	    "identity.date_of_birth:DATE_FORMAT;");
	refused(&schema_identity, "{\"attributes\":{\"a\":1}}",
	    "identity.attributes[0].value:NOT_A_STRING;");
	refused(&schema_identity, "{\"attributes\":[{\"key\":\"a\",\"val\":\"1\"}]}",
	    "identity.attributes[0].val:UNKNOWN_FIELD;");
	refused(&schema_identity, "{\"attributes\":[{\"value\":\"1\"}]}",
	    "identity.attributes[0].key:NOT_A_STRING;");
	refused(&schema_billing, "{\"payment_methods\":[{\"expiry_month\":\"12\"}]}",
	    "billing.payment_methods[0].expiry_month:NOT_AN_INTEGER;");
	refused(&schema_billing, "{\"payment_methods\":[{\"expiry_month\":-1}]}",
	    "billing.payment_methods[0].expiry_month:OUT_OF_RANGE;");
	refused(&schema_billing, "{\"payment_methods\":[{\"card_number\":\"4111\"}]}",
	    "billing.payment_methods[0].card_number:UNKNOWN_FIELD;");
	refused(&schema_transaction, "{\"time\":\"yesterday\",\"amount_minor\":1.5}",
	    "transaction.time:TIME_FORMAT;transaction.amount_minor:NOT_AN_INTEGER;");
}

/* Keys come from files: they must not reach a terminal as commands, nor values at all. */
static void
nothing_of_the_input_is_shown(void **state)
{
	json_t *doc = parse("{\"\\u001b[2J\":1,\"locale\":7777}");
	struct keep k = {NULL};
	struct json_in how = {&schema_identity, "identity", &k};
	struct failure f = {0};
	const void *message;

	(void)state;
	assert_int_equal(json_in_message(&how, doc, &message, &f),
	    PDV_INVALID_ARGUMENT);
	assert_string_equal(f.violations[0].field, "identity.?[2J");
	assert_null(strstr(f.detail, "7777"));
	keep_free(&k);
	json_decref(doc);
	assert_int_equal(json_in_parse("{\"a\":\n7777", 10, &doc, &f), PDV_INVALID_ARGUMENT);
	assert_string_equal(f.detail, "the input is not JSON, line 2");
	assert_int_equal(json_in_parse("{\"a\":1,\"a\":2}", 13, &doc, &f), PDV_INVALID_ARGUMENT);
}

/* What is printed of ${doc}, in ${out}. */
static void
printed(const char *doc, bool json, char out[static TEXT_LEN])
{
	struct failure f = {0};
	int ends[2];
	ssize_t n;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(json_out_print(parse(doc), json, ends[1], &f), PDV_OK);
	(void)close(ends[1]);
	n = read(ends[0], out, TEXT_LEN - 1);
	assert_true(n >= 0);
	out[n] = '\0';
	(void)close(ends[0]);
}

static void
printing(void **state)
{
	char out[TEXT_LEN];

	(void)state;
	printed("{\"b\":\"x\\u001b\xc2\x9b y\",\"a\":[1,{\"c\":true}],\"n\":null}", false, out);
	assert_string_equal(out, "b: x?? y\na:\n  - 1\n  -\n    c: yes\nn: -\n");
	printed("{\"b\":\"x\\u001b\xc3\xbc\",\"a\":9007199254740993}", true, out);
	assert_string_equal(out, "{\n  \"b\": \"x\\u001B\xc3\xbc\",\n  \"a\": 9007199254740993\n}\n");
}

static void
output_that_cannot_be_written(void **state)
{
	struct failure f = {0};
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(json_out_print(parse("{}"), true, ends[0], &f), PDV_INTERNAL);
	assert_string_equal(f.reason, "OUTPUT_FAILED");
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void
changes(void **state)
{
	static const struct {
		const char *held, *wanted, *changes;
	} cases[] = {
		{"{}", "{}", "{}"},
		{"{\"emails\":[\"a\"]}", "{\"emails\":[\"a\"]}", "{}"},
		{"{\"emails\":[\"a\",\"b\"]}", "{\"emails\":[\"a\"]}", "{\"emails\":[\"a\"]}"},
		{"{\"emails\":[\"a\"],\"phones\":[\"1\"]}", "{\"emails\":[\"b\"]}", "{\"emails\":[\"b\"]}"},
		{"{\"name\":{\"given\":\"G\",\"full\":\"F\"}}", "{\"name\":{\"full\":\"F\"}}", "{}"},
		{"{\"name\":{\"given\":\"G\",\"full\":\"F\"}}", "{\"name\":{\"full\":\"X\"}}",
		    "{\"name\":{\"given\":\"G\",\"full\":\"X\"}}"},
		{"{\"account_ids\":[\"9\",\"7\"]}", "{\"account_ids\":[\"7\"]}", "{}"},
		{"{\"account_ids\":[\"9\"]}", "{\"account_ids\":[\"7\"]}",
		    "{\"account_ids\":[\"9\",\"7\"]}"},
		{"{\"attributes\":{\"a\":\"1\",\"b\":\"2\"}}", "{\"attributes\":{\"b\":\"3\"}}",
		    "{\"attributes\":{\"a\":\"1\",\"b\":\"3\"}}"},
		{"{}", "{\"attributes\":{\"b\":\"3\"},\"locale\":\"de\"}",
		    "{\"attributes\":{\"b\":\"3\"},\"locale\":\"de\"}"},
	};
	json_t *held, *wanted, *expected, *got;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		held = parse(cases[i].held);
		wanted = parse(cases[i].wanted);
		expected = parse(cases[i].changes);
		got = merge_changes(held, wanted);
		if (!json_equal(got, expected))
			fail_msg("%s", json_dumps(got, 0));
		/* What the vault holds was not touched by the comparison. */
		json_decref(expected);
		expected = parse(cases[i].held);
		assert_true(json_equal(held, expected));
		json_decref(held);
		json_decref(wanted);
		json_decref(expected);
		json_decref(got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity),
		cmocka_unit_test(billing),
		cmocka_unit_test(transaction),
		cmocka_unit_test(violations),
		cmocka_unit_test(nothing_of_the_input_is_shown),
		cmocka_unit_test(printing),
		cmocka_unit_test(output_that_cannot_be_written),
		cmocka_unit_test(changes),
	};

	keep_json();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
