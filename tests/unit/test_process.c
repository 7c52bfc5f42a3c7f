/*
 * The process dies, or must stop, in the middle of a batch; the next start decides. Each life of a
 * server is a child process, so that what it had in memory is gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "fault.h"
#include "life.h"
#include "scratch.h"
#include "server/keys/anchor.h"
#include "server/store/reader.h"
#include "server/store/vault_internal.h"
#include "vault_bed.h"

#define ALWAYS 3u		/* people who are there all the time */
#define SKIPPED 77

/* What the lives know of each other: the test and its children share it. */
struct shared {
	struct vault_bed bed;
	uint8_t always[ALWAYS][16];
	uint8_t id[16];			/* of the person that the operation is about */
	unsigned person, op;
	bool answered;
	enum status rc;
	unsigned files, n, calls;
	int error;
	bool done;			/* found by the life after */
	uint64_t epoch;
};

static struct shared *shared;

static void
first_life(void)
{
	vault_bed_new(&shared->bed);
	for (unsigned i = 0; i < ALWAYS; i++)
		must(vault_bed_create(&shared->bed, i, shared->always[i]) == STATUS_OK);
	vault_bed_stop(&shared->bed);
}

static int
setup(void **state)
{
	(void)state;
	shared = life_shared(sizeof(*shared));
	shared->person = 10;
	return life_run(first_life) == 0 ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	scratch_remove(shared->bed.dir);
	return munmap(shared, sizeof(*shared));
}

/* A life that begins an operation and meets the fault in it. */
static void
doomed_life(void)
{
	struct vault_bed *b = &shared->bed;

	shared->answered = false;
	must(vault_bed_start(b) == STATUS_OK);
	if (shared->op != 0)
		must(vault_bed_create(b, shared->person, shared->id) == STATUS_OK);
	fault_set(shared->files, shared->n, shared->error > 0 ? FAULT_FOR_EVER : shared->n,
	    shared->error);
	switch (shared->op) {
	case 0:
		shared->rc = vault_bed_create(b, shared->person, shared->id);
		break;
	case 1:
		shared->rc = vault_bed_change_email(b, shared->person, shared->id);
		break;
	default:
		shared->rc = vault_bed_erase(b, shared->id);
	}
	shared->answered = true;
	shared->calls = fault_count();
	if (shared->rc == STATUS_INDETERMINATE && vault_read_only(b->vault) == NULL)
		/* The writer ends the process. */
		for (;;)
			(void)pause();
	fault_none();
	vault_bed_stop(b);
}

static bool
operation_is_done(struct vault_bed *b)
{
	uint8_t found[16];
	char email[64];
	enum status rc;

	(void)snprintf(email, sizeof(email), "changed.%u@example.org", shared->person);
	if (shared->op == 0) {
		rc = vault_bed_find_email(b, shared->person, found);
		must(rc == STATUS_OK || rc == STATUS_NO_SUBJECT);
		must(rc != STATUS_OK || vault_bed_get(b, found) == STATUS_OK);
		return rc == STATUS_OK;
	}
	rc = vault_bed_get(b, shared->id);
	if (shared->op == 2 && rc == STATUS_ERASED) {
		must(vault_bed_find_email(b, shared->person, found) == STATUS_NO_SUBJECT);
		return true;
	}
	must(rc == STATUS_OK);
	if (shared->op == 1 && vault_bed_find(b, email, found) == STATUS_OK) {
		must(vault_bed_find_email(b, shared->person, found) == STATUS_NO_SUBJECT);
		return true;
	}
	must(vault_bed_find_email(b, shared->person, found) == STATUS_OK);
	return false;
}

/* The start after it decides; everybody else is there; one slot stands; and it can go on. */
static void
next_life(void)
{
	struct vault_bed *b = &shared->bed;
	struct anchor_slot slot[2];
	uint8_t found[16];

	must(vault_bed_start(b) == STATUS_OK);
	must(vault_settled(b->vault) == vault_epoch(b->vault));
	must(vault_epoch(b->vault) >= shared->epoch);
	shared->epoch = vault_epoch(b->vault);
	must(anchor_survey(b->vault->anchor, 0, slot) == STATUS_OK);
	must(slot[0].valid + slot[1].valid == 1);
	for (unsigned i = 0; i < ALWAYS; i++) {
		must(vault_bed_get(b, shared->always[i]) == STATUS_OK);
		must(vault_bed_find_email(b, i, found) == STATUS_OK);
		must(memcmp(found, shared->always[i], 16) == 0);
	}
	shared->done = operation_is_done(b);
	shared->person++;
	must(vault_bed_create(b, shared->person, found) == STATUS_OK);
	must(vault_bed_erase(b, found) == STATUS_OK);
	shared->person++;
	vault_bed_stop(b);
}

