/* The client's calls against a server that fails in every way it can. */
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

/* One call against a server with a plan. */
static struct pdv_result *
try_plan(struct plan *p, bool mutates, uint32_t deadline)
{
	struct pdv_call_options o = {.deadline_ms = deadline};
	struct fake *f = fake_new(plan_pki, 0, plan_follow, p);
	struct pdv_client *c = plan_client_of(f);
	struct pdv_result *r;

	if (mutates)
		(void)pdv_create_subject(c, &plan_nobody, &o, &r);
	else
		(void)pdv_check(c, &o, &r);
	client_check(c);
	pdv_client_free(c);
	fake_free(f);
	return r;
}

static void
expect_plan(const char *steps, bool mutates, enum pdv_code code, const char *reason)
{
	struct pdv_result *r;
	struct plan p;

	plan_init(&p, steps);
	/* Silence is waited out; what comes before it must have its time, on a slow machine too. */
	r = try_plan(&p, mutates, strchr("sl", steps[strlen(steps) - 1]) == NULL ? 5000 :
	    steps[1] == '\0' ? 1000 : 2000);
	if (pdv_result_code(r) != code || strcmp(pdv_result_reason(r), reason) != 0)
		fail_msg("plan %s: %s %s", steps, pdv_code_name(pdv_result_code(r)),
		    pdv_result_reason(r));
	pdv_result_free(r);
}

/* --- retries --- */

static void
test_unavailable_twice(void **state)
{
	struct pdv_result *r;
	struct plan p;
	int i;

	(void)state;
	plan_init(&p, "uuo");
	r = try_plan(&p, true, 5000);
	assert_int_equal(pdv_result_code(r), PDV_OK);
	assert_int_equal(pdv_result_attempts(r), 3);
	assert_non_null(pdv_result_subject(r));
	/* The same key each time, the one that the result tells; never more time than left. */
	for (i = 0; i < 3; i++)
		assert_memory_equal(p.keys[i], pdv_result_key(r), PDV_KEY_LEN);
	assert_true(p.timeouts[0] <= 5000 && p.timeouts[1] <= p.timeouts[0] &&
	    p.timeouts[2] <= p.timeouts[1] && p.timeouts[2] > 0);
	pdv_result_free(r);
}

static void
test_closed_connections(void **state)
{
	struct pdv_result *r;
	struct plan p;

	(void)state;
	plan_init(&p, "cco");
	r = try_plan(&p, true, 5000);
	assert_int_equal(pdv_result_code(r), PDV_OK);
	assert_int_equal(pdv_result_attempts(r), 3);
	assert_memory_equal(p.keys[0], p.keys[1], PDV_KEY_LEN);
	assert_memory_equal(p.keys[0], p.keys[2], PDV_KEY_LEN);
	/* nng sent nothing again by itself. */
	assert_int_equal(atomic_load(&p.at), 3);
	pdv_result_free(r);
}

static void
test_own_key(void **state)
{
	const uint8_t key[PDV_KEY_LEN] = "the caller's key";
	struct pdv_call_options o = {.idempotency_key = key};
	struct pdv_result *r;
	struct pdv_client *c;
	struct fake *f;
	struct plan p;

	(void)state;
	plan_init(&p, "uo");
	f = fake_new(plan_pki, 0, plan_follow, &p);
	c = plan_client_of(f);
	assert_int_equal(pdv_create_subject(c, &plan_nobody, &o, &r), PDV_OK);
	assert_memory_equal(p.keys[0], key, PDV_KEY_LEN);
	assert_memory_equal(p.keys[1], key, PDV_KEY_LEN);
	pdv_result_free(r);
	assert_int_equal(pdv_check(c, NULL, &r), PDV_OK);
	assert_null(pdv_result_key(r));
	assert_int_equal(pdv_result_serving(r), PDV_SERVING_SERVING);
	pdv_result_free(r);
	pdv_client_free(c);
	fake_free(f);
}

static void
test_what_is_final(void **state)
{
	(void)state;
	expect_plan("n", false, PDV_NOT_FOUND, "SUBJECT_UNKNOWN");
	expect_plan("ro", false, PDV_OK, "");
	expect_plan("Ro", false, PDV_RESOURCE_EXHAUSTED, "STORE_FULL");
	expect_plan("io", true, PDV_INTERNAL, "BUG");
	expect_plan("go", false, PDV_DATA_LOSS, PDV_REASON_MALFORMED);
}

/* A pause that the deadline does not leave is not begun. */
static void
test_pause_past_deadline(void **state)
{
	struct pdv_result *r;
	struct plan p;

	(void)state;
	plan_init(&p, "l");
	r = try_plan(&p, false, 5000);
	assert_int_equal(pdv_result_code(r), PDV_UNAVAILABLE);
	assert_string_equal(pdv_result_reason(r), "STARTING");
	assert_int_equal(pdv_result_retry_after_ms(r), 3600000);
	assert_int_equal(pdv_result_attempts(r), 1);
	pdv_result_free(r);
}

