/*
 * One request at a time: receive, check, run in the room that its method names, answer,
 * send, and again. The number of contexts bounds the requests in the house. Everything
 * here runs on nng's threads and must not block, but for the runs in the pool and writer.
 */
#include <stdlib.h>

#include <sodium.h>

#include "client/transport/registers.h"
#include "client/transport/sp.h"
#include "server/clock.h"
#include "server/metrics.h"
#include "server/rpc/envelope.h"
#include "server/rpc/guard.h"
#include "server/rpc/rpc_internal.h"
#include "server/store/writer.h"

#define SP_HEADER_MAX 64u	/* what SP puts before an answer */
#define ENVELOPE_MAX 256u	/* what stands around a response message that is OK */

_Static_assert(CALL_ANSWER_MAX + ENVELOPE_MAX + SP_HEADER_MAX <= SP_MESSAGE_MAX, "it fits");

/*
 * Contexts beyond the requests that are executed, to say STATUS_BUSY with. nng 1.5.2 also
 * must not run out of them: a connection that ends just as its message finds nobody
 * receiving stays in a list of the socket after it was freed.
 */
#define SPARE(requests) ((requests) / 8 + 16)

/*
 * 1. From the request's arrival to the end of the send, ${request} or ${answer} or neither is
 *    set, and ${from} is held.
 * 2. Only one of nng, the pool and the writer has it at a time.
 */
struct context {
	struct rpc *r;
	nng_ctx ctx;
	nng_aio *receive, *send;
	nng_msg *request;
	struct connection *from;
	struct arena *arena;		/* kept from request to request */
	struct call call;
	struct pool_job pool_job;
	struct write_job write_job;
};

#define CONTEXT_OF(member, p) \
	((struct context *)(void *)((char *)(p) - offsetof(struct context, member)))

/* At its end: only drain may go on when all are. */
static void
end(struct context *c)
{
	struct rpc *r = c->r;

	must(pthread_mutex_lock(&r->lock) == 0);
	r->running--;
	must(pthread_cond_broadcast(&r->changed) == 0);
	must(pthread_mutex_unlock(&r->lock) == 0);
}

static void
receive(struct context *c)
{
	if (atomic_load(&c->r->draining))
		end(c);
	else
		nng_ctx_recv(c->ctx, c->receive);
}

/* nng frees messages as they are. */
static void
wipe_message(nng_msg *msg)
{
	if (msg == NULL)
		return;
	if (rpc_guard_on(RPC_GUARD_WIPE))
		sodium_memzero(nng_msg_body(msg), nng_msg_len(msg));
#ifdef PDV_TEST_HOOKS
	if (guard_rpc_freed != NULL)
		guard_rpc_freed(nng_msg_body(msg), nng_msg_len(msg));
#endif
	nng_msg_free(msg);
}

/* The request is over, whatever became of it. */
static void
finish(struct context *c)
{
	arena_reset(c->arena);
	wipe_message(c->request);
	c->request = NULL;
	if (c->from != NULL) {
		atomic_fetch_sub(&c->from->in_flight, 1);
		atomic_fetch_sub(&c->r->in_flight_of[c->from->principal + 1], 1);
	}
	connections_drop(c->from);
	c->from = NULL;
	atomic_fetch_sub(&c->r->in_flight, 1);
	receive(c);
}

/* No memory for an answer: the client must not wait for one. */
static void
give_up(struct context *c)
{
	gate_close(c->r, c->from, "out of memory");
	finish(c);
}

static void
sent(void *arg)
{
	struct context *c = arg;
	int rv = nng_aio_result(c->send);

	if (rv != 0) {
		wipe_message(nng_aio_get_msg(c->send));
		nng_aio_set_msg(c->send, NULL);
	}
	if (rv == NNG_ETIMEDOUT)
		gate_close(c->r, c->from, "does not read");
	atomic_fetch_sub(&c->from->stuck, 1);
	finish(c);
	registers_wipe();
}

static nng_msg *
pack(const struct context *c, enum status *rc, uint64_t epoch)
{
	struct envelope_answer a = { .status = *rc, .call = &c->call, .epoch = epoch,
		.incarnation = c->r->o.incarnation,
		.vault = bytes_of(c->r->o.vault_id, RPC_VAULT_ID_LEN) };
	struct envelope_packing p;
	nng_msg *msg = NULL;
	size_t len = envelope_measure(&a, &p);

	if (len > SP_MESSAGE_MAX - SP_HEADER_MAX) {
		*rc = a.status = STATUS_TOO_LARGE;
		len = envelope_measure(&a, &p);
	}
	if (nng_msg_alloc(&msg, len) != 0)
		return NULL;
	envelope_pack(&p, nng_msg_body(msg));
	return msg;
}

