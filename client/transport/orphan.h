/*
 * Operations that nng forgets.
 *
 * nng's transports send and receive a message in steps: each step's callback starts the next
 * with nng_stream_send or nng_stream_recv on the same aio. When the pipe is closed between
 * two steps, that aio is stopped, the next step is dropped without a word, and the
 * operation above it never ends; nng's only reaper thread waits for it for ever. From
 * then on no connection is freed and no socket can be closed. In nng 1.5.2 a client that
 * leaves while some of its requests are in work does this to a server nearly every time.
 *
 * The remedy: the linker puts the functions of orphan.c around four of nng's (ld --wrap),
 * so that a step that is dropped completes with an error instead, as its callback
 * expects. That needs nng linked from its archive, libnng.a, since calls inside a shared
 * object cannot be wrapped.
 *
 * A whole message can be dropped so, too: nng closes the aio that sends on a connection, and only
 * then, under another lock, forgets the connection. What is sent in between goes to the closed aio,
 * is said to be sent, and stays where it is, neither freed nor wiped. Here it is freed.
 */
#ifndef TRANSPORT_ORPHAN_H
#define TRANSPORT_ORPHAN_H

#include <stdbool.h>

/*
 * orphan_linked():
 * Was this program linked so? Without it one rude client stops a server. Any thread.
 */
bool orphan_linked(void) __attribute__((warn_unused_result));

#endif /* TRANSPORT_ORPHAN_H */
