/*
 * The recovery table of docs/DESIGN.md: each row decided, and each reached through real files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "raw_store.h"
#include "scratch.h"
#include "server/keys/anchor_internal.h"
#include "server/store/recover.h"
#include "server/store/vault_internal.h"
#include "vault_bed.h"

static struct vault_bed bed;

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	anchor_test_fault(ANCHOR_TEST_PWRITE, 0, 0);
	vault_bed_free(&bed);
	return 0;
}

#define T 10u

/* Epochs of the two slots; 0: not valid. */
struct decision {
	uint64_t slot[2];
	bool opens, read_only;
	enum recover_row want;
};

static const struct decision decisions[] = {
	{ { T, 0 }, true, false, RECOVER_SERVE },
	{ { T, T - 1 }, true, false, RECOVER_SERVE },
	{ { T, T + 1 }, true, false, RECOVER_SERVE },
	{ { T, T - 5 }, true, false, RECOVER_SERVE },
	{ { T, T + 2 }, true, false, RECOVER_STORE_ROLLED_BACK },
	{ { T, T + 3 }, true, false, RECOVER_STORE_ROLLED_BACK },
	{ { T, 0 }, false, false, RECOVER_FOREIGN },
	{ { T, T + 3 }, false, false, RECOVER_FOREIGN },
	{ { T, T + 1 }, false, true, RECOVER_FOREIGN },
	{ { 0, T + 1 }, false, false, RECOVER_STORE_LOST_COMMITS },
	{ { T + 2, T + 1 }, false, false, RECOVER_STORE_LOST_COMMITS },
	{ { T + 2, T - 1 }, false, false, RECOVER_STORE_LOST_COMMITS },
	{ { 0, T - 1 }, false, false, RECOVER_PREVIOUS },
	{ { T - 2, T - 1 }, false, false, RECOVER_PREVIOUS },
	{ { T - 2, T - 3 }, false, false, RECOVER_NOTHING },
	{ { 0, 0 }, false, false, RECOVER_NOTHING },
	{ { 0, 0 }, false, true, RECOVER_NOTHING },
	{ { T, 0 }, true, true, RECOVER_READ_ONLY },
	{ { T, T - 1 }, true, true, RECOVER_READ_ONLY },
	{ { T, T + 3 }, true, true, RECOVER_STORE_ROLLED_BACK },
};

static void
decided(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++) {
		const struct decision *d = &decisions[i];

		for (int turn = 0; turn < 2; turn++) {
			struct recover_facts f = { .epoch = T, .opens = d->opens,
				.read_only = d->read_only, .slots = 2 };

			for (int s = 0; s < 2; s++)
				f.slot[s ^ turn] = (struct anchor_slot){ .valid = d->slot[s] != 0,
					.epoch = d->slot[s] };
			if (recover_decide(&f) != d->want)
				fail_msg("decision %zu", i);
		}
	}
}

enum { TIMES = 10 };

/* Starts and is refused, time and again; the log names that row; no file was changed. */
static void
assert_refused(const char *row)
{
	struct vault_bed_copy before, after;
	char *log, want[64];

	vault_bed_keep(&bed, &before);
	scratch_log_begin();
	for (int i = 0; i < TIMES; i++)
		assert_int_equal(vault_bed_start(&bed), STATUS_REFUSED);
	log = scratch_log_end(NULL);
	assert_null(bed.vault);
	(void)snprintf(want, sizeof(want), "\"what\":\"%s\"", row);
	if (strstr(log, want) == NULL)
		fail_msg("%s is not in %s", want, log);
	free(log);
	vault_bed_keep(&bed, &after);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(before.len[i], after.len[i]);
		assert_memory_equal(before.bytes[i], after.bytes[i], before.len[i]);
	}
	vault_bed_forget(&before);
	vault_bed_forget(&after);
}

static void
overwrite_slot(unsigned place, bool whole)
{
	uint8_t noise[ANCHOR_SLOT_LEN];
	size_t len = whole ? sizeof(noise) : ANCHOR_BLOCK;
	int fd = open(bed.anchor, O_WRONLY | O_CLOEXEC);

	randombytes_buf(noise, sizeof(noise));
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, noise, len, (off_t)(place * ANCHOR_SLOT_LEN)), (ssize_t)len);
	assert_int_equal(close(fd), 0);
}

