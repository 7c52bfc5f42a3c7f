/* Column maps, and rows by a map: what is accepted, what becomes of it, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/cli/convert.h"
#include "client/cli/map.h"

#define SUBJECTS "[map]\nkind = subjects\n[columns]\n"
#define TRANSACTIONS "[map]\nkind = transactions\ntime_zone = UTC\n[columns]\naccount_id = A\n" \
	"transaction.id = I\ntransaction.amount = T\n"

enum { TEXT_LEN = 4096 };

static enum pdv_code
load(const char *text, size_t len, struct map **out, struct failure *f)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, len, "r");
	enum pdv_code rc;

	assert_non_null(in);
	rc = map_read(in, "m.map", out, f);
	(void)fclose(in);
	return rc;
}

static void
refused(const char *text, const char *detail)
{
	struct failure f = {0};
	struct map *m = NULL;

	if (load(text, strlen(text), &m, &f) == PDV_OK) {
		map_free(m);
		fail_msg("accepted: %s", text);
	}
	assert_string_equal(f.detail, detail);
	assert_int_equal(f.code, PDV_INVALID_ARGUMENT);
}

static struct map *
accepted(const char *text)
{
	struct failure f = {0};
	struct map *m = NULL;

	if (load(text, strlen(text), &m, &f) != PDV_OK)
		fail_msg("%s", f.detail);
	return m;
}

static void
lines_of_errors(void **state)
{
	(void)state;
	refused("[map]\nkind = subject\n", "m.map:2: kind has to be subjects or transactions");
	refused("[map]\nkind = subjects\nknid = x\n", "m.map:3: unknown key \"knid\"; did you mean kind?");
	refused("[map]\nkind = subjects\n\n[colunms]\n",
	    "m.map:4: unknown section \"colunms\"; did you mean columns?");
	refused("[map]\nkind = subjects\nkind = subjects\n", "m.map:3: this key is there already");
	refused("[map]\nkind = subjects\n[map]\n", "m.map:3: this section is there already");
	refused("[map]\nkind = subjects\nnonsense\n", "m.map:3: neither [section] nor key = value");
	refused("[map\nkind = subjects\n", "m.map:1: a section's name ends with ]");
	refused("[map] x\n", "m.map:1: nothing may follow a section's name");
	refused("kind = subjects\n", "m.map:1: unknown section \"\"");
	refused(SUBJECTS "identity.emial = E\n",
	    "m.map:4: no field \"identity.emial\"; did you mean identity.emails?");
	refused(SUBJECTS "identity.emails = E\ntransaction.id = I\n",
	    "m.map:5: no field \"transaction.id\"");
	refused(SUBJECTS "identity.emails = E\nidentity.emails[0] = F\n",
	    "m.map:5: this field is there already");
	refused(SUBJECTS "identity.emails[32] = E\n", "m.map:4: no field \"identity.emails[32]\"; "
	    "did you mean identity.emails?");
	refused(SUBJECTS "identity.emails = A,,B\n", "m.map:4: a column's name is missing");
	refused(SUBJECTS "identity.emails = \"A\n", "m.map:4: a quote is not closed");
	refused(SUBJECTS "identity.name = N\n", "m.map:4: no field \"identity.name\"; "
	    "did you mean identity.name.full?");
	refused(SUBJECTS "identity.emails = E\n[separators]\nidentity.emails = -\n",
	    "m.map:6: [columns] joins no columns into this field");
	refused(SUBJECTS "identity.emails = E\n[constants]\nidentity.locale = \"\"\n",
	    "m.map:6: a constant has a value");
}

static void
errors_of_the_whole(void **state)
{
	(void)state;
	refused("[map]\n", "m.map: [map] kind is missing: subjects or transactions");
	refused("[map]\nkind = subjects\n", "m.map: [columns] is missing or empty");
	refused(SUBJECTS "identity.locale = L\n", "m.map: nothing to find a subject by: "
	    "[columns] needs identity.account_ids or identity.emails");
	refused("[map]\nkind = transactions\n[columns]\ntransaction.id = I\ntransaction.amount = T\n",
	    "m.map: [columns] needs account_id");
	refused("[map]\nkind = transactions\n[columns]\naccount_id = A\ntransaction.amount = T\n",
	    "m.map: [columns] needs transaction.id");
	refused("[map]\nkind = transactions\n[columns]\naccount_id = A\ntransaction.id = I\n",
	    "m.map: either transaction.amount or transaction.amount_minor");
	refused("[map]\nkind = subjects\ngrouping = .\n[columns]\nidentity.emails = E\n",
	    "m.map: decimal and grouping are the same");
}

static void
settings(void **state)
{
	struct map *m;

	(void)state;
	refused("[map]\nkind = subjects\ntime_zone = Mars/Olympus\n", "m.map:3: time_zone has to be "
	    "UTC, an offset as +02:00, or a name of the tz database that is installed here");
	refused("[map]\nkind = subjects\ntime_format = %Q\n",
	    "m.map:3: time_format has to be text and conversions %Y %m %d %H %M %S ...");
	refused("[map]\nkind = subjects\ndelimiter = ab\n",
	    "m.map:3: delimiter has to be one character, or tab");
	m = accepted("\xef\xbb\xbf# a comment\n[map]\nkind = subjects\ndelimiter = \";\"\n"
	    "format = jsonl\n; another\n[columns]\nidentity.emails = \"E, mail\" , F\n");
	assert_int_equal(m->delimiter, ';');
	assert_int_equal(m->format, ROWS_JSONL);
	assert_int_equal(m->columns_n, 2);
	assert_string_equal(m->columns[0], "E, mail");
	assert_string_equal(m->columns[1], "F");
	map_free(m);
}

/* Lines at the limit, and one byte over it. */
static void
long_lines(void **state)
{
	char text[TEXT_LEN];
	struct failure f = {0};
	struct map *m = NULL;
	size_t n;

	(void)state;
	for (n = 1999; n <= 2001; n++) {
		(void)snprintf(text, sizeof(text), SUBJECTS "identity.emails = E\n;%*s\n", (int)n - 1, "");
		if (n <= 2000) {
			assert_int_equal(load(text, strlen(text), &m, &f), PDV_OK);
			map_free(m);
		} else {
			refused(text, "m.map:5: the line is too long");
		}
	}
	assert_int_not_equal(load("[map]\0\n", 7, &m, &f), PDV_OK);
	assert_string_equal(f.detail, "m.map:1: a NUL byte");
}

