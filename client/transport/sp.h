/*
 * Settings of the SP sockets, one place for both ends.
 */
#ifndef TRANSPORT_SP_H
#define TRANSPORT_SP_H

#include <stdbool.h>

#include <nng/nng.h>

#include "pdvault/code.h"

#define SP_MESSAGE_MAX (1024 * 1024)	/* bytes of one SP message, with its SP header */
#define SP_URL_MAX 512			/* bytes of a URL */

enum sp_role { SP_SERVER, SP_CLIENT };

/*
 * sp_settle(s, role):
 * Set what a fresh REP (SP_SERVER) or REQ (SP_CLIENT) socket ${s} needs, raw ones too,
 * and read it back. Call it before the first listener, dialer or context: nng copies
 * the settings into those when they are made.
 *   - no message above SP_MESSAGE_MAX: its connection is closed before memory is taken;
 *   - TCP_NODELAY and SO_KEEPALIVE;
 *   - SP_CLIENT: a request is never sent again by nng.
 *
 * PDV_FAILED_PRECONDITION: nng did not take a setting; do not use the socket. Any thread.
 */
enum pdv_code sp_settle(nng_socket s, enum sp_role role)
    __attribute__((warn_unused_result));

/*
 * sp_url_ok(url):
 * Is ${url} tls+tcp://HOST:PORT, nothing more and nothing else? HOST is a name, an IPv4
 * address or an IPv6 address in brackets, PORT a decimal number from 0 to 65535 (0: any
 * free port, for a listener). Any thread.
 */
bool sp_url_ok(const char *url);

#endif /* TRANSPORT_SP_H */
