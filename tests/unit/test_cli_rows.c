/* Rows of CSV and JSON Lines: what is read, on which line, and what damage costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/cli/rows.h"

enum { SAID_LEN = 4096, RANDOM_RUNS = 3000, RANDOM_LEN = 400 };

static const char *const abc[] = {"a", "b", "c"};

static void
say_cell(char *said, const struct rows_cell *cell)
{
	size_t n = strlen(said);

	if (cell->text == NULL)
		(void)snprintf(said + n, SAID_LEN - n, "-|");
	else
		(void)snprintf(said + n, SAID_LEN - n, "%.*s|", (int)cell->len, cell->text);
}

/* All events of an input that is fed in chunks: "LINE:cell|cell|;" and "LINE!RULE;". */
static void
read_all(const struct rows_options *options, const char *text, size_t len, size_t chunk,
    char *said)
{
	struct failure f = {0};
	enum rows_event event;
	struct rows_row row;
	struct rows *r;
	size_t at = 0, i, n;

	said[0] = '\0';
	assert_int_equal(rows_new(options, &r), PDV_OK);
	while ((event = rows_next(r, &row)) != ROWS_END && event != ROWS_FAILED) {
		n = strlen(said);
		if (event == ROWS_ROW) {
			(void)snprintf(said + n, SAID_LEN - n, "%d:", (int)row.line);
			for (i = 0; i < options->columns_n; i++)
				say_cell(said, &row.cells[i]);
			(void)snprintf(said + strlen(said), SAID_LEN - strlen(said), ";");
		} else if (event == ROWS_REFUSED) {
			(void)snprintf(said + n, SAID_LEN - n, "%d!%s;", (int)row.line, row.rule);
		} else if (at == len) {
			rows_end(r);
		} else {
			n = len - at < chunk ? len - at : chunk;
			assert_int_equal(rows_feed(r, text + at, n), PDV_OK);
			at += n;
		}
	}
	if (event == ROWS_FAILED) {
		assert_int_not_equal(rows_why(r, &f), PDV_OK);
		(void)snprintf(said + strlen(said), SAID_LEN - strlen(said), "FAILED %s", f.detail);
	}
	rows_free(r);
}

/* However the bytes come, the rows are the same. */
static void
expect(const struct rows_options *options, const char *text, const char *expected)
{
	static const size_t chunks[] = {1, 2, 3, 5, 7, 64, 100000};
	char said[SAID_LEN];
	size_t i;

	for (i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		read_all(options, text, strlen(text), chunks[i], said);
		assert_string_equal(said, expected);
	}
}

static void
expect_csv(const char *text, const char *expected)
{
	struct rows_options options = {ROWS_CSV, abc, 3, 0};

	expect(&options, text, expected);
}

static void
expect_jsonl(const char *text, const char *expected)
{
	struct rows_options options = {ROWS_JSONL, abc, 3, 0};

	expect(&options, text, expected);
}

static void
csv_plain(void **state)
{
	(void)state;
	expect_csv("a,b,c\n1,2,3\n4,5,6\n", "2:1|2|3|;3:4|5|6|;");
	expect_csv("a,b,c\n1,2,3", "2:1|2|3|;");
	expect_csv("c,x,a,b\n1,2,3,4\n", "2:3|4|1|;");
	expect_csv("a,b,c\n,,\n1,,3\n", "2:-|-|-|;3:1|-|3|;");
	expect_csv("a,b,c\n", "");
}

static void
csv_keeps_blanks_and_drops_the_mark(void **state)
{
	(void)state;
	expect_csv("\xef\xbb\xbf" "a,b,c\n 1 ,Edinburgh ,\"  x \"\n", "2: 1 |Edinburgh |  x |;");
	expect_csv("\xef\xbb", "FAILED the header (line 1) has no column \"a\" of the map");
}

static void
csv_line_ends(void **state)
{
	(void)state;
	expect_csv("a,b,c\r\n1,2,3\r\n\r\n4,5,6\r\n", "2:1|2|3|;4:4|5|6|;");
	expect_csv("a,b,c\r1,2,3\r4,5,6", "2:1|2|3|;3:4|5|6|;");
	expect_csv("a,b,c\n\n\n1,2,3\n\n", "4:1|2|3|;");
}

