/* Copies of the ledger are kept while erasures go on, and hold all of them at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "fault.h"
#include "pdvault/v1/rights.pb-c.h"
#include "server/clock.h"
#include "server/ledger_copies.h"
#include "server/store/ledger_walk.h"
#include "vault_bed.h"

enum { HEAD = 64, ITEM = LEDGER_ENTRY_LEN + SEAL_SIGNATURE_LEN, MANY = 300 };

static struct vault_bed bed;
static char paths[2][320];

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	for (unsigned i = 0; i < 2; i++)
		(void)snprintf(paths[i], sizeof(paths[i]), "%s/ledger%u", bed.dir, i);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fault_none();
	vault_bed_free(&bed);
	return 0;
}

static struct ledger_copies *
start(uint64_t late_ms)
{
	static const char *const both[] = { paths[0], paths[1] };
	const struct ledger_copies_options o = { .path = both, .count = 2, .late_ms = late_ms };
	struct ledger_copies *l = NULL;

	assert_int_equal(ledger_copies_start(bed.vault, &o, &l), STATUS_OK);
	return l;
}

/* Each entry once, in order. */
static void
assert_holds(const char *path, uint64_t entries)
{
	static uint8_t bytes[HEAD + (MANY + 1) * ITEM];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, bytes, sizeof(bytes));
	(void)close(fd);
	assert_int_equal(n, HEAD + entries * ITEM);
	for (uint64_t i = 0; i < entries; i++)
		assert_int_equal(bytes_get64(bytes + HEAD + i * ITEM), i + 1);
}

/* Begun behind, on and on, and ended while the last ones are just answered. */
static void
kept(void **state)
{
	static struct vault_call calls[MANY];
	static uint8_t id[MANY][16];
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	struct ledger_copies *l;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(vault_bed_create(&bed, i, id[i]), STATUS_OK);
	for (unsigned i = 0; i < MANY / 2; i++)
		assert_int_equal(vault_bed_erase(&bed, id[i]), STATUS_OK);
	l = start(60000);
	for (unsigned i = MANY / 2; i < MANY; i++) {
		q.subject = VAULT_BED_ID(id[i]);
		vault_bed_submit(&bed, "Rights.EraseSubject", &q, &calls[i]);
	}
	for (unsigned i = MANY / 2; i < MANY; i++) {
		assert_int_equal(vault_bed_wait(&calls[i]), STATUS_OK);
		vault_bed_done(&calls[i]);
	}
	assert_true(ledger_copies_stop(l, 60000));
	assert_holds(paths[0], MANY);
	assert_holds(paths[1], MANY);
	l = start(60000);
	assert_false(ledger_copies_late(l));
	assert_true(ledger_copies_stop(l, 60000));
	assert_holds(paths[0], MANY);
}

static void
erase(unsigned number)
{
	uint8_t id[16];

	assert_int_equal(vault_bed_create(&bed, number, id), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, id), STATUS_OK);
}

/*
 * Any call on the files fails once, or all do from there on: erasures go on, and when the places work again the
 * copies come to hold all, though what was written before a flush that failed looks as if it were there.
 */
static void
failing(void **state)
{
	static const int errors[] = { EIO, ENOSPC };
	uint64_t entries = 0;

	(void)state;
	for (unsigned nth = 1; nth < 9; nth++) {
		/* Each thread that has read keeps its place until the vault is closed. */
		vault_bed_restart(&bed);
		for (unsigned i = 0; i < 4; i++) {
			struct ledger_copies *l;

			fault_set(FAULT_LEDGER, nth, i < 2 ? nth : FAULT_FOR_EVER, errors[i % 2]);
			l = start(60000);
			erase(1000 + (unsigned)entries++);
			erase(1000 + (unsigned)entries++);
			while (fault_count() < nth && nth < 5)
				(void)sched_yield();
			fault_none();
			assert_true(ledger_copies_stop(l, 60000));
			assert_holds(paths[0], entries);
			assert_holds(paths[1], entries);
		}
	}
}

