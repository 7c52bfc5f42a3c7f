/*
 * A small SP server and client over the TLS engine, for tests of the transport: the
 * server answers each request with its bytes, then the SPIFFE id of who asked.
 * A failure to set things up aborts.
 */
#ifndef TESTS_ECHO_H
#define TESTS_ECHO_H

#include <stddef.h>

#include <nng/nng.h>

#include "client/transport/tls_context.h"
#include "pki.h"

#define ECHO_TIMEOUT 20000	/* ms; only a broken test waits as long */

struct echo;

/* echo_files(p, cert): the files of certificate ${cert} and the CA; paths of pki_path. */
struct tls_files echo_files(struct pki *p, const char *cert);

/* echo_context(p, cert, role): a context over them. The caller frees it. */
struct tls_context *echo_context(struct pki *p, const char *cert, enum tls_role role);

/* echo_listen(c): a server on 127.0.0.1 at any port. The caller frees it by echo_free. */
struct echo *echo_listen(struct tls_context *c);

int echo_port(const struct echo *e);

/* echo_reject(e, reject): refuse new pipes, or not, before their first message. */
void echo_reject(struct echo *e, bool reject);

/* echo_cut(e, cut): instead of answering, close the connection that a request came by. */
void echo_cut(struct echo *e, bool cut);

/* echo_requests(e): how many requests came in. */
unsigned long echo_requests(const struct echo *e);

/*
 * echo_ended(e, count):
 * Have ${count} connections come and gone, so that nng freed them? Waits some seconds.
 */
bool echo_ended(struct echo *e, unsigned long count);

/*
 * echo_sweep(e, c):
 * Close the connections whose peers are not valid under ${c} any more; how many stay.
 */
unsigned echo_sweep(struct echo *e, struct tls_context *c);

/* echo_free(e): close it and wait until nothing runs in it. */
void echo_free(struct echo *e);

/*
 * echo_dial(c, host, port, s):
 * A client's socket ${s}, connected; nng's error if that failed, and then ${s} is closed.
 */
int echo_dial(struct tls_context *c, const char *host, int port, nng_socket *s);

/*
 * echo_ask(s, bytes, len, id):
 * One request of ${len} bytes: 0 if the answer was right and from ${id} (NULL: anyone), else
 * nng's error, NNG_EPROTO for a wrong answer.
 */
int echo_ask(nng_socket s, const void *bytes, size_t len, const char *id);

#endif /* TESTS_ECHO_H */
