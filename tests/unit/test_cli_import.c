/*
 * The import against a small vault over real TLS: what it creates, updates and leaves, in
 * which order, and what it does when calls fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/cli/exitcode.h"
#include "client/cli/keep.h"
#include "import_bed.h"
#include "import_vault.h"
#include "pdvault/v1/vault.pb-c.h"

/* After so many calls of a method that go well, so many fail. */
static void
trouble(const char *method, unsigned after, unsigned times, enum pdv_code code, const char *reason)
{
	import_vault.trouble = (struct import_trouble){.method = method, .after = after,
	    .times = times, .code = code, .reason = reason};
}

static void
created_once(void **state)
{
	(void)state;
	import_bed_write("s.csv", "id,name,mail,tax\n1,Ann,a@x,T1\n2,Bob,b@x,\n3,Cid,,\n");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(3, 0, 0, 0);
	assert_int_equal(import_vault.n, 3);
	assert_int_equal(import_vault.mutations, 3);
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(0, 0, 3, 0);
	/* Nothing is written that is there already. */
	assert_int_equal(import_vault.mutations, 3);
	import_bed_write("s.csv", "id,name,mail,tax\n1,Ann,a@x,T2\n2,Bob,new@x,\n3,,,\n4,Dan,,\n");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(1, 2, 1, 0);
	assert_int_equal(import_vault.mutations, 6);
}

/* I2: rows of one subject are worked on one after the other, in the order of the file. */
static void
rows_of_one_subject_in_order(void **state)
{
	Pdvault__V1__Identity *last;
	char text[IMPORT_BED_TEXT] = "id,name,mail,tax\n";
	size_t i;

	(void)state;
	for (i = 0; i < 300; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "%zu,N%zu,m%zu@x,\n", i % 3, i / 3, i);
	import_bed_write("s.csv", text);
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(3, 297, 0, 0);
	assert_false(import_vault.overlapped);
	for (i = 0; i < 3; i++) {
		last = pdvault__v1__identity__unpack(NULL, import_vault.subjects[i].identity_len,
		    import_vault.subjects[i].identity);
		assert_string_equal(last->name->full, "N99");
		pdvault__v1__identity__free_unpacked(last, NULL);
	}
}

/* I5: of two rows with one email the first has it, however many calls go on at once. */
static void
the_first_row_has_the_email(void **state)
{
	char text[IMPORT_BED_TEXT] = "id,name,mail,tax\n", line[64];
	size_t i;

	(void)state;
	for (i = 0; i < 200; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%zu,N,m%zu@x,\n", i,
		    i / 2);
	import_bed_write("s.csv", text);
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_INVALID);
	import_bed_counts(100, 0, 0, 100);
	for (i = 0; i < 200; i++) {
		(void)snprintf(line, sizeof(line), "s.csv:%zu: row: LOOKUP_TAKEN\n", i + 2);
		assert_int_equal(strstr(import_bed.err, line) != NULL, i % 2 == 1);
	}
}

static void
refused_rows_are_told_in_order(void **state)
{
	char text[IMPORT_BED_TEXT] = "id,name,mail,tax\n", expected[IMPORT_BED_TEXT] = "";
	size_t i;

	(void)state;
	for (i = 0; i < 200; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), i % 50 == 7
		    ? ",Secret,,\n" : "%zu,Secret,,\n", i);
	import_bed_write("s.csv", text);
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_INVALID);
	import_bed_counts(196, 0, 0, 4);
	for (i = 7; i < 200; i += 50)
		(void)snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
		    "%s:%zu: identity.account_ids: REQUIRED\n", import_bed_path("s.csv"), i + 2);
	assert_string_equal(import_bed.err, expected);
	assert_null(strstr(import_bed.err, "Secret"));
}

/* The same account was made by somebody else between our look and our call. */
static void
a_race_to_create(void **state)
{
	(void)state;
	import_bed_write("s.csv", "id,name,mail,tax\n1,Ann,a@x,\n");
	trouble("CreateSubject", 0, 1, PDV_ALREADY_EXISTS, "LOOKUP_TAKEN");
	import_vault.trouble.done = true;
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(0, 0, 1, 0);
	/* An email of another subject: the second try says the same, and the row is refused. */
	import_bed_write("s.csv", "id,name,mail,tax\n2,Bob,b@x,\n");
	trouble("CreateSubject", 0, 9, PDV_ALREADY_EXISTS, "LOOKUP_TAKEN");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_INVALID);
	import_bed_counts(0, 0, 0, 1);
	assert_non_null(strstr(import_bed.err, ":2: row: LOOKUP_TAKEN"));
}

/* I4: done, but the answer was lost: the row finds what it made itself. */
static void
an_unknown_outcome_is_looked_at(void **state)
{
	(void)state;
	import_bed_write("s.csv", "id,name,mail,tax\n1,Ann,a@x,\n");
	trouble("CreateSubject", 0, 1, PDV_UNKNOWN, "OUTCOME_INDETERMINATE");
	import_vault.trouble.done = true;
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(0, 0, 1, 0);
	assert_int_equal(import_vault.n, 1);
	import_bed_write("s.csv", "id,name,mail,tax\n2,Ann,a@x,\n");
	trouble("CreateSubject", 0, 99, PDV_UNKNOWN, "OUTCOME_INDETERMINATE");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_UNKNOWN_OUTCOME);
	import_bed_counts(0, 0, 0, 0);
}

