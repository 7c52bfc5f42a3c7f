/*
 * Several files of the anchor: all are written and erased, any one opens; and verifying them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "anchors.h"
#include "scratch.h"
#include "server/keys/anchor_internal.h"
#include "server/store/custody.h"
#include "server/store/vault_internal.h"

/* K5, of each file: of the slot of ${epoch} in ${before} no piece is where it was. */
static void
assert_overwritten(uint8_t before[ANCHORS][ANCHOR_LEN], uint64_t epoch)
{
	static uint8_t after[ANCHOR_LEN];
	size_t slot = epoch % 2 * ANCHOR_SLOT_LEN;

	for (size_t i = 0; i < ANCHORS; i++) {
		anchors_image(anchors_name[i], after);
		for (size_t at = slot; at < slot + ANCHOR_SLOT_LEN; at += 32)
			assert_memory_not_equal(before[i] + at, after + at, 32);
	}
}

/* New files get the root key at the start; each switch writes all and erases all. */
static void
all_are_written_and_erased(void **state)
{
	static uint8_t before[ANCHORS][ANCHOR_LEN];
	uint8_t id[16];
	uint64_t t;

	(void)state;
	anchors_three();
	for (unsigned n = 0; n < 3; n++) {
		t = vault_epoch(anchors_bed.vault);
		for (size_t i = 0; i < ANCHORS; i++) {
			anchors_assert_only(anchors_name[i], t);
			anchors_image(anchors_name[i], before[i]);
		}
		assert_int_equal(vault_bed_create(&anchors_bed, n, id), STATUS_OK);
		assert_int_equal(vault_epoch(anchors_bed.vault), t + 1);
		assert_overwritten(before, t);
	}
	assert_int_equal(vault_bed_erase(&anchors_bed, id), STATUS_OK);
	for (size_t i = 0; i < ANCHORS; i++)
		anchors_assert_only(anchors_name[i], t + 2);
}

/* Each alone opens the vault, whatever became of the others, which are written anew. */
static void
any_one_opens(void **state)
{
	uint8_t id[16];
	uint64_t t;

	(void)state;
	anchors_three();
	assert_int_equal(vault_bed_create(&anchors_bed, 1, id), STATUS_OK);
	t = vault_epoch(anchors_bed.vault);
	for (size_t keeps = 0; keeps < ANCHORS; keeps++) {
		vault_bed_stop(&anchors_bed);
		for (size_t i = 0; i < ANCHORS; i++)
			if (i != keeps)
				anchors_noise(anchors_name[i]);
		assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
		assert_int_equal(vault_bed_get(&anchors_bed, id), STATUS_OK);
		for (size_t i = 0; i < ANCHORS; i++)
			anchors_assert_only(anchors_name[i], t);
	}
	vault_bed_stop(&anchors_bed);
	for (size_t i = 0; i < ANCHORS; i++)
		anchors_noise(anchors_name[i]);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_REFUSED);
}

/* A file that was away holds an old root key; when it is back that is overwritten. */
static void
one_that_was_away(void **state)
{
	static uint8_t old[ANCHOR_LEN];
	uint8_t id[16];
	uint64_t t;

	(void)state;
	anchors_three();
	assert_int_equal(vault_bed_create(&anchors_bed, 1, id), STATUS_OK);
	anchors_image(anchors_name[2], old);
	t = vault_epoch(anchors_bed.vault);
	for (unsigned switches = 1; switches < 4; switches++) {
		vault_bed_stop(&anchors_bed);
		anchors_use(0, 2);
		assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
		for (unsigned n = 0; n < switches; n++)
			assert_int_equal(vault_bed_create(&anchors_bed, 10 * switches + n, id), STATUS_OK);
		t += switches;
		vault_bed_stop(&anchors_bed);
		anchors_put(anchors_name[2], old);
		anchors_use(0, ANCHORS);
		assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
		anchors_assert_only(anchors_name[2], t);
		anchors_image(anchors_name[2], old);
	}
	/* One that is named and not there: it does not start, since nothing could be erased in it. */
	vault_bed_stop(&anchors_bed);
	assert_int_equal(rename(anchors_name[2], scratch_path(anchors_bed.dir, "away")), 0);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_CONFIG);
	anchors_use(0, 2);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
}

/* Store and one file put back by one switch, beside files in which K5 was done: that switch was decided. */
static void
rolled_back_by_one(void **state)
{
	static uint8_t old[ANCHOR_LEN];
	struct vault_bed_copy before, after;
	uint8_t id[16];

	(void)state;
	anchors_three();
	assert_int_equal(vault_bed_create(&anchors_bed, 1, id), STATUS_OK);
	vault_bed_stop(&anchors_bed);
	vault_bed_keep(&anchors_bed, &before);
	anchors_image(anchors_name[2], old);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
	assert_int_equal(vault_bed_erase(&anchors_bed, id), STATUS_OK);
	vault_bed_stop(&anchors_bed);
	vault_bed_keep(&anchors_bed, &after);
	vault_bed_put_back(&anchors_bed, &before, VAULT_BED_STORE);
	anchors_put(anchors_name[2], old);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_REFUSED);
	vault_bed_put_back(&anchors_bed, &after, VAULT_BED_STORE);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
	assert_int_equal(vault_bed_get(&anchors_bed, id), STATUS_ERASED);
	vault_bed_forget(&before);
	vault_bed_forget(&after);
}

