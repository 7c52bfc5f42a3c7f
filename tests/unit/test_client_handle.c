/* The client's handle: raw calls, fork, options, certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

#include "client/client.h"
#include "plan.h"

/* --- raw calls --- */

struct raw {
	atomic_int done;
	enum pdv_code code;
	size_t length;
	uint8_t first;
	bool key;
};

static void
take_raw(struct pdv_result *r, void *arg)
{
	struct raw *w = arg;
	const uint8_t *p = pdv_result_raw(r, &w->length);

	w->code = pdv_result_code(r);
	w->first = w->length > 0 ? p[0] : 0;
	w->key = pdv_result_key(r) != NULL;
	pdv_result_free(r);
	atomic_store(&w->done, 1);
}

static void
call_raw(struct pdv_client *c, struct pdv_raw_request q, struct raw *w)
{
	struct pdv_result *r;

	memset(w, 0, sizeof(*w));
	assert_int_equal(pdv_call_raw_async(c, &q, NULL, take_raw, w), PDV_OK);
	(void)pdv_call_raw(c, &q, NULL, &r);	/* the same, and it waits */
	while (atomic_load(&w->done) == 0)
		nng_msleep(1);
	assert_int_equal(pdv_result_code(r), w->code);
	pdv_result_free(r);
}

static void
test_raw(void **state)
{
	static uint8_t bytes[PDV_REQUEST_MAX + 1];
	struct pdv_client *c;
	struct fake *f;
	struct plan p;
	struct raw w;

	(void)state;
	plan_init(&p, "uo");
	f = fake_new(plan_pki, 0, plan_follow, &p);
	c = plan_client_of(f);
	call_raw(c, (struct pdv_raw_request){.method = "/pdvault.v1.Health/Check"}, &w);
	assert_int_equal(w.code, PDV_OK);
	assert_int_equal(w.length, 2); /* status = SERVING */
	assert_int_equal(w.first, 8);
	assert_false(w.key);
	call_raw(c, (struct pdv_raw_request){.method = "/x.Create", .mutates = 1}, &w);
	assert_true(w.key);
	/* No envelope: whatever it is comes back. */
	memset(bytes, 0xff, sizeof(bytes));
	call_raw(c, (struct pdv_raw_request){.message = bytes, .length = 256}, &w);
	assert_int_equal(w.code, PDV_OK);
	assert_int_equal(w.length, 256);
	assert_int_equal(w.first, 0xff);
	call_raw(c, (struct pdv_raw_request){.message = bytes, .length = PDV_REQUEST_MAX}, &w);
	assert_int_equal(w.length, PDV_REQUEST_MAX);
	assert_int_equal(pdv_call_raw_async(c, &(struct pdv_raw_request){.message = bytes,
					     .length = PDV_REQUEST_MAX + 1}, NULL, take_raw, &w),
	    PDV_INVALID_ARGUMENT);
	pdv_client_free(c);
	fake_free(f);
}

/* --- fork --- */

static int
in_child(struct pdv_client *c)
{
	struct pdv_client_options o = {0};
	struct pdv_client_stats s;
	struct pdv_client *other;
	struct raw w = {.done = 0};
	struct pdv_result *r;

	alarm(20); /* it must not hang */
	if (pdv_check(c, NULL, &r) != PDV_FAILED_PRECONDITION ||
	    strcmp(pdv_result_reason(r), PDV_REASON_FORK) != 0)
		return 1;
	pdv_result_free(r);
	if (pdv_check_async(c, NULL, take_raw, &w) != PDV_FAILED_PRECONDITION)
		return 2;
	if (pdv_client_reload(c, NULL) != PDV_FAILED_PRECONDITION)
		return 3;
	if (pdv_client_new(&o, &other, NULL) != PDV_FAILED_PRECONDITION)
		return 4;
	pdv_client_stats(c, &s);
	if (s.calls != 0)
		return 5;
	pdv_client_free(c);
	return 0;
}

static void
test_fork(void **state)
{
	struct pdv_client *c;
	struct fake *f;
	struct plan p;
	int status;
	pid_t child;

	(void)state;
	plan_init(&p, "o");
	f = fake_new(plan_pki, 0, plan_follow, &p);
	c = plan_client_of(f);
	plan_check_ok(c);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(in_child(c));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	plan_check_ok(c); /* the parent's goes on */
	pdv_client_free(c);
	fake_free(f);
}

