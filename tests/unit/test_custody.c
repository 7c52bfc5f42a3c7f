/*
 * Several files of the anchor, and what an operator does about them: all are written and erased, any one
 * opens; verifying and moving.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "scratch.h"
#include "server/keys/anchor_internal.h"
#include "server/store/custody.h"
#include "server/store/vault_internal.h"
#include "vault_bed.h"

enum { FILES = 3 };

static struct vault_bed bed;
static char names[FILES][320];

/* A vault whose anchor is three files; the first is bed.anchor. */
static int
setup(void **state)
{
	(void)state;
	vault_bed_make(&bed, 1u << 30, 1u << 20);
	(void)snprintf(names[0], sizeof(names[0]), "%s", bed.anchor);
	for (size_t i = 1; i < FILES; i++)
		(void)snprintf(names[i], sizeof(names[i]), "%s/copy%zu", bed.dir, i);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	anchor_test_fault(ANCHOR_TEST_PWRITE, 0, 0);
	anchor_test_fault(ANCHOR_TEST_PREAD, 0, 0);
	vault_bed_free(&bed);
	return 0;
}

static void
use(size_t first, size_t count)
{
	bed.options.anchor.count = count;
	for (size_t i = 0; i < count; i++)
		bed.options.anchor.path[i] = names[first + i];
}

static void
three_files(void)
{
	for (size_t i = 1; i < FILES; i++)
		assert_int_equal(anchor_create(names[i]), STATUS_OK);
	use(0, FILES);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

static void
image(const char *path, uint8_t out[static ANCHOR_LEN])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, out, ANCHOR_LEN), ANCHOR_LEN);
	(void)close(fd);
}

static void
put_image(const char *path, const uint8_t *bytes)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, ANCHOR_LEN, 0), ANCHOR_LEN);
	assert_int_equal(fsync(fd), 0);
	(void)close(fd);
}

static void
noise(const char *path)
{
	uint8_t bytes[ANCHOR_LEN];

	randombytes_buf(bytes, sizeof(bytes));
	put_image(path, bytes);
}

/* The valid slots of a file: epochs, 0 for none. */
static void
slots(const char *path, uint64_t epoch[static 2])
{
	static uint8_t bytes[ANCHOR_LEN];
	uint8_t digest[SEAL_DIGEST_LEN], id[VAULT_ID_LEN] = { 0 };
	struct anchor_slot s;

	image(path, bytes);
	for (unsigned i = 0; i < 2; i++) {
		memcpy(id, bytes + i * ANCHOR_SLOT_LEN + 16, sizeof(id));
		anchor_slot_decode(bytes + i * ANCHOR_SLOT_LEN, id, i, &s, digest);
		epoch[i] = s.valid ? s.epoch : 0;
	}
}

static void
assert_only(const char *path, uint64_t epoch)
{
	uint64_t found[2];

	slots(path, found);
	assert_int_equal(found[epoch % 2], epoch);
	assert_int_equal(found[(epoch + 1) % 2], 0);
}

/* K5, of each file: of the slot of ${epoch} in ${before} no piece is where it was. */
static void
assert_overwritten(uint8_t before[FILES][ANCHOR_LEN], uint64_t epoch)
{
	static uint8_t after[ANCHOR_LEN];
	size_t slot = epoch % 2 * ANCHOR_SLOT_LEN;

	for (size_t i = 0; i < FILES; i++) {
		image(names[i], after);
		for (size_t at = slot; at < slot + ANCHOR_SLOT_LEN; at += 32)
			assert_memory_not_equal(before[i] + at, after + at, 32);
	}
}

/* New files get the root key at the start; each switch writes all and erases all. */
static void
all_are_written_and_erased(void **state)
{
	static uint8_t before[FILES][ANCHOR_LEN];
	uint8_t id[16];
	uint64_t t;

	(void)state;
	three_files();
	for (unsigned n = 0; n < 3; n++) {
		t = vault_epoch(bed.vault);
		for (size_t i = 0; i < FILES; i++) {
			assert_only(names[i], t);
			image(names[i], before[i]);
		}
		assert_int_equal(vault_bed_create(&bed, n, id), STATUS_OK);
		assert_int_equal(vault_epoch(bed.vault), t + 1);
		assert_overwritten(before, t);
	}
	assert_int_equal(vault_bed_erase(&bed, id), STATUS_OK);
	for (size_t i = 0; i < FILES; i++)
		assert_only(names[i], t + 2);
}

/* Each alone opens the vault, whatever became of the others, which are written anew. */
static void
any_one_opens(void **state)
{
	uint8_t id[16];
	uint64_t t;

	(void)state;
	three_files();
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	t = vault_epoch(bed.vault);
	for (size_t keeps = 0; keeps < FILES; keeps++) {
		vault_bed_stop(&bed);
		for (size_t i = 0; i < FILES; i++)
			if (i != keeps)
				noise(names[i]);
		assert_int_equal(vault_bed_start(&bed), STATUS_OK);
		assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
		for (size_t i = 0; i < FILES; i++)
			assert_only(names[i], t);
	}
	vault_bed_stop(&bed);
	for (size_t i = 0; i < FILES; i++)
		noise(names[i]);
	assert_int_equal(vault_bed_start(&bed), STATUS_REFUSED);
}