static uint64_t
people(unsigned from, unsigned count, uint8_t id[][16])
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(vault_bed_create(&bed, from + i, id[i]), STATUS_OK);
	return vault_epoch(bed.vault);
}

/* Row 1: the other slot random (as a settled switch leaves it), torn, of t-1, or of t+1. */
static void
serves_and_overwrites_the_other(void **state)
{
	struct vault_bed_copy live;
	uint8_t id[2][16];
	uint64_t t = people(1, 2, id);

	(void)state;
	vault_bed_stop(&bed);
	for (int way = 0; way < 3; way++) {
		vault_bed_keep(&bed, &live);
		if (way == 1)
			overwrite_slot((unsigned)((t + 1) % 2), false);
		if (way == 2) {
			/* What a switch leaves that died after K3: a valid slot of t+1. */
			assert_int_equal(vault_bed_start(&bed), STATUS_OK);
			assert_int_equal(vault_bed_erase(&bed, id[1]), STATUS_OK);
			vault_bed_stop(&bed);
			struct vault_bed_copy next;

			vault_bed_keep(&bed, &next);
			vault_bed_put_back(&bed, &live, VAULT_BED_STORE | VAULT_BED_ANCHOR);
			memcpy(live.bytes[1] + (t + 1) % 2 * ANCHOR_SLOT_LEN,
			    next.bytes[1] + (t + 1) % 2 * ANCHOR_SLOT_LEN, ANCHOR_SLOT_LEN);
			vault_bed_put_back(&bed, &live, VAULT_BED_ANCHOR);
			vault_bed_forget(&next);
		}
		assert_int_equal(vault_bed_start(&bed), STATUS_OK);
		assert_int_equal(vault_epoch(bed.vault), t);
		assert_int_equal(vault_settled(bed.vault), t);
		assert_int_equal(vault_bed_get(&bed, id[0]), STATUS_OK);
		assert_int_equal(vault_bed_get(&bed, id[1]), STATUS_OK);
		vault_bed_stop(&bed);
		{
			struct vault_bed_copy after;

			/* K5 was done again: other bytes, and no slot. */
			vault_bed_keep(&bed, &after);
			assert_memory_not_equal(after.bytes[1] + (t + 1) % 2 * ANCHOR_SLOT_LEN,
			    live.bytes[1] + (t + 1) % 2 * ANCHOR_SLOT_LEN, ANCHOR_SLOT_LEN);
			assert_memory_equal(after.bytes[1] + t % 2 * ANCHOR_SLOT_LEN,
			    live.bytes[1] + t % 2 * ANCHOR_SLOT_LEN, ANCHOR_SLOT_LEN);
			vault_bed_forget(&after);
		}
		vault_bed_forget(&live);
	}
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

/* Row 1, t-1: a switch died between K4 and K5. The old root is gone after the start. */
static void
settles_what_k5_did_not(void **state)
{
	struct vault_bed_copy old, new;
	uint8_t id[1][16];
	uint64_t t = people(1, 1, id);

	(void)state;
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &old);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, id[0]), STATUS_OK);
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &new);
	/* The anchor as it was between K4 and K5: both slots valid. */
	memcpy(new.bytes[1] + t % 2 * ANCHOR_SLOT_LEN, old.bytes[1] + t % 2 * ANCHOR_SLOT_LEN,
	    ANCHOR_SLOT_LEN);
	vault_bed_put_back(&bed, &new, VAULT_BED_ANCHOR);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_epoch(bed.vault), t + 1);
	assert_int_equal(vault_bed_get(&bed, id[0]), STATUS_ERASED);
	vault_bed_stop(&bed);
	/* The old store is of no use any more: nothing opens it. */
	vault_bed_put_back(&bed, &old, VAULT_BED_STORE);
	assert_refused("store_lost_commits");
	vault_bed_forget(&old);
	vault_bed_forget(&new);
}

/* Row 2: slot t is there and opens, and one above t+1 stands beside it. */
static void
store_rolled_back(void **state)
{
	struct vault_bed_copy old, new;
	uint8_t id[3][16];
	uint64_t t = people(1, 1, id);

	(void)state;
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &old);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	(void)people(10, 3, id);
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &new);
	/* Slots t and t+3, as if K5 of t had been undone: only then do both stand. */
	memcpy(new.bytes[1] + t % 2 * ANCHOR_SLOT_LEN, old.bytes[1] + t % 2 * ANCHOR_SLOT_LEN,
	    ANCHOR_SLOT_LEN);
	vault_bed_put_back(&bed, &old, VAULT_BED_STORE);
	vault_bed_put_back(&bed, &new, VAULT_BED_ANCHOR);
	assert_refused("store_rolled_back");
	vault_bed_forget(&old);
	vault_bed_forget(&new);
}