/* A write whose flush fails, and which the device then has not: only we wrote there, so it is written again. */
static void
lost(void **state)
{
	static const uint8_t nothing[ITEM];
	struct ledger_copies *l;

	(void)state;
	erase(1);
	l = start(60000);
	while (ledger_copies_lag(l, 1) > 0)
		(void)sched_yield();
	/* Of the second entry one write is done and its flush fails; all that follows fails. */
	fault_set(FAULT_LEDGER, 2, FAULT_FOR_EVER, EIO);
	erase(2);
	while (fault_count() < 3)
		(void)sched_yield();
	fault_none();
	for (unsigned i = 0; i < 2; i++) {
		int fd = open(paths[i], O_WRONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, nothing, ITEM, HEAD + ITEM), ITEM);
		(void)close(fd);
	}
	assert_true(ledger_copies_stop(l, 60000));
	assert_holds(paths[0], 2);
	assert_holds(paths[1], 2);
}

/* A place that fails makes it late, and lacks everything, without anybody waiting for it. */
static void
late(void **state)
{
	const uint64_t end = clock_monotonic_ns() + UINT64_C(30000000000);
	struct ledger_copies *l;

	(void)state;
	erase(1);
	fault_set(FAULT_LEDGER, 1, FAULT_FOR_EVER, EIO);
	l = start(300);
	assert_false(ledger_copies_late(l));
	while (!ledger_copies_late(l) && clock_monotonic_ns() < end)
		(void)sched_yield();
	assert_true(ledger_copies_late(l));
	assert_int_equal(ledger_copies_lag(l, 1), 1);
	fault_none();
	assert_true(ledger_copies_stop(l, 60000));
	assert_holds(paths[0], 1);
	assert_false(ledger_copies_late(NULL));
	assert_int_equal(ledger_copies_lag(NULL, 7), 0);
}

/* What is wrong with a copy, walked through from that key on; its head must name ${head}. */
static uint64_t
doubt(const char *path, const uint8_t *head, const uint8_t *from)
{
	static uint8_t bytes[HEAD + MANY * ITEM];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct ledger_proof p;
	struct ledger_entry e;
	struct ledger_walk w;
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, bytes, sizeof(bytes));
	(void)close(fd);
	assert_true(n >= HEAD && (n - HEAD) % ITEM == 0);
	assert_memory_equal(bytes + HEAD - SEAL_PUBLIC_LEN, head, SEAL_PUBLIC_LEN);
	ledger_walk_begin(&w, vault_id(bed.vault), from);
	for (ssize_t at = HEAD; at < n; at += ITEM) {
		memcpy(p.entry, bytes + at, sizeof(p.entry));
		memcpy(p.signature, bytes + at + sizeof(p.entry), sizeof(p.signature));
		assert_int_equal(ledger_walk_next(&w, &p, &e), STATUS_OK);
	}
	return ledger_walk_doubt(&w);
}

/*
 * The signing key is rotated: while a copy is kept, and while none is. A copy goes on that began under an
 * earlier key, a new one begins under the present; both are proven from every key on.
 */
static void
turned(void **state)
{
	uint8_t keys[4][SEAL_PUBLIC_LEN], other[SEAL_PUBLIC_LEN] = { 1 };
	uint64_t entries = 0;
	struct ledger_copies *l;
	int fd;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		vault_public_key(bed.vault, keys[i]);
		erase(10 * i);			/* comes to the copies under the next key */
		vault_bed_turn(&bed);
		l = start(60000);
		erase(10 * i + 1);
		assert_true(ledger_copies_stop(l, 60000));
		assert_holds(paths[0], entries += 4);
		vault_bed_restart(&bed);
	}
	vault_public_key(bed.vault, keys[3]);
	for (unsigned k = 0; k < 4; k++)
		assert_int_equal(doubt(paths[0], keys[1], keys[k]), 0);
	assert_int_not_equal(doubt(paths[0], keys[1], other), 0);
	assert_int_equal(unlink(paths[1]), 0);
	l = start(60000);
	assert_true(ledger_copies_stop(l, 60000));
	for (unsigned k = 0; k < 4; k++)
		assert_int_equal(doubt(paths[1], keys[3], keys[k]), 0);
	/* A key that the vault never had. */
	fd = open(paths[1], O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, other, sizeof(other), HEAD - SEAL_PUBLIC_LEN), sizeof(other));
	(void)close(fd);
	vault_bed_restart(&bed);
	l = start(60000);
	erase(99);
	assert_true(ledger_copies_stop(l, 60000));
	assert_holds(paths[0], entries + 1);
	assert_holds(paths[1], entries);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kept, setup, teardown),
		cmocka_unit_test_setup_teardown(failing, setup, teardown),
		cmocka_unit_test_setup_teardown(lost, setup, teardown),
		cmocka_unit_test_setup_teardown(late, setup, teardown),
		cmocka_unit_test_setup_teardown(turned, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
