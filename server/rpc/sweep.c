/*
 * What only the clock decides: nng limits the handshake to ten seconds and nothing else,
 * so that silent, half-open and half-sent connections would stay for ever.
 */
#include <errno.h>
#include <time.h>

#include "client/transport/tls_peer.h"
#include "server/clock.h"
#include "server/rpc/guard.h"
#include "server/rpc/rpc_internal.h"

#define ROUND_MS_MAX 1000u
#define RECHECK_NS (UINT64_C(600) * 1000000000)		/* certificates and CRLs end by themselves */
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

static void *
sweep(void *arg)
{
	struct rpc *r = arg;
	unsigned quarter = r->o.limits.idle_timeout_ms / 4 + 1;
	uint64_t rechecked = clock_monotonic_ns(), now;

	while (wait_round(r, quarter < ROUND_MS_MAX ? quarter : ROUND_MS_MAX)) {
		now = clock_monotonic_ns();
		close_all_idle(r, now);
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
	if (pthread_create(&r->sweeper, NULL, sweep, r) != 0)
		return STATUS_NO_MEMORY;
	r->sweeping = true;
	return STATUS_OK;
}

void
sweep_stop(struct rpc *r)
{
	if (!r->sweeping)
		return;
	must(pthread_mutex_lock(&r->lock) == 0);
	r->stop_sweeping = true;
	must(pthread_cond_broadcast(&r->changed) == 0);
	must(pthread_mutex_unlock(&r->lock) == 0);
	must(pthread_join(r->sweeper, NULL) == 0);
	r->sweeping = false;
}
