/*
 * The import against a small vault over real TLS: what it creates, updates and leaves, in
 * which order, and what it does when calls fail.
 */
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
#include <nng/nng.h>

#include "client/cli/exitcode.h"
#include "client/cli/keep.h"
#include "client/cli/nouns.h"
#include "fake_vault.h"
#include "import_vault.h"
#include "pdvault/v1/vault.pb-c.h"
#include "pki.h"
#include "scratch.h"

enum { TEXT_LEN = 65536, PATH_LEN = 512 };

static struct {
	struct pki *pki;
	struct fake *fake;
	char folder[256];
	char out[TEXT_LEN], err[TEXT_LEN];
} bed;

static const char *
in_folder(const char *name)
{
	return scratch_path(bed.folder, name);
}

static void
write_file(const char *name, const char *text)
{
	scratch_write(in_folder(name), text, strlen(text));
}

static void
read_back(const char *name, char out[static TEXT_LEN])
{
	FILE *in = fopen(in_folder(name), "r");
	size_t n;

	assert_non_null(in);
	n = fread(out, 1, TEXT_LEN - 1, in);
	out[n] = '\0';
	(void)fclose(in);
}

static int
redirect(int fd, const char *name)
{
	int saved = dup(fd), to = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(saved >= 0 && to >= 0);
	(void)fflush(NULL);
	assert_int_equal(dup2(to, fd), fd);
	(void)close(to);
	return saved;
}

/* `import`, with both outputs in bed; its exit status. */
static int
import(const char *input, const char *map, const char *timeout, bool resume)
{
	char in[2 * PATH_LEN], with[2 * PATH_LEN], state[2 * PATH_LEN];
	const char *argv[] = {"import", in, "--map", with, "--json", "--timeout", timeout, "--resume",
	    state, NULL};
	struct failure f = {.code = PDV_OK};
	int out, err;
	struct args a;

	(void)snprintf(in, sizeof(in), "%s", in_folder(input));
	(void)snprintf(with, sizeof(with), "%s", in_folder(map));
	(void)snprintf(state, sizeof(state), "%s", in_folder("state"));
	if (!resume)
		argv[7] = NULL;
	assert_int_equal(args_parse(&nouns_table, argv, &a, &f), PDV_OK);
	out = redirect(STDOUT_FILENO, "out");
	err = redirect(STDERR_FILENO, "err");
	(void)a.verb->run(&a, &f);
	(void)fflush(NULL);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(err, STDERR_FILENO);
	(void)close(out);
	(void)close(err);
	read_back("out", bed.out);
	read_back("err", bed.err);
	return (int)exitcode_of(f.code, f.reason);
}

static void
expect_counts(int created, int updated, int unchanged, int failed)
{
	json_t *doc = json_loads(bed.out, 0, NULL);
	int c = -1, u = -1, n = -1, f = -1;

	(void)json_unpack(doc, "{s:i, s:i, s:i, s:i}", "created", &c, "updated", &u, "unchanged", &n,
	    "failed", &f);
	json_decref(doc);
	if (c != created || u != updated || n != unchanged || f != failed)
		fail_msg("%s%s", bed.out, bed.err);
}

/* After so many calls of a method that go well, so many fail. */
static void
trouble(const char *method, unsigned after, unsigned times, enum pdv_code code, const char *reason)
{
	import_vault.trouble = (struct import_trouble){.method = method, .after = after,
	    .times = times, .code = code, .reason = reason};
}

static int
setup(void **state)
{
	(void)state;
	import_vault_empty();
	write_file("s.map", "[map]\nkind = subjects\n[columns]\nidentity.account_ids = id\n"
	    "identity.name.full = name\nidentity.emails = mail\nbilling.tax_id = tax\n");
	write_file("t.map", "[map]\nkind = transactions\ntime_zone = UTC\n[columns]\n"
	    "account_id = id\ntransaction.id = tid\ntransaction.amount = total\n"
	    "[constants]\ntransaction.currency = EUR\n");
	(void)unlink(in_folder("state"));
	return 0;
}

static void
created_once(void **state)
{
	(void)state;
	write_file("s.csv", "id,name,mail,tax\n1,Ann,a@x,T1\n2,Bob,b@x,\n3,Cid,,\n");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	expect_counts(3, 0, 0, 0);
	assert_int_equal(import_vault.n, 3);
	assert_int_equal(import_vault.mutations, 3);
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	expect_counts(0, 0, 3, 0);
	/* Nothing is written that is there already. */
	assert_int_equal(import_vault.mutations, 3);
	write_file("s.csv", "id,name,mail,tax\n1,Ann,a@x,T2\n2,Bob,new@x,\n3,,,\n4,Dan,,\n");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	expect_counts(1, 2, 1, 0);
	assert_int_equal(import_vault.mutations, 6);
}

