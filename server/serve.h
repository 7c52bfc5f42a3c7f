/*
 * The running server: its parts put together in order, the main thread's loop, and the
 * way down again. The main thread.
 */
#ifndef SERVER_SERVE_H
#define SERVER_SERVE_H

#include "server/config.h"
#include "server/status.h"

struct serve;

#define SERVE_DRAIN_MS 10000u		/* for requests in flight; later ones are cut */

/* What vault_open and vault_init need of a configuration. */
struct vault_options;
void serve_vault_options(const struct config *c, bool force_class_d, struct vault_options *out);

/*
 * serve_tls(c, out), serve_access(c, out): the TLS context and the principals of a configuration.
 * The caller frees ${out}. STATUS_CONFIG, STATUS_REFUSED, STATUS_NO_MEMORY: logged.
 */
struct tls_context;
struct access;
enum status serve_tls(const struct config *c, struct tls_context **out) MUST_USE;
enum status serve_access(const struct config *c, struct access **out) MUST_USE;

/* Locked memory and the random source, as ${c} has it: before any thread. Logged. */
enum status serve_secrets(const struct config *c) MUST_USE;

/*
 * serve_run(c, force_class_d):
 * Start, serve until SIGTERM or SIGINT, drain, stop. SIGHUP reads certificates, CA and
 * CRL again. harden_process() comes before. STATUS_OK: stopped in order. Anything else:
 * it did not start; the log says why.
 */
enum status serve_run(const struct config *c, bool force_class_d) MUST_USE;

#endif /* SERVER_SERVE_H */
