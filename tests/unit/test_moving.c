/*
 * The anchor moves to other files: the old ones are overwritten and open nothing, nothing starts half-way, and
 * no file of another vault is touched.
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
#include <unistd.h>

#include "anchors.h"
#include "scratch.h"
#include "server/keys/anchor_internal.h"
#include "server/store/custody.h"
#include "vault_bed.h"

/* Another vault's anchor is no file to be filled or to be overwritten, whoever anchors_name it here. */
static void
of_another_vault(void **state)
{
	static uint8_t theirs[ANCHOR_LEN], now[ANCHOR_LEN];
	struct custody_moved m;
	struct vault_options o;
	struct vault_bed other;
	uint64_t found[2];

	(void)state;
	vault_bed_new(&other);
	vault_bed_stop(&other);
	anchors_image(other.anchor, theirs);
	/* Nor does one that comes before it get the root key, from a start that is then refused. */
	assert_int_equal(anchor_create(anchors_name[1]), STATUS_OK);
	anchors_bed.options.anchor = (struct anchor_paths){
		{ anchors_name[0], anchors_name[1], other.anchor }, 3
	};
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_REFUSED);
	anchors_slots(anchors_name[1], found);
	assert_int_equal(found[0] + found[1], 0);
	anchors_use(0, 1);
	o = anchors_bed.options;
	o.retiring = (struct anchor_paths){ { other.anchor }, 1 };
	/* Also where one of its slots cannot be read; number 0 is none. */
	for (unsigned nth = 0; nth < 24; nth++) {
		anchor_test_fault(ANCHOR_TEST_PREAD, nth, EIO);
		assert_int_not_equal(custody_move(&o, &m), STATUS_OK);
		assert_true(nth > 0 || !m.done);
		anchors_image(other.anchor, now);
		assert_memory_equal(now, theirs, ANCHOR_LEN);
	}
	anchor_test_fault(ANCHOR_TEST_PREAD, 0, 0);
	assert_int_equal(custody_move(&o, &m), STATUS_REFUSED);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
	vault_bed_free(&other);
}

/* The old files are overwritten whole and open nothing; also when any write failed, and it was done again. */
static void
moved(void **state)
{
	struct vault_bed_copy before;
	struct custody_moved m;
	struct vault_options o;
	uint8_t id[16];
	uint64_t t, found[2];
	unsigned half = 0;

	(void)state;
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
	assert_int_equal(vault_bed_create(&anchors_bed, 1, id), STATUS_OK);
	t = vault_epoch(anchors_bed.vault);
	vault_bed_stop(&anchors_bed);
	vault_bed_keep(&anchors_bed, &before);
	anchors_use(1, 2);
	o = anchors_bed.options;
	o.retiring = (struct anchor_paths){ { anchors_name[0] }, 1 };
	for (unsigned nth = 1; nth < 20; nth++) {
		enum status rc;

		anchor_test_fault(ANCHOR_TEST_PWRITE, nth, EIO);
		if ((rc = custody_move(&o, &m)) == STATUS_OK)
			break;
		assert_int_not_equal(rc, STATUS_REFUSED);
		anchor_test_fault(ANCHOR_TEST_PWRITE, 0, 0);
		/* The old file still opens what is there: nothing starts, and nothing is called shredded. */
		if (!m.done)
			assert_int_equal(vault_bed_start(&anchors_bed), STATUS_REFUSED);
		half += !m.done;
	}
	anchor_test_fault(ANCHOR_TEST_PWRITE, 0, 0);
	assert_true(half > 2 && m.done);
	anchors_slots(anchors_name[0], found);
	assert_int_equal(found[0] + found[1], 0);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
	assert_true(vault_epoch(anchors_bed.vault) > t);
	for (size_t i = 1; i < ANCHORS; i++)
		anchors_assert_only(anchors_name[i], vault_epoch(anchors_bed.vault));
	assert_int_equal(vault_bed_get(&anchors_bed, id), STATUS_OK);
	vault_bed_stop(&anchors_bed);
	/* The old anchor, had somebody kept it, does not open the store any more. */
	anchors_put(anchors_name[0], before.bytes[1]);
	anchors_use(0, 1);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_REFUSED);
	vault_bed_forget(&before);
}

/* A move that was cut off is ended also where the old file is gone by now. */
static void
moved_and_lost(void **state)
{
	struct custody_moved m;
	struct vault_options o;

	(void)state;
	anchors_use(1, 1);
	o = anchors_bed.options;
	assert_int_equal(anchor_create(anchors_name[1]), STATUS_OK);
	assert_int_equal(custody_move(&o, &m), STATUS_REFUSED);	/* none is cut off */
	o.retiring = (struct anchor_paths){ { anchors_name[0] }, 1 };
	/* K3, after recovery has written both slots of the new file. */
	anchor_test_fault(ANCHOR_TEST_PWRITE, 3, EIO);
	assert_int_not_equal(custody_move(&o, &m), STATUS_OK);
	assert_false(m.done);
	anchor_test_fault(ANCHOR_TEST_PWRITE, 0, 0);
	assert_int_equal(unlink(anchors_name[0]), 0);
	assert_int_equal(custody_move(&o, &m), STATUS_CONFIG);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_REFUSED);
	/* What was not overwritten is told. */
	o.retiring.count = 0;
	assert_int_equal(custody_move(&o, &m), STATUS_ANCHOR);
	assert_true(m.done && m.missed);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
}

