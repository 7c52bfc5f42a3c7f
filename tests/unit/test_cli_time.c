/* Moments and dates from text, with formats and zones, and amounts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/cli/instant.h"
#include "client/cli/money.h"

static const struct instant_zone no_zone;

/* The text by a format, as RFC 3339 or as the rule that it breaks. */
static void
expect(const char *text, const char *format, const char *zone, const char *expected)
{
	struct instant_zone z = no_zone;
	char out[INSTANT_TEXT_LEN];
	struct instant t;
	const char *rule;

	if (zone != NULL)
		assert_true(instant_zone(zone, &z));
	if ((rule = instant_read(text, format, &z, &t)) != NULL) {
		assert_string_equal(rule, expected);
		return;
	}
	assert_true(instant_write(&t, out));
	assert_string_equal(out, expected);
}

static void
rfc3339(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"2021-01-01T00:00:00Z", "2021-01-01T00:00:00Z"},
		{"2021-01-01T00:00:00.5Z", "2021-01-01T00:00:00.5Z"},
		{"2021-01-01T00:00:00.123456789+02:00", "2020-12-31T22:00:00.123456789Z"},
		{"2024-02-29T23:59:59-00:30", "2024-03-01T00:29:59Z"},
		{"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
		{"9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"},
		{"1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.25Z"},
		{"9999-12-31T23:59:59-01:00", "TIME_INVALID"},
		{"2023-02-29T00:00:00Z", "TIME_INVALID"},
		{"2021-01-01T24:00:00Z", "TIME_FORMAT"},
		{"2021-01-01T00:00:60Z", "TIME_FORMAT"},
		{"2021-01-01T00:00:00", "TIME_FORMAT"},
		{"2021-01-01T00:00:00Z ", "TIME_FORMAT"},
		{"2021-01-01T00:00:00.1234567890Z", "TIME_FORMAT"},
		{"2021-01-01T00:00:00.Z", "TIME_FORMAT"},
		{"21-01-01T00:00:00Z", "TIME_FORMAT"},
		{"", "TIME_FORMAT"},
	};
	char out[INSTANT_TEXT_LEN];
	struct instant t;
	const char *rule;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rule = instant_read_rfc3339(cases[i].text, &t);
		if (rule == NULL)
			assert_true(instant_write(&t, out));
		assert_string_equal(rule != NULL ? rule : out, cases[i].expected);
	}
}

static void
usual_texts(void **state)
{
	(void)state;
	expect("2021-01-01 00:00:00", NULL, "UTC", "2021-01-01T00:00:00Z");
	expect("2021-01-01", NULL, "+01:00", "2020-12-31T23:00:00Z");
	expect("2021-01-01 10:00:00.25", NULL, "-0530", "2021-01-01T15:30:00.25Z");
	expect("2021-01-01 10:00:00+02:00", NULL, "UTC", "2021-01-01T08:00:00Z");
	expect("2021-01-01 00:00:00", NULL, NULL, "TIME_ZONE_MISSING");
	expect("01/02/2021", NULL, "UTC", "TIME_FORMAT");
}

static void
formats(void **state)
{
	(void)state;
	expect("31.12.2021 23:59", "%d.%m.%Y %H:%M", "UTC", "2021-12-31T23:59:00Z");
	expect("1/2/21", "%m/%d/%y", "UTC", "2021-01-02T00:00:00Z");
	expect("Fri, 01 Jan 2021 12:30:15 +0100", "%a, %d %b %Y %H:%M:%S %z", NULL,
	    "2021-01-01T11:30:15Z");
	expect("January 5 2021 12:05 AM", "%B %d %Y %I:%M %p", "Z", "2021-01-05T00:05:00Z");
	expect("Jan 5 2021 12:05 pm", "%b %d %Y %I:%M %p", "Z", "2021-01-05T12:05:00Z");
	expect("1609459200", "%s", NULL, "2021-01-01T00:00:00Z");
	expect("-1.5", "%s%f", NULL, "1969-12-31T23:59:59.5Z");
	expect("100% 2021-01-01", "100%% %Y-%m-%d", "UTC", "2021-01-01T00:00:00Z");
	expect("31.11.2021", "%d.%m.%Y", "UTC", "TIME_INVALID");
	expect("2021-13-01", "%Y-%m-%d", "UTC", "TIME_FORMAT");
	expect("2021-01-01x", "%Y-%m-%d", "UTC", "TIME_FORMAT");
	expect("2021-01", "%Y-%m", "UTC", "TIME_FORMAT");
	expect("01 2021-01-01", "%I %Y-%m-%d", "UTC", "TIME_FORMAT");
	assert_true(instant_format_fits("%Y-%m-%d %H:%M:%S%f%z %%"));
	assert_false(instant_format_fits("%Q"));
	assert_false(instant_format_fits("%Y-%"));
}

