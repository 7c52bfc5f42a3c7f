/*
 * What only the clock decides. nng limits one step only, the greeting after the TLS
 * handshake, so that silent, half-open and half-sent connections would stay for ever.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "client/transport/tls_peer.h"
#include "server/clock.h"
#include "server/metrics.h"
#include "server/rpc/guard.h"
#include "server/rpc/lobby.h"
#include "server/rpc/rpc_internal.h"

#define ROUND_MS_MAX 1000u
#define RECHECK_NS (UINT64_C(600) * 1000000000)	/* certificates and CRLs end by themselves */
#define NS_PER_MS UINT64_C(1000000)

struct idle_round {
	struct rpc *r;
	uint64_t now_ns, timeout_ns;
};

static void
close_idle(struct connection *c, void *arg)
{
	struct idle_round *round = arg;
	uint64_t active = atomic_load(&c->active_ns);

	/* One with a request in flight waits for us; its send has a limit of its own. */
	if (atomic_load(&c->in_flight) == 0 && round->now_ns > active &&
	    round->now_ns - active > round->timeout_ns)
		gate_close(round->r, c, "idle");
}

static void
close_all_idle(struct rpc *r, uint64_t now_ns)
{
	struct idle_round round = { r, now_ns, r->o.limits.idle_timeout_ms * NS_PER_MS };

	if (rpc_guard_on(RPC_GUARD_IDLE))
		connections_each(r->connections, close_idle, &round);
}

struct known_round {
	struct lobby_remote *known;
	size_t count, room;
};

static void
list_known(struct connection *c, void *arg)
{
	struct known_round *round = arg;

	if (round->count < round->room)
		round->known[round->count++] = c->remote;
}

/* The list must be whole, or somebody who is known would be shut out. */
static void
close_strays(struct rpc *r, uint64_t now_ns)
{
	struct known_round round = { .room = r->o.limits.connections + 1 };
	uint64_t count;
	unsigned shut;

	if (!rpc_guard_on(RPC_GUARD_LOBBY) || (round.known =
		    calloc(round.room, sizeof(*round.known))) == NULL)
		return;
	connections_each(r->connections, list_known, &round);
	if (round.count >= connections_count(r->connections)) {
		shut = lobby_sweep(r->lobby, round.known, round.count, now_ns,
		    r->o.limits.handshake_timeout_ms * NS_PER_MS);
		metrics_add(METRIC_CONNECTIONS_REFUSED, shut);
		if (shut > 0 && throttle_pass(&r->refused, now_ns, &count))
			log_event(LOG_CONNECTION_REFUSED, LOG_S(PRINCIPAL, "unknown"),
			    LOG_S(WHY, "no handshake"), LOG_N(COUNT, shut));
	}
	free(round.known);
}

struct revoked_round {
	struct rpc *r;
	unsigned count;
};

static void
close_revoked(struct connection *c, void *arg)
{
	struct revoked_round *round = arg;

	if (tls_peer_valid(c->peer, round->r->o.tls))
		return;
	gate_close(round->r, c, "certificate revoked or expired");
	round->count++;
}

unsigned
rpc_recheck_peers(struct rpc *r)
{
	struct revoked_round round = { r, 0 };

	connections_each(r->connections, close_revoked, &round);
	return round.count;
}

/* Waits for ms, or until told to stop; false then. */
static bool
wait_round(struct rpc *r, unsigned ms)
{
	uint64_t until = clock_monotonic_ns() + ms * NS_PER_MS;
	struct timespec at = { .tv_sec = (time_t)(until / 1000000000),
		.tv_nsec = (long)(until % 1000000000) };
	bool stop;
	int rv = 0;

	must(pthread_mutex_lock(&r->lock) == 0);
	while (!r->stop_sweeping && rv != ETIMEDOUT)
		rv = pthread_cond_timedwait(&r->changed, &r->lock, &at);
	stop = r->stop_sweeping;
	must(pthread_mutex_unlock(&r->lock) == 0);
	return !stop;
}

static unsigned
round_ms(const struct rpc_limits *l)
{
	unsigned shorter = l->idle_timeout_ms < l->handshake_timeout_ms ? l->idle_timeout_ms
									: l->handshake_timeout_ms;

	return shorter / 4 < ROUND_MS_MAX ? shorter / 4 + 1 : ROUND_MS_MAX;
}

static void *
sweep(void *arg)
{
	struct rpc *r = arg;
	uint64_t rechecked = clock_monotonic_ns(), now;

	while (wait_round(r, round_ms(&r->o.limits))) {
		now = clock_monotonic_ns();
		close_all_idle(r, now);
		close_strays(r, now);
		if (now - rechecked > RECHECK_NS) {
			(void)rpc_recheck_peers(r);
			rechecked = now;
		}
	}
	return NULL;
}

enum status
sweep_start(struct rpc *r)
{
	uint16_t ports[RPC_URLS_MAX];
	enum status rc;
	size_t i;

	for (i = 0; i < r->o.url_count; i++)
		ports[i] = rpc_port(r, i);
	if ((rc = lobby_new(ports, r->o.url_count, &r->lobby)) != STATUS_OK)
		return rc;
	if (pthread_create(&r->sweeper, NULL, sweep, r) != 0)
		return STATUS_NO_MEMORY;	/* sweep_stop frees the lobby */
	r->sweeping = true;
	return STATUS_OK;
}

void
sweep_stop(struct rpc *r)
{
	if (r->sweeping) {
		must(pthread_mutex_lock(&r->lock) == 0);
		r->stop_sweeping = true;
		must(pthread_cond_broadcast(&r->changed) == 0);
		must(pthread_mutex_unlock(&r->lock) == 0);
		must(pthread_join(r->sweeper, NULL) == 0);
		r->sweeping = false;
	}
	lobby_free(r->lobby);
	r->lobby = NULL;
}