/* I2: rows of one subject are worked on one after the other, in the order of the file. */
static void
rows_of_one_subject_in_order(void **state)
{
	Pdvault__V1__Identity *last;
	char text[TEXT_LEN] = "id,name,mail,tax\n";
	size_t i;

	(void)state;
	for (i = 0; i < 300; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "%zu,N%zu,m%zu@x,\n", i % 3, i / 3, i);
	write_file("s.csv", text);
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	expect_counts(3, 297, 0, 0);
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
	char text[TEXT_LEN] = "id,name,mail,tax\n", line[64];
	size_t i;

	(void)state;
	for (i = 0; i < 200; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%zu,N,m%zu@x,\n", i,
		    i / 2);
	write_file("s.csv", text);
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_INVALID);
	expect_counts(100, 0, 0, 100);
	for (i = 0; i < 200; i++) {
		(void)snprintf(line, sizeof(line), "s.csv:%zu: row: LOOKUP_TAKEN\n", i + 2);
		assert_int_equal(strstr(bed.err, line) != NULL, i % 2 == 1);
	}
}

static void
refused_rows_are_told_in_order(void **state)
{
	char text[TEXT_LEN] = "id,name,mail,tax\n", expected[TEXT_LEN] = "";
	size_t i;

	(void)state;
	for (i = 0; i < 200; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), i % 50 == 7
		    ? ",Secret,,\n" : "%zu,Secret,,\n", i);
	write_file("s.csv", text);
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_INVALID);
	expect_counts(196, 0, 0, 4);
	for (i = 7; i < 200; i += 50)
		(void)snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
		    "%s:%zu: identity.account_ids: REQUIRED\n", in_folder("s.csv"), i + 2);
	assert_string_equal(bed.err, expected);
	assert_null(strstr(bed.err, "Secret"));
}

/* The same account was made by somebody else between our look and our call. */
static void
a_race_to_create(void **state)
{
	(void)state;
	write_file("s.csv", "id,name,mail,tax\n1,Ann,a@x,\n");
	trouble("CreateSubject", 0, 1, PDV_ALREADY_EXISTS, "LOOKUP_TAKEN");
	import_vault.trouble.done = true;
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	expect_counts(0, 0, 1, 0);
	/* An email of another subject: the second try says the same, and the row is refused. */
	write_file("s.csv", "id,name,mail,tax\n2,Bob,b@x,\n");
	trouble("CreateSubject", 0, 9, PDV_ALREADY_EXISTS, "LOOKUP_TAKEN");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_INVALID);
	expect_counts(0, 0, 0, 1);
	assert_non_null(strstr(bed.err, ":2: row: LOOKUP_TAKEN"));
}

/* I4: done, but the answer was lost: the row finds what it made itself. */
static void
an_unknown_outcome_is_looked_at(void **state)
{
	(void)state;
	write_file("s.csv", "id,name,mail,tax\n1,Ann,a@x,\n");
	trouble("CreateSubject", 0, 1, PDV_UNKNOWN, "OUTCOME_INDETERMINATE");
	import_vault.trouble.done = true;
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	expect_counts(0, 0, 1, 0);
	assert_int_equal(import_vault.n, 1);
	write_file("s.csv", "id,name,mail,tax\n2,Ann,a@x,\n");
	trouble("CreateSubject", 0, 99, PDV_UNKNOWN, "OUTCOME_INDETERMINATE");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_UNKNOWN_OUTCOME);
	expect_counts(0, 0, 0, 0);
}

static void
a_stale_etag_is_read_again(void **state)
{
	(void)state;
	write_file("s.csv", "id,name,mail,tax\n1,Ann,a@x,\n");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	write_file("s.csv", "id,name,mail,tax\n1,Ann,b@x,\n");
	trouble("UpdateIdentity", 0, 2, PDV_ABORTED, "ETAG_MISMATCH");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	expect_counts(0, 1, 0, 0);
	write_file("s.csv", "id,name,mail,tax\n1,Ann,c@x,\n");
	trouble("UpdateIdentity", 0, 99, PDV_ABORTED, "ETAG_MISMATCH");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_INVALID);
	expect_counts(0, 0, 0, 1);
}

static void
many_subjects(char *text, size_t n)
{
	size_t i;

	(void)snprintf(text, TEXT_LEN, "id,name,mail,tax\n");
	for (i = 0; i < n; i++)
		(void)snprintf(text + strlen(text), TEXT_LEN - strlen(text), "%zu,N,,\n", i);
}

