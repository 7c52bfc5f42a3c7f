/*
 * What the two halves of the engine share: configurations and registration in engine.c,
 * connections in engine_conn.c.
 */
#ifndef TRANSPORT_ENGINE_INTERNAL_H
#define TRANSPORT_ENGINE_INTERNAL_H

#include <stdint.h>

#include <nng/nng.h>

#include <nng/supplemental/tls/engine.h>

#define ENGINE_HOST_MAX 255

struct tls_context;

/* nng makes one for each listener and dialer by itself: that one has no context. */
struct nng_tls_engine_config {
	struct tls_context *context;
	char host[ENGINE_HOST_MAX + 1];	/* that was dialled, or "" */
};

/* What nng calls for a connection, always under that connection's lock. */
extern nng_tls_engine_conn_ops engine_conn_ops;

/* engine_conn_failed(): see engine_handshakes_failed. */
uint64_t engine_conn_failed(void);

/* nng's, by name. */
int nng_tls_engine_init_mbed(void);
void nng_tls_engine_fini_mbed(void);

#ifdef PDV_TEST_HOOKS
#include <stdatomic.h>

/* Records with application data that this process wrote. */
extern atomic_ulong engine_conn_records;
#endif

#endif /* TRANSPORT_ENGINE_INTERNAL_H */