static void
zones_with_a_name(void **state)
{
	static const char berlin[] = "Europe/Berlin";
	struct instant_zone z;

	(void)state;
	assert_false(instant_zone("Europe/Nowhere", &z));
	assert_false(instant_zone("../../etc/passwd", &z));
	assert_false(instant_zone("", &z));
	assert_false(instant_zone("+25:00", &z));
	if (!instant_zone(berlin, &z))
		skip();			/* no tzdata on this machine */
	expect("2021-01-01 00:00:00", NULL, berlin, "2020-12-31T23:00:00Z");
	expect("2021-07-01 00:00:00", NULL, berlin, "2021-06-30T22:00:00Z");
	expect("2021-03-28 02:30:00", NULL, berlin, "TIME_NONEXISTENT");
	/* It comes twice: the first is meant. */
	expect("2021-10-31 02:30:00", NULL, berlin, "2021-10-31T00:30:00Z");
	expect("2021-10-31 03:00:00", NULL, berlin, "2021-10-31T02:00:00Z");
	/* A zone in the text goes before. */
	expect("2021-07-01T00:00:00Z", NULL, berlin, "2021-07-01T00:00:00Z");
}

static void
dates(void **state)
{
	char out[INSTANT_DATE_LEN];

	(void)state;
	assert_null(instant_read_date("1980-02-29", NULL, out));
	assert_string_equal(out, "1980-02-29");
	assert_null(instant_read_date("29.2.1980", "%d.%m.%Y", out));
	assert_string_equal(out, "1980-02-29");
	assert_null(instant_read_date("1900-01-01", NULL, out));
	assert_string_equal(out, "1900-01-01");
	assert_null(instant_read_date("0800-12-25", NULL, out));
	assert_string_equal(out, "0800-12-25");
	assert_string_equal(instant_read_date("1981-02-29", NULL, out), "DATE_INVALID");
	assert_string_equal(instant_read_date("29.2.1980", NULL, out), "DATE_FORMAT");
	assert_string_equal(instant_read_date("315532800", "%s", out), "DATE_FORMAT");
}

