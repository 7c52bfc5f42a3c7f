/*
 * Who is at the other end of a connection: its SPIFFE id and the certificate that it
 * showed. An immutable copy that outlives the connection.
 */
#ifndef TRANSPORT_TLS_PEER_H
#define TRANSPORT_TLS_PEER_H

#include <stdbool.h>

#include <nng/nng.h>

#include "pdvault/code.h"

struct tls_context;
struct tls_peer;

/*
 * tls_peer_of(pipe, out):
 * The peer of ${pipe}, a connection made under a tls_context. May be called in any pipe
 * callback: best in NNG_PIPE_EV_ADD_PRE, since later the pipe may be gone. The caller
 * frees ${out} by tls_peer_free.
 *
 * PDV_UNAUTHENTICATED: not a TLS connection of this engine, or its handshake is not done,
 * or it is gone. PDV_RESOURCE_EXHAUSTED: no memory. Any thread; does not block on the
 * network.
 */
enum pdv_code tls_peer_of(nng_pipe pipe, struct tls_peer **out)
    __attribute__((warn_unused_result));

/*
 * tls_peer_spiffe(p):
 * The SPIFFE id, at most SPIFFE_MAX bytes (spiffe.h), valid as long as ${p}. Never empty
 * at a server. At a client that checks the host it is "" if the server's certificate
 * has none.
 */
const char *tls_peer_spiffe(const struct tls_peer *p);

/*
 * tls_peer_valid(p, c):
 * Would the certificate of ${p} be accepted by the context ${c} now (its CA and CRL as
 * last read, and the time)? The host is not checked again. For closing connections
 * after tls_context_reload. Costs a signature check per certificate of the chain (some
 * 0.1 ms). Also false without memory. Any thread.
 */
bool tls_peer_valid(const struct tls_peer *p, struct tls_context *c);

/* tls_peer_free(p): free ${p}. NULL: nothing. */
void tls_peer_free(struct tls_peer *p);

#endif /* TRANSPORT_TLS_PEER_H */