static void
answer(struct context *c, enum status rc, uint64_t epoch)
{
	nng_msg *msg = pack(c, &rc, epoch);
	uint64_t now = clock_monotonic_ns();

	if (msg == NULL) {
		give_up(c);
		return;
	}
	if (rc == STATUS_MALFORMED)
		metrics_add(METRIC_MALFORMED, 1);
	metrics_request(c->call.method_index, status_code(rc), now - c->call.arrived_ns);
	atomic_store_explicit(&c->from->active_ns, now, memory_order_relaxed);
	atomic_fetch_add(&c->from->stuck, 1);
	wipe_message(c->request);
	c->request = NULL;
	nng_aio_set_msg(c->send, msg);
	nng_ctx_send(c->ctx, c->send);
}

static void
answer_now(struct context *c, enum status rc)
{
	answer(c, rc, c->r->o.epoch(c->r->o.vault));
}

static enum status
run_in_writer(struct write_job *job, struct writeset *ws)
{
	struct context *c = CONTEXT_OF(write_job, job);

	c->call.response = NULL;
	c->call.violation_count = 0;
	return c->call.method->write(c->r->o.vault, &c->call, ws);
}

static void
written(struct write_job *job, enum status rc, uint64_t epoch)
{
	answer(CONTEXT_OF(write_job, job), rc, epoch);
}

static enum status
submit(struct context *c)
{
	c->write_job = (struct write_job){
		.apply = run_in_writer,
		.done = written,
		.deadline_ns = c->call.deadline_ns,
		.erasure = c->call.method->erasure,
	};
	return writer_submit(c->r->o.writer, &c->write_job);
}

/* What is not there yet is for the writer to make. */
static void
read_here(struct context *c)
{
	const struct method *m = c->call.method;
	enum status rc = m->read(c->r->o.vault, &c->call);

	if (rc == STATUS_NO_RECORD && m->write != NULL && (rc = submit(c)) == STATUS_OK)
		return;
	answer_now(c, rc);
}

static void
run_in_pool(struct pool_job *job)
{
	struct context *c = CONTEXT_OF(pool_job, job);

	if (clock_monotonic_ns() > c->call.deadline_ns)
		answer_now(c, STATUS_EXPIRED);
	else
		read_here(c);
	registers_wipe();
}

static enum method_room
room_of(const struct call *c)
{
	return c->method->is_short != NULL && c->method->is_short(c) ? METHOD_INLINE : c->method->room;
}

/* A method of another room than this one answers by itself, later: the context is its own. */
static void
run(struct context *c)
{
	enum status rc;

	switch (room_of(&c->call)) {
	case METHOD_POOL:
		c->pool_job.run = run_in_pool;
		rc = pool_submit(c->r->pool, &c->pool_job);
		break;
	case METHOD_WRITER:
		rc = submit(c);
		break;
	default:
		read_here(c);
		return;
	}
	if (rc != STATUS_OK)
		answer_now(c, rc);
}

static void
log_denied(struct context *c, enum status rc)
{
	uint64_t count;

	if (!throttle_pass(&c->r->denied, c->call.arrived_ns, &count))
		return;
	log_event(LOG_REQUEST_DENIED,
	    LOG_S(PRINCIPAL, access_name(c->r->o.access, c->from->principal)),
	    LOG_S(METHOD, c->call.method->name), LOG_STATUS(rc), LOG_N(COUNT, count));
}

/* The last eighth of the house is for erasures: nobody can be kept by a crowd of others. */
static bool
is_crowded(const struct context *c, unsigned in_flight)
{
	unsigned all = c->r->o.limits.requests;

	return !c->call.method->erasure && in_flight > all - all / 8;
}

static void
dispatch(struct context *c, unsigned in_flight)
{
	struct bytes body = bytes_of(nng_msg_body(c->request), nng_msg_len(c->request));
	enum status rc = dispatch_request(c->r->dispatch, body, c->from->principal, &c->call);

	if (rc == STATUS_NOT_A_PRINCIPAL || rc == STATUS_DENIED)
		log_denied(c, rc);
	if (rc == STATUS_OK && is_crowded(c, in_flight))
		rc = STATUS_BUSY;
	if (rc == STATUS_OK)
		run(c);
	else
		answer_now(c, rc);
}

