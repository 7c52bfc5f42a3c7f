#include "server/serve.h"

#include <stdlib.h>
#include <unistd.h>

#include "client/transport/registers.h"
#include "client/transport/tls_context.h"
#include "server/access/access.h"
#include "server/clock.h"
#include "server/harden.h"
#include "server/http.h"
#include "server/keys/secret.h"
#include "server/ledger_copies.h"
#include "server/methods.h"
#include "server/notify.h"
#include "server/rpc/server.h"
#include "server/rotate/rotate.h"
#include "server/serve_internal.h"
#include "server/store/vault.h"
#include "server/version.h"

/* Besides connections: the store, the anchor, listeners, nng's and libmicrohttpd's own. */
#define SPARE_DESCRIPTORS 128u
#define COPIES_PATIENCE_MS 5000u
#define SEALS_PATIENCE_MS 5000u

static const char *
alive(void *owner)
{
	struct serve *s = owner;

	return pulse_stuck(&s->pulse, clock_monotonic_ns());
}

static const char *
ready(void *owner)
{
	struct serve *s = owner;
	const char *why = atomic_load(&s->state);

	if (why == NULL)
		why = vault_read_only(s->vault);
	return why == NULL && ledger_copies_late(s->copies) ? "LEDGER_COPY_LATE" : why;
}

static enum status
start_http(struct serve *s)
{
	unsigned count;
	const char *const *labels = serve_labels(&count);
	const struct http_options o = {
		.address = &s->config->metrics, .methods = labels, .method_count = count,
		.owner = s, .alive = alive, .ready = ready,
	};
	enum status rc;

	if (s->config->metrics.off)
		return STATUS_OK;
	if ((rc = http_start(&o, &s->http)) == STATUS_OK)
		log_event(LOG_LISTEN, LOG_S(WHAT, "http"), LOG_S(ADDRESS, s->config->metrics.host),
		    LOG_N(OTHER, http_port(s->http)));
	return rc;
}

/* The table of keys has bounded them all. */
static struct rpc_limits
limits(const struct config *c)
{
	struct rpc_limits l = RPC_LIMITS_DEFAULT;

	l.requests = (unsigned)c->contexts;
	l.connections = (unsigned)c->connections_max;
	l.connections_per_principal = (unsigned)c->connections_per_principal;
	l.in_flight_per_connection = (unsigned)c->in_flight_per_connection;
	l.in_flight_per_principal = (unsigned)c->in_flight_per_principal;
	l.idle_timeout_ms = (unsigned)c->idle_timeout_ms;
	l.handshake_timeout_ms = (unsigned)c->handshake_timeout_ms;
	l.default_timeout_ms = (unsigned)c->default_timeout_ms;
	l.max_timeout_ms = (unsigned)c->max_timeout_ms;
	l.send_timeout_ms = (unsigned)c->send_timeout_ms;
	l.pool_threads = (unsigned)c->pool_threads;
	l.pool_queue = (unsigned)c->pool_queue;
	return l;
}

static enum status
start_rpc(struct serve *s)
{
	const struct config *c = s->config;
	unsigned count;
	struct rpc_options o = {
		.urls = c->urls.word, .url_count = c->urls.count, .tls = s->tls,
		.access = s->access, .methods = methods_table(&count), .vault = s->vault,
		.writer = s->writer, .incarnation = vault_incarnation(s->vault),
		.epoch = vault_epoch,
		.limits = limits(c),
	};

	_Static_assert(sizeof(o.vault_id) == VAULT_ID_LEN, "one id");
	o.method_count = count;
	memcpy(o.vault_id, vault_id(s->vault), VAULT_ID_LEN);
	return rpc_start(&o, &s->rpc);
}

static enum status
start_rotate(struct serve *s)
{
	const struct config *c = s->config;
	const struct rotate_options o = { .vault = s->vault,
		.writer = s->writer,
		.every = { .seal = c->rotate_seal_ms,
		    .tree = c->rotate_tree_ms,
		    .subjects = c->rotate_subjects_ms,
		    .index = c->rotate_index_ms,
		    .signing = c->rotate_signing_ms },
		.rate = (uint32_t)c->rotate_rate };

	return rotate_start(&o, &s->rotate);
}

