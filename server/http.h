/*
 * The small HTTP port for machines that watch: /metrics (Prometheus text 0.0.4), /livez and
 * /readyz. On loopback only (config.h sees to it), a few connections, GET and HEAD, no bodies.
 */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H

#include "server/config.h"
#include "server/status.h"

#define HTTP_CONNECTIONS_MAX 32u
#define HTTP_TIMEOUT_S 5u		/* of a connection that does nothing */

struct http;

/* Borrowed until http_stop; the functions are called by http's own thread. */
struct http_options {
	const struct config_address *address;
	const char *const *methods;	/* names of the method table, for the metrics' labels */
	unsigned method_count;
	void *owner;
	/* NULL: well. Else a static word of why not, as "draining". */
	const char *(*alive)(void *owner);
	const char *(*ready)(void *owner);
};

/*
 * STATUS_IO: the address is taken; the log says so. STATUS_REFUSED: not on loopback. Block
 * signals before: its thread inherits the mask.
 */
enum status http_start(const struct http_options *o, struct http **out) MUST_USE;

/* The port that it got. */
uint16_t http_port(const struct http *h);

/* NULL: nothing. */
void http_stop(struct http *h);

#endif /* SERVER_HTTP_H */
