/* The client with several servers, and with vaults that go back in time. */
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

/* --- several servers --- */

static void
wait_for_connections(struct pdv_client *c, uint64_t count)
{
	struct pdv_client_stats s;
	int i;

	for (i = 0; i < 2000; i++) {
		pdv_client_stats(c, &s);
		if (s.connections == count)
			return;
		nng_msleep(5);
	}
	fail_msg("%llu connections", (unsigned long long)s.connections);
}

static void
test_fail_over(void **state)
{
	struct pdv_client_stats s;
	struct plan p[2];
	struct fake *f[2];
	const char *urls[2];
	struct pdv_client *c;
	unsigned long before;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		plan_init(&p[i], "o");
		f[i] = fake_new(plan_pki, 0, plan_follow, &p[i]);
		urls[i] = fake_url(f[i]);
	}
	c = plan_client(urls, 2, (struct pdv_client_options){.deadline_ms = 20000});
	wait_for_connections(c, 2);
	for (i = 0; i < 20; i++)
		plan_check_ok(c);
	/* All went to the first. */
	assert_int_equal(fake_requests(f[0]), 20);
	assert_int_equal(fake_requests(f[1]), 0);
	/* It goes away: nothing fails, the second is used from then on. */
	i = fake_port(f[0]);
	fake_free(f[0]);
	for (before = 0; before < 20; before++)
		plan_check_ok(c);
	assert_int_equal(fake_requests(f[1]), 20);
	/* It comes back: no reason to move. */
	f[0] = fake_new(plan_pki, i, plan_follow, &p[0]);
	wait_for_connections(c, 2);
	plan_check_ok(c);
	assert_int_equal(fake_requests(f[0]), 0);
	/* The second sends us away: back to the first. */
	p[1].steps = "u";
	plan_check_ok(c);
	plan_check_ok(c);
	assert_int_equal(fake_requests(f[0]), 2);
	assert_int_equal(fake_requests(f[1]), 22);
	pdv_client_stats(c, &s);
	assert_int_equal(s.failovers, 2);
	pdv_client_free(c);
	fake_free(f[0]);
	fake_free(f[1]);
}

static void
test_first_is_down(void **state)
{
	struct plan p;
	struct fake *f;
	char url[64];
	const char *urls[2] = {url, NULL};
	struct pdv_client *c;

	(void)state;
	snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%d", plan_free_port());
	plan_init(&p, "o");
	f = fake_new(plan_pki, 0, plan_follow, &p);
	urls[1] = fake_url(f);
	c = plan_client(urls, 2, (struct pdv_client_options){.deadline_ms = 20000});
	plan_check_ok(c); /* before any connection was there */
	plan_check_ok(c);
	assert_int_equal(fake_requests(f), 2);
	pdv_client_free(c);
	fake_free(f);
}

/* One that breaks a connection is left, though another connection to it stands. */
static void
test_breaking_server(void **state)
{
	struct plan p[2];
	struct fake *f[2];
	const char *urls[2];
	struct pdv_client *c;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		plan_init(&p[i], i == 0 ? "c" : "o");
		f[i] = fake_new(plan_pki, 0, plan_follow, &p[i]);
		urls[i] = fake_url(f[i]);
	}
	c = plan_client(urls, 2,
	    (struct pdv_client_options){.deadline_ms = 20000, .connections = 2});
	wait_for_connections(c, 4);
	plan_check_ok(c);
	plan_check_ok(c);
	assert_int_equal(fake_requests(f[0]), 1);
	assert_int_equal(fake_requests(f[1]), 2);
	pdv_client_free(c);
	fake_free(f[0]);
	fake_free(f[1]);
}

/* A server that takes requests and never answers is left after a while. */
static void
test_silent_server(void **state)
{
	struct pdv_call_options o = {.deadline_ms = 1300};
	struct plan p[2];
	struct fake *f[2];
	const char *urls[2];
	struct pdv_result *r;
	struct pdv_client *c;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		plan_init(&p[i], i == 0 ? "s" : "o");
		f[i] = fake_new(plan_pki, 0, plan_follow, &p[i]);
		urls[i] = fake_url(f[i]);
	}
	c = plan_client(urls, 2, (struct pdv_client_options){.deadline_ms = 20000});
	wait_for_connections(c, 2);
	assert_int_equal(pdv_check(c, &o, &r), PDV_DEADLINE_EXCEEDED);
	pdv_result_free(r);
	plan_check_ok(c);
	pdv_client_free(c);
	fake_free(f[0]);
	fake_free(f[1]);
}

/* --- epochs --- */

static void
test_epoch_goes_back(void **state)
{
	struct pdv_result *r;
	struct pdv_client *c;
	struct fake *f;
	struct plan p;

	(void)state;
	plan_init(&p, "oooooono");
	f = fake_new(plan_pki, 0, plan_follow, &p);
	c = plan_client_of(f);
	plan_check_ok(c);
	atomic_store(&p.epoch, 7);
	plan_check_ok(c);
	atomic_store(&p.epoch, 6);
	assert_int_equal(pdv_check(c, NULL, &r), PDV_DATA_LOSS);
	assert_string_equal(pdv_result_reason(r), PDV_REASON_EPOCH);
	assert_int_equal(pdv_result_serving(r), PDV_SERVING_UNSPECIFIED);
	pdv_result_free(r);
	assert_int_equal(pdv_create_subject(c, &plan_nobody, NULL, &r), PDV_DATA_LOSS);
	assert_null(pdv_result_subject(r));
	pdv_result_free(r);
	atomic_store(&p.epoch, 7);
	plan_check_ok(c);
	atomic_store(&p.epoch, 8);
	plan_check_ok(c);
	atomic_store(&p.epoch, 7); /* refusals count too */
	assert_int_equal(pdv_check(c, NULL, &r), PDV_DATA_LOSS);
	pdv_result_free(r);
	pdv_client_free(c);
	fake_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fail_over),
	    cmocka_unit_test(test_first_is_down),
	    cmocka_unit_test(test_breaking_server),
	    cmocka_unit_test(test_silent_server),
	    cmocka_unit_test(test_epoch_goes_back),
	};

	return cmocka_run_group_tests(tests, plan_set_up, plan_tear_down);
}
