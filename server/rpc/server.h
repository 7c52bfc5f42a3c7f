/*
 * The server's side of the wire: listeners, connections, and one small state machine for
 * each request in flight. main gives it the method table and what the methods work on.
 */
#ifndef SERVER_RPC_SERVER_H
#define SERVER_RPC_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "server/access/access.h"
#include "server/rpc/call.h"
#include "server/status.h"

struct rpc;
struct tls_context;
struct vault;
struct writer;

#define RPC_URLS_MAX 16u
#define RPC_VAULT_ID_LEN 16u
#define RPC_CONTEXTS_MAX 4096u
#define RPC_CONNECTIONS_MAX 65536u
#define RPC_POOL_THREADS_MAX 16u	/* with nng's 16 at most, all can read: EPOCH_READERS_MAX */

/* Each has a default, from RPC_LIMITS_DEFAULT, and must not be 0. */
struct rpc_limits {
	unsigned requests;			/* executed at a time; more: STATUS_BUSY; the last
						   eighth of them is for erasures */
	unsigned connections;
	unsigned connections_per_principal;	/* strangers together count as one */
	unsigned in_flight_per_connection;	/* more: STATUS_TOO_MANY */
	unsigned in_flight_per_principal;	/* more: STATUS_TOO_MANY; below requests, or one blocks all */
	unsigned idle_timeout_ms;
	unsigned handshake_timeout_ms;		/* TLS and SP greeting together */
	unsigned default_timeout_ms;		/* of a request that names none */
	unsigned max_timeout_ms;
	unsigned send_timeout_ms;		/* then the connection is closed */
	unsigned pool_threads;
	unsigned pool_queue;			/* more: STATUS_BUSY */
};

#define RPC_LIMITS_DEFAULT                                                                 \
	{                                                                                  \
		.requests = 256, .connections = 1024, .connections_per_principal = 256,    \
		.in_flight_per_connection = 128, .in_flight_per_principal = 192,           \
		.idle_timeout_ms = 600000,                                                 \
		.handshake_timeout_ms = 10000,                                             \
		.default_timeout_ms = 5000, .max_timeout_ms = 60000,                       \
		.send_timeout_ms = 1500, .pool_threads = 2, .pool_queue = 256,             \
	}

/* All borrowed for as long as the rpc lives. */
struct rpc_options {
	const char *const *urls;		/* tls+tcp:// only */
	size_t url_count;
	struct tls_context *tls;		/* TLS_SERVER */
	const struct access *access;		/* built over the names of the same methods */
	const struct method *methods;		/* at most ACCESS_METHODS_MAX - 1 */
	unsigned method_count;
	struct vault *vault;
	struct writer *writer;			/* NULL if no method is a METHOD_WRITER */
	uint8_t vault_id[RPC_VAULT_ID_LEN];
	uint64_t incarnation;			/* of the vault, in each answer */
	uint64_t (*epoch)(struct vault *v);	/* the present one; any thread, never blocks */
	struct rpc_limits limits;
};

/*
 * rpc_start(o, out):
 * Listen and serve. Signals must be blocked before (nng's threads inherit the mask). The
 * caller ends it with rpc_drain, then rpc_free.
 *
 * STATUS_CONFIG: a URL is not tls+tcp://HOST:PORT, cannot be listened on, or a limit is
 * out of range; STATUS_IO: an address is taken; STATUS_REFUSED: the TLS engine or a socket
 * setting did not hold; STATUS_NO_MEMORY. What is wrong with a URL or a setting is logged
 * here; nothing runs then.
 */
enum status rpc_start(const struct rpc_options *o, struct rpc **out) MUST_USE;

/*
 * rpc_drain(r, limit_ms):
 * Stop in an orderly way: no new connection, no new request, an answer to each that is in
 * flight (after at most ${limit_ms}; later ones are cut), time for answers to leave,
 * then everything is closed. The writer must still be running. Once, by one thread, not by
 * a callback.
 */
void rpc_drain(struct rpc *r, unsigned limit_ms);

/*
 * rpc_recheck_peers(r):
 * Close the connections whose peer's certificate would not be accepted now: after
 * tls_context_reload. Returns how many. Some 0.1 ms each. Any thread.
 */
unsigned rpc_recheck_peers(struct rpc *r);

/* Requests received and not yet answered; open connections. Any thread, until rpc_free. */
unsigned rpc_in_flight(const struct rpc *r);
unsigned rpc_connections(const struct rpc *r);

/*
 * metrics_request() is called for each answer with the method's place in the table, or
 * method_count for what never got as far as a method: the caller of metrics_print adds a
 * last name for that, "unknown".
 */

/* The TCP port of urls[i]: what a port 0 became. */
uint16_t rpc_port(const struct rpc *r, size_t i);

/* After rpc_drain. NULL: nothing. */
void rpc_free(struct rpc *r);

#endif /* SERVER_RPC_SERVER_H */
