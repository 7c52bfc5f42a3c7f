#include "bed.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/transport/engine.h"
#include "echo.h"
#include "pdvault/rpc/v1/rpc.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"

#define need(cond) \
	((cond) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond), abort()))

static const uint8_t vault_id[RPC_VAULT_ID_LEN] = "a vault of test";

struct bed {
	struct pki *pki;
	struct tls_context *server, *client;
	struct access *access;
	struct rpc *rpc;
	bool drained;
	int port;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held;
static unsigned begun;

void
bed_hold(bool hold)
{
	need(pthread_mutex_lock(&lock) == 0);
	held = hold;
	need(pthread_cond_broadcast(&changed) == 0);
	need(pthread_mutex_unlock(&lock) == 0);
}

unsigned
bed_begun(void)
{
	unsigned n;

	need(pthread_mutex_lock(&lock) == 0);
	n = begun;
	need(pthread_mutex_unlock(&lock) == 0);
	return n;
}

static void
wait_held(void)
{
	need(pthread_mutex_lock(&lock) == 0);
	begun++;
	while (held)
		need(pthread_cond_wait(&changed, &lock) == 0);
	need(pthread_mutex_unlock(&lock) == 0);
}

void
bed_pause(unsigned ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)nanosleep(&t, NULL);
}

static enum status
echo(struct vault *v, struct call *c)
{
	const Pdvault__V1__GetIdentityRequest *q = (const void *)c->request;
	Pdvault__V1__GetSubjectResponse *r;

	(void)v;
	if ((r = arena_alloc(c->arena, sizeof(*r))) == NULL)
		return STATUS_NO_MEMORY;
	pdvault__v1__get_subject_response__init(r);
	r->subject = q->subject;
	c->response = &r->base;
	return STATUS_OK;
}

static enum status
break_rule(struct call *c)
{
	return call_violates(c, "TEST_RULE", "subject");
}

static enum status
slow(struct vault *v, struct call *c)
{
	wait_held();
	return echo(v, c);
}

static enum status
write_twice(struct vault *v, struct call *c, struct writeset *ws)
{
	(void)ws;
	if (c->idempotency_key[0] != 'k' || c->violation_count != 0)
		return STATUS_IO;
	(void)call_violates(c, "LEFT_OVER", "subject");	/* is gone when it is run again */
	return echo(v, c);
}

/* What it reads is not there before it was made; with no key to be executed once. */
static enum status
find_nothing(struct vault *v, struct call *c)
{
	(void)v;
	(void)call_violates(c, "LEFT_OVER", "subject");	/* is gone when the writer has it */
	return STATUS_NO_RECORD;
}

static enum status
make(struct vault *v, struct call *c, struct writeset *ws)
{
	(void)ws;
	return c->violation_count != 0 ? STATUS_IO : echo(v, c);
}

static bool
is_one_byte(const struct call *c)
{
	return ((const Pdvault__V1__GetIdentityRequest *)(const void *)c->request)->subject.len == 1;
}

#define REQUEST &pdvault__v1__get_identity_request__descriptor
const struct method bed_methods[] = {
	{ "/test.v1.Test/Write", REQUEST, METHOD_WRITER, NULL, NULL, write_twice, false },
	{ "/test.v1.Test/Echo", REQUEST, METHOD_INLINE, NULL, echo, NULL, false },
	{ "/test.v1.Test/Rule", REQUEST, METHOD_INLINE, break_rule, echo, NULL, false },
	{ "/test.v1.Test/Slow", REQUEST, METHOD_POOL, NULL, slow, NULL, false },
	{ "/test.v1.Test/Erase", REQUEST, METHOD_WRITER, NULL, NULL, write_twice, true },
	{ "/test.v1.Test/OrWrite", REQUEST, METHOD_POOL, NULL, find_nothing, make, false, is_one_byte },
	{ "/test.v1.Test/Secret", REQUEST, METHOD_INLINE, NULL, echo, NULL, false },
};
const unsigned bed_method_count = sizeof(bed_methods) / sizeof(bed_methods[0]);
const char *const bed_names[] = { "/test.v1.Test/Write", "/test.v1.Test/Echo",
	"/test.v1.Test/Rule", "/test.v1.Test/Slow", "/test.v1.Test/Erase", "/test.v1.Test/OrWrite",
	"/test.v1.Test/Secret" };

static void *
write_thread(void *arg)
{
	struct write_job *job = arg;

	wait_held();
	(void)job->apply(job, NULL);
	job->done(job, job->apply(job, NULL), BED_WRITE_EPOCH);
	return NULL;
}