/* A file that was away holds an old root key; when it is back that is overwritten. */
static void
one_that_was_away(void **state)
{
	static uint8_t old[ANCHOR_LEN];
	uint8_t id[16];
	uint64_t t;

	(void)state;
	three_files();
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	image(names[2], old);
	t = vault_epoch(bed.vault);
	for (unsigned switches = 1; switches < 4; switches++) {
		vault_bed_stop(&bed);
		use(0, 2);
		assert_int_equal(vault_bed_start(&bed), STATUS_OK);
		for (unsigned n = 0; n < switches; n++)
			assert_int_equal(vault_bed_create(&bed, 10 * switches + n, id), STATUS_OK);
		t += switches;
		vault_bed_stop(&bed);
		put_image(names[2], old);
		use(0, FILES);
		assert_int_equal(vault_bed_start(&bed), STATUS_OK);
		assert_only(names[2], t);
		image(names[2], old);
	}
	/* One that is named and not there: it does not start, since nothing could be erased in it. */
	vault_bed_stop(&bed);
	assert_int_equal(rename(names[2], scratch_path(bed.dir, "away")), 0);
	assert_int_equal(vault_bed_start(&bed), STATUS_CONFIG);
	use(0, 2);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

/* Another vault's anchor is no file to be filled or to be overwritten, whoever names it here. */
static void
of_another_vault(void **state)
{
	static uint8_t theirs[ANCHOR_LEN], now[ANCHOR_LEN];
	struct vault_options o;
	struct vault_bed other;

	(void)state;
	vault_bed_new(&other);
	vault_bed_stop(&other);
	image(other.anchor, theirs);
	bed.options.anchor = (struct anchor_paths){ { names[0], other.anchor }, 2 };
	assert_int_equal(vault_bed_start(&bed), STATUS_REFUSED);
	use(0, 1);
	o = bed.options;
	o.retiring = (struct anchor_paths){ { other.anchor }, 1 };
	assert_int_equal(custody_move(&o), STATUS_ANCHOR);
	image(other.anchor, now);
	assert_memory_equal(now, theirs, ANCHOR_LEN);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	vault_bed_free(&other);
}

/* Store and one file put back by one switch, beside files in which K5 was done: that switch was decided. */
static void
rolled_back_by_one(void **state)
{
	static uint8_t old[ANCHOR_LEN];
	struct vault_bed_copy before, after;
	uint8_t id[16];

	(void)state;
	three_files();
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &before);
	image(names[2], old);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, id), STATUS_OK);
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &after);
	vault_bed_put_back(&bed, &before, VAULT_BED_STORE);
	put_image(names[2], old);
	assert_int_equal(vault_bed_start(&bed), STATUS_REFUSED);
	vault_bed_put_back(&bed, &after, VAULT_BED_STORE);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_ERASED);
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
	three_files();
	image(names[1], bytes);
	assert_int_equal(rename(names[1], scratch_path(bed.dir, "away")), 0);
	scratch_write(names[1], bytes, sizeof(bytes));
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_ANCHOR);
	assert_int_equal(rename(scratch_path(bed.dir, "away"), names[1]), 0);
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
}

/* A write that fails in any of the files: nothing rests on the switch, or it is not settled. */
static void
a_failing_file(void **state)
{
	uint8_t id[16];
	uint64_t t;

	(void)state;
	three_files();
	for (unsigned nth = 1; nth <= FILES; nth++) {
		t = vault_epoch(bed.vault);
		anchor_test_fault(ANCHOR_TEST_PWRITE, nth, EIO);
		assert_int_equal(vault_bed_create(&bed, 100 + nth, id), STATUS_ANCHOR);
		assert_int_equal(vault_epoch(bed.vault), t);
	}
	/* K5, three tries in each of the files: one write that fails there is made up for. */
	anchor_test_fault(ANCHOR_TEST_PWRITE, FILES + 2, EIO);
	assert_int_equal(vault_bed_create(&bed, 200, id), STATUS_OK);
	for (size_t i = 0; i < FILES; i++)
		assert_only(names[i], t + 1);
	vault_bed_restart(&bed);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
}

/* While the server runs a file goes bad: it gets the root key from the others, without a switch. */
static void
healed_while_it_runs(void **state)
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	uint8_t id[16];
	uint64_t t, found[2] = { 0 };

	(void)state;
	three_files();
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	t = vault_epoch(bed.vault);
	noise(names[1]);
	writer_test_verify_every(0);
	for (int i = 0; i < 1000 && found[t % 2] != t; i++) {
		(void)nanosleep(&moment, NULL);
		slots(names[1], found);
	}
	writer_test_verify_every(UINT64_MAX);
	assert_int_equal(found[t % 2], t);
	assert_int_equal(vault_epoch(bed.vault), t);
	assert_int_equal(vault_bed_create(&bed, 2, id), STATUS_OK);
	for (size_t i = 0; i < FILES; i++)
		assert_only(names[i], t + 1);
}