static void
a_stale_etag_is_read_again(void **state)
{
	(void)state;
	import_bed_write("s.csv", "id,name,mail,tax\n1,Ann,a@x,\n");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_write("s.csv", "id,name,mail,tax\n1,Ann,b@x,\n");
	trouble("UpdateIdentity", 0, 2, PDV_ABORTED, "ETAG_MISMATCH");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(0, 1, 0, 0);
	import_bed_write("s.csv", "id,name,mail,tax\n1,Ann,c@x,\n");
	trouble("UpdateIdentity", 0, 99, PDV_ABORTED, "ETAG_MISMATCH");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_INVALID);
	import_bed_counts(0, 0, 0, 1);
}

static void
many_subjects(char *text, size_t n)
{
	size_t i;

	(void)snprintf(text, IMPORT_BED_TEXT, "id,name,mail,tax\n");
	for (i = 0; i < n; i++)
		(void)snprintf(text + strlen(text), IMPORT_BED_TEXT - strlen(text), "%zu,N,,\n", i);
}

/* A subject without billing gets one; and two updates of one row count as one. */
static void
billing_where_there_was_none(void **state)
{
	(void)state;
	import_bed_write("s.csv", "id,name,mail,tax\n1,Ann,a@x,\n2,Bob,b@x,\n");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_write("s.csv", "id,name,mail,tax\n1,Ann,a@x,T1\n2,New,b@x,T2\n");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(0, 2, 0, 0);
	assert_int_equal(import_vault.mutations, 5);
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(0, 0, 2, 0);
}

static void
denied_ends_it(void **state)
{
	char text[IMPORT_BED_TEXT];

	(void)state;
	many_subjects(text, 400);
	import_bed_write("s.csv", text);
	trouble("CreateSubject", 100, 9999, PDV_PERMISSION_DENIED, "NO");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", true), EXITCODE_DENIED);
	assert_non_null(strstr(import_bed.out, "\"PERMISSION_DENIED\""));
	import_bed_counts((int)import_vault.n, 0, 0, 0);
	assert_int_equal(import_vault.n, 100);
	assert_int_equal(access(import_bed_path("state"), F_OK), 0);
	/* It goes on from there, and in the end all are counted once. */
	trouble(NULL, 0, 0, PDV_OK, NULL);
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", true), EXITCODE_DONE);
	assert_non_null(strstr(import_bed.err, "going on after"));
	assert_int_equal(import_vault.n, 400);
	assert_int_not_equal(access(import_bed_path("state"), F_OK), 0);
}

/* What was refused before the stop stays counted, and makes the exit status 8. */
static void
going_on_remembers_refused_rows(void **state)
{
	char text[IMPORT_BED_TEXT];

	(void)state;
	many_subjects(text, 300);
	memcpy(strchr(text, '\n') + 1, ",NN", 3);	/* the first row has no id */
	import_bed_write("s.csv", text);
	trouble("FindSubject", 150, 9999, PDV_OK, "");
	import_vault.trouble.silent = true;
	assert_int_equal(import_bed_run("s.csv", "s.map", "500ms", true), EXITCODE_UNAVAILABLE);
	trouble(NULL, 0, 0, PDV_OK, NULL);
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", true), EXITCODE_INVALID);
	assert_non_null(strstr(import_bed.out, "\"failed\": 1"));
	assert_null(strstr(import_bed.err, "REQUIRED"));
	assert_int_equal(import_vault.n, 299);
}

/* The library tries again while the vault says that it is not available, then gives up. */
static void
an_unavailable_vault(void **state)
{
	(void)state;
	import_bed_write("s.csv", "id,name,mail,tax\n1,Ann,a@x,\n");
	trouble("CreateSubject", 0, 2, PDV_UNAVAILABLE, "READ_ONLY");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(1, 0, 0, 0);
	import_bed_write("s.csv", "id,name,mail,tax\n2,Bob,b@x,\n");
	trouble("CreateSubject", 0, 9999, PDV_UNAVAILABLE, "READ_ONLY");
	assert_int_equal(import_bed_run("s.csv", "s.map", "500ms", true), EXITCODE_UNAVAILABLE);
	import_bed_counts(0, 0, 0, 0);
	assert_non_null(strstr(import_bed.out, "\"READ_ONLY\""));
}

static void
another_file_begins_anew(void **state)
{
	char text[IMPORT_BED_TEXT];

	(void)state;
	many_subjects(text, 300);
	import_bed_write("s.csv", text);
	trouble("CreateSubject", 150, 9999, PDV_PERMISSION_DENIED, "NO");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", true), EXITCODE_DENIED);
	trouble(NULL, 0, 0, PDV_OK, NULL);
	many_subjects(text, 301);
	import_bed_write("s.csv", text);
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", true), EXITCODE_DONE);
	assert_non_null(strstr(import_bed.err, "from the beginning"));
	import_bed_counts(151, 0, 150, 0);
	import_bed_write("state", "{\"what\": 1}");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", true), EXITCODE_INVALID);
}

