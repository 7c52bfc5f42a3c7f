/*
 * The connections that are open: whose each is, how many of whom, what each has in flight
 * and when it last did something. nng has no such table, and closes nobody by itself.
 */
#ifndef SERVER_RPC_CONNECTIONS_H
#define SERVER_RPC_CONNECTIONS_H

#include <stdatomic.h>
#include <stdint.h>

#include "server/rpc/lobby.h"
#include "server/status.h"

struct connections;
struct tls_peer;

/*
 * One connection. Whoever holds it may read it; only the atomics change.
 * 1. holders counts the table's own hold and each from connections_take; it is freed at 0.
 * 2. stuck <= in_flight.
 */
struct connection {
	uint32_t pipe;			/* nng's id */
	int principal;			/* of access.h, or ACCESS_NONE */
	struct tls_peer *peer;		/* owned */
	struct lobby_remote remote;
	atomic_uint holders;
	atomic_uint in_flight;		/* requests whose answer nng has not taken yet */
	atomic_uint stuck;		/* those of them whose answer waits to be taken */
	atomic_uint_fast64_t active_ns;	/* CLOCK_MONOTONIC of its last request or answer */
	struct connection *next;	/* the table's */
};

struct connections_limits {
	unsigned all, per_principal;
};

/*
 * ${principals} is how many there may be: 0 to principals - 1, besides ACCESS_NONE, which is
 * one. The caller frees ${out}. STATUS_NO_MEMORY.
 */
enum status connections_new(struct connections_limits limits, unsigned principals,
    struct connections **out) MUST_USE;

/*
 * connections_add(t, c):
 * Enter a connection; ${c} gives pipe, principal, peer, remote and active_ns, and is copied. On
 * STATUS_OK the table owns the peer. STATUS_BUSY: too many connections; STATUS_TOO_MANY: too
 * many of this principal; STATUS_NO_MEMORY. Any thread.
 */
enum status connections_add(struct connections *t, const struct connection *c) MUST_USE;

/* The connection is gone; nothing happens if it never was entered. Any thread. */
void connections_remove(struct connections *t, uint32_t pipe);

/* Held for the caller until connections_drop, or NULL. Any thread. */
struct connection *connections_take(struct connections *t, uint32_t pipe);

/* NULL: nothing. Any thread. */
void connections_drop(struct connection *c);

/* Calls fn for each connection there is, while no lock is held. Any thread. */
void connections_each(struct connections *t, void (*fn)(struct connection *c, void *arg),
    void *arg);

unsigned connections_count(struct connections *t);

/* Aborts unless the counts are those of the lists, while nobody adds or removes. For tests. */
void connections_check(struct connections *t);

/* Frees all that are left. Nobody else may hold any. NULL: nothing. */
void connections_free(struct connections *t);

#endif /* SERVER_RPC_CONNECTIONS_H */
