/*
 * Whatever fails in a restore, at whatever call: one error, an empty place, and the vault that it was to be
 * made of as it was; the next try succeeds.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocation.h"
#include "fault.h"
#include "scratch.h"
#include "server/restore/restore.h"
#include "server/store/store.h"
#include "vault_bed.h"

enum { PEOPLE = 6, ERASED = 2, NTH_MAX = 4000 };

static struct vault_bed bed;
static char old[320];
static uint8_t ids[PEOPLE][16];

/* A vault that is down, whose store is set aside. */
static int
setup(void **state)
{
	(void)state;
	vault_bed_make(&bed, 64 << 20, 1 << 20);
	if (vault_bed_start(&bed) != STATUS_OK)
		return -1;
	for (unsigned n = 0; n < PEOPLE; n++)
		assert_int_equal(vault_bed_create(&bed, n, ids[n]), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, ids[ERASED]), STATUS_OK);
	vault_bed_stop(&bed);
	(void)snprintf(old, sizeof(old), "%.200s/old", bed.dir);
	return rename(bed.store, old);
}

static int
teardown(void **state)
{
	(void)state;
	fault_none();
	allocation_fail(0);
	vault_bed_free(&bed);
	return 0;
}

static enum status
restore(void)
{
	const struct restore_options o = { .vault = &bed.options, .living = old, .data = { { old }, 1 } };
	struct restore_report r;

	return restore_run(&o, &r);
}

static bool
is_empty(void)
{
	static const char *const files[] = { "data.mdb", "restore.unfinished" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (access(scratch_path(bed.store, files[i]), F_OK) == 0)
			return false;
	return true;
}

static void
check_all(void)
{
	for (unsigned n = 0; n < PEOPLE; n++)
		assert_int_equal(vault_bed_get(&bed, ids[n]), n == ERASED ? STATUS_ERASED : STATUS_OK);
}

/* The store that was set aside still opens, unless the other one has been started. */
static void
old_opens(void)
{
	bed.options.store_path = old;
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	check_all();
	vault_bed_stop(&bed);
	bed.options.store_path = bed.store;
}

static void
restored_opens(void)
{
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	check_all();
	vault_bed_stop(&bed);
	bed.options.store_path = old;
	assert_int_equal(vault_open(&bed.options, &bed.vault), STATUS_REFUSED);
	bed.options.store_path = bed.store;
}

static void
every_allocation(void **state)
{
	unsigned n = 1, failed = 0;
	enum status rc;

	(void)state;
	allocation_watch();
	for (; n < NTH_MAX; n++) {
		bool all;

		allocation_fail(n);
		rc = restore();
		all = allocation_seen() < n;
		allocation_fail(0);
		if (all)
			break;
		/* What LMDB or the C library lacks may be an error of theirs. */
		assert_true(rc == STATUS_OK || is_empty());
		failed += rc != STATUS_OK;
		if (rc == STATUS_OK)
			store_remove(bed.store);
		else if (n % 64 == 0)
			old_opens();
	}
	assert_true(n < NTH_MAX && failed > n / 2);
	assert_int_equal(rc, STATUS_OK);
	(void)printf("%u allocations, %u of them without which there is no restore\n", n - 1, failed);
	restored_opens();
}

/* The disk fills, or gives errors, from the n-th write on, or once. */
static void
every_write(void **state)
{
	static const int errors[] = { ENOSPC, EIO };
	enum status rc = STATUS_OK;
	unsigned failed = 0;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		unsigned n = 1;

		for (;; n++) {
			fault_set(FAULT_STORE | FAULT_ANCHOR, n, i < 2 ? n : FAULT_FOR_EVER, errors[i % 2]);
			rc = restore();
			if (fault_count() < n)
				break;
			fault_none();
			assert_true(rc == STATUS_OK || is_empty());
			failed += rc != STATUS_OK;
			if (rc == STATUS_OK)
				store_remove(bed.store);
			old_opens();
		}
		fault_none();
		assert_true(rc == STATUS_OK && n > 4);
		store_remove(bed.store);
		old_opens();
	}
	(void)printf("%u writes failed\n", failed);
	assert_true(failed > 8);
	assert_int_equal(restore(), STATUS_OK);
	restored_opens();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_allocation, setup, teardown),
		cmocka_unit_test_setup_teardown(every_write, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