/* Row 3: another provider key; the slot is of this epoch but its root is not this store's. */
static void
wrong_key_or_foreign(void **state)
{
	struct vault_bed_copy here, branch;
	struct vault_bed other;
	uint8_t id[1][16];

	(void)state;
	(void)people(1, 1, id);
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &here);
	vault_bed_new(&other);
	vault_bed_stop(&other);
	vault_bed_keep(&other, &branch);
	/* Another vault's key, and then its anchor. */
	vault_bed_put_back(&bed, &branch, VAULT_BED_KEY);
	assert_refused("wrong_key_or_foreign_anchor");
	vault_bed_put_back(&bed, &here, VAULT_BED_KEY);
	vault_bed_put_back(&bed, &branch, VAULT_BED_ANCHOR);
	assert_refused("no_slot");
	vault_bed_put_back(&bed, &branch, VAULT_BED_ANCHOR | VAULT_BED_KEY);
	assert_refused("no_slot");
	vault_bed_free(&other);
	vault_bed_forget(&branch);
	/* Two futures of one vault, each with an epoch t+1: the store of one, the anchor of the other. */
	vault_bed_put_back(&bed, &here, VAULT_BED_ALL);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	(void)people(2, 1, id);
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &branch);
	vault_bed_put_back(&bed, &here, VAULT_BED_ALL);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	(void)people(3, 1, id);
	vault_bed_stop(&bed);
	vault_bed_put_back(&bed, &branch, VAULT_BED_ANCHOR);
	assert_refused("wrong_key_or_foreign_anchor");
	vault_bed_forget(&branch);
	vault_bed_forget(&here);
}

/* Rows 4 to 6: copies put back of the store, of the anchor; an anchor of noise. */
static void
copies_put_back(void **state)
{
	struct vault_bed_copy old[3];
	uint8_t id[1][16];
	uint64_t t = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		t = people(i, 1, id);
		vault_bed_stop(&bed);
		vault_bed_keep(&bed, &old[i]);
		assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	}
	vault_bed_stop(&bed);
	vault_bed_put_back(&bed, &old[1], VAULT_BED_STORE);
	assert_refused("store_lost_commits");
	vault_bed_put_back(&bed, &old[0], VAULT_BED_STORE);
	assert_refused("store_lost_commits");
	vault_bed_put_back(&bed, &old[2], VAULT_BED_STORE);
	vault_bed_put_back(&bed, &old[1], VAULT_BED_ANCHOR);
	assert_refused("previous_only");
	vault_bed_put_back(&bed, &old[0], VAULT_BED_ANCHOR);
	assert_refused("no_slot");
	overwrite_slot(0, true);
	overwrite_slot(1, true);
	assert_refused("no_slot");
	/* One bit in the live slot. */
	old[2].bytes[1][t % 2 * ANCHOR_SLOT_LEN + ANCHOR_BLOCK + 12345] ^= 4;
	vault_bed_put_back(&bed, &old[2], VAULT_BED_ANCHOR);
	assert_refused("no_slot");
	old[2].bytes[1][t % 2 * ANCHOR_SLOT_LEN + ANCHOR_BLOCK + 12345] ^= 4;
	vault_bed_put_back(&bed, &old[2], VAULT_BED_ANCHOR);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	/* Both together: not to be seen without a witness, as docs/THREATS.md says. */
	vault_bed_stop(&bed);
	vault_bed_put_back(&bed, &old[0], VAULT_BED_STORE | VAULT_BED_ANCHOR);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	for (unsigned i = 0; i < 3; i++)
		vault_bed_forget(&old[i]);
}

static void
meta(const char *name, const void *value, size_t len)
{
	struct raw_store r;

	raw_store_open(&r, bed.store);
	if (value != NULL)
		raw_store_put(&r, "meta", bytes_of(name, strlen(name)), bytes_of(value, len));
	else
		raw_store_delete(&r, "meta", bytes_of(name, strlen(name)));
	raw_store_close(&r);
}

