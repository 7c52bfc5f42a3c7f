#include "server/rpc/server.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

#include "client/transport/engine.h"
#include "client/transport/sp.h"
#include "client/transport/tls_context.h"
#include "server/clock.h"
#include "server/rpc/guard.h"
#include "server/rpc/rpc_internal.h"

#define NS_PER_MS UINT64_C(1000000)
#define CANCEL_EVERY_MS 10u

/* nng says sent when it has only taken an answer over. */
static const struct timespec leave = { .tv_nsec = 200 * 1000 * 1000 };

static enum status
refuse(enum status rc, const char *what, const char *why)
{
	log_event(LOG_FATAL, LOG_S(WHAT, what), LOG_S(WHY, why), LOG_STATUS(rc));
	return rc;
}

static bool
in_range(unsigned n, unsigned max)
{
	return n > 0 && n <= max;
}

static enum status
check_options(const struct rpc_options *o)
{
	const struct rpc_limits *l = &o->limits;
	size_t i;

	must(o->method_count > 0 && o->method_count < ACCESS_METHODS_MAX);
	if (!in_range(l->requests, RPC_CONTEXTS_MAX) ||
	    !in_range(l->connections, RPC_CONNECTIONS_MAX) ||
	    !in_range(l->pool_threads, RPC_POOL_THREADS_MAX) || l->pool_queue == 0 ||
	    l->connections_per_principal == 0 || l->in_flight_per_connection == 0 ||
	    l->in_flight_per_principal == 0 ||
	    l->idle_timeout_ms == 0 || l->handshake_timeout_ms == 0 ||
	    l->default_timeout_ms == 0 || l->max_timeout_ms == 0 ||
	    !in_range(l->send_timeout_ms, INT32_MAX))
		return refuse(STATUS_CONFIG, "limits", "a limit is out of range");
	if (o->url_count == 0 || o->url_count > RPC_URLS_MAX)
		return refuse(STATUS_CONFIG, "listen", "no address to listen on, or too many");
	for (i = 0; i < o->url_count; i++) {
		if (rpc_guard_on(RPC_GUARD_URL) && !sp_url_ok(o->urls[i]))
			return refuse(STATUS_CONFIG, "listen", "not tls+tcp://HOST:PORT");
	}
	return STATUS_OK;
}

static enum status
make_rooms(struct rpc *r)
{
	struct dispatch_options d = { .methods = r->o.methods, .method_count = r->o.method_count,
		.access = r->o.access, .default_timeout_ms = r->o.limits.default_timeout_ms,
		.max_timeout_ms = r->o.limits.max_timeout_ms };
	struct connections_limits c = { r->o.limits.connections,
		r->o.limits.connections_per_principal };
	enum status rc;

	if (!rpc_guard_on(RPC_GUARD_REJECT))
		c = (struct connections_limits){ UINT16_MAX, UINT16_MAX };
	if ((rc = dispatch_new(&d, &r->dispatch)) != STATUS_OK ||
	    (rc = connections_new(c, ACCESS_PRINCIPALS_MAX, &r->connections)) != STATUS_OK)
		return rc;
	return pool_start(r->o.limits.pool_threads, r->o.limits.pool_queue, &r->pool);
}

/* The bound on messages stands before any listener and context exists. */
static enum status
open_socket(struct rpc *r)
{
	if (engine_register() != PDV_OK)
		return refuse(STATUS_REFUSED, "tls", "nng does not take the TLS engine");
	if (nng_rep0_open(&r->socket) != 0)
		return STATUS_NO_MEMORY;
	if (sp_settle(r->socket, SP_SERVER) != PDV_OK)
		return refuse(STATUS_REFUSED, "socket", "nng does not take a setting");
	return gate_watch(r);
}

static enum status
listen_on(struct rpc *r, size_t i)
{
	const char *url = r->o.urls[i];
	int rv;

	if ((rv = nng_listener_create(&r->listener[i], r->socket, url)) != 0)
		goto out;
	if (tls_context_listen(r->o.tls, r->listener[i]) != PDV_OK)
		return refuse(STATUS_REFUSED, "listen", "the listener does not take TLS");
	rv = nng_listener_start(r->listener[i], 0);
out:
	if (rv == 0) {
		log_event(LOG_LISTEN, LOG_S(ADDRESS, url), LOG_N(OTHER, rpc_port(r, i)));
		return STATUS_OK;
	}
	log_event(LOG_FATAL, LOG_S(WHAT, "listen"), LOG_S(ADDRESS, url),
	    LOG_S(WHY, nng_strerror(rv)));
	/* Who has the address may be gone at the next start. */
	return rv == NNG_EADDRINUSE ? STATUS_IO : STATUS_CONFIG;
}

