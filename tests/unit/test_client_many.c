/* Many of the client's calls at once, from threads and from callbacks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

#include "client/client.h"
#include "plan.h"

/* --- many calls --- */

#define THREADS 8
#define CALLS 200

static void *
hammer(void *arg)
{
	void *failed = NULL;
	int i;

	for (i = 0; i < CALLS; i++) {
		struct pdv_result *r;

		if (pdv_create_subject(arg, &plan_nobody, NULL, &r) != PDV_OK) {
			(void)fprintf(stderr, "%s %s\n", pdv_code_name(pdv_result_code(r)),
			    pdv_result_reason(r));
			failed = arg;
		}
		pdv_result_free(r);
	}
	return failed;
}

static void
run_threads(struct pdv_client *c)
{
	pthread_t t[THREADS];
	void *failed;
	int i;

	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, hammer, c), 0);
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(t[i], &failed), 0);
		assert_null(failed);
	}
	client_check(c);
}

static void
test_threads(void **state)
{
	struct pdv_client_stats s;
	struct pdv_client *c;
	const char *url;
	struct fake *f;
	struct plan p;

	(void)state;
	plan_init(&p, "o");
	f = fake_new(plan_pki, 0, plan_follow, &p);
	url = fake_url(f);
	/* Fewer flights than threads: some wait for their turn. */
	c = plan_client(&url, 1,
	    (struct pdv_client_options){.in_flight = 3, .connections = 2, .deadline_ms = 60000});
	run_threads(c);
	assert_int_equal(fake_requests(f), THREADS * CALLS);
	pdv_client_stats(c, &s);
	assert_int_equal(s.calls, THREADS * CALLS);
	assert_int_equal(s.in_flight, 0);
	assert_int_equal(s.waiting, 0);
	assert_int_equal(s.connections, 2);
	pdv_client_free(c);
	fake_free(f);
}

/* The same while connections break all the time. */
static void
test_threads_and_losses(void **state)
{
	static char steps[THREADS * CALLS + 1];
	struct pdv_client *c;
	const char *urls[2];
	struct fake *f[2];
	struct plan p[2];
	size_t i;

	(void)state;
	for (i = 0; i + 1 < sizeof(steps); i++)
		steps[i] = i % 97 == 0 ? 'c' : i % 31 == 0 ? 'u' : 'o';
	steps[sizeof(steps) - 2] = 'o';
	for (i = 0; i < 2; i++) {
		plan_init(&p[i], steps);
		f[i] = fake_new(plan_pki, 0, plan_follow, &p[i]);
		urls[i] = fake_url(f[i]);
	}
	c = plan_client(urls, 2, (struct pdv_client_options){.deadline_ms = 100000});
	run_threads(c);
	pdv_client_free(c);
	fake_free(f[0]);
	fake_free(f[1]);
}

/* --- asynchronous calls --- */

struct tally {
	struct pdv_client *client;
	atomic_uint ok, other, indeterminate;
	atomic_int again; /* calls that callbacks still begin */
	atomic_int waited; /* a waiting call in a callback was refused */
};

static void
count(struct pdv_result *r, void *arg)
{
	struct tally *t = arg;

	if (pdv_result_code(r) == PDV_OK)
		atomic_fetch_add(&t->ok, 1);
	else if (strcmp(pdv_result_reason(r), PDV_REASON_INDETERMINATE) == 0)
		atomic_fetch_add(&t->indeterminate, 1);
	else
		atomic_fetch_add(&t->other, 1);
	pdv_result_free(r);
	if (atomic_fetch_sub(&t->again, 1) > 0)
		assert_int_equal(pdv_check_async(t->client, NULL, count, t), PDV_OK);
}

static void
wait_for_tally(struct tally *t, unsigned total)
{
	int i;

	for (i = 0; i < 12000; i++) {
		if (atomic_load(&t->ok) + atomic_load(&t->other) +
			atomic_load(&t->indeterminate) >= total)
			return;
		nng_msleep(5);
	}
	fail_msg("%u answers of %u", atomic_load(&t->ok), total);
}

static void
test_callbacks_begin_calls(void **state)
{
	struct tally t = {.again = 5000};
	struct fake *f;
	struct plan p;
	int i;

	(void)state;
	plan_init(&p, "o");
	f = fake_new(plan_pki, 0, plan_follow, &p);
	t.client = plan_client_of(f);
	for (i = 0; i < 64; i++)
		assert_int_equal(pdv_check_async(t.client, NULL, count, &t), PDV_OK);
	wait_for_tally(&t, 5064);
	assert_int_equal(atomic_load(&t.ok), 5064);
	client_check(t.client);
	pdv_client_free(t.client);
	fake_free(f);
}