static void
transactions(void **state)
{
	char text[IMPORT_BED_TEXT] = "id,tid,total\n";
	size_t i, k, last[4] = {0};

	(void)state;
	import_bed_write("s.csv", "id,name,mail,tax\n0,N,,\n1,N,,\n2,N,,\n3,N,,\n");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	for (i = 0; i < 1000; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%zu,%zu,%zu.05\n",
		    i % 4, i, i);
	import_bed_write("t.csv", text);
	assert_int_equal(import_bed_run("t.csv", "t.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(1000, 0, 0, 0);
	assert_false(import_vault.overlapped);
	assert_int_equal(import_vault.transactions_n, 1000);
	/* They are together in calls, and of each subject in the order of the file. */
	assert_true(import_vault.mutations < 600);
	for (i = 0; i < 1000; i++) {
		k = strtoul(strchr(import_vault.transactions[i], '/') + 1, NULL, 10);
		assert_true(k >= last[k % 4]);
		last[k % 4] = k;
	}
	assert_int_equal(import_bed_run("t.csv", "t.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(0, 0, 1000, 0);
}

static void
one_bad_transaction_costs_itself_only(void **state)
{
	char text[IMPORT_BED_TEXT] = "id,tid,total\n", expected[IMPORT_BED_PATH * 2 + 64];
	size_t i;

	(void)state;
	import_bed_write("s.csv", "id,name,mail,tax\n0,N,,\n");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	for (i = 0; i < 150; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "0,%zu%s,1\n", i,
		    i == 60 ? "!" : "");
	(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "0,7,1\n0,7,1\n9,1,1\n");
	import_bed_write("t.csv", text);
	assert_int_equal(import_bed_run("t.csv", "t.map", "10s", false), EXITCODE_INVALID);
	import_bed_counts(149, 0, 2, 2);
	(void)snprintf(expected, sizeof(expected), "%s:62: transaction.id: BLANK\n",
	    import_bed_path("t.csv"));
	assert_int_equal(strncmp(import_bed.err, expected, strlen(expected)), 0);
	assert_non_null(strstr(import_bed.err, ":154: account_id: NOT_FOUND\n"));
}

static void
damaged_files(void **state)
{
	(void)state;
	import_bed_write("s.csv", "id,name,mail,tax\n1,\"A\"nn,,\n2,Bob,,\n3\n\"4,Dan,,\n5,Eve,,\n");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_INVALID);
	import_bed_counts(2, 0, 0, 3);
	assert_non_null(strstr(import_bed.err, ":2: row: STRAY_QUOTE\n"));
	assert_non_null(strstr(import_bed.err, ":4: row: FIELD_COUNT\n"));
	assert_non_null(strstr(import_bed.err, ":5: row: OPEN_QUOTE\n"));
	import_bed_write("s.csv", "id,nmae,mail,tax\n1,A,,\n");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_INVALID);
	assert_non_null(strstr(import_bed.out, "no column \\\"name\\\""));
	import_bed_write("s.jsonl", "{\"id\": 1, \"name\": \"Ann\"}\nnonsense\n{\"id\": \"9\"}\n");
	assert_int_equal(import_bed_run("s.jsonl", "s.map", "10s", false), EXITCODE_INVALID);
	import_bed_counts(2, 0, 0, 1);
	assert_non_null(strstr(import_bed.err, ":2: row: NOT_JSON\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(created_once, import_bed_empty),
		cmocka_unit_test_setup(rows_of_one_subject_in_order, import_bed_empty),
		cmocka_unit_test_setup(the_first_row_has_the_email, import_bed_empty),
		cmocka_unit_test_setup(refused_rows_are_told_in_order, import_bed_empty),
		cmocka_unit_test_setup(a_race_to_create, import_bed_empty),
		cmocka_unit_test_setup(an_unknown_outcome_is_looked_at, import_bed_empty),
		cmocka_unit_test_setup(a_stale_etag_is_read_again, import_bed_empty),
		cmocka_unit_test_setup(billing_where_there_was_none, import_bed_empty),
		cmocka_unit_test_setup(denied_ends_it, import_bed_empty),
		cmocka_unit_test_setup(going_on_remembers_refused_rows, import_bed_empty),
		cmocka_unit_test_setup(an_unavailable_vault, import_bed_empty),
		cmocka_unit_test_setup(another_file_begins_anew, import_bed_empty),
		cmocka_unit_test_setup(transactions, import_bed_empty),
		cmocka_unit_test_setup(one_bad_transaction_costs_itself_only, import_bed_empty),
		cmocka_unit_test_setup(damaged_files, import_bed_empty),
	};

	keep_json();
	return cmocka_run_group_tests(tests, import_bed_start, import_bed_stop);
}
