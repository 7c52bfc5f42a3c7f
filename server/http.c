#include "server/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "server/log.h"
#include "server/metrics.h"

#define TEXT "text/plain; charset=utf-8"
#define METRICS_SPARE 4096u	/* numbers grow while they are printed */

struct http {
	struct http_options options;
	struct MHD_Daemon *daemon;
	uint16_t port;
};

/* A whole answer; body is malloc'd and given away. */
struct answer {
	unsigned code;
	const char *type;
	char *body;
	size_t len;
};

static enum MHD_Result
say(struct MHD_Connection *to, struct answer a)
{
	struct MHD_Response *r = NULL;
	enum MHD_Result done = MHD_NO;

	if (a.body == NULL)
		return MHD_NO;
	r = MHD_create_response_from_buffer(a.len, a.body, MHD_RESPMEM_MUST_FREE);
	if (r == NULL) {
		free(a.body);
		return MHD_NO;
	}
	if (MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a.type) == MHD_YES
	    && MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES
	    && (a.code != MHD_HTTP_METHOD_NOT_ALLOWED
	        || MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES))
		done = MHD_queue_response(to, a.code, r);
	MHD_destroy_response(r);
	return done;
}

static struct answer
words(unsigned code, const char *text)
{
	size_t len = strlen(text);
	char *body = malloc(len + 2);

	if (body != NULL) {
		memcpy(body, text, len);
		body[len] = '\n';
		body[len + 1] = '\0';
	}
	return (struct answer){ code, TEXT, body, len + 1 };
}

static struct answer
probe(const char *why_not)
{
	return why_not == NULL ? words(MHD_HTTP_OK, "ok")
	    : words(MHD_HTTP_SERVICE_UNAVAILABLE, why_not);
}

static struct answer
livez(const struct http *h)
{
	return probe(h->options.alive(h->options.owner));
}

static struct answer
readyz(const struct http *h)
{
	return probe(h->options.ready(h->options.owner));
}

static struct answer
print_metrics(const struct http *h)
{
	struct answer a = { MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", NULL, 0 };
	size_t cap = metrics_print(NULL, 0, h->options.methods, h->options.method_count)
	    + METRICS_SPARE;

	if ((a.body = malloc(cap)) == NULL)
		return a;
	a.len = metrics_print(a.body, cap, h->options.methods, h->options.method_count);
	must(a.len < cap);
	return a;
}

static const struct {
	const char *path;
	struct answer (*make)(const struct http *h);
} pages[] = {
	{ "/metrics", print_metrics },
	{ "/livez", livez },
	{ "/readyz", readyz },
};

static struct answer
page(const struct http *h, const char *path)
{
	size_t i;

	for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (strcmp(pages[i].path, path) == 0)
			return pages[i].make(h);
	return words(MHD_HTTP_NOT_FOUND, "not found");
}

/* libmicrohttpd calls this once per request for its head, then for the body until it is read. */
static enum MHD_Result
handle(void *owner, struct MHD_Connection *from, const char *path, const char *method,
    const char *version, const char *body, size_t *body_len, void **state)
{
	static char seen;

	(void)version;
	(void)body;
	if (*state == NULL) {
		*state = &seen;
		return MHD_YES;
	}
	if (*body_len > 0)		/* nothing here takes a body */
		return MHD_NO;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return say(from, words(MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only"));
	return say(from, page(owner, path));
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static bool
loopback(const struct config_address *a, union address *out)
{
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, a->host, &out->v4.sin_addr) == 1) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(a->port);
		return (ntohl(out->v4.sin_addr.s_addr) >> 24) == 127;
	}
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(a->port);
	return inet_pton(AF_INET6, a->host, &out->v6.sin6_addr) == 1
	    && IN6_IS_ADDR_LOOPBACK(&out->v6.sin6_addr);
}

static struct MHD_Daemon *
start_daemon(struct http *h, union address *at)
{
	const unsigned flags = MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD
	    | (at->any.sa_family == AF_INET6 ? MHD_USE_IPv6 : 0u);

	return MHD_start_daemon(flags, 0, NULL, NULL, handle, h,
	    MHD_OPTION_SOCK_ADDR, &at->any,
	    MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS_MAX,
	    MHD_OPTION_CONNECTION_TIMEOUT, HTTP_TIMEOUT_S,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384,
	    MHD_OPTION_END);
}

enum status
http_start(const struct http_options *o, struct http **out)
{
	enum status rc = STATUS_OK;
	struct http *h = NULL;
	const union MHD_DaemonInfo *info;
	union address at;

	if (!loopback(o->address, &at))
		return STATUS_REFUSED;
	if ((h = calloc(1, sizeof(*h))) == NULL)
		return STATUS_NO_MEMORY;
	h->options = *o;
	if ((h->daemon = start_daemon(h, &at)) == NULL) {
		log_event(LOG_FATAL, LOG_S(WHAT, "cannot serve HTTP"),
		    LOG_S(ADDRESS, o->address->host), LOG_N(OTHER, o->address->port),
		    LOG_S(ERRNO, strerror(errno)));
		rc = STATUS_IO;
		goto out;
	}
	info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT);
	must(info != NULL);
	h->port = info->port;
	*out = h;
	h = NULL;
out:
	http_stop(h);
	return rc;
}

uint16_t
http_port(const struct http *h)
{
	return h->port;
}

void
http_stop(struct http *h)
{
	if (h == NULL)
		return;
	if (h->daemon != NULL)
		MHD_stop_daemon(h->daemon);
	free(h);
}