static enum status
make_lock(struct rpc *r)
{
	pthread_condattr_t attr;

	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&r->changed, &attr) == 0);
	must(pthread_condattr_destroy(&attr) == 0);
	must(pthread_mutex_init(&r->lock, NULL) == 0);
	return STATUS_OK;
}

enum status
rpc_start(const struct rpc_options *o, struct rpc **out)
{
	struct rpc *r = NULL;
	enum status rc;
	size_t i;

	if ((rc = check_options(o)) != STATUS_OK)
		return rc;
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return STATUS_NO_MEMORY;
	r->o = *o;
	if ((rc = make_lock(r)) != STATUS_OK || (rc = open_socket(r)) != STATUS_OK ||
	    (rc = make_rooms(r)) != STATUS_OK || (rc = context_open_all(r)) != STATUS_OK)
		goto out;
	for (i = 0; i < o->url_count; i++) {
		if ((rc = listen_on(r, i)) != STATUS_OK)
			goto out;
	}
	if ((rc = sweep_start(r)) != STATUS_OK)
		goto out;
	*out = r;
	r = NULL;
out:
	if (r != NULL)
		rpc_drain(r, 0);
	rpc_free(r);
	return rc;
}

/* Waits until every context is at its end, at most until ${until_ns}. */
static bool
wait_ended(struct rpc *r, uint64_t until_ns)
{
	struct timespec at;
	uint64_t next;
	unsigned running;

	do {
		context_stop_receiving(r);	/* one may just have begun again */
		next = clock_monotonic_ns() + CANCEL_EVERY_MS * NS_PER_MS;
		at = (struct timespec){ .tv_sec = (time_t)(next / 1000000000),
			.tv_nsec = (long)(next % 1000000000) };
		must(pthread_mutex_lock(&r->lock) == 0);
		if (r->running > 0)
			(void)pthread_cond_timedwait(&r->changed, &r->lock, &at);
		running = r->running;
		must(pthread_mutex_unlock(&r->lock) == 0);
	} while (running > 0 && clock_monotonic_ns() < until_ns);
	return running == 0;
}

static void
close_connection(struct connection *c, void *arg)
{
	nng_pipe pipe = NNG_PIPE_INITIALIZER;

	(void)arg;
	pipe.id = c->pipe;
	(void)nng_pipe_close(pipe);
}

void
rpc_drain(struct rpc *r, unsigned limit_ms)
{
	bool orderly;

	atomic_store(&r->draining, true);
	orderly = rpc_guard_on(RPC_GUARD_DRAIN) &&
	    wait_ended(r, clock_monotonic_ns() + limit_ms * NS_PER_MS);
	if (orderly)
		(void)nanosleep(&leave, NULL);
	sweep_stop(r);
	if (r->connections != NULL)
		connections_each(r->connections, close_connection, NULL);
	/* What was cut off is still worked on, and its memory is ours. */
	(void)wait_ended(r, UINT64_MAX);
	pool_stop(r->pool);
	r->pool = NULL;
	context_close_all(r);
	if (nng_socket_id(r->socket) > 0)
		(void)nng_close(r->socket);
}

unsigned
rpc_in_flight(const struct rpc *r)
{
	return atomic_load(&r->in_flight);
}

unsigned
rpc_connections(const struct rpc *r)
{
	return connections_count(r->connections);
}

uint16_t
rpc_port(const struct rpc *r, size_t i)
{
	int port = 0;

	must(i < r->o.url_count);
	if (nng_listener_get_int(r->listener[i], NNG_OPT_TCP_BOUND_PORT, &port) != 0)
		return 0;
	return (uint16_t)port;
}

void
rpc_free(struct rpc *r)
{
	if (r == NULL)
		return;
	connections_free(r->connections);
	dispatch_free(r->dispatch);
	must(pthread_cond_destroy(&r->changed) == 0);
	must(pthread_mutex_destroy(&r->lock) == 0);
	free(r);
}
