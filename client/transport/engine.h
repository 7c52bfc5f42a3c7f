/*
 * The TLS engine: OpenSSL 3 behind nng's public engine interface, in place of the
 * mbedTLS that nng came with. TLS 1.3 only, both ends show certificates, and one SP
 * message travels as one TLS record (framing.h).
 *
 * What an operator gives (files, whom to expect) is in tls_context.h, what a connection
 * tells about its peer in tls_peer.h.
 */
#ifndef TRANSPORT_ENGINE_H
#define TRANSPORT_ENGINE_H

#include <stdint.h>

#include "pdvault/code.h"

/* nng's name for this engine. */
#define ENGINE_NAME "pdvault-openssl"

/*
 * engine_register():
 * Start nng, make this engine the one that it uses, and check that it does. May be
 * called any number of times, by any thread; once is enough before the first listener,
 * dialer or tls_context. nng's threads are started with every signal blocked, so that
 * the program's handlers run in the program's own threads; the caller's mask is put
 * back. No fork after this call, other than one followed by exec.
 *
 * PDV_OK: the engine is in place. PDV_FAILED_PRECONDITION: nng is not 1.5.x, was
 * not linked as orphan.h demands, or does not take the engine; use no tls+tcp:// then.
 */
enum pdv_code engine_register(void) __attribute__((warn_unused_result));

/*
 * engine_handshakes_failed():
 * How many handshakes, of either role, this process has seen fail for another reason than
 * a lost connection or the time limit. Any thread.
 */
uint64_t engine_handshakes_failed(void);

#endif /* TRANSPORT_ENGINE_H */