static void
csv_quotes(void **state)
{
	(void)state;
	expect_csv("a,b,c\n\"1,1\",\"say \"\"hi\"\"\",\"\"\n", "2:1,1|say \"hi\"|-|;");
	expect_csv("a,b,c\n1,\"two\nlines\",3\n4,5,6\n", "2:1|two\nlines|3|;4:4|5|6|;");
	expect_csv("a,b,c\n1,\"two\r\n\r\nlines\",3\r\n4,5,6\r\n", "2:1|two\r\n\r\nlines|3|;5:4|5|6|;");
	expect_csv("\"a\",\"b\",c\n1,2,3\n", "2:1|2|3|;");
}

static void
csv_a_stray_quote_costs_its_row(void **state)
{
	(void)state;
	expect_csv("a,b,c\n1,2\"x,3\n4,5,6\n", "2!STRAY_QUOTE;3:4|5|6|;");
	expect_csv("a,b,c\n1,\"2\"x,3\n4,5,6\n", "2!STRAY_QUOTE;3:4|5|6|;");
	/* Never closed: what follows is not swallowed. */
	expect_csv("a,b,c\n1,\"2,3\n4,5,6\n7,8,9\n", "2!OPEN_QUOTE;3:4|5|6|;4:7|8|9|;");
	/* Closed by the opening quote of a later row. */
	expect_csv("a,b,c\n1,\"2,3\n4,5,6\n7,\"8\",9\n", "2!STRAY_QUOTE;3:4|5|6|;4:7|8|9|;");
	/* A sound field of two lines before the damage is not read as a row. */
	expect_csv("a,b,c\n\"x\n1,2,3\",2\"y,3\n4,5,6\n", "2!STRAY_QUOTE;4:4|5|6|;");
	expect_csv("a,b,c\n1,2,\"3", "2!OPEN_QUOTE;");
}

static void
csv_wrong_number_of_fields(void **state)
{
	(void)state;
	expect_csv("a,b,c\n1,2\n1,2,3,4\n5,6,7\n", "2!FIELD_COUNT;3!FIELD_COUNT;4:5|6|7|;");
}

static void
csv_headers(void **state)
{
	(void)state;
	expect_csv("", "FAILED the header: there is none, the input is empty");
	expect_csv("a,b\n1,2\n", "FAILED the header (line 1) has no column \"c\" of the map");
	expect_csv("a,b,c,b\n", "FAILED the header (line 1) has twice the column \"b\" of the map");
	expect_csv("a,\"b,c\n", "FAILED the header: OPEN_QUOTE");
	expect_csv("a ,b,c\n", "FAILED the header (line 1) has no column \"a\" of the map");
}

static void
csv_delimiters(void **state)
{
	struct rows_options semicolon = {ROWS_CSV, abc, 3, ';'}, tab = {ROWS_CSV, abc, 3, '\t'};

	(void)state;
	expect(&semicolon, "a;b;c\n1,5;2;3\n", "2:1,5|2|3|;");
	expect(&tab, "a\tb\tc\n1 \t2\t3\n", "2:1 |2|3|;");
}

/* A row of ${len} bytes, its line end not counted. */
static char *
long_row(size_t len, const char *prefix, const char *suffix)
{
	size_t p = strlen(prefix), s = strlen(suffix);
	char *text = malloc(len + s + 1);

	assert_non_null(text);
	memset(text, 'x', len);
	memcpy(text, prefix, p);
	memcpy(text + len, suffix, s + 1);
	return text;
}

static void
rows_have_a_limit(void **state)
{
	struct rows_options csv = {ROWS_CSV, abc, 1, 0}, jsonl = {ROWS_JSONL, abc, 1, 0};
	char said[SAID_LEN], *text;

	(void)state;
	text = long_row((size_t)4 * ROWS_ROW_MAX, "a\n", "\n2\n");
	read_all(&csv, text, strlen(text), 65536, said);
	assert_string_equal(said, "2!ROW_TOO_LONG;3:2|;");
	free(text);
	text = long_row((size_t)4 * ROWS_ROW_MAX, "{\"a\": 1}\n", "\n{\"a\":2}\n");
	read_all(&jsonl, text, strlen(text), 65536, said);
	assert_string_equal(said, "1:1|;2!ROW_TOO_LONG;3:2|;");
	free(text);
	/* An open quote ends at the limit, too. */
	text = long_row((size_t)4 * ROWS_ROW_MAX, "a\n\"\n5\n", "\n2\n");
	read_all(&csv, text, strlen(text), 65536, said);
	assert_string_equal(said, "2!ROW_TOO_LONG;3:5|;4!ROW_TOO_LONG;5:2|;");
	free(text);
}

