/*
 * What serve.c, serve_parts.c and serve_loop.c share: the parts of a running server.
 */
#ifndef SERVER_SERVE_INTERNAL_H
#define SERVER_SERVE_INTERNAL_H

#include <signal.h>
#include <stdatomic.h>

#include "server/metrics.h"
#include "server/pulse.h"
#include "server/serve.h"

struct serve {
	const struct config *config;
	struct access *access;
	struct tls_context *tls;
	struct vault *vault;
	struct writer *writer;
	struct rotate *rotate;
	struct ledger_copies *copies;
	struct http *http;
	struct rpc *rpc;
	struct pulse pulse;
	_Atomic(const char *) state;	/* NULL: serving; else "starting" or "draining" */
};

/* The labels of the metrics: names of all methods, then "unknown". Static. */
const char *const *serve_labels(unsigned *count);

/* Signals that the loop takes; they are blocked in every thread. */
void serve_signals(sigset_t *out);

/* Until SIGTERM or SIGINT, which it returns. */
int serve_loop(struct serve *s);

#endif /* SERVER_SERVE_INTERNAL_H */