enum status
bed_submit(struct write_job *job)
{
	pthread_t t;

	need(pthread_create(&t, NULL, write_thread, job) == 0);
	need(pthread_detach(t) == 0);
	return STATUS_OK;
}

static uint64_t
epoch(struct vault *v)
{
	(void)v;
	return BED_EPOCH;
}

struct access *
bed_access(void)
{
	static const char *const methods[] = { "Test.Echo", "Test.Rule", "Test.Slow",
		"Test.Write", "Test.Erase", "Test.OrWrite" };
	static const struct access_entry backend = { "backend", "spiffe://test/backend", methods,
		sizeof(methods) / sizeof(methods[0]) };
	char why[ACCESS_WHY_LEN];
	struct access *a;

	need(access_new(bed_names, bed_method_count, &a) == STATUS_OK);
	need(access_add(a, &backend, why) == STATUS_OK);
	return a;
}

/* With a revocation list, which a test may replace. */
static struct tls_context *
server_context(struct pki *p)
{
	struct tls_options o = { .role = TLS_SERVER, .files = echo_files(p, "server") };
	struct tls_context *c = NULL;
	char why[TLS_WHY_LEN];

	pki_crl(p, NULL, 3600);
	o.files.crl = pki_path(p, "crl.pem");
	need(tls_context_new(&o, &c, why) == PDV_OK);
	return c;
}

struct bed *
bed_open(const struct rpc_limits *limits)
{
	static const struct pki_spec stranger = { .san = "URI:spiffe://test/stranger" };
	static const char *const url = "tls+tcp://127.0.0.1:0";
	struct bed *b = calloc(1, sizeof(*b));
	struct rpc_options o = { .urls = &url, .url_count = 1, .methods = bed_methods,
		.method_count = bed_method_count, .epoch = epoch, .limits = *limits };

	need(b != NULL && engine_register() == PDV_OK);
	b->pki = pki_new();
	pki_issue(b->pki, "stranger", &stranger);
	b->server = server_context(b->pki);
	b->access = bed_access();
	o.tls = b->server;
	o.access = b->access;
	memcpy(o.vault_id, vault_id, sizeof(vault_id));
	need(rpc_start(&o, &b->rpc) == STATUS_OK);
	b->port = rpc_port(b->rpc, 0);
	need(b->port != 0);
	bed_hold(false);
	return b;
}

struct rpc *
bed_rpc(struct bed *b)
{
	return b->rpc;
}

struct pki *
bed_pki(struct bed *b)
{
	return b->pki;
}

struct tls_context *
bed_server(struct bed *b)
{
	return b->server;
}

int
bed_port(struct bed *b)
{
	return b->port;
}

void
bed_drain(struct bed *b, unsigned limit_ms)
{
	rpc_drain(b->rpc, limit_ms);
	b->drained = true;
}

void
bed_free(struct bed *b)
{
	bed_hold(false);
	if (!b->drained)
		rpc_drain(b->rpc, 1000);
	rpc_free(b->rpc);
	access_free(b->access);
	tls_context_free(b->server);
	pki_free(b->pki);
	free(b);
}

bool
bed_dial(struct bed *b, const char *cert, nng_socket *s)
{
	struct tls_context *c = echo_context(b->pki, cert, TLS_CLIENT);
	int rv = echo_dial(c, "127.0.0.1", b->port, s);

	tls_context_free(c);
	return rv == 0;
}

static size_t
pack_message(const struct bed_question *q, uint8_t **out)
{
	Pdvault__V1__GetIdentityRequest m = PDVAULT__V1__GET_IDENTITY_REQUEST__INIT;
	size_t len;

	m.subject.len = q->subject_len;
	m.subject.data = (uint8_t *)(uintptr_t)q->subject;
	len = q->message != NULL ? q->message_len
				 : pdvault__v1__get_identity_request__get_packed_size(&m);
	need((*out = malloc(len + 1)) != NULL);
	if (q->message != NULL)
		memcpy(*out, q->message, len);
	else
		(void)pdvault__v1__get_identity_request__pack(&m, *out);
	return len;
}

uint8_t *
bed_pack(const struct bed_question *q, size_t *len)
{
	Pdvault__Rpc__V1__Request e;
	char key[33] = "key of a request, and then more.";
	uint8_t *out;

	need(q->key_len <= 32);
	pdvault__rpc__v1__request__init(&e);
	e.method = (char *)(uintptr_t)q->method;
	e.message.len = pack_message(q, &e.message.data);
	e.timeout_ms = q->timeout_ms;
	e.idempotency_key.len = q->key_len;
	e.idempotency_key.data = (uint8_t *)key;
	*len = pdvault__rpc__v1__request__get_packed_size(&e);
	need((out = malloc(*len + 1)) != NULL);
	(void)pdvault__rpc__v1__request__pack(&e, out);
	free(e.message.data);
	return out;
}