/* Is there room for one more request, in the house, of this principal, from this connection? */
static enum status
admit(struct context *c, unsigned in_flight, unsigned of_connection)
{
	const struct rpc_limits *l = &c->r->o.limits;
	unsigned of_principal =
	    atomic_fetch_add(&c->r->in_flight_of[c->from->principal + 1], 1) + 1;

	if (of_connection > l->in_flight_per_connection || of_principal > l->in_flight_per_principal)
		return STATUS_TOO_MANY;
	return in_flight > l->requests ? STATUS_BUSY : STATUS_OK;
}

/* Are all the answers that it may have in flight waiting for it to read? Then no more. */
static bool
does_not_read(struct context *c)
{
	return rpc_guard_on(RPC_GUARD_SEND_TIMEOUT) &&
	    atomic_load(&c->from->stuck) >= c->r->o.limits.in_flight_per_connection;
}

static void
arrived(struct context *c, unsigned in_flight)
{
	unsigned of_connection = atomic_fetch_add(&c->from->in_flight, 1) + 1;
	enum status rc = admit(c, in_flight, of_connection);

	c->call.arena = c->arena;
	c->call.arrived_ns = clock_monotonic_ns();
	atomic_store_explicit(&c->from->active_ns, c->call.arrived_ns, memory_order_relaxed);
	if (rc == STATUS_OK) {
		dispatch(c, in_flight);
		return;
	}
	if (rc == STATUS_TOO_MANY && does_not_read(c)) {
		gate_close(c->r, c->from, "does not read");
		finish(c);
		return;
	}
	c->call.method_index = c->r->o.method_count;
	c->call.violation_count = 0;
	answer_now(c, rc);
}

static void
received(void *arg)
{
	struct context *c = arg;
	int rv = nng_aio_result(c->receive);
	unsigned in_flight;

	if (rv == NNG_ECANCELED || rv == NNG_ECLOSED) {
		end(c);
		return;
	}
	if (rv != 0) {
		receive(c);
		return;
	}
	c->request = nng_aio_get_msg(c->receive);
	nng_aio_set_msg(c->receive, NULL);
	in_flight = atomic_fetch_add(&c->r->in_flight, 1) + 1;
	c->from = connections_take(
	    c->r->connections, (uint32_t)nng_pipe_id(nng_msg_get_pipe(c->request)));
	if (c->from == NULL)
		finish(c);	/* closed meanwhile: nobody to answer */
	else
		arrived(c, in_flight);
	registers_wipe();
}

static enum status
open_one(struct rpc *r, struct context *c)
{
	c->r = r;
	if ((c->arena = arena_new()) == NULL || nng_ctx_open(&c->ctx, r->socket) != 0 ||
	    nng_aio_alloc(&c->receive, received, c) != 0 ||
	    nng_aio_alloc(&c->send, sent, c) != 0)
		return STATUS_NO_MEMORY;
	nng_aio_set_timeout(c->receive, NNG_DURATION_INFINITE);
	nng_aio_set_timeout(c->send, rpc_guard_on(RPC_GUARD_SEND_TIMEOUT)
		? (nng_duration)r->o.limits.send_timeout_ms : NNG_DURATION_INFINITE);
	return STATUS_OK;
}

enum status
context_open_all(struct rpc *r)
{
	unsigned count = r->o.limits.requests + SPARE(r->o.limits.requests);
	enum status rc;
	unsigned i;

	if ((r->context = calloc(count, sizeof(*r->context))) == NULL)
		return STATUS_NO_MEMORY;
	for (i = 0; i < count; i++) {
		r->context_count++;
		if ((rc = open_one(r, &r->context[i])) != STATUS_OK)
			return rc;
	}
	r->running = count;
	for (i = 0; i < count; i++)
		receive(&r->context[i]);
	return STATUS_OK;
}

void
context_stop_receiving(struct rpc *r)
{
	unsigned i;

	for (i = 0; i < r->context_count; i++)
		if (r->context[i].receive != NULL)	/* half of a start that failed */
			nng_aio_cancel(r->context[i].receive);
}

void
context_close_all(struct rpc *r)
{
	unsigned i;

	for (i = 0; i < r->context_count; i++) {
		struct context *c = &r->context[i];

		must(c->request == NULL && c->from == NULL);
		nng_aio_free(c->receive);	/* waits for its callback; NULL: nothing */
		nng_aio_free(c->send);
		(void)nng_ctx_close(c->ctx);
		arena_free(c->arena);
	}
	free(r->context);
	r->context = NULL;
	r->context_count = 0;
}
