/* The client's handle against servers that fail in every way they can. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

#include "client/client.h"
#include "fake_vault.h"
#include "pdvault/pdvault.h"
#include "pdvault/v1/health.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"
#include "pki.h"

#define KEYS 16

/*
 * A server that does ${plan}[i] with its request i, the last one for ever:
 *   'o' answers OK          'u' UNAVAILABLE            'r' RESOURCE_EXHAUSTED, retry in 30 ms
 *   'R' the same, no hint   'c' closes the connection  's' never answers
 *   'n' NOT_FOUND           'g' garbage                'i' INTERNAL
 *   'w' OK after 20 ms      'l' UNAVAILABLE, retry in an hour
 */
struct plan {
	const char *steps;
	atomic_uint at;
	atomic_ullong epoch; /* of every answer */
	pthread_mutex_t lock;
	uint8_t keys[KEYS][PDV_KEY_LEN];
	uint32_t timeouts[KEYS];
};

static struct pki *pki;

static void
answer_ok(const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	static uint8_t id[PDV_ID_LEN] = "a subject's id.";
	Pdvault__V1__CreateSubjectResponse c = PDVAULT__V1__CREATE_SUBJECT_RESPONSE__INIT;
	Pdvault__V1__CheckResponse h = PDVAULT__V1__CHECK_RESPONSE__INIT;

	c.subject = (ProtobufCBinaryData){PDV_ID_LEN, id};
	h.status = PDVAULT__V1__SERVING_STATUS__SERVING;
	if (strstr(q->method, "Create") != NULL)
		fake_message(out, &c.base);
	else
		fake_message(out, &h.base);
}

static void
refuse(struct fake_reply *out, enum pdv_code code, const char *reason, uint32_t after)
{
	out->response.code = (uint32_t)code;
	out->response.reason = (char *)(uintptr_t)reason;
	out->response.retry_after_ms = after;
}

static void
follow(void *arg, const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	struct plan *p = arg;
	unsigned at = atomic_fetch_add(&p->at, 1);
	size_t last = strlen(p->steps) - 1;

	if (at < KEYS) {
		pthread_mutex_lock(&p->lock);
		if (q->idempotency_key.len == PDV_KEY_LEN)
			memcpy(p->keys[at], q->idempotency_key.data, PDV_KEY_LEN);
		p->timeouts[at] = q->timeout_ms;
		pthread_mutex_unlock(&p->lock);
	}
	out->response.epoch = atomic_load(&p->epoch);
	switch (p->steps[at < last ? at : last]) {
	case 'u':
		refuse(out, PDV_UNAVAILABLE, "STARTING", 0);
		break;
	case 'l':
		refuse(out, PDV_UNAVAILABLE, "STARTING", 3600000);
		break;
	case 'r':
		refuse(out, PDV_RESOURCE_EXHAUSTED, "QUEUE_FULL", 30);
		break;
	case 'R':
		refuse(out, PDV_RESOURCE_EXHAUSTED, "STORE_FULL", 0);
		break;
	case 'n':
		refuse(out, PDV_NOT_FOUND, "SUBJECT_UNKNOWN", 0);
		break;
	case 'i':
		refuse(out, PDV_INTERNAL, "BUG", 0);
		break;
	case 'c':
		out->kind = FAKE_CLOSE;
		break;
	case 's':
		out->kind = FAKE_SILENT;
		break;
	case 'g':
		out->kind = FAKE_BYTES;
		fake_bytes(out, "\x08\x00\xff", 3);
		break;
	case 'w':
		nng_msleep(20);
		answer_ok(q, out);
		break;
	default:
		answer_ok(q, out);
	}
}

static void
plan_init(struct plan *p, const char *steps)
{
	memset(p, 0, sizeof(*p));
	p->steps = steps;
	atomic_init(&p->epoch, 5);
	pthread_mutex_init(&p->lock, NULL);
}