static enum status
start_copies(struct serve *s)
{
	const struct config *c = s->config;
	const struct ledger_copies_options o = {
		.path = c->ledger_copies.word, .count = c->ledger_copies.count, .store = c->vault_path,
		.late_ms = c->ledger_late_ms,
	};

	_Static_assert(CONFIG_LEDGERS_MAX == LEDGER_COPIES_MAX, "copies of the ledger");
	return o.count > 0 ? ledger_copies_start(s->vault, &o, &s->copies) : STATUS_OK;
}

static enum status
start(struct serve *s, bool force_class_d)
{
	struct vault_options o;
	enum status rc;

	serve_vault_options(s->config, force_class_d, &o);
	if ((rc = harden_limits(s->config->connections_max + SPARE_DESCRIPTORS)) != STATUS_OK
	    || (rc = serve_secrets(s->config)) != STATUS_OK
	    || (rc = serve_access(s->config, &s->access)) != STATUS_OK
	    || (rc = serve_tls(s->config, &s->tls)) != STATUS_OK
	    || (rc = vault_open(&o, &s->vault)) != STATUS_OK)
		return rc;
	/* Threads are born with the registers of who starts them, and this one has handled the keys. */
	registers_wipe();
	pulse_start(&s->pulse, clock_monotonic_ns());
	if ((rc = writer_start(s->vault, &s->writer)) != STATUS_OK
	    || (rc = start_rotate(s)) != STATUS_OK
	    || (rc = start_copies(s)) != STATUS_OK
	    || (rc = start_http(s)) != STATUS_OK)
		return rc;
	return start_rpc(s);
}

/* From what the world sees to what the rest stands on; parts that never started are NULL. */
static void
stop(struct serve *s)
{
	if (s->rpc != NULL)
		rpc_drain(s->rpc, SERVE_DRAIN_MS);
	if (!rotate_stop(s->rotate, SEALS_PATIENCE_MS)) {
		/* As after a crash: what was answered is durable, and all keys go with the process. */
		log_event(LOG_SEAL, LOG_S(WHAT, "the device of a seal hangs: ended without it"));
		log_event(LOG_STOP);
		_exit(0);
	}
	if (s->writer != NULL)
		writer_stop(s->writer);
	rpc_free(s->rpc);
	http_stop(s->http);
	if (!ledger_copies_stop(s->copies, COPIES_PATIENCE_MS)) {
		/* In a system call that nothing ends; it goes with the process, and so do all keys. */
		log_event(LOG_LEDGER_COPY, LOG_S(WHAT, "a copy's place hangs: ended without it"));
		log_event(LOG_STOP);
		_exit(0);
	}
	if (s->vault != NULL)
		vault_close(s->vault);
	tls_context_free(s->tls);
	access_free(s->access);
	secret_end();
}

enum status
serve_run(const struct config *c, bool force_class_d)
{
	struct serve *s = NULL;
	enum status rc = STATUS_NO_MEMORY;
	sigset_t set;
	int signal;

	(void)version_start_ns();
	/* Before the first thread, nng's above all: each inherits the mask. */
	serve_signals(&set);
	must(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	must(sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL) == 0);
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return rc;
	s->config = c;
	atomic_store(&s->state, "starting");
	log_event(LOG_START, LOG_S(VERSION, VERSION_TEXT));
	if ((rc = start(s, force_class_d)) != STATUS_OK) {
		log_event(LOG_FATAL, LOG_S(WHAT, "did not start"), LOG_STATUS(rc));
		goto out;
	}
	atomic_store(&s->state, NULL);
	log_event(LOG_READY, LOG_N(EPOCH, vault_epoch(s->vault)));
	(void)notify_send("READY=1\nSTATUS=serving");
	signal = serve_loop(s);
	atomic_store(&s->state, "draining");
	log_event(LOG_DRAIN, LOG_N(SIGNAL, signal), LOG_N(COUNT, rpc_in_flight(s->rpc)));
	(void)notify_send("STOPPING=1\nSTATUS=draining");
out:
	stop(s);
	free(s);
	log_event(LOG_STOP);
	return rc;
}