/* A subject without billing gets one; and two updates of one row count as one. */
static void
billing_where_there_was_none(void **state)
{
	(void)state;
	write_file("s.csv", "id,name,mail,tax\n1,Ann,a@x,\n2,Bob,b@x,\n");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	write_file("s.csv", "id,name,mail,tax\n1,Ann,a@x,T1\n2,New,b@x,T2\n");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	expect_counts(0, 2, 0, 0);
	assert_int_equal(import_vault.mutations, 5);
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	expect_counts(0, 0, 2, 0);
}

static void
denied_ends_it(void **state)
{
	char text[TEXT_LEN];

	(void)state;
	many_subjects(text, 400);
	write_file("s.csv", text);
	trouble("CreateSubject", 100, 9999, PDV_PERMISSION_DENIED, "NO");
	assert_int_equal(import("s.csv", "s.map", "10s", true), EXITCODE_DENIED);
	assert_non_null(strstr(bed.out, "\"PERMISSION_DENIED\""));
	expect_counts((int)import_vault.n, 0, 0, 0);
	assert_int_equal(import_vault.n, 100);
	assert_int_equal(access(in_folder("state"), F_OK), 0);
	/* It goes on from there, and in the end all are counted once. */
	trouble(NULL, 0, 0, PDV_OK, NULL);
	assert_int_equal(import("s.csv", "s.map", "10s", true), EXITCODE_DONE);
	assert_non_null(strstr(bed.err, "going on after"));
	assert_int_equal(import_vault.n, 400);
	assert_int_not_equal(access(in_folder("state"), F_OK), 0);
}

/* What was refused before the stop stays counted, and makes the exit status 8. */
static void
going_on_remembers_refused_rows(void **state)
{
	char text[TEXT_LEN];

	(void)state;
	many_subjects(text, 300);
	memcpy(strchr(text, '\n') + 1, ",NN", 3);	/* the first row has no id */
	write_file("s.csv", text);
	trouble("FindSubject", 150, 9999, PDV_OK, "");
	import_vault.trouble.silent = true;
	assert_int_equal(import("s.csv", "s.map", "500ms", true), EXITCODE_UNAVAILABLE);
	trouble(NULL, 0, 0, PDV_OK, NULL);
	assert_int_equal(import("s.csv", "s.map", "10s", true), EXITCODE_INVALID);
	assert_non_null(strstr(bed.out, "\"failed\": 1"));
	assert_null(strstr(bed.err, "REQUIRED"));
	assert_int_equal(import_vault.n, 299);
}

/* The library tries again while the vault says that it is not available, then gives up. */
static void
an_unavailable_vault(void **state)
{
	(void)state;
	write_file("s.csv", "id,name,mail,tax\n1,Ann,a@x,\n");
	trouble("CreateSubject", 0, 2, PDV_UNAVAILABLE, "READ_ONLY");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	expect_counts(1, 0, 0, 0);
	write_file("s.csv", "id,name,mail,tax\n2,Bob,b@x,\n");
	trouble("CreateSubject", 0, 9999, PDV_UNAVAILABLE, "READ_ONLY");
	assert_int_equal(import("s.csv", "s.map", "500ms", true), EXITCODE_UNAVAILABLE);
	expect_counts(0, 0, 0, 0);
	assert_non_null(strstr(bed.out, "\"READ_ONLY\""));
}

static void
another_file_begins_anew(void **state)
{
	char text[TEXT_LEN];

	(void)state;
	many_subjects(text, 300);
	write_file("s.csv", text);
	trouble("CreateSubject", 150, 9999, PDV_PERMISSION_DENIED, "NO");
	assert_int_equal(import("s.csv", "s.map", "10s", true), EXITCODE_DENIED);
	trouble(NULL, 0, 0, PDV_OK, NULL);
	many_subjects(text, 301);
	write_file("s.csv", text);
	assert_int_equal(import("s.csv", "s.map", "10s", true), EXITCODE_DONE);
	assert_non_null(strstr(bed.err, "from the beginning"));
	expect_counts(151, 0, 150, 0);
	write_file("state", "{\"what\": 1}");
	assert_int_equal(import("s.csv", "s.map", "10s", true), EXITCODE_INVALID);
}

static void
transactions(void **state)
{
	char text[TEXT_LEN] = "id,tid,total\n";
	size_t i, k, last[4] = {0};

	(void)state;
	write_file("s.csv", "id,name,mail,tax\n0,N,,\n1,N,,\n2,N,,\n3,N,,\n");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	for (i = 0; i < 1000; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%zu,%zu,%zu.05\n",
		    i % 4, i, i);
	write_file("t.csv", text);
	assert_int_equal(import("t.csv", "t.map", "10s", false), EXITCODE_DONE);
	expect_counts(1000, 0, 0, 0);
	assert_false(import_vault.overlapped);
	assert_int_equal(import_vault.transactions_n, 1000);
	/* They are together in calls, and of each subject in the order of the file. */
	assert_true(import_vault.mutations < 600);
	for (i = 0; i < 1000; i++) {
		k = strtoul(strchr(import_vault.transactions[i], '/') + 1, NULL, 10);
		assert_true(k >= last[k % 4]);
		last[k % 4] = k;
	}
	assert_int_equal(import("t.csv", "t.map", "10s", false), EXITCODE_DONE);
	expect_counts(0, 0, 1000, 0);
}

