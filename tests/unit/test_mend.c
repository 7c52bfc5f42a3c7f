/* The vault gets out of troubles by itself, also while everybody keeps asking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "scratch.h"
#include "server/clock.h"
#include "server/keys/anchor_internal.h"
#include "server/metrics.h"
#include "server/store/vault_internal.h"
#include "vault_bed.h"

#define PATIENCE_NS UINT64_C(60000000000)

static struct vault_bed bed;
static uint8_t id[16];

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	scratch_log_begin();
	return vault_bed_create(&bed, 1, id) == STATUS_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	fault_none();
	writer_test_verify_every(UINT64_MAX);
	free(scratch_log_end(NULL));
	vault_bed_free(&bed);
	return 0;
}

static void
pause_ms(long ms)
{
	const struct timespec t = { .tv_nsec = ms * 1000000 };

	(void)nanosleep(&t, NULL);
}

/* K5 fails; when the device works again the old slot goes, though no second passes without a request. */
static void
settles_under_load(void **state)
{
	uint64_t end = clock_monotonic_ns() + PATIENCE_NS, epoch;
	unsigned asked = 0;

	(void)state;
	fault_set(FAULT_ANCHOR, 3, FAULT_FOR_EVER, EIO);
	assert_int_equal(vault_bed_erase(&bed, id), STATUS_INDETERMINATE);
	assert_string_equal(vault_read_only(bed.vault), "ANCHOR_NOT_ERASED");
	epoch = vault_epoch(bed.vault);
	assert_int_equal(vault_settled(bed.vault), epoch - 1);
	fault_none();
	while (vault_settled(bed.vault) < epoch && clock_monotonic_ns() < end) {
		enum status rc = vault_bed_erase(&bed, id);

		assert_true(rc == STATUS_READ_ONLY || rc == STATUS_OK);
		asked++;
		pause_ms(100);
	}
	assert_true(asked > 0);
	assert_int_equal(vault_settled(bed.vault), epoch);
	assert_null(vault_read_only(bed.vault));
	assert_int_equal(vault_bed_erase(&bed, id), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_ERASED);
}

static void
damage_live_slot(void)
{
	uint8_t block[ANCHOR_BLOCK];
	int fd = open(bed.anchor, O_WRONLY | O_CLOEXEC);

	memset(block, 0x55, sizeof(block));
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, block, sizeof(block),
	    (off_t)(vault_epoch(bed.vault) % 2 * ANCHOR_SLOT_LEN + ANCHOR_BLOCK)), sizeof(block));
	assert_int_equal(fdatasync(fd), 0);
	assert_int_equal(close(fd), 0);
}

/* The live slot is read again; one that is damaged is replaced while memory has the root, and a start works. */
static void
live_slot_is_replaced(void **state)
{
	uint64_t end = clock_monotonic_ns() + PATIENCE_NS, epoch = vault_epoch(bed.vault);
	uint8_t other[16];

	(void)state;
	writer_test_verify_every(0);
	while (metrics_get(METRIC_ANCHOR_VERIFIED) == 0 && clock_monotonic_ns() < end)
		pause_ms(50);
	assert_true(metrics_get(METRIC_ANCHOR_VERIFIED) > 1600000000);
	assert_int_equal(vault_epoch(bed.vault), epoch);
	damage_live_slot();
	while (vault_settled(bed.vault) == epoch && clock_monotonic_ns() < end)
		pause_ms(50);
	assert_int_equal(vault_epoch(bed.vault), epoch + 1);
	assert_int_equal(vault_settled(bed.vault), epoch + 1);
	writer_test_verify_every(UINT64_MAX);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	vault_bed_restart(&bed);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	assert_int_equal(vault_bed_create(&bed, 2, other), STATUS_OK);
}

/* The control: without the second look the damage would be found at the next start, when it is too late. */
static void
nobody_looks(void **state)
{
	(void)state;
	writer_test_verify_every(UINT64_MAX);
	damage_live_slot();
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	vault_bed_stop(&bed);
	assert_int_equal(vault_bed_start(&bed), STATUS_REFUSED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(settles_under_load, setup, teardown),
		cmocka_unit_test_setup_teardown(live_slot_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_looks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