static void
test_what_is_indeterminate(void **state)
{
	(void)state;
	/* No answer: reads are merely late, mutations are not known. */
	expect_plan("s", false, PDV_DEADLINE_EXCEEDED, PDV_REASON_DEADLINE);
	expect_plan("s", true, PDV_DEADLINE_EXCEEDED, PDV_REASON_INDETERMINATE);
	/* The same after a pause: an aio that has slept takes its timeouts for success. */
	expect_plan("us", false, PDV_DEADLINE_EXCEEDED, PDV_REASON_DEADLINE);
	expect_plan("us", true, PDV_DEADLINE_EXCEEDED, PDV_REASON_INDETERMINATE);
	/* Sent away every time: nothing was done. */
	expect_plan("l", true, PDV_UNAVAILABLE, "STARTING");
	/* Lost once: what is said later of load says nothing of the first. */
	expect_plan("cl", true, PDV_UNKNOWN, PDV_REASON_INDETERMINATE);
	expect_plan("cR", true, PDV_UNKNOWN, PDV_REASON_INDETERMINATE);
	expect_plan("cl", false, PDV_UNAVAILABLE, "STARTING");
	/* Lost once, then told. */
	expect_plan("co", true, PDV_OK, "");
	expect_plan("cn", true, PDV_NOT_FOUND, "SUBJECT_UNKNOWN");
}

static void
test_deadline(void **state)
{
	struct pdv_result *r;
	nng_time before = nng_clock();
	struct plan p;

	(void)state;
	plan_init(&p, "s");
	r = try_plan(&p, false, 1000);
	assert_int_equal(pdv_result_code(r), PDV_DEADLINE_EXCEEDED);
	assert_true(nng_clock() - before >= 1000);
	assert_int_equal(pdv_result_attempts(r), 1);
	pdv_result_free(r);
	/* Retries end with the deadline too, which leaves a slow machine time for two. */
	plan_init(&p, "u");
	before = nng_clock();
	r = try_plan(&p, false, 2000);
	assert_int_equal(pdv_result_code(r), PDV_UNAVAILABLE);
	assert_true(pdv_result_attempts(r) > 1);
	assert_true(nng_clock() - before < 20000);
	pdv_result_free(r);
}

static void
test_nobody_there(void **state)
{
	struct pdv_call_options o = {.deadline_ms = 300};
	char url[64];
	const char *urls[] = {url};
	struct pdv_result *r;
	struct pdv_client *c;

	(void)state;
	snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%d", plan_free_port());
	c = plan_client(urls, 1, (struct pdv_client_options){0});
	assert_int_equal(pdv_create_subject(c, &plan_nobody, &o, &r), PDV_UNAVAILABLE);
	assert_string_equal(pdv_result_reason(r), PDV_REASON_NOT_CONNECTED);
	assert_int_equal(pdv_result_attempts(r), 0);
	pdv_result_free(r);
	pdv_client_free(c);
}

/* The server comes up after the call began. */
struct late {
	int port;
	struct plan plan;
	struct fake *fake;
};

static void *
come_late(void *arg)
{
	struct late *l = arg;

	nng_msleep(200);
	l->fake = fake_new(plan_pki, l->port, plan_follow, &l->plan);
	return NULL;
}

static void
test_server_comes_late(void **state)
{
	struct late l = {.port = plan_free_port()};
	char url[64];
	const char *urls[] = {url};
	struct pdv_result *r;
	struct pdv_client *c;
	pthread_t t;

	(void)state;
	plan_init(&l.plan, "o");
	snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%d", l.port);
	c = plan_client(urls, 1, (struct pdv_client_options){.deadline_ms = 20000});
	assert_int_equal(pthread_create(&t, NULL, come_late, &l), 0);
	assert_int_equal(pdv_check(c, NULL, &r), PDV_OK);
	assert_int_equal(pdv_result_attempts(r), 1);
	pdv_result_free(r);
	assert_int_equal(pthread_join(t, NULL), 0);
	pdv_client_free(c);
	fake_free(l.fake);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unavailable_twice),
	    cmocka_unit_test(test_closed_connections),
	    cmocka_unit_test(test_own_key),
	    cmocka_unit_test(test_what_is_final),
	    cmocka_unit_test(test_pause_past_deadline),
	    cmocka_unit_test(test_what_is_indeterminate),
	    cmocka_unit_test(test_deadline),
	    cmocka_unit_test(test_nobody_there),
	    cmocka_unit_test(test_server_comes_late),
	};

	return cmocka_run_group_tests(tests, plan_set_up, plan_tear_down);
}
