#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>
#include <nng/supplemental/util/platform.h>

#include "pdvault/v1/health.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"
#include "plan.h"

struct pki *plan_pki;
const struct pdv_new_subject plan_nobody;

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

void
plan_follow(void *arg, const Pdvault__Rpc__V1__Request *q, struct fake_reply *out)
{
	struct plan *p = arg;
	unsigned at = atomic_fetch_add(&p->at, 1);
	size_t last = strlen(p->steps) - 1;

	if (at < PLAN_KEYS) {
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

void
plan_init(struct plan *p, const char *steps)
{
	memset(p, 0, sizeof(*p));
	p->steps = steps;
	atomic_init(&p->epoch, 5);
	pthread_mutex_init(&p->lock, NULL);
}

struct pdv_client *
plan_client(const char *const *urls, size_t count, struct pdv_client_options o)
{
	char why[PDV_WHY_LEN] = "";
	struct pdv_client *c = NULL;

	o.servers = urls;
	o.server_count = count;
	o.ca = pki_path(plan_pki, "ca.pem");
	o.cert = pki_path(plan_pki, "client.pem");
	o.key = pki_path(plan_pki, "client.key");
	if (pdv_client_new(&o, &c, why) != PDV_OK)
		fail_msg("%s", why);
	return c;
}

struct pdv_client *
plan_client_of(const struct fake *f)
{
	const char *url = fake_url(f);

	return plan_client(&url, 1, (struct pdv_client_options){.deadline_ms = 5000});
}

void
plan_check_ok(struct pdv_client *c)
{
	struct pdv_result *r;

	if (pdv_check(c, NULL, &r) != PDV_OK)
		fail_msg("%s %s", pdv_code_name(pdv_result_code(r)), pdv_result_reason(r));
	pdv_result_free(r);
}

/* A port where plan_nobody listens: one that was just given up. */
int
plan_free_port(void)
{
	struct plan p;
	struct fake *f;
	int port;

	plan_init(&p, "o");
	f = fake_new(plan_pki, 0, plan_follow, &p);
	port = fake_port(f);
	fake_free(f);
	return port;
}

int
plan_set_up(void **state)
{
	(void)state;
	plan_pki = pki_new();
	return 0;
}

int
plan_tear_down(void **state)
{
	(void)state;
	pki_free(plan_pki);
	/* nng 1.5.2 takes its queues away while it still closes a connection, which then waits for ever. */
	nng_closeall();
	nng_msleep(200);
	nng_fini(); /* or connections that are still being closed would count as leaks */
	return 0;
}
