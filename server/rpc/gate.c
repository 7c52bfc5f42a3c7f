/*
 * Connections come and go. The peer's name is read when one is added, since later the pipe
 * may be gone; nothing is called on the socket from inside nng's callbacks.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "client/transport/tls_peer.h"
#include "server/clock.h"
#include "server/metrics.h"
#include "server/rpc/guard.h"
#include "server/rpc/rpc_internal.h"

static uint32_t
id_of(nng_pipe pipe)
{
	return (uint32_t)nng_pipe_id(pipe);
}

static void
refuse(struct rpc *r, nng_pipe pipe, int principal, const char *why)
{
	uint64_t count;

	metrics_add(METRIC_CONNECTIONS_REFUSED, 1);
	if (throttle_pass(&r->refused, clock_monotonic_ns(), &count))
		log_event(LOG_CONNECTION_REFUSED,
		    LOG_S(PRINCIPAL, access_name(r->o.access, principal)), LOG_S(WHY, why),
		    LOG_N(COUNT, count));
	(void)nng_pipe_close(pipe);
}

static const char *
refusal(enum status rc)
{
	switch (rc) {
	case STATUS_BUSY:
		return "too many connections";
	case STATUS_TOO_MANY:
		return "too many connections of this principal";
	default:
		return status_text(rc);
	}
}

/* False: it has no address, and so would be taken for one that never came in (lobby.h). */
static bool
address(nng_pipe pipe, struct lobby_remote *out)
{
	struct sockaddr_storage a = { .ss_family = AF_UNSPEC };
	struct sockaddr_in6 *six = (void *)&a;
	struct sockaddr_in *four = (void *)&a;
	nng_sockaddr from;

	if (nng_pipe_get_addr(pipe, NNG_OPT_REMADDR, &from) != 0)
		return false;
	if (from.s_family == NNG_AF_INET6) {
		a.ss_family = AF_INET6;
		memcpy(&six->sin6_addr, from.s_in6.sa_addr, sizeof(six->sin6_addr));
		six->sin6_port = from.s_in6.sa_port;
	} else if (from.s_family == NNG_AF_INET) {
		a.ss_family = AF_INET;
		four->sin_addr.s_addr = from.s_in.sa_addr;
		four->sin_port = from.s_in.sa_port;
	}
	*out = lobby_remote_of(&a);
	return a.ss_family != AF_UNSPEC;
}

static void
enter(struct rpc *r, nng_pipe pipe)
{
	struct connection c = { .pipe = id_of(pipe), .principal = ACCESS_NONE };
	enum status rc;

	if (atomic_load(&r->draining)) {
		refuse(r, pipe, ACCESS_NONE, status_text(STATUS_DRAINING));
		return;
	}
	if (!address(pipe, &c.remote) || tls_peer_of(pipe, &c.peer) != PDV_OK) {
		refuse(r, pipe, ACCESS_NONE, "no identity");
		return;
	}
	c.principal = access_find(r->o.access, tls_peer_spiffe(c.peer));
	atomic_init(&c.active_ns, clock_monotonic_ns());
	if ((rc = connections_add(r->connections, &c)) != STATUS_OK) {
		tls_peer_free(c.peer);
		refuse(r, pipe, c.principal, refusal(rc));
	}
}

static void
event(nng_pipe pipe, nng_pipe_ev ev, void *arg)
{
	struct rpc *r = arg;

	if (ev == NNG_PIPE_EV_ADD_PRE)
		enter(r, pipe);
	else
		connections_remove(r->connections, id_of(pipe));	/* refused ones too */
}

enum status
gate_watch(struct rpc *r)
{
	if (nng_pipe_notify(r->socket, NNG_PIPE_EV_ADD_PRE, event, r) != 0 ||
	    nng_pipe_notify(r->socket, NNG_PIPE_EV_REM_POST, event, r) != 0)
		return STATUS_REFUSED;
	return STATUS_OK;
}

void
gate_close(struct rpc *r, const struct connection *c, const char *why)
{
	nng_pipe pipe = NNG_PIPE_INITIALIZER;
	uint64_t count;

	metrics_add(METRIC_CONNECTIONS_CLOSED, 1);
	if (throttle_pass(&r->closed, clock_monotonic_ns(), &count))
		log_event(LOG_CONNECTION_CLOSED,
		    LOG_S(PRINCIPAL, access_name(r->o.access, c->principal)), LOG_S(WHY, why),
		    LOG_N(COUNT, count));
	pipe.id = c->pipe;
	(void)nng_pipe_close(pipe);	/* gone already: no matter, ids are not used twice soon */
}