/* The power is cut at each call on those files, until an operation comes through. How many cuts. */
static unsigned
cut_at_each(unsigned files, int error, unsigned *done)
{
	int rc = FAULT_EXIT_STATUS;

	*done = 0;
	for (shared->n = 0; rc == FAULT_EXIT_STATUS; *done += rc != 0 && shared->done) {
		assert_true(++shared->n < 100);
		shared->files = files;
		shared->error = error;
		rc = life_run(doomed_life);
		assert_true(rc == FAULT_EXIT_STATUS || rc == 0);
		assert_int_equal(life_run(next_life), 0);
		/* Nobody was told of it before K7, and who was told was told the truth. */
		assert_true(!shared->answered || (shared->rc == STATUS_OK && shared->done));
		assert_true(shared->answered == (rc == 0));
	}
	return shared->n - 1;
}

/*
 * K1 to K7. A write and a flush of the anchor are K3, two more K5; all that the store writes is before the
 * end of K4, which is the decision.
 */
static void
cut_everywhere(int error)
{
	unsigned done;

	for (shared->op = 0; shared->op < 3; shared->op++) {
		assert_int_equal(cut_at_each(FAULT_ANCHOR, error, &done), 4);
		assert_int_equal(done, 2);
		assert_true(cut_at_each(FAULT_STORE, error, &done) >= 3);
		assert_int_equal(done, 0);
	}
}

static void
cut_between_calls(void **state)
{
	(void)state;
	cut_everywhere(FAULT_EXIT);
}

static void
cut_inside_writes(void **state)
{
	(void)state;
	cut_everywhere(FAULT_TORN);
}

/*
 * The store fails from some call on. From K4 on the outcome is unknown and the process ends; which it was,
 * the next start says. (Without room before K4: test_full.c.)
 */
static void
store_fails(void **state)
{
	static const int errors[] = { EIO, ENOSPC };
	unsigned unknown = 0;

	(void)state;
	for (unsigned e = 0; e < 2; e++) {
		for (shared->op = 0; shared->op < 3; shared->op++) {
			shared->rc = STATUS_INDETERMINATE;
			for (shared->n = 1; shared->rc != STATUS_OK; shared->n++) {
				int rc;

				assert_true(shared->n < 100);
				shared->files = FAULT_STORE;
				shared->error = errors[e];
				rc = life_run(doomed_life);
				assert_true(shared->answered);
				assert_int_equal(life_run(next_life), 0);
				if (shared->rc == STATUS_INDETERMINATE) {
					assert_int_equal(rc, WRITER_EXIT_INDETERMINATE);
					unknown++;
					continue;
				}
				assert_int_equal(rc, 0);
				assert_int_equal(shared->done, shared->rc == STATUS_OK);
			}
		}
	}
	assert_true(unknown > 6);
}

/* K6: a reader that never lets go of its pin: the process ends, and the erasure holds. */
static void
stuck_life(void)
{
	struct vault_bed *b = &shared->bed;
	struct reader *rd;

	must(vault_bed_start(b) == STATUS_OK);
	must(vault_bed_create(b, shared->person, shared->id) == STATUS_OK);
	must(reader_begin(b->vault, &rd) == STATUS_OK);
	shared->rc = vault_bed_erase(b, shared->id);
	must(shared->rc == STATUS_INDETERMINATE);
	shared->answered = true;
	for (;;)
		(void)pause();
}

static void
stuck_reader(void **state)
{
	(void)state;
	shared->op = 2;
	assert_int_equal(life_run(stuck_life), WRITER_EXIT_INDETERMINATE);
	assert_true(shared->answered);
	assert_int_equal(shared->rc, STATUS_INDETERMINATE);
	assert_int_equal(life_run(next_life), 0);
	assert_true(shared->done);
}

/* The last row of the recovery table: serves reads, writes nothing, and stays unsettled. */
static void
read_only_life(void)
{
	struct vault_bed *b = &shared->bed;
	uint8_t found[16];

	if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		_exit(SKIPPED);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount(b->dir, b->dir, NULL, MS_BIND, NULL) != 0 ||
	    mount(NULL, b->dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0)
		_exit(SKIPPED);
	must(vault_bed_start(b) == STATUS_OK);
	must(strcmp(vault_read_only(b->vault), "READ_ONLY_MEDIUM") == 0);
	must(vault_settled(b->vault) + 1 == vault_epoch(b->vault));
	for (unsigned i = 0; i < ALWAYS; i++)
		must(vault_bed_get(b, shared->always[i]) == STATUS_OK);
	must(vault_bed_find_email(b, 0, found) == STATUS_OK);
	must(vault_bed_create(b, 77, found) == STATUS_READ_ONLY);
	must(vault_bed_erase(b, shared->always[0]) == STATUS_READ_ONLY);
	vault_bed_stop(b);
}

static void
read_only_medium(void **state)
{
	int rc = life_run(read_only_life);

	(void)state;
	if (rc == SKIPPED)
		skip();
	assert_int_equal(rc, 0);
	shared->op = 0;
	assert_int_equal(life_run(next_life), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(cut_between_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(cut_inside_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(store_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(stuck_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(read_only_medium, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