/* A row of these cells by that map, as JSON, or the fields and rules that it breaks. */
static void
expect(const char *map, const char *const *cells, const char *expected)
{
	struct rows_cell list[16];
	struct rows_row row = {.line = 2, .cells = list};
	struct converted c = {0};
	struct map *m = accepted(map);
	struct failure f = {0};
	char said[TEXT_LEN] = "", *json;
	size_t i;

	for (i = 0; i < m->columns_n; i++) {
		list[i].text = cells[i] != NULL && cells[i][0] != '\0' ? cells[i] : NULL;
		list[i].len = list[i].text != NULL ? strlen(cells[i]) : 0;
	}
	if (convert_row(m, &row, &c, &f) == PDV_OK) {
		json = json_dumps(c.doc, JSON_COMPACT);
		(void)snprintf(said, sizeof(said), "%s %s", c.key, json);
		free(json);
	}
	for (i = 0; i < f.violations_n; i++)
		(void)snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s:%s;",
		    f.violations[i].field, f.violations[i].rule);
	assert_string_equal(said, expected);
	convert_drop(&c);
	map_free(m);
}

static void
subjects(void **state)
{
	static const char map[] = SUBJECTS "identity.account_ids = Id\n"
	    "identity.name.full = First, Last\nidentity.emails[1] = Mail2\nidentity.emails[0] = Mail\n"
	    "identity.postal_addresses[0].lines = Street\nidentity.attributes.fax = Fax\n"
	    "billing.tax_id = Tax\n[separators]\nidentity.name.full = \", \"\n"
	    "[constants]\nidentity.postal_addresses[0].label = home\nbilling.processor = acme\n";
	const char *all[] = {"7", "Ann", "Li ", "b@x", "a@x", "Road 1\r\n\nFloor 2", "123", "T"};
	const char *few[] = {"7", "", "Li ", "b@x", "", "", "", ""};
	const char *none[] = {"", "Ann", "", "", "a@x", "", "", ""};

	(void)state;
	expect(map, all, "7 {\"identity\":{\"account_ids\":[\"7\"],\"name\":{\"full\":\"Ann, Li \"},"
	    "\"emails\":[\"a@x\",\"b@x\"],\"postal_addresses\":[{\"lines\":[\"Road 1\",\"Floor 2\"],"
	    "\"label\":\"home\"}],\"attributes\":{\"fax\":\"123\"}},"
	    "\"billing\":{\"tax_id\":\"T\",\"processor\":\"acme\"}}");
	expect(map, few, "7 {\"identity\":{\"account_ids\":[\"7\"],\"name\":{\"full\":\"Li \"},"
	    "\"emails\":[\"b@x\"]}}");
	expect(map, none, "identity.account_ids:REQUIRED;");
}