static void
one_bad_transaction_costs_itself_only(void **state)
{
	char text[TEXT_LEN] = "id,tid,total\n", expected[PATH_LEN * 2 + 64];
	size_t i;

	(void)state;
	write_file("s.csv", "id,name,mail,tax\n0,N,,\n");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	for (i = 0; i < 150; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "0,%zu%s,1\n", i,
		    i == 60 ? "!" : "");
	(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "0,7,1\n0,7,1\n9,1,1\n");
	write_file("t.csv", text);
	assert_int_equal(import("t.csv", "t.map", "10s", false), EXITCODE_INVALID);
	expect_counts(149, 0, 2, 2);
	(void)snprintf(expected, sizeof(expected), "%s:62: transaction.id: BLANK\n",
	    in_folder("t.csv"));
	assert_int_equal(strncmp(bed.err, expected, strlen(expected)), 0);
	assert_non_null(strstr(bed.err, ":154: account_id: NOT_FOUND\n"));
}

static void
damaged_files(void **state)
{
	(void)state;
	write_file("s.csv", "id,name,mail,tax\n1,\"A\"nn,,\n2,Bob,,\n3\n\"4,Dan,,\n5,Eve,,\n");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_INVALID);
	expect_counts(2, 0, 0, 3);
	assert_non_null(strstr(bed.err, ":2: row: STRAY_QUOTE\n"));
	assert_non_null(strstr(bed.err, ":4: row: FIELD_COUNT\n"));
	assert_non_null(strstr(bed.err, ":5: row: OPEN_QUOTE\n"));
	write_file("s.csv", "id,nmae,mail,tax\n1,A,,\n");
	assert_int_equal(import("s.csv", "s.map", "10s", false), EXITCODE_INVALID);
	assert_non_null(strstr(bed.out, "no column \\\"name\\\""));
	write_file("s.jsonl", "{\"id\": 1, \"name\": \"Ann\"}\nnonsense\n{\"id\": \"9\"}\n");
	assert_int_equal(import("s.jsonl", "s.map", "10s", false), EXITCODE_INVALID);
	expect_counts(2, 0, 0, 1);
	assert_non_null(strstr(bed.err, ":2: row: NOT_JSON\n"));
}

static int
start(void **state)
{
	(void)state;
	bed.pki = pki_new();
	bed.fake = fake_new(bed.pki, 0, import_vault_serve, NULL);
	scratch_make(bed.folder);
	(void)setenv("HOME", bed.folder, 1);
	(void)setenv("PDVAULT_SERVER", fake_url(bed.fake), 1);
	(void)setenv("PDVAULT_CA", pki_path(bed.pki, "ca.pem"), 1);
	(void)setenv("PDVAULT_CERT", pki_path(bed.pki, "client.pem"), 1);
	(void)setenv("PDVAULT_KEY", pki_path(bed.pki, "client.key"), 1);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	scratch_remove(bed.folder);
	fake_free(bed.fake);
	pki_free(bed.pki);
	nng_fini();			/* or connections that are being closed count as leaks */
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(created_once, setup),
		cmocka_unit_test_setup(rows_of_one_subject_in_order, setup),
		cmocka_unit_test_setup(the_first_row_has_the_email, setup),
		cmocka_unit_test_setup(refused_rows_are_told_in_order, setup),
		cmocka_unit_test_setup(a_race_to_create, setup),
		cmocka_unit_test_setup(an_unknown_outcome_is_looked_at, setup),
		cmocka_unit_test_setup(a_stale_etag_is_read_again, setup),
		cmocka_unit_test_setup(billing_where_there_was_none, setup),
		cmocka_unit_test_setup(denied_ends_it, setup),
		cmocka_unit_test_setup(going_on_remembers_refused_rows, setup),
		cmocka_unit_test_setup(an_unavailable_vault, setup),
		cmocka_unit_test_setup(another_file_begins_anew, setup),
		cmocka_unit_test_setup(transactions, setup),
		cmocka_unit_test_setup(one_bad_transaction_costs_itself_only, setup),
		cmocka_unit_test_setup(damaged_files, setup),
	};

	keep_json();
	return cmocka_run_group_tests(tests, start, stop);
}
