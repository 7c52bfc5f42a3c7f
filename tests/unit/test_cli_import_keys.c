/* The import where account ids are alike: to the vault `AB1`, `ab1` and `A B1` are three. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/cli/exitcode.h"
#include "client/cli/keep.h"
#include "import_bed.h"
#include "import_vault.h"
#include "pdvault/v1/vault.pb-c.h"

/* The name of the fake's subject with that account id, in ${out}; empty: there is none. */
static void
name_of(const char *account, char out[static 64])
{
	Pdvault__V1__Identity *held;
	size_t i;

	out[0] = '\0';
	for (i = 0; i < import_vault.n; i++) {
		if (strcmp(import_vault.subjects[i].account, account) != 0)
			continue;
		held = pdvault__v1__identity__unpack(NULL, import_vault.subjects[i].identity_len,
		    import_vault.subjects[i].identity);
		assert_int_equal(held->n_account_ids, 1);
		(void)snprintf(out, 64, "%s", held->name->full);
		pdvault__v1__identity__free_unpacked(held, NULL);
	}
}

/* I2: their rows have one lane, for the order; each subject is found by its own key. */
static void
keys_that_are_alike_are_not_one_subject(void **state)
{
	static const char *const ids[] = {"AB1", "ab1", "A B1", "aB1"};
	char text[IMPORT_BED_TEXT] = "id,name,mail,tax\n", name[64], expected[64];
	size_t i;

	(void)state;
	/* At once, so that each is read while the call of the one before is on its way. */
	import_bed_write("s.csv", "id,name,mail,tax\nAB1,Alice,a@x,T1\nab1,Bob,b@x,T2\n");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(2, 0, 0, 0);
	name_of("AB1", name);
	assert_string_equal(name, "Alice");
	name_of("ab1", name);
	assert_string_equal(name, "Bob");
	/* By turns, and each again and again. */
	for (i = 0; i < 120; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s,N%zu,,\n",
		    ids[i % 4], i);
	import_bed_write("s.csv", text);
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_counts(2, 118, 0, 0);
	assert_false(import_vault.overlapped);
	for (i = 0; i < 4; i++) {
		name_of(ids[i], name);
		(void)snprintf(expected, sizeof(expected), "N%zu", 116 + i);
		assert_string_equal(name, expected);
	}
}

/* I2: one call is for one key, byte by byte. Nobody's row goes to who has a key that is alike. */
static void
transactions_of_keys_that_are_alike(void **state)
{
	static const char *const ids[] = {"AB1", "ab1", "A B1", "a b1"};
	char text[IMPORT_BED_TEXT] = "id,tid,total\n", *end;
	unsigned long subject, tid, last[3] = {0};
	size_t i, n[3] = {0};

	(void)state;
	import_bed_write("s.csv", "id,name,mail,tax\nAB1,Alice,,\n");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_write("s.csv", "id,name,mail,tax\nab1,Bob,,\n");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	import_bed_write("s.csv", "id,name,mail,tax\nA B1,Cid,,\n");
	assert_int_equal(import_bed_run("s.csv", "s.map", "10s", false), EXITCODE_DONE);
	assert_int_equal(import_vault.n, 3);
	/* Runs of ten; the fourth account is nobody's, and row 123 is bad by itself. */
	for (i = 0; i < 600; i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s,%zu%s,1\n",
		    ids[i / 10 % 4], i, i == 123 ? "!" : "");
	import_bed_write("t.csv", text);
	assert_int_equal(import_bed_run("t.csv", "t.map", "10s", false), EXITCODE_INVALID);
	import_bed_counts(449, 0, 0, 151);
	assert_false(import_vault.overlapped);
	assert_int_equal(import_vault.transactions_n, 449);
	for (i = 0; i < 449; i++) {
		subject = strtoul(import_vault.transactions[i], &end, 10);
		tid = strtoul(end + 1, NULL, 10);
		assert_int_equal(tid / 10 % 4, subject);
		assert_true(tid >= last[subject]);
		last[subject] = tid;
		n[subject]++;
	}
	assert_true(n[0] == 149 && n[1] == 150 && n[2] == 150);
	/* Rows of one key are still together in calls; one run was split. */
	assert_true(import_vault.mutations < 150);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(keys_that_are_alike_are_not_one_subject, import_bed_empty),
		cmocka_unit_test_setup(transactions_of_keys_that_are_alike, import_bed_empty),
	};

	keep_json();
	return cmocka_run_group_tests(tests, import_bed_start, import_bed_stop);
}
