/*
 * TLS peers made of a plain socket and OpenSSL alone, to break the rules or look closely.
 */
#ifndef TESTS_RAW_TLS_H
#define TESTS_RAW_TLS_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "pki.h"

/*
 * raw_tls_connect(p, cert, port, version):
 * Connect to 127.0.0.1 with certificate ${cert} (NULL: none), no newer than TLS ${version},
 * and handshake. NULL if the handshake failed. The caller ends it by raw_tls_close.
 * Each read gives up after some seconds.
 */
SSL *raw_tls_connect(struct pki *p, const char *cert, int port, int version);

/* raw_tls_listen(port): a listening socket on 127.0.0.1, which the caller closes. */
int raw_tls_listen(int *port);

/*
 * raw_tls_accept(p, cert, fd):
 * Take one connection and handshake as a server with ${cert} that asks for a certificate and
 * looks at none. NULL if that failed. The caller ends it by raw_tls_close.
 */
SSL *raw_tls_accept(struct pki *p, const char *cert, int fd);

/* raw_tls_quiet(ssl, ms): does the other end send nothing for that long? */
bool raw_tls_quiet(SSL *ssl, int ms);

/*
 * raw_tls_greet(ssl):
 * Exchange SP headers, as a REQ or, of an accepted connection, as a REP; did the other
 * end's come?
 */
bool raw_tls_greet(SSL *ssl);

/*
 * raw_tls_ask(ssl):
 * After raw_tls_greet: is a request answered? Then nng has given the connection to its
 * socket. (It leaks one whose listener is closed between the greeting and that.)
 */
bool raw_tls_ask(SSL *ssl);

/* raw_tls_pour(ssl, count): after raw_tls_greet: send ${count} requests, wait for nothing. */
bool raw_tls_pour(SSL *ssl, unsigned char count);

/* raw_tls_ended(ssl): read on: has the other end closed, and not just kept silent? */
bool raw_tls_ended(SSL *ssl);

/* raw_tls_serial(ssl, text): the serial number of the server's certificate, in hex. */
void raw_tls_serial(SSL *ssl, char text[static 64]);

/* raw_tls_close(ssl): send close_notify, close the socket, free. */
void raw_tls_close(SSL *ssl);

#endif /* TESTS_RAW_TLS_H */