static struct pdv_client *
client_with(const char *const *urls, size_t count, struct pdv_client_options o)
{
	char why[PDV_WHY_LEN] = "";
	struct pdv_client *c = NULL;

	o.servers = urls;
	o.server_count = count;
	o.ca = pki_path(pki, "ca.pem");
	o.cert = pki_path(pki, "client.pem");
	o.key = pki_path(pki, "client.key");
	if (pdv_client_new(&o, &c, why) != PDV_OK)
		fail_msg("%s", why);
	return c;
}

static struct pdv_client *
client_of(const struct fake *f)
{
	const char *url = fake_url(f);

	return client_with(&url, 1, (struct pdv_client_options){.deadline_ms = 5000});
}

static const struct pdv_new_subject nobody;

/* One call against a server with a plan. */
static struct pdv_result *
try_plan(struct plan *p, bool mutates, uint32_t deadline)
{
	struct pdv_call_options o = {.deadline_ms = deadline};
	struct fake *f = fake_new(pki, 0, follow, p);
	struct pdv_client *c = client_of(f);
	struct pdv_result *r;

	if (mutates)
		(void)pdv_create_subject(c, &nobody, &o, &r);
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
	r = try_plan(&p, mutates, strchr("sl", steps[strlen(steps) - 1]) != NULL ? 300 : 5000);
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
	f = fake_new(pki, 0, follow, &p);
	c = client_of(f);
	assert_int_equal(pdv_create_subject(c, &nobody, &o, &r), PDV_OK);
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
	/* A pause that the deadline does not leave is not begun. */
	expect_plan("l", false, PDV_UNAVAILABLE, "STARTING");
}

static void
test_what_is_indeterminate(void **state)
{
	(void)state;
	/* No answer: reads are merely late, mutations are not known. */
	expect_plan("s", false, PDV_DEADLINE_EXCEEDED, PDV_REASON_DEADLINE);
	expect_plan("s", true, PDV_DEADLINE_EXCEEDED, PDV_REASON_INDETERMINATE);
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
	r = try_plan(&p, false, 200);
	assert_int_equal(pdv_result_code(r), PDV_DEADLINE_EXCEEDED);
	assert_true(nng_clock() - before >= 200);
	assert_int_equal(pdv_result_attempts(r), 1);
	pdv_result_free(r);
	plan_init(&p, "u"); /* retries end with the deadline too */
	before = nng_clock();
	r = try_plan(&p, false, 200);
	assert_int_equal(pdv_result_code(r), PDV_UNAVAILABLE);
	assert_true(pdv_result_attempts(r) > 1);
	assert_true(nng_clock() - before < 4000);
	pdv_result_free(r);
}

/* A port where nobody listens: one that was just given up. */
static int
free_port(void)
{
	struct plan p;
	struct fake *f;
	int port;

	plan_init(&p, "o");
	f = fake_new(pki, 0, follow, &p);
	port = fake_port(f);
	fake_free(f);
	return port;
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
	snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%d", free_port());
	c = client_with(urls, 1, (struct pdv_client_options){0});
	assert_int_equal(pdv_create_subject(c, &nobody, &o, &r), PDV_UNAVAILABLE);
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
	l->fake = fake_new(pki, l->port, follow, &l->plan);
	return NULL;
}

static void
test_server_comes_late(void **state)
{
	struct late l = {.port = free_port()};
	char url[64];
	const char *urls[] = {url};
	struct pdv_result *r;
	struct pdv_client *c;
	pthread_t t;

	(void)state;
	plan_init(&l.plan, "o");
	snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%d", l.port);
	c = client_with(urls, 1, (struct pdv_client_options){.deadline_ms = 20000});
	assert_int_equal(pthread_create(&t, NULL, come_late, &l), 0);
	assert_int_equal(pdv_check(c, NULL, &r), PDV_OK);
	assert_int_equal(pdv_result_attempts(r), 1);
	pdv_result_free(r);
	assert_int_equal(pthread_join(t, NULL), 0);
	pdv_client_free(c);
	fake_free(l.fake);
}

/* --- several servers --- */