static void
copy_text(char to[static 64], const char *from)
{
	need(snprintf(to, 64, "%s", from) < 64);
}

static void
read_message(const Pdvault__Rpc__V1__Response *r, const struct bed_question *q,
    struct bed_answer *a)
{
	Pdvault__V1__GetSubjectResponse *m = pdvault__v1__get_subject_response__unpack(
	    NULL, r->message.len, r->message.data);

	need(m != NULL);
	a->subject_len = m->subject.len;
	a->subject_right = q != NULL && m->subject.len == q->subject_len &&
	    (q->subject_len == 0 || memcmp(m->subject.data, q->subject, q->subject_len) == 0);
	pdvault__v1__get_subject_response__free_unpacked(m, NULL);
}

static void
read_answer(nng_msg *msg, const struct bed_question *q, struct bed_answer *a)
{
	Pdvault__Rpc__V1__Response *r = pdvault__rpc__v1__response__unpack(
	    NULL, nng_msg_len(msg), nng_msg_body(msg));

	need(r != NULL);
	memset(a, 0, sizeof(*a));
	a->code = r->code;
	copy_text(a->reason, r->reason);
	a->violations = (unsigned)r->n_violations;
	if (r->n_violations > 0) {
		copy_text(a->field, r->violations[0]->field);
		copy_text(a->rule, r->violations[0]->rule);
	}
	a->retry_ms = r->retry_after_ms;
	a->epoch = r->epoch;
	a->vault_right = r->vault.len == sizeof(vault_id) &&
	    memcmp(r->vault.data, vault_id, sizeof(vault_id)) == 0;
	read_message(r, q, a);
	pdvault__rpc__v1__response__free_unpacked(r, NULL);
}

struct bed_pending {
	const struct bed_question *q;
	nng_ctx ctx;
	nng_aio *aio;
	int error;
};

static struct bed_pending *
begin(nng_socket s, const void *bytes, size_t len, int wait_ms)
{
	struct bed_pending *p = calloc(1, sizeof(*p));
	nng_msg *msg;

	need(p != NULL && nng_ctx_open(&p->ctx, s) == 0);
	need(nng_aio_alloc(&p->aio, NULL, NULL) == 0);
	need(nng_msg_alloc(&msg, 0) == 0 && nng_msg_append(msg, bytes, len) == 0);
	nng_aio_set_timeout(p->aio, wait_ms);	/* there may be no connection */
	nng_aio_set_msg(p->aio, msg);
	nng_ctx_send(p->ctx, p->aio);
	nng_aio_wait(p->aio);
	if ((p->error = nng_aio_result(p->aio)) != 0)
		nng_msg_free(msg);
	return p;
}

static struct bed_pending *
begin_question(nng_socket s, const struct bed_question *q, int wait_ms)
{
	struct bed_pending *p;
	size_t len;
	uint8_t *bytes = bed_pack(q, &len);

	p = begin(s, bytes, len, wait_ms);
	p->q = q;
	free(bytes);
	return p;
}

struct bed_pending *
bed_begin(nng_socket s, const struct bed_question *q)
{
	return begin_question(s, q, ECHO_TIMEOUT);
}

int
bed_fetch(struct bed_pending *p, int wait_ms, struct bed_answer *a)
{
	int rv = p->error;

	if (rv == 0) {
		nng_aio_set_timeout(p->aio, wait_ms);
		nng_ctx_recv(p->ctx, p->aio);
		nng_aio_wait(p->aio);
		rv = nng_aio_result(p->aio);
	}
	if (rv == 0) {
		read_answer(nng_aio_get_msg(p->aio), p->q, a);
		nng_msg_free(nng_aio_get_msg(p->aio));
	}
	nng_aio_free(p->aio);
	(void)nng_ctx_close(p->ctx);
	free(p);
	return rv;
}

int
bed_ask(nng_socket s, const struct bed_question *q, int wait_ms, struct bed_answer *a)
{
	return bed_fetch(begin_question(s, q, wait_ms), wait_ms, a);
}

int
bed_ask_raw(nng_socket s, const void *p, size_t len, int wait_ms, struct bed_answer *a)
{
	return bed_fetch(begin(s, p, len, wait_ms), wait_ms, a);
}

bool
bed_admitted(struct bed *b, const char *cert, nng_socket *s)
{
	static const struct bed_question echo = { .method = "/test.v1.Test/Echo", .subject = "abc",
		.subject_len = 3 };
	struct bed_answer a;

	return bed_dial(b, cert, s) && bed_ask(*s, &echo, 1500, &a) == 0;
}