static void
wait_inside(struct pdv_result *r, void *arg)
{
	struct tally *t = arg;
	struct pdv_result *inner;

	pdv_result_free(r);
	if (pdv_check(t->client, NULL, &inner) == PDV_FAILED_PRECONDITION &&
	    strcmp(pdv_result_reason(inner), PDV_REASON_IN_CALLBACK) == 0)
		atomic_store(&t->waited, 1);
	pdv_result_free(inner);
	atomic_fetch_add(&t->ok, 1);
}

static void
test_no_waiting_in_callbacks(void **state)
{
	struct tally t = {.ok = 0};
	struct fake *f;
	struct plan p;

	(void)state;
	plan_init(&p, "o");
	f = fake_new(plan_pki, 0, plan_follow, &p);
	t.client = plan_client_of(f);
	assert_int_equal(pdv_check_async(t.client, NULL, wait_inside, &t), PDV_OK);
	wait_for_tally(&t, 1);
	assert_int_equal(atomic_load(&t.waited), 1);
	pdv_client_free(t.client);
	fake_free(f);
}

/* Calls above the limit wait for their turn, until their deadline; others are refused. */
static void
test_turns(void **state)
{
	struct pdv_call_options soon = {.deadline_ms = 100}, later = {.deadline_ms = 60000};
	struct tally t = {.ok = 0};
	const char *url;
	struct fake *f;
	struct plan p;
	int i;

	(void)state;
	plan_init(&p, "ssoo");
	f = fake_new(plan_pki, 0, plan_follow, &p);
	url = fake_url(f);
	t.client = plan_client(
	    &url, 1, (struct pdv_client_options){.in_flight = 2, .waiting = 4});
	for (i = 0; i < 2; i++) { /* both flights are held by silence */
		struct pdv_call_options o = {.deadline_ms = 1000};

		assert_int_equal(pdv_check_async(t.client, &o, count, &t), PDV_OK);
	}
	assert_int_equal(pdv_check_async(t.client, &later, count, &t), PDV_OK);
	assert_int_equal(pdv_check_async(t.client, &soon, count, &t), PDV_OK);
	assert_int_equal(pdv_check_async(t.client, &later, count, &t), PDV_OK);
	assert_int_equal(pdv_check_async(t.client, &soon, count, &t), PDV_OK);
	assert_int_equal(
	    pdv_check_async(t.client, &soon, count, &t), PDV_RESOURCE_EXHAUSTED);
	client_check(t.client);
	/* The two short ones end in the queue, though one behind a long one. */
	wait_for_tally(&t, 2);
	assert_int_equal(atomic_load(&t.other), 2);
	assert_int_equal(fake_requests(f), 2);
	client_check(t.client);
	/* The silent ones end, the two long ones get their turn. */
	wait_for_tally(&t, 6);
	assert_int_equal(atomic_load(&t.ok), 2);
	assert_int_equal(atomic_load(&t.other), 4);
	client_check(t.client);
	pdv_client_free(t.client);
	fake_free(f);
}

/* Freeing ends all calls: those under way, those in a pause, those that wait. */
static void
test_free_ends_calls(void **state)
{
	static const char *const plans[] = {"s", "u", "c", "o"};
	const struct pdv_client_options few = {.in_flight = 4, .deadline_ms = 600000};
	struct tally t;
	const char *url;
	struct fake *f;
	struct plan p;
	size_t i;
	int k;

	(void)state;
	for (i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		t = (struct tally){.ok = 0};
		plan_init(&p, plans[i]);
		f = fake_new(plan_pki, 0, plan_follow, &p);
		url = fake_url(f);
		t.client = plan_client(&url, 1, few);
		for (k = 0; k < 20; k++)
			assert_int_equal(pdv_create_subject_async(
					     t.client, &plan_nobody, NULL, count, &t), PDV_OK);
		nng_msleep(i == 3 ? 0 : 30);
		pdv_client_free(t.client);
		assert_int_equal(atomic_load(&t.ok) + atomic_load(&t.other) +
			atomic_load(&t.indeterminate), 20);
		if (i < 3)
			assert_int_equal(atomic_load(&t.ok), 0);
		if (i == 0) /* four had been sent */
			assert_true(atomic_load(&t.indeterminate) <= 4 &&
			    atomic_load(&t.other) >= 16);
		fake_free(f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_threads_and_losses),
	    cmocka_unit_test(test_callbacks_begin_calls),
	    cmocka_unit_test(test_no_waiting_in_callbacks),
	    cmocka_unit_test(test_turns),
	    cmocka_unit_test(test_free_ends_calls),
	};

	return cmocka_run_group_tests(tests, plan_set_up, plan_tear_down);
}