static void
subjects_by_email(void **state)
{
	const char *cells[] = {"a@x", "3.4.1999", "11"}, *bad[] = {"a@x", "31.4.1999", "11x"};
	static const char map[] = "[map]\nkind = subjects\ndate_format = %d.%m.%Y\n[columns]\n"
	    "identity.emails = E\nidentity.date_of_birth = B\n"
	    "billing.payment_methods[0].expiry_month = M\n";

	(void)state;
	expect(map, cells, "a@x {\"identity\":{\"emails\":[\"a@x\"],\"date_of_birth\":\"1999-04-03\"},"
	    "\"billing\":{\"payment_methods\":[{\"expiry_month\":11}]}}");
	expect(map, bad, "identity.date_of_birth:DATE_INVALID;"
	    "billing.payment_methods[0].expiry_month:NOT_AN_INTEGER;");
}

static void
transactions(void **state)
{
	static const char map[] = TRANSACTIONS "transaction.time = W\ntransaction.description = D1, D2\n"
	    "[constants]\ntransaction.currency = USD\ntransaction.status = paid\n";
	const char *good[] = {"7", "i1", "1.98", "2021-01-01 00:00:00", "x", "y"};
	const char *bad[] = {"", "", "1.985", "yesterday", "", ""};
	const char *late[] = {"7", "i1", "1.985", "", "", ""};
	const char *empty[] = {"7", "i1", "", "", "", ""};

	(void)state;
	expect(map, good, "7 {\"transaction\":{\"id\":\"i1\",\"time\":\"2021-01-01T00:00:00Z\","
	    "\"description\":\"x y\",\"currency\":\"USD\",\"status\":\"paid\",\"amount_minor\":198}}");
	expect(map, bad, "transaction.time:TIME_FORMAT;");
	expect(map, late, "transaction.amount:AMOUNT_DIGITS;");
	expect(map, empty, "transaction.amount:REQUIRED;");
}

static void
cells_with_bad_bytes(void **state)
{
	const char *bad[] = {"a\xff", "b"};
	struct rows_cell nul = {"a\0b", 3};
	struct rows_row row = {.line = 2, .cells = &nul};
	struct converted c = {0};
	struct failure f = {0};
	struct map *m;

	(void)state;
	expect(SUBJECTS "identity.emails = E\n", bad, "identity.emails:NOT_UTF8;");
	m = accepted(SUBJECTS "identity.emails = E\n");
	assert_int_equal(convert_row(m, &row, &c, &f), PDV_INVALID_ARGUMENT);
	assert_string_equal(f.violations[0].rule, "EMBEDDED_NUL");
	map_free(m);
}

/* Never a value in a message, whatever is wrong. */
static void
no_value_in_messages(void **state)
{
	const char *cells[] = {"Zebedee", "Zebedee", "Zebedee", "Zebedee"};
	struct rows_cell list[4];
	struct rows_row row = {.line = 2, .cells = list};
	struct map *m = accepted(TRANSACTIONS "transaction.time = W\n");
	struct converted c = {0};
	struct failure f = {0};
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		list[i] = (struct rows_cell){cells[i], strlen(cells[i])};
	assert_int_equal(convert_row(m, &row, &c, &f), PDV_INVALID_ARGUMENT);
	assert_null(strstr(f.detail, "Zebedee"));
	for (i = 0; i < f.violations_n; i++)
		assert_null(strstr(f.violations[i].field, "Zebedee"));
	map_free(m);
}

/* Bytes near to a map: nothing breaks, whatever is accepted can be used. */
static void
random_maps(void **state)
{
	static const char *const pieces[] = {"[map]\n", "kind = subjects\n", "kind = transactions\n",
	    "[columns]\n", "identity.emails = E\n", "identity.emails[3] = \"E,\"\"x\", F\n", "[", "]",
	    "\n", "=", "\"", "identity.postal_addresses[1].lines[2] = L\n", "[separators]\n",
	    "[constants]\n", "transaction.time = W\n", "account_id = A\n", "transaction.id = I\n",
	    "transaction.amount = T\n", "\xff", " ", "time_format = %", "identity.attributes.x = X\n",
	    ",", "#", "0", "identity.name.full = A, B\n"};
	char text[TEXT_LEN];
	struct failure f;
	struct map *m;
	size_t run, n, i;

	(void)state;
	srand(5);
	for (run = 0; run < 5000; run++) {
		text[0] = '\0';
		for (i = (size_t)rand() % 12; i > 0; i--) {
			n = (size_t)rand() % (sizeof(pieces) / sizeof(pieces[0]));
			(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s", pieces[n]);
		}
		m = NULL;
		if (text[0] != '\0' && load(text, strlen(text), &m, &f) == PDV_OK) {
			assert_true(m->columns_n > 0 && m->fields_n > 0);
			map_free(m);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_errors),
		cmocka_unit_test(errors_of_the_whole),
		cmocka_unit_test(settings),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(subjects),
		cmocka_unit_test(subjects_by_email),
		cmocka_unit_test(transactions),
		cmocka_unit_test(cells_with_bad_bytes),
		cmocka_unit_test(no_value_in_messages),
		cmocka_unit_test(random_maps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