/* Somebody moves a file away and puts a copy in its place, while the server has it open. */
static void
name_taken_over(void **state)
{
	static uint8_t bytes[ANCHOR_LEN];
	uint8_t id[16];

	(void)state;
	anchors_three();
	anchors_image(anchors_name[1], bytes);
	assert_int_equal(rename(anchors_name[1], scratch_path(anchors_bed.dir, "away")), 0);
	scratch_write(anchors_name[1], bytes, sizeof(bytes));
	assert_int_equal(vault_bed_create(&anchors_bed, 1, id), STATUS_ANCHOR);
	assert_int_equal(rename(scratch_path(anchors_bed.dir, "away"), anchors_name[1]), 0);
	assert_int_equal(vault_bed_create(&anchors_bed, 1, id), STATUS_OK);
}

/* A write that fails in any of the files: nothing rests on the switch, or it is not settled. */
static void
a_failing_file(void **state)
{
	uint8_t id[16];
	uint64_t t;

	(void)state;
	anchors_three();
	for (unsigned nth = 1; nth <= ANCHORS; nth++) {
		t = vault_epoch(anchors_bed.vault);
		anchor_test_fault(ANCHOR_TEST_PWRITE, nth, EIO);
		assert_int_equal(vault_bed_create(&anchors_bed, 100 + nth, id), STATUS_ANCHOR);
		assert_int_equal(vault_epoch(anchors_bed.vault), t);
	}
	/* K5, three tries in each of the files: one write that fails there is made up for. */
	anchor_test_fault(ANCHOR_TEST_PWRITE, ANCHORS + 2, EIO);
	assert_int_equal(vault_bed_create(&anchors_bed, 200, id), STATUS_OK);
	for (size_t i = 0; i < ANCHORS; i++)
		anchors_assert_only(anchors_name[i], t + 1);
	vault_bed_restart(&anchors_bed);
	assert_int_equal(vault_bed_get(&anchors_bed, id), STATUS_OK);
}

/* While the server runs a file goes bad: it gets the root key from the others, without a switch. */
static void
healed_while_it_runs(void **state)
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	uint8_t id[16];
	uint64_t t, found[2] = { 0 };

	(void)state;
	anchors_three();
	assert_int_equal(vault_bed_create(&anchors_bed, 1, id), STATUS_OK);
	t = vault_epoch(anchors_bed.vault);
	anchors_noise(anchors_name[1]);
	writer_test_verify_every(0);
	for (int i = 0; i < 1000 && found[t % 2] != t; i++) {
		(void)nanosleep(&moment, NULL);
		anchors_slots(anchors_name[1], found);
	}
	writer_test_verify_every(UINT64_MAX);
	assert_int_equal(found[t % 2], t);
	assert_int_equal(vault_epoch(anchors_bed.vault), t);
	assert_int_equal(vault_bed_create(&anchors_bed, 2, id), STATUS_OK);
	for (size_t i = 0; i < ANCHORS; i++)
		anchors_assert_only(anchors_name[i], t + 1);
}

static void
verified(void **state)
{
	struct custody_report r;
	uint8_t id[16];

	(void)state;
	anchors_three();
	assert_int_equal(vault_bed_create(&anchors_bed, 1, id), STATUS_OK);
	assert_int_equal(custody_verify(&anchors_bed.options, &r), STATUS_REFUSED);	/* the server has it */
	vault_bed_stop(&anchors_bed);
	assert_int_equal(custody_verify(&anchors_bed.options, &r), STATUS_OK);
	assert_int_equal(r.row, RECOVER_SERVE);
	assert_int_equal(r.files, ANCHORS);
	for (size_t i = 0; i < ANCHORS; i++)
		assert_true(r.file[i].opens && r.file[i].readable && r.file[i].slot[r.epoch % 2].valid);
	anchors_noise(anchors_name[1]);
	assert_int_equal(custody_verify(&anchors_bed.options, &r), STATUS_OK);
	assert_true(r.file[0].opens && !r.file[1].opens && r.file[2].opens);
	/* One that cannot be read may hold anything: it does not start. */
	for (unsigned nth = 1; nth < 6; nth++) {
		anchor_test_fault(ANCHOR_TEST_PREAD, nth, EIO);
		assert_int_equal(custody_verify(&anchors_bed.options, &r), STATUS_OK);
		assert_true(r.unknown);
		anchor_test_fault(ANCHOR_TEST_PREAD, nth, EIO);
		assert_int_equal(vault_bed_start(&anchors_bed), STATUS_IO);
	}
	anchor_test_fault(ANCHOR_TEST_PREAD, 0, 0);
	/* It has repaired nothing. */
	assert_int_equal(custody_verify(&anchors_bed.options, &r), STATUS_OK);
	assert_false(r.file[1].opens);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_are_written_and_erased, anchors_setup, anchors_teardown),
		cmocka_unit_test_setup_teardown(any_one_opens, anchors_setup, anchors_teardown),
		cmocka_unit_test_setup_teardown(one_that_was_away, anchors_setup, anchors_teardown),
		cmocka_unit_test_setup_teardown(rolled_back_by_one, anchors_setup, anchors_teardown),
		cmocka_unit_test_setup_teardown(name_taken_over, anchors_setup, anchors_teardown),
		cmocka_unit_test_setup_teardown(a_failing_file, anchors_setup, anchors_teardown),
		cmocka_unit_test_setup_teardown(healed_while_it_runs, anchors_setup, anchors_teardown),
		cmocka_unit_test_setup_teardown(verified, anchors_setup, anchors_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