static void
jsonl_values(void **state)
{
	(void)state;
	expect_jsonl("{\"a\": \"x \", \"b\": 12, \"c\": 1.98}\n", "1:x |12|1.98|;");
	expect_jsonl("{\"a\": true, \"b\": null}\r\n\n{\"b\":\"\",\"c\":\"z\"}",
	    "1:true|-|-|;3:-|-|z|;");
	expect_jsonl("\xef\xbb\xbf{\"a\":-9007199254740993}", "1:-9007199254740993|-|-|;");
	expect_jsonl("", "");
}

static void
jsonl_paths(void **state)
{
	static const char *const paths[] = {"who.name", "mail.1", "x.y"};
	struct rows_options options = {ROWS_JSONL, paths, 3, 0};

	(void)state;
	expect(&options, "{\"who\":{\"name\":\"N\"},\"mail\":[\"p\",\"q\"],\"x.y\":\"point\"}\n",
	    "1:N|q|point|;");
	expect(&options, "{\"who\":\"flat\",\"mail\":[]}\n", "1:-|-|-|;");
}

static void
jsonl_bad_lines(void **state)
{
	(void)state;
	expect_jsonl("{\"a\":1}\n{\"a\":\n[1]\n{\"a\":1,\"a\":2}\n{\"a\":{}}\n{\"a\":\"\\u0000\"}\n{\"b\":2}\n",
	    "1:1|-|-|;2!NOT_JSON;3!NOT_AN_OBJECT;4!NOT_JSON;5!NOT_A_VALUE;6!NOT_JSON;7:-|2|-|;");
	expect_jsonl("{\"a\":\"\xff\"}\n", "1!NOT_JSON;");
}

/* Bytes that are likely to matter to either reader. */
static void
random_bytes(char *out, size_t len)
{
	static const char alphabet[] = "\"\"\",,,\n\n\r;abc1 \t{}[]:\\\0\xef\xbb\xbf\xff";
	size_t i;

	for (i = 0; i < len; i++)
		out[i] = alphabet[(size_t)rand() % (sizeof(alphabet) - 1)];
}

/* Nothing breaks, the reader ends, and chunks make no difference. */
static void
random_input(void **state)
{
	static const char header[] = "a,b,c\n";
	struct rows_options csv = {ROWS_CSV, abc, 3, 0}, jsonl = {ROWS_JSONL, abc, 3, 0};
	char text[RANDOM_LEN + sizeof(header)], whole[SAID_LEN], pieces[SAID_LEN];
	size_t run, len;

	(void)state;
	srand(7);
	for (run = 0; run < RANDOM_RUNS; run++) {
		len = (size_t)rand() % RANDOM_LEN;
		random_bytes(text + strlen(header), len);
		memcpy(text, header, strlen(header));
		read_all(&csv, text, len + strlen(header), 1 + (size_t)rand() % 9, pieces);
		read_all(&csv, text, len + strlen(header), sizeof(text), whole);
		assert_string_equal(whole, pieces);
		read_all(&jsonl, text + strlen(header), len, 1 + (size_t)rand() % 9, pieces);
		read_all(&jsonl, text + strlen(header), len, sizeof(text), whole);
		assert_string_equal(whole, pieces);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_plain),
		cmocka_unit_test(csv_keeps_blanks_and_drops_the_mark),
		cmocka_unit_test(csv_line_ends),
		cmocka_unit_test(csv_quotes),
		cmocka_unit_test(csv_a_stray_quote_costs_its_row),
		cmocka_unit_test(csv_wrong_number_of_fields),
		cmocka_unit_test(csv_headers),
		cmocka_unit_test(csv_delimiters),
		cmocka_unit_test(rows_have_a_limit),
		cmocka_unit_test(jsonl_values),
		cmocka_unit_test(jsonl_paths),
		cmocka_unit_test(jsonl_bad_lines),
		cmocka_unit_test(random_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