static void
verified(void **state)
{
	struct custody_report r;
	uint8_t id[16];

	(void)state;
	three_files();
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	assert_int_equal(custody_verify(&bed.options, &r), STATUS_REFUSED);	/* the server has it */
	vault_bed_stop(&bed);
	assert_int_equal(custody_verify(&bed.options, &r), STATUS_OK);
	assert_int_equal(r.row, RECOVER_SERVE);
	assert_int_equal(r.files, FILES);
	for (size_t i = 0; i < FILES; i++)
		assert_true(r.file[i].opens && r.file[i].readable && r.file[i].slot[r.epoch % 2].valid);
	noise(names[1]);
	assert_int_equal(custody_verify(&bed.options, &r), STATUS_OK);
	assert_true(r.file[0].opens && !r.file[1].opens && r.file[2].opens);
	/* One that cannot be read may hold anything: it does not start. */
	for (unsigned nth = 1; nth < 6; nth++) {
		anchor_test_fault(ANCHOR_TEST_PREAD, nth, EIO);
		assert_int_equal(custody_verify(&bed.options, &r), STATUS_OK);
		assert_true(r.unknown);
		anchor_test_fault(ANCHOR_TEST_PREAD, nth, EIO);
		assert_int_equal(vault_bed_start(&bed), STATUS_IO);
	}
	anchor_test_fault(ANCHOR_TEST_PREAD, 0, 0);
	/* It has repaired nothing. */
	assert_int_equal(custody_verify(&bed.options, &r), STATUS_OK);
	assert_false(r.file[1].opens);
}

/* The old files are overwritten whole and open nothing; also when any write failed, and it was done again. */
static void
moved(void **state)
{
	struct vault_bed_copy before;
	struct vault_options o;
	uint8_t id[16];
	uint64_t t, found[2];

	(void)state;
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	t = vault_epoch(bed.vault);
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &before);
	use(1, 2);
	o = bed.options;
	o.retiring = (struct anchor_paths){ { names[0] }, 1 };
	for (unsigned nth = 1; nth < 20; nth++) {
		enum status rc;

		anchor_test_fault(ANCHOR_TEST_PWRITE, nth, EIO);
		if ((rc = custody_move(&o)) == STATUS_OK)
			break;
		assert_int_not_equal(rc, STATUS_REFUSED);
	}
	anchor_test_fault(ANCHOR_TEST_PWRITE, 0, 0);
	slots(names[0], found);
	assert_int_equal(found[0] + found[1], 0);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_true(vault_epoch(bed.vault) > t);
	for (size_t i = 1; i < FILES; i++)
		assert_only(names[i], vault_epoch(bed.vault));
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	vault_bed_stop(&bed);
	/* The old anchor, had somebody kept it, does not open the store any more. */
	put_image(names[0], before.bytes[1]);
	use(0, 1);
	assert_int_equal(vault_bed_start(&bed), STATUS_REFUSED);
	vault_bed_forget(&before);
}

/* Away from where overwriting does not erase: it is moved, and said that the old place has not forgotten. */
static void
moved_from_class_d(void **state)
{
	char place[64];
	const char *why;
	struct vault_options o;
	uint64_t found[2];

	(void)state;
	(void)snprintf(place, sizeof(place), "/dev/shm/pdvault-custody-%ld", (long)getpid());
	if (anchor_class_of(place, &why) != ANCHOR_CLASS_D || anchor_class_of(names[1], &why) == ANCHOR_CLASS_D)
		skip();
	o = bed.options;
	o.retiring = o.anchor;
	o.anchor = (struct anchor_paths){ { place }, 1 };
	assert_int_equal(custody_move(&o), STATUS_OK);
	o.retiring = o.anchor;
	o.anchor = (struct anchor_paths){ { names[1] }, 1 };
	o.force_class_d = false;
	assert_int_equal(custody_move(&o), STATUS_ANCHOR);
	slots(place, found);
	assert_int_equal(unlink(place), 0);
	assert_int_equal(found[0] + found[1], 0);
	use(1, 1);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_are_written_and_erased, setup, teardown),
		cmocka_unit_test_setup_teardown(any_one_opens, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_was_away, setup, teardown),
		cmocka_unit_test_setup_teardown(of_another_vault, setup, teardown),
		cmocka_unit_test_setup_teardown(rolled_back_by_one, setup, teardown),
		cmocka_unit_test_setup_teardown(name_taken_over, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failing_file, setup, teardown),
		cmocka_unit_test_setup_teardown(healed_while_it_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(verified, setup, teardown),
		cmocka_unit_test_setup_teardown(moved, setup, teardown),
		cmocka_unit_test_setup_teardown(moved_from_class_d, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