static void
check_ok(struct pdv_client *c)
{
	struct pdv_result *r;

	if (pdv_check(c, NULL, &r) != PDV_OK)
		fail_msg("%s %s", pdv_code_name(pdv_result_code(r)), pdv_result_reason(r));
	pdv_result_free(r);
}

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
		f[i] = fake_new(pki, 0, follow, &p[i]);
		urls[i] = fake_url(f[i]);
	}
	c = client_with(urls, 2, (struct pdv_client_options){.deadline_ms = 20000});
	wait_for_connections(c, 2);
	for (i = 0; i < 20; i++)
		check_ok(c);
	/* All went to the first. */
	assert_int_equal(fake_requests(f[0]), 20);
	assert_int_equal(fake_requests(f[1]), 0);
	/* It goes away: nothing fails, the second is used from then on. */
	i = fake_port(f[0]);
	fake_free(f[0]);
	for (before = 0; before < 20; before++)
		check_ok(c);
	assert_int_equal(fake_requests(f[1]), 20);
	/* It comes back: no reason to move. */
	f[0] = fake_new(pki, i, follow, &p[0]);
	wait_for_connections(c, 2);
	check_ok(c);
	assert_int_equal(fake_requests(f[0]), 0);
	/* The second sends us away: back to the first. */
	p[1].steps = "u";
	check_ok(c);
	check_ok(c);
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
	snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%d", free_port());
	plan_init(&p, "o");
	f = fake_new(pki, 0, follow, &p);
	urls[1] = fake_url(f);
	c = client_with(urls, 2, (struct pdv_client_options){.deadline_ms = 20000});
	check_ok(c); /* before any connection was there */
	check_ok(c);
	assert_int_equal(fake_requests(f), 2);
	pdv_client_free(c);
	fake_free(f);
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
		f[i] = fake_new(pki, 0, follow, &p[i]);
		urls[i] = fake_url(f[i]);
	}
	c = client_with(urls, 2, (struct pdv_client_options){.deadline_ms = 20000});
	wait_for_connections(c, 2);
	assert_int_equal(pdv_check(c, &o, &r), PDV_DEADLINE_EXCEEDED);
	pdv_result_free(r);
	check_ok(c);
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
	f = fake_new(pki, 0, follow, &p);
	c = client_of(f);
	check_ok(c);
	atomic_store(&p.epoch, 7);
	check_ok(c);
	atomic_store(&p.epoch, 6);
	assert_int_equal(pdv_check(c, NULL, &r), PDV_DATA_LOSS);
	assert_string_equal(pdv_result_reason(r), PDV_REASON_EPOCH);
	assert_int_equal(pdv_result_serving(r), PDV_SERVING_UNSPECIFIED);
	pdv_result_free(r);
	assert_int_equal(pdv_create_subject(c, &nobody, NULL, &r), PDV_DATA_LOSS);
	assert_null(pdv_result_subject(r));
	pdv_result_free(r);
	atomic_store(&p.epoch, 7);
	check_ok(c);
	atomic_store(&p.epoch, 8);
	check_ok(c);
	atomic_store(&p.epoch, 7); /* refusals count too */
	assert_int_equal(pdv_check(c, NULL, &r), PDV_DATA_LOSS);
	pdv_result_free(r);
	pdv_client_free(c);
	fake_free(f);
}

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

		if (pdv_create_subject(arg, &nobody, NULL, &r) != PDV_OK) {
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
	f = fake_new(pki, 0, follow, &p);
	url = fake_url(f);
	/* Fewer flights than threads: some wait for their turn. */
	c = client_with(&url, 1,
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
		f[i] = fake_new(pki, 0, follow, &p[i]);
		urls[i] = fake_url(f[i]);
	}
	c = client_with(urls, 2, (struct pdv_client_options){.deadline_ms = 100000});
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
	f = fake_new(pki, 0, follow, &p);
	t.client = client_of(f);
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
	f = fake_new(pki, 0, follow, &p);
	t.client = client_of(f);
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
	f = fake_new(pki, 0, follow, &p);
	url = fake_url(f);
	t.client = client_with(
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
		f = fake_new(pki, 0, follow, &p);
		url = fake_url(f);
		t.client = client_with(&url, 1, few);
		for (k = 0; k < 20; k++)
			assert_int_equal(pdv_create_subject_async(
					     t.client, &nobody, NULL, count, &t), PDV_OK);
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
	memset(w, 0, sizeof(*w));
	assert_int_equal(pdv_call_raw(c, &q, NULL, take_raw, w), PDV_OK);
	while (atomic_load(&w->done) == 0)
		nng_msleep(1);
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
	f = fake_new(pki, 0, follow, &p);
	c = client_of(f);
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
	assert_int_equal(pdv_call_raw(c, &(struct pdv_raw_request){.message = bytes,
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
	struct tally t = {.ok = 0};
	struct pdv_result *r;

	alarm(20); /* it must not hang */
	if (pdv_check(c, NULL, &r) != PDV_FAILED_PRECONDITION ||
	    strcmp(pdv_result_reason(r), PDV_REASON_FORK) != 0)
		return 1;
	pdv_result_free(r);
	if (pdv_check_async(c, NULL, count, &t) != PDV_FAILED_PRECONDITION)
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
	f = fake_new(pki, 0, follow, &p);
	c = client_of(f);
	check_ok(c);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(in_child(c));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	check_ok(c); /* the parent's goes on */
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
	struct pdv_client_options o = {.ca = pki_path(pki, "ca.pem"),
	    .cert = pki_path(pki, "client.pem"),
	    .key = pki_path(pki, "client.key")};

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
	f = fake_new(pki, 0, follow, &p);
	url = fake_url(f);
	c = client_with(
	    &url, 1, (struct pdv_client_options){.server_spiffe = "spiffe://test/impostor"});
	assert_int_equal(pdv_check(c, &o, &r), PDV_UNAVAILABLE);
	pdv_result_free(r);
	assert_int_equal(fake_requests(f), 0);
	pdv_client_free(c);
	c = client_with(
	    &url, 1, (struct pdv_client_options){.server_spiffe = "spiffe://test/vault"});
	check_ok(c);
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
	f = fake_new(pki, 0, follow, &p);
	url = fake_url(f);
	pki_issue(pki, "reload", &backend);
	o.servers = &url;
	o.ca = pki_path(pki, "ca.pem");
	o.cert = pki_path(pki, "reload.pem");
	o.key = pki_path(pki, "reload.key");
	assert_int_equal(pdv_client_new(&o, &c, why), PDV_OK);
	check_ok(c);
	pki_issue(pki, "reload", &backend);
	assert_int_equal(pdv_client_reload(c, why), PDV_OK);
	check_ok(c); /* over a new connection, the old one was closed */
	assert_int_equal(unlink(pki_path(pki, "reload.pem")), 0);
	assert_int_equal(pdv_client_reload(c, why), PDV_INVALID_ARGUMENT);
	assert_non_null(strstr(why, "reload.pem"));
	check_ok(c); /* with what it had */
	pdv_client_free(c);
	pdv_client_free(NULL);
	fake_free(f);
}

static int
set_up(void **state)
{
	(void)state;
	pki = pki_new();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pki_free(pki);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unavailable_twice),
	    cmocka_unit_test(test_closed_connections),
	    cmocka_unit_test(test_own_key),
	    cmocka_unit_test(test_what_is_final),
	    cmocka_unit_test(test_what_is_indeterminate),
	    cmocka_unit_test(test_deadline),
	    cmocka_unit_test(test_nobody_there),
	    cmocka_unit_test(test_server_comes_late),
	    cmocka_unit_test(test_fail_over),
	    cmocka_unit_test(test_first_is_down),
	    cmocka_unit_test(test_silent_server),
	    cmocka_unit_test(test_epoch_goes_back),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_threads_and_losses),
	    cmocka_unit_test(test_callbacks_begin_calls),
	    cmocka_unit_test(test_no_waiting_in_callbacks),
	    cmocka_unit_test(test_turns),
	    cmocka_unit_test(test_free_ends_calls),
	    cmocka_unit_test(test_raw),
	    cmocka_unit_test(test_fork),
	    cmocka_unit_test(test_options_refused),
	    cmocka_unit_test(test_wrong_server),
	    cmocka_unit_test(test_reload),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
