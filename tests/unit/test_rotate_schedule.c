/*
 * Jobs that are made by themselves, when the configuration wants them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <time.h>

#include "rotate_bed.h"
#include "scratch.h"
#include "server/clock.h"
#include "server/rotate/rotate_internal.h"

#define PEOPLE 3u

static struct vault_bed bed;
static uint8_t id[PEOPLE][16];

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	scratch_log_begin();
	for (unsigned i = 0; i < PEOPLE; i++)
		if (vault_bed_create(&bed, i, id[i]) != STATUS_OK)
			return -1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(scratch_log_end(NULL));
	vault_bed_free(&bed);
	return 0;
}

static void
pause_ms(unsigned ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)nanosleep(&t, NULL);
}

static void
list(struct job all[static 8], unsigned want)
{
	unsigned count = 0;

	assert_int_equal(job_list(bed.vault, NULL, all, 8, &count), STATUS_OK);
	assert_int_equal(count, want);
}

/* What the schedule wants is counted from the last that was done, and from no part of one. */
static void
schedule(void **state)
{
	struct rotate r = { .o = { .vault = bed.vault, .writer = bed.writer },
		.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
	struct job all[8], j;

	(void)state;
	r.o.every.subjects = 3600000;
	rotate_schedule(&r);
	list(all, 0);		/* the vault is new */
	pause_ms(500);
	j = (struct job){ .kind = JOB_SUBJECTS };
	memcpy(j.subject, id[0], 16);
	rotate_bed_run(&bed, &j, 1, &j);
	r.o.every.subjects = 500;
	rotate_schedule(&r);
	list(all, 2);
	assert_string_equal(all[0].principal, "schedule");
	assert_true(all[0].kind == JOB_SUBJECTS && all[0].state == JOB_WAITING);
	pause_ms(500);
	rotate_schedule(&r);			/* one is open */
	list(all, 2);
	while (job_is_open(&all[0]))
		assert_int_equal(rotate_bed_step(&bed, &all[0], 256), STATUS_OK);
	r.o.every.subjects = 3600000;
	rotate_schedule(&r);			/* and is done just now */
	list(all, 2);
}

static enum status
save(struct writeset *ws, void *j)
{
	return job_save(ws, j);
}

/* After one that was cancelled or failed the schedule waits for an hour. */
static void
schedule_again(void **state)
{
	static const enum job_state ends[] = { JOB_CANCELLED, JOB_FAILED };
	struct rotate r = { .o = { .vault = bed.vault, .writer = bed.writer, .every.tree = 1 },
		.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
	struct job all[9];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		rotate_schedule(&r);
		list(all, i + 1);
		all[0].state = ends[i];
		all[0].floor_ms = INT64_MAX;	/* it has made nothing new */
		for (int64_t ago = 3590000; ago <= 3610000; ago += 20000) {
			rotate_schedule(&r);	/* it is open, or was until ten seconds less than an hour ago */
			list(all + 1, i + 1);
			all[0].ended_ms = clock_wall_ms() - ago;
			assert_int_equal(rotate_bed_do(&bed, save, &all[0]), STATUS_OK);
		}
	}
	rotate_schedule(&r);
	list(all, 3);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(schedule), TEST(schedule_again) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