/* --- options and certificates --- */

static void
refused_options(struct pdv_client_options o, const char *url, const char *word)
{
	char why[PDV_WHY_LEN] = "";
	struct pdv_client *c = NULL;

	o.servers = &url;
	if (o.server_count == 0)
		o.server_count = 1;
	assert_int_equal(pdv_client_new(&o, &c, why), PDV_INVALID_ARGUMENT);
	if (strstr(why, word) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why, word);
	assert_null(c);
}

static void
test_options_refused(void **state)
{
	const char *good = "tls+tcp://127.0.0.1:1";
	struct pdv_client_options o = {.ca = pki_path(plan_pki, "ca.pem"),
	    .cert = pki_path(plan_pki, "client.pem"),
	    .key = pki_path(plan_pki, "client.key")};

	(void)state;
	refused_options(o, "tcp://127.0.0.1:1", "tls+tcp");
	refused_options(o, NULL, "tls+tcp");
	o.server_count = PDV_SERVERS_MAX + 1;
	refused_options(o, good, "servers");
	o.server_count = 1;
	o.in_flight = PDV_IN_FLIGHT_MAX + 1;
	refused_options(o, good, "limit");
	o.in_flight = 0;
	o.connections = PDV_CONNECTIONS_MAX + 1;
	refused_options(o, good, "connections");
	o.connections = 0;
	o.key = "/nowhere/client.key";
	refused_options(o, good, "/nowhere/client.key");
	assert_int_equal(pdv_client_new(NULL, NULL, NULL), PDV_INVALID_ARGUMENT);
}

/* A server with another name than the one expected gets nothing. */
static void
test_wrong_server(void **state)
{
	struct pdv_call_options o = {.deadline_ms = 500};
	struct pdv_result *r;
	struct pdv_client *c;
	const char *url;
	struct fake *f;
	struct plan p;

	(void)state;
	plan_init(&p, "o");
	f = fake_new(plan_pki, 0, plan_follow, &p);
	url = fake_url(f);
	c = plan_client(
	    &url, 1, (struct pdv_client_options){.server_spiffe = "spiffe://test/impostor"});
	assert_int_equal(pdv_check(c, &o, &r), PDV_UNAVAILABLE);
	pdv_result_free(r);
	assert_int_equal(fake_requests(f), 0);
	pdv_client_free(c);
	c = plan_client(
	    &url, 1, (struct pdv_client_options){.server_spiffe = "spiffe://test/vault"});
	plan_check_ok(c);
	pdv_client_free(c);
	fake_free(f);
}

static void
test_reload(void **state)
{
	struct pdv_client_options o = {.server_count = 1};
	struct pki_spec backend = {.usage = "clientAuth", .san = "URI:spiffe://test/reload"};
	char why[PDV_WHY_LEN] = "";
	struct pdv_client *c;
	const char *url;
	struct fake *f;
	struct plan p;

	(void)state;
	plan_init(&p, "oco");
	f = fake_new(plan_pki, 0, plan_follow, &p);
	url = fake_url(f);
	pki_issue(plan_pki, "reload", &backend);
	o.servers = &url;
	o.ca = pki_path(plan_pki, "ca.pem");
	o.cert = pki_path(plan_pki, "reload.pem");
	o.key = pki_path(plan_pki, "reload.key");
	assert_int_equal(pdv_client_new(&o, &c, why), PDV_OK);
	plan_check_ok(c);
	pki_issue(plan_pki, "reload", &backend);
	assert_int_equal(pdv_client_reload(c, why), PDV_OK);
	plan_check_ok(c); /* over a new connection, the old one was closed */
	assert_int_equal(unlink(pki_path(plan_pki, "reload.pem")), 0);
	assert_int_equal(pdv_client_reload(c, why), PDV_INVALID_ARGUMENT);
	assert_non_null(strstr(why, "reload.pem"));
	plan_check_ok(c); /* with what it had */
	pdv_client_free(c);
	pdv_client_free(NULL);
	fake_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_raw),
	    cmocka_unit_test(test_fork),
	    cmocka_unit_test(test_options_refused),
	    cmocka_unit_test(test_wrong_server),
	    cmocka_unit_test(test_reload),
	};

	return cmocka_run_group_tests(tests, plan_set_up, plan_tear_down);
}
