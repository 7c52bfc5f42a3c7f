/*
 * Guards against traps in nng that the tests can switch off, to see that each is needed
 * and that its test would notice. In builds without tests every guard is on for good.
 */
#ifndef TRANSPORT_GUARD_H
#define TRANSPORT_GUARD_H

#include <stdbool.h>
#include <stddef.h>

enum guard {
	GUARD_MESSAGE_MAX,	/* a bound on received messages (sp.c) */
	GUARD_NO_RESEND,	/* requests are not sent again by nng (sp.c) */
	GUARD_SIGNALS,		/* nng's threads take no signals (engine.c) */
	GUARD_SHUT,		/* the peer's end is ECONNSHUT, never ECLOSED (engine_conn.c) */
	GUARD_EMPTY_FINI,	/* a connection that never began can end (engine_conn.c) */
	GUARD_SWAP,		/* a reload reaches live listeners (tls_context.c) */
	GUARD_FRAMING,		/* one record per message (engine_conn.c) */
	GUARD_OWN_RULES,	/* our own certificate is checked first (tls_files.c) */
	GUARD_ORPHANS,		/* steps dropped by nng end with an error (orphan.c) */
	GUARD_DROPPED,		/* messages dropped by nng are freed (orphan.c) */
	GUARD_SEND_FIRST,	/* an answer is asked for when the request is out (flight.c of the client) */
	GUARD_LEFTOVERS,	/* what nng frees is wiped (leftover.c) */
	GUARD_COUNT
};

#ifdef PDV_TEST_HOOKS
extern bool guard_off[GUARD_COUNT];
extern void (*guard_freed)(const void *p, size_t len);	/* sees what nng frees, wiped or not */
#define guard_on(g) (!guard_off[g])
#else
#define guard_on(g) true
#endif

#endif /* TRANSPORT_GUARD_H */