static void
beyond_what_can_be_written(void **state)
{
	static const struct instant bad[] = {{INT64_MIN, 0}, {INT64_MAX, 0},
	    {INT64_C(253402300800), 0}, {INT64_C(-62135596801), 0}, {0, -1}, {0, 1000000000}};
	char out[INSTANT_TEXT_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(instant_write(&bad[i], out));
}

static void
random_times(void **state)
{
	static const char alphabet[] = "0123456789-:TZ +.,/%apmJanFriY";
	char text[40], out[INSTANT_TEXT_LEN];
	struct instant t, again;
	size_t run, i, len;

	(void)state;
	srand(11);
	for (run = 0; run < 20000; run++) {
		len = (size_t)rand() % (sizeof(text) - 1);
		for (i = 0; i < len; i++)
			text[i] = alphabet[(size_t)rand() % (sizeof(alphabet) - 1)];
		text[len] = '\0';
		(void)instant_format_fits(text);
		(void)instant_read(text, NULL, &no_zone, &t);
		t.seconds = rand();
		t.nanos = rand() % 1000000000;
		assert_true(instant_write(&t, out));
		assert_null(instant_read_rfc3339(out, &again));
		assert_int_equal(t.seconds, again.seconds);
		assert_int_equal(t.nanos, again.nanos);
	}
}

static void
expect_money(const char *text, const char *currency, const struct money_style *style,
    const char *rule, int64_t expected)
{
	int64_t minor = -77;
	const char *broken = money_read(text, currency, style, &minor);

	if (rule == NULL) {
		assert_null(broken);
		assert_true(minor == expected);
	} else {
		assert_non_null(broken);
		assert_string_equal(broken, rule);
		assert_true(minor == -77);
	}
}

static void
amounts(void **state)
{
	static const struct {
		const char *text, *currency, *rule;
		int64_t minor;
	} cases[] = {
		{"1.98", "EUR", NULL, 198},
		{"1.9", "EUR", NULL, 190},
		{"2", "EUR", NULL, 200},
		{"-0.05", "USD", NULL, -5},
		{"+7.00", "USD", NULL, 700},
		{"300", "JPY", NULL, 300},
		{"1.234", "KWD", NULL, 1234},
		{"92233720368547758.07", "EUR", NULL, INT64_MAX},
		{"-92233720368547758.08", "EUR", NULL, INT64_MIN},
		{"92233720368547758.08", "EUR", "AMOUNT_RANGE", 0},
		{"-92233720368547758.09", "EUR", "AMOUNT_RANGE", 0},
		{"9223372036854775807", "EUR", "AMOUNT_RANGE", 0},
		{"1.985", "EUR", "AMOUNT_DIGITS", 0},
		{"1.980", "EUR", "AMOUNT_DIGITS", 0},
		{"300.0", "JPY", "AMOUNT_DIGITS", 0},
		{"1,98", "EUR", "AMOUNT_FORMAT", 0},
		{"", "EUR", "AMOUNT_FORMAT", 0},
		{"-", "EUR", "AMOUNT_FORMAT", 0},
		{".5", "EUR", "AMOUNT_FORMAT", 0},
		{"5.", "EUR", "AMOUNT_FORMAT", 0},
		{" 5", "EUR", "AMOUNT_FORMAT", 0},
		{"5e3", "EUR", "AMOUNT_FORMAT", 0},
		{"0x5", "EUR", "AMOUNT_FORMAT", 0},
		{"1.2.3", "EUR", "AMOUNT_FORMAT", 0},
		{"1.00", "EURO", "CURRENCY_UNKNOWN", 0},
		{"1.00", "eur", "CURRENCY_UNKNOWN", 0},
		{"1.00", "", "CURRENCY_UNKNOWN", 0},
		{"1.00", "QQQ", "CURRENCY_UNKNOWN", 0},
	};
	static const struct money_style plain = {'.', '\0'};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_money(cases[i].text, cases[i].currency, &plain, cases[i].rule, cases[i].minor);
}

static void
amounts_in_groups(void **state)
{
	static const struct money_style german = {',', '.'};

	(void)state;
	expect_money("1.234.567,89", "EUR", &german, NULL, 123456789);
	expect_money("999,9", "EUR", &german, NULL, 99990);
	expect_money("-1.000", "EUR", &german, NULL, -100000);
	expect_money("1234,5", "EUR", &german, NULL, 123450);
	expect_money("1.23,00", "EUR", &german, "AMOUNT_FORMAT", 0);
	expect_money("1234.567,00", "EUR", &german, "AMOUNT_FORMAT", 0);
	expect_money(".123", "EUR", &german, "AMOUNT_FORMAT", 0);
	expect_money("1.2345", "EUR", &german, "AMOUNT_FORMAT", 0);
	expect_money("1.98", "EUR", &german, "AMOUNT_FORMAT", 0);
}

static void
currencies(void **state)
{
	(void)state;
	assert_int_equal(money_exponent("JPY"), 0);
	assert_int_equal(money_exponent("XPF"), 0);
	assert_int_equal(money_exponent("USD"), 2);
	assert_int_equal(money_exponent("AED"), 2);
	assert_int_equal(money_exponent("ZWL"), 2);
	assert_int_equal(money_exponent("TND"), 3);
	assert_int_equal(money_exponent("UYW"), 4);
	assert_int_equal(money_exponent("US "), -1);
	assert_int_equal(money_exponent("SDU"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc3339),
		cmocka_unit_test(usual_texts),
		cmocka_unit_test(formats),
		cmocka_unit_test(zones_with_a_name),
		cmocka_unit_test(dates),
		cmocka_unit_test(beyond_what_can_be_written),
		cmocka_unit_test(random_times),
		cmocka_unit_test(amounts),
		cmocka_unit_test(amounts_in_groups),
		cmocka_unit_test(currencies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
