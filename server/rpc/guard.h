/*
 * Guards of this room against traps in nng and against rude clients, which the tests can
 * switch off to see that each is needed. In builds without tests all are on for good.
 */
#ifndef SERVER_RPC_GUARD_H
#define SERVER_RPC_GUARD_H

#include <stdbool.h>

enum rpc_guard {
	RPC_GUARD_SEND_TIMEOUT,	/* a client that does not read is closed (context.c) */
	RPC_GUARD_URL,		/* tls+tcp:// only (server.c) */
	RPC_GUARD_DRAIN,	/* an answer to what is in flight before closing (server.c) */
	RPC_GUARD_REJECT,	/* limits of connections (server.c) */
	RPC_GUARD_IDLE,		/* idle connections are closed (sweep.c) */
	RPC_GUARD_LOBBY,	/* so are those that never shake hands (sweep.c) */
	RPC_GUARD_WIPE,		/* requests are wiped before they are freed (context.c) */
	RPC_GUARD_COUNT
};

#ifdef PDV_TEST_HOOKS
#include <stddef.h>
#include <stdint.h>

extern bool guard_rpc_off[RPC_GUARD_COUNT];
/* Sees each request's body just before it is freed; NULL: nobody. */
extern void (*guard_rpc_freed)(const uint8_t *body, size_t len);
#define rpc_guard_on(g) (!guard_rpc_off[g])
#else
#define rpc_guard_on(g) ((void)(g), true)
#endif

#endif /* SERVER_RPC_GUARD_H */
