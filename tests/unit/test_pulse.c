#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/metrics.h"
#include "server/pulse.h"

#define SECOND 1000000000u

/* A writer that is only what this test wants: it takes the job, or not, and answers when told. */
static enum status answer;
static struct write_job *taken;
static unsigned submitted;

enum status
writer_submit(struct writer *w, struct write_job *job)
{
	(void)w;
	submitted++;
	if (answer == STATUS_OK)
		taken = job;
	return answer;
}

static void
begin(struct pulse *p)
{
	answer = STATUS_OK;
	taken = NULL;
	submitted = 0;
	pulse_start(p, SECOND);
}

static void
asks_now_and_then(void **state)
{
	struct pulse p;

	(void)state;
	begin(&p);
	pulse_tick(&p, NULL, SECOND);
	assert_int_equal(submitted, 1);
	pulse_tick(&p, NULL, 100u * (uint64_t)SECOND);	/* the first is still under way */
	assert_int_equal(submitted, 1);
	assert_int_equal(taken->apply(taken, NULL), STATUS_ABSENT);
	taken->done(taken, STATUS_ABSENT, 1);
	pulse_tick(&p, NULL, 100u * (uint64_t)SECOND);
	assert_int_equal(submitted, 2);
	taken->done(taken, STATUS_ABSENT, 1);
	pulse_tick(&p, NULL, 101u * (uint64_t)SECOND);	/* too soon */
	assert_int_equal(submitted, 2);
}

static void
knows_a_stuck_writer(void **state)
{
	struct pulse p;
	uint64_t now;

	(void)state;
	begin(&p);
	for (now = SECOND; now <= SECOND + PULSE_LIMIT_NS; now += SECOND) {
		pulse_tick(&p, NULL, now);
		assert_null(pulse_stuck(&p, now));
	}
	pulse_tick(&p, NULL, now);
	assert_string_equal(pulse_stuck(&p, now), "writer stuck");
	/* Answered at last: time of the test's clock, which began long before this. */
	taken->done(taken, STATUS_ABSENT, 1);
	assert_null(pulse_stuck(&p, now));
}

static void
takes_commits_for_life(void **state)
{
	struct pulse p;
	uint64_t now;

	(void)state;
	begin(&p);
	answer = STATUS_BUSY;
	for (now = SECOND; now <= 4 * PULSE_LIMIT_NS; now += SECOND) {
		metrics_add(METRIC_COMMITS, 1);
		pulse_tick(&p, NULL, now);
		assert_null(pulse_stuck(&p, now));
	}
	pulse_tick(&p, NULL, now += PULSE_LIMIT_NS + SECOND);	/* no commit in between */
	assert_string_equal(pulse_stuck(&p, now), "writer stuck");
}

static void
knows_a_stuck_main_thread(void **state)
{
	struct pulse p;

	(void)state;
	begin(&p);
	assert_null(pulse_stuck(&p, 0));		/* a look from before the tick */
	assert_null(pulse_stuck(&p, SECOND + PULSE_LIMIT_NS));
	assert_string_equal(pulse_stuck(&p, SECOND + PULSE_LIMIT_NS + 1), "main thread stuck");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asks_now_and_then), cmocka_unit_test(knows_a_stuck_writer),
		cmocka_unit_test(takes_commits_for_life), cmocka_unit_test(knows_a_stuck_main_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
