/*
 * Going back by one commit (`recover --previous`): when it may, what it undoes, and cut off between its steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/store/custody.h"
#include "server/store/store.h"
#include "vault_bed.h"

static struct vault_bed bed;

static int
setup(void **state)
{
	(void)state;
	vault_bed_make(&bed, 1u << 30, 1u << 20);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vault_bed_free(&bed);
	return 0;
}

/* Row previous_only: back by one commit. What the newest commit did is undone, and said. */
static void
back_by_one_commit(void **state)
{
	struct vault_bed_copy old, new;
	uint8_t id[2][16];
	uint64_t erasures = 9, t;

	(void)state;
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(vault_bed_create(&bed, i, id[i]), STATUS_OK);
	t = vault_epoch(bed.vault);
	vault_bed_stop(&bed);
	assert_int_equal(custody_previous(&bed.options, &erasures), STATUS_REFUSED);	/* no reason to */
	vault_bed_keep(&bed, &old);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, id[0]), STATUS_OK);
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &new);
	vault_bed_put_back(&bed, &old, VAULT_BED_ANCHOR);
	/* Starting is refused and changes nothing, however often. */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(vault_bed_start(&bed), STATUS_REFUSED);
	assert_int_equal(custody_previous(&bed.options, &erasures), STATUS_OK);
	assert_int_equal(erasures, 1);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_epoch(bed.vault), t);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(vault_bed_get(&bed, id[i]), STATUS_OK);
	vault_bed_stop(&bed);
	/* Two commits since: there is no way back, and the store is as it was. */
	vault_bed_put_back(&bed, &new, VAULT_BED_ALL);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	vault_bed_stop(&bed);
	vault_bed_forget(&new);
	vault_bed_keep(&bed, &new);
	vault_bed_put_back(&bed, &old, VAULT_BED_ANCHOR);
	assert_int_equal(custody_previous(&bed.options, &erasures), STATUS_REFUSED);
	vault_bed_put_back(&bed, &new, VAULT_BED_ANCHOR);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_epoch(bed.vault), t + 1);
	assert_int_equal(vault_bed_get(&bed, id[0]), STATUS_ERASED);
	vault_bed_forget(&old);
	vault_bed_forget(&new);
}

/* Cut off between its steps: what was set aside is put back by the next run, or is of no use any more. */
static void
stepping_is_undone(void **state)
{
	struct vault_bed_copy here, again;
	uint8_t id[16];
	uint64_t t;

	(void)state;
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	t = vault_epoch(bed.vault);
	assert_int_equal(store_step_back(bed.store), STATUS_REFUSED);	/* the server has it */
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &here);
	assert_int_equal(store_step_forward(bed.store), STATUS_OK);	/* nothing to do */
	assert_int_equal(store_step_back(bed.store), STATUS_OK);
	assert_int_equal(vault_bed_start(&bed), STATUS_REFUSED);	/* it is not through */
	assert_int_equal(store_step_back(bed.store), STATUS_REFUSED);
	assert_int_equal(store_step_forward(bed.store), STATUS_OK);
	vault_bed_keep(&bed, &again);
	assert_int_equal(again.len[0], here.len[0]);
	assert_memory_equal(again.bytes[0], here.bytes[0], here.len[0]);
	vault_bed_forget(&again);
	/* Somebody committed since: it is not put back over that. */
	assert_int_equal(store_step_back(bed.store), STATUS_OK);
	vault_bed_put_back(&bed, &here, VAULT_BED_STORE);
	assert_int_equal(vault_bed_start(&bed), STATUS_REFUSED);
	assert_int_equal(store_step_forward(bed.store), STATUS_OK);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_epoch(bed.vault), t);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	vault_bed_forget(&here);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(back_by_one_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(stepping_is_undone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
