/*
 * What the rooms of the server share: server (start and end), gate (connections come and
 * go), context (requests), sweep (what time decides).
 */
#ifndef SERVER_RPC_RPC_INTERNAL_H
#define SERVER_RPC_RPC_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <nng/nng.h>

#include "server/log.h"
#include "server/rpc/connections.h"
#include "server/rpc/dispatch.h"
#include "server/rpc/pool.h"
#include "server/rpc/server.h"
#include "server/throttle.h"

struct context;

/*
 * 1. in_flight counts the contexts between receiving a request and the end of sending its
 *    answer.
 * 2. running counts the contexts that are not at their end; only drain ends any.
 */
struct rpc {
	struct rpc_options o;
	nng_socket socket;
	nng_listener listener[RPC_URLS_MAX];
	struct dispatch *dispatch;
	struct connections *connections;
	struct pool *pool;
	struct lobby *lobby;		/* the sweeper's */
	struct context *context;
	unsigned context_count;
	atomic_uint in_flight;
	atomic_uint in_flight_of[ACCESS_PRINCIPALS_MAX + 1];	/* ACCESS_NONE is the first */
	atomic_bool draining;

	pthread_mutex_t lock;		/* of what follows */
	pthread_cond_t changed;		/* CLOCK_MONOTONIC */
	unsigned running;
	bool sweeping, stop_sweeping;
	pthread_t sweeper;

	struct throttle refused, denied, closed;
};

/* context.c: all contexts begin to receive; one stops receiving; none is left. */
enum status context_open_all(struct rpc *r) MUST_USE;
void context_stop_receiving(struct rpc *r);
void context_close_all(struct rpc *r);

/* gate.c: watch connections come and go, from before the first listener. */
enum status gate_watch(struct rpc *r) MUST_USE;

/* gate.c: close a connection that is rude, idle or revoked; ${why} is for the log. */
void gate_close(struct rpc *r, const struct connection *c, const char *why);

/*
 * sweep.c: the thread that closes what is idle, revoked since, or never came in. It starts
 * after the listeners.
 */
enum status sweep_start(struct rpc *r) MUST_USE;
void sweep_stop(struct rpc *r);

#endif /* SERVER_RPC_RPC_INTERNAL_H */
