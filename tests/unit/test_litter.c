/* Rows whose keys are gone are deleted a few at a time, and only those. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/store/litter.h"
#include "server/store/overlay.h"
#include "server/store/record.h"
#include "ws_bed.h"

#define MANY 1000u
#define FEW 5u

static struct ws_bed w;
static uint8_t crowded[8] = { [7] = 3 }, other[8] = { [7] = 4 };

static int
setup(void **state)
{
	(void)state;
	ws_bed_new(&w);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	ws_bed_free(&w);
	return 0;
}

static void
put(const uint8_t *slot, unsigned count)
{
	uint8_t key[RECORD_TRANSACTION_KEY_LEN];

	for (unsigned i = 0; i < count; i++) {
		record_transaction_key(bytes_get64(slot), i + 1, key);
		assert_int_equal(writeset_put(w.ws, STORE_TRANSACTIONS, bytes_of(key, sizeof(key)),
		    bytes_of("sealed", 6)), STATUS_OK);
	}
}

static uint64_t
rows(enum store_table t)
{
	uint64_t n;

	assert_int_equal(store_count(overlay_snapshot(w.overlay), t, &n), STATUS_OK);
	return n;
}

/* Returns how many rows one sweep took. */
static uint64_t
sweep(unsigned most, bool *deleted)
{
	uint64_t before = rows(STORE_TRANSACTIONS);

	assert_int_equal(litter_sweep(w.ws, most, deleted), STATUS_OK);
	ws_bed_commit(&w);
	return before - rows(STORE_TRANSACTIONS);
}

static void
in_steps(void **state)
{
	bool deleted;

	(void)state;
	put(crowded, MANY);
	put(other, FEW);
	ws_bed_commit(&w);
	assert_int_equal(sweep(100, &deleted), 0);
	assert_false(deleted);
	assert_int_equal(litter_drop(w.ws, crowded), STATUS_OK);
	ws_bed_commit(&w);
	assert_int_equal(rows(STORE_TRANSACTIONS), MANY + FEW - LITTER_AT_ONCE);
	assert_int_equal(rows(STORE_LITTER), 1);
	for (uint64_t left = MANY - LITTER_AT_ONCE; left > 0; left -= left < 300 ? left : 300) {
		assert_int_equal(rows(STORE_LITTER), 1);
		assert_int_equal(sweep(300, &deleted), left < 300 ? left : 300);
		assert_true(deleted);
	}
	/* What is not litter stays. */
	assert_int_equal(rows(STORE_LITTER), 0);
	assert_int_equal(rows(STORE_TRANSACTIONS), FEW);
	assert_int_equal(sweep(300, &deleted), 0);
	assert_false(deleted);
}

/* n - 1, n and n + 1 of what the shred itself deletes. */
static void
at_once(void **state)
{
	(void)state;
	for (unsigned n = LITTER_AT_ONCE - 1; n <= LITTER_AT_ONCE + 1; n++) {
		bool deleted;

		put(crowded, n);
		ws_bed_commit(&w);
		assert_int_equal(litter_drop(w.ws, crowded), STATUS_OK);
		ws_bed_commit(&w);
		assert_int_equal(rows(STORE_TRANSACTIONS), n > LITTER_AT_ONCE);
		assert_int_equal(rows(STORE_LITTER), n > LITTER_AT_ONCE);
		assert_int_equal(sweep(1, &deleted), n > LITTER_AT_ONCE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(in_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(at_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