/* Every row of the table meta damaged, missing, of another length or of a newer format. */
static void
damaged_meta(void **state)
{
	static const char *const names[] = { META_FORMAT, META_VAULT, META_EPOCH, META_ROOT,
		META_START, META_SEQUENCE };
	static const uint8_t newer[4] = { 0, 0, 0, VAULT_FORMAT + 1 };
	struct vault_bed_copy good;
	uint8_t id[1][16];
	char *log;

	(void)state;
	(void)people(1, 1, id);
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &good);
	scratch_log_begin();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		meta(names[i], NULL, 0);
		assert_int_equal(vault_bed_start(&bed), STATUS_CORRUPT);
		vault_bed_put_back(&bed, &good, VAULT_BED_STORE);
		meta(names[i], "abc", 3);
		assert_int_equal(vault_bed_start(&bed), STATUS_CORRUPT);
		vault_bed_put_back(&bed, &good, VAULT_BED_STORE);
	}
	meta(META_FORMAT, newer, sizeof(newer));
	assert_int_equal(vault_bed_start(&bed), STATUS_REFUSED);
	vault_bed_put_back(&bed, &good, VAULT_BED_STORE);
	log = scratch_log_end(NULL);
	assert_non_null(strstr(log, "another format"));
	free(log);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, id[0]), STATUS_OK);
	vault_bed_forget(&good);
}

/* K5 at recovery cannot be done: it does not serve, and can be started again. */
static void
settling_fails(void **state)
{
	uint8_t id[1][16];
	char *log;

	(void)state;
	(void)people(1, 1, id);
	vault_bed_stop(&bed);
	scratch_log_begin();
	anchor_test_fault(ANCHOR_TEST_PWRITE, 1, 5);
	assert_int_equal(vault_bed_start(&bed), STATUS_ANCHOR);
	anchor_test_fault(ANCHOR_TEST_PREAD, 1, 5);
	assert_int_equal(vault_bed_start(&bed), STATUS_IO);
	anchor_test_fault(ANCHOR_TEST_PREAD, 0, 0);
	log = scratch_log_end(NULL);
	assert_non_null(strstr(log, "anchor_error"));
	free(log);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, id[0]), STATUS_OK);
}

/* Row 7: reads are served, nothing is written, the epoch is not settled. */
static void
read_only(void **state)
{
	struct vault_bed_copy before, after;
	struct root root;
	struct vault *v;
	uint8_t id[1][16];
	uint64_t settled, t = people(1, 1, id);

	(void)state;
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &before);
	for (int i = 0; i < TIMES; i++) {
		assert_int_equal(vault_open_parts(&bed.options, true, &v), STATUS_OK);
		assert_int_equal(recover_run(v, true, &root, &settled), STATUS_OK);
		assert_int_equal(settled, t - 1);
		vault_close(v);
	}
	root_wipe(&root);
	vault_bed_keep(&bed, &after);
	for (int i = 0; i < 2; i++)
		assert_memory_equal(before.bytes[i], after.bytes[i], before.len[i]);
	vault_bed_forget(&before);
	vault_bed_forget(&after);
}

/* After all of the above: the server itself has counted each row. */
static void
each_row_was_reached(void **state)
{
	(void)state;
	vault_bed_stop(&bed);
	for (int i = 0; i < TIMES; i++) {
		assert_int_equal(vault_bed_start(&bed), STATUS_OK);
		vault_bed_stop(&bed);
	}
	for (int row = RECOVER_SERVE; row <= RECOVER_READ_ONLY; row++)
		if (recover_test_reached((enum recover_row)row) < TIMES)
			fail_msg("%s: %u times", recover_name((enum recover_row)row),
			    recover_test_reached((enum recover_row)row));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decided),
		cmocka_unit_test_setup_teardown(serves_and_overwrites_the_other, setup, teardown),
		cmocka_unit_test_setup_teardown(settles_what_k5_did_not, setup, teardown),
		cmocka_unit_test_setup_teardown(store_rolled_back, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_key_or_foreign, setup, teardown),
		cmocka_unit_test_setup_teardown(copies_put_back, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_meta, setup, teardown),
		cmocka_unit_test_setup_teardown(settling_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(read_only, setup, teardown),
		cmocka_unit_test_setup_teardown(each_row_was_reached, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
