#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "server/rpc/pool.h"
#include "server/throttle.h"

#define JOBS 1000u

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint begun, done;

static void
run(struct pool_job *job)
{
	(void)job;
	atomic_fetch_add(&begun, 1);
	must(pthread_mutex_lock(&gate) == 0);
	must(pthread_mutex_unlock(&gate) == 0);
	atomic_fetch_add(&done, 1);
}

static void
wait_begun(unsigned n)
{
	static const struct timespec ms = { .tv_nsec = 1000000 };

	while (atomic_load(&begun) < n)
		(void)nanosleep(&ms, NULL);
}

/* Two run, three wait, the sixth is refused; stopping finishes those that wait. */
static void
test_bounds(void **state)
{
	struct pool_job job[6] = { { .run = run }, { .run = run }, { .run = run }, { .run = run },
		{ .run = run }, { .run = run } };
	struct pool *p = NULL;
	unsigned i;

	(void)state;
	atomic_store(&begun, 0);
	atomic_store(&done, 0);
	assert_int_equal(pool_start(2, 3, &p), STATUS_OK);
	must(pthread_mutex_lock(&gate) == 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(pool_submit(p, &job[i]), STATUS_OK);
	wait_begun(2);
	for (; i < 5; i++)
		assert_int_equal(pool_submit(p, &job[i]), STATUS_OK);
	assert_int_equal(pool_submit(p, &job[5]), STATUS_BUSY);
	assert_int_equal(atomic_load(&done), 0);
	must(pthread_mutex_unlock(&gate) == 0);
	pool_stop(p);
	assert_int_equal(atomic_load(&done), 5);
}

/* Each job is run once, whoever submits. */
static void
test_each_once(void **state)
{
	static struct pool_job job[JOBS];
	struct pool *p = NULL;
	unsigned i;

	(void)state;
	atomic_store(&done, 0);
	assert_int_equal(pool_start(3, JOBS, &p), STATUS_OK);
	for (i = 0; i < JOBS; i++) {
		job[i].run = run;
		assert_int_equal(pool_submit(p, &job[i]), STATUS_OK);
	}
	pool_stop(p);
	assert_int_equal(atomic_load(&done), JOBS);
	pool_stop(NULL);
}

static void
test_throttle(void **state)
{
	struct throttle t = { 0 };
	uint64_t second = UINT64_C(1000000000), count = 0;

	(void)state;
	assert_true(throttle_pass(&t, second, &count));
	assert_int_equal(count, 1);
	assert_false(throttle_pass(&t, second, &count));
	assert_false(throttle_pass(&t, 2 * second - 1, &count));
	assert_true(throttle_pass(&t, 2 * second, &count));
	assert_int_equal(count, 3);	/* two were held back */
	assert_true(throttle_pass(&t, 4 * second, &count));
	assert_int_equal(count, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_each_once),
		cmocka_unit_test(test_throttle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