/* A move that was cut off is done again to another place: the first one has got a root key, which is told. */
static void
moved_elsewhere(void **state)
{
	struct custody_moved m;
	struct vault_options o = anchors_bed.options;
	uint64_t found[2];

	(void)state;
	o.retiring = (struct anchor_paths){ { anchors_name[0] }, 1 };
	o.anchor.path[0] = anchors_name[1];
	anchor_test_fault(ANCHOR_TEST_PWRITE, 3, EIO);
	assert_int_not_equal(custody_move(&o, &m), STATUS_OK);
	anchor_test_fault(ANCHOR_TEST_PWRITE, 0, 0);
	anchors_slots(anchors_name[1], found);
	assert_int_not_equal(found[0] + found[1], 0);
	o.anchor.path[0] = anchors_name[2];
	assert_int_equal(custody_move(&o, &m), STATUS_ANCHOR);
	assert_true(m.done && m.missed);
	o.retiring.path[0] = anchors_name[1];
	assert_int_equal(custody_move(&o, &m), STATUS_OK);
	assert_false(m.missed);
	anchors_slots(anchors_name[1], found);
	assert_int_equal(found[0] + found[1], 0);
	anchors_use(2, 1);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
}

/* Nothing was written yet when it failed: it is as if it had not been tried. */
static void
moved_nowhere(void **state)
{
	struct custody_moved m;
	struct vault_options o = anchors_bed.options;

	(void)state;
	o.retiring = (struct anchor_paths){ { anchors_name[0] }, 1 };
	o.anchor.path[0] = anchors_name[1];
	anchors_noise(anchors_name[0]);		/* no slot: refused */
	assert_int_equal(custody_move(&o, &m), STATUS_REFUSED);
	assert_false(m.done);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_REFUSED);
	assert_int_not_equal(access(scratch_path(anchors_bed.options.store_path, "anchor.moving"), F_OK), 0);
}

/* Of two files that are left one cannot be read and the other opens: whichever is named first. */
static void
moved_from_one_unread(void **state)
{
	struct custody_moved m;
	struct vault_options o;

	(void)state;
	assert_int_equal(anchor_create(anchors_name[1]), STATUS_OK);
	anchors_use(0, 2);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
	vault_bed_stop(&anchors_bed);
	for (unsigned turn = 0; turn < 2; turn++) {
		o = anchors_bed.options;
		anchors_use(2, 1);
		o.anchor = anchors_bed.options.anchor;
		o.retiring = (struct anchor_paths){ { anchors_name[turn], anchors_name[1 - turn] }, 2 };
		if (turn == 1) {
			o.anchor = o.retiring;
			o.retiring = anchors_bed.options.anchor;
			assert_int_equal(custody_move(&o, &m), STATUS_OK);
			o.retiring = o.anchor;
			o.anchor = anchors_bed.options.anchor;
		}
		/* Two slots of the new file and once its present one; then the first that is left. */
		anchor_test_fault(ANCHOR_TEST_PREAD, 4, EIO);
		assert_int_equal(custody_move(&o, &m), STATUS_OK);
		assert_int_equal(anchor_test_count(ANCHOR_TEST_PREAD) >= 4, 1);
	}
	anchor_test_fault(ANCHOR_TEST_PREAD, 0, 0);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
}

/* Away from where overwriting does not erase: it is moved, and said that the old place has not forgotten. */
static void
moved_from_class_d(void **state)
{
	char place[64];
	const char *why;
	struct custody_moved m;
	struct vault_options o;
	uint64_t found[2];

	(void)state;
	(void)snprintf(place, sizeof(place), "/dev/shm/pdvault-custody-%ld", (long)getpid());
	if (anchor_class_of(place, &why) != ANCHOR_CLASS_D ||
	    anchor_class_of(anchors_name[1], &why) == ANCHOR_CLASS_D)
		skip();
	o = anchors_bed.options;
	o.retiring = o.anchor;
	o.anchor = (struct anchor_paths){ { place }, 1 };
	assert_int_equal(custody_move(&o, &m), STATUS_OK);
	assert_false(m.remembered);
	o.retiring = o.anchor;
	o.anchor = (struct anchor_paths){ { anchors_name[1] }, 1 };
	o.force_class_d = false;
	assert_int_equal(custody_move(&o, &m), STATUS_ANCHOR);
	assert_true(m.done && m.remembered);
	anchors_slots(place, found);
	assert_int_equal(unlink(place), 0);
	assert_int_equal(found[0] + found[1], 0);
	anchors_use(1, 1);
	assert_int_equal(vault_bed_start(&anchors_bed), STATUS_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(of_another_vault, anchors_setup, anchors_teardown),
		cmocka_unit_test_setup_teardown(moved, anchors_setup, anchors_teardown),
		cmocka_unit_test_setup_teardown(moved_and_lost, anchors_setup, anchors_teardown),
		cmocka_unit_test_setup_teardown(moved_elsewhere, anchors_setup, anchors_teardown),
		cmocka_unit_test_setup_teardown(moved_nowhere, anchors_setup, anchors_teardown),
		cmocka_unit_test_setup_teardown(moved_from_one_unread, anchors_setup, anchors_teardown),
		cmocka_unit_test_setup_teardown(moved_from_class_d, anchors_setup, anchors_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
