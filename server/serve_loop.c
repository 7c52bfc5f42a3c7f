#include <errno.h>
#include <time.h>

#include "client/transport/engine.h"
#include "client/transport/registers.h"
#include "client/transport/tls_context.h"
#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/ledger_copies.h"
#include "server/store/backup.h"
#include "server/notify.h"
#include "server/rpc/server.h"
#include "server/serve_internal.h"
#include "server/store/seals_change.h"
#include "server/store/vault.h"

#define SECOND_NS 1000000000u

void
serve_signals(sigset_t *out)
{
	must(sigemptyset(out) == 0);
	must(sigaddset(out, SIGTERM) == 0 && sigaddset(out, SIGINT) == 0
	    && sigaddset(out, SIGHUP) == 0);
}

/* Seals that the configuration did not have at the start; all else of it needs a restart. */
static void
reload_seals(struct serve *s)
{
	struct ini_faults f = { 0 };
	struct vault_options o;
	struct config *c = NULL;
	enum status rc = s->config->source != NULL ? config_read(s->config->source, &c, &f) : STATUS_OK;

	if (rc == STATUS_OK && c != NULL) {
		serve_vault_options(c, false, &o);
		rc = seals_learn(s->vault, &o);
	}
	if (rc != STATUS_OK) {
		metrics_add(METRIC_RELOAD_FAILURES, 1);
		log_event(LOG_RELOAD_FAILED,
		    LOG_S(WHAT, "seals: those before stay, new ones that are whole are taken"), LOG_STATUS(rc),
		    LOG_S(WHY, f.count > 0 ? f.row[0].text : "the log names the seal"),
		    LOG_N(LINE, f.count > 0 ? f.row[0].line : 0));
	}
	config_free(c);
}

static void
reload(struct serve *s)
{
	char why[TLS_WHY_LEN];

	(void)notify_reloading();
	reload_seals(s);
	if (tls_context_reload(s->tls, why) == PDV_OK) {
		unsigned closed = rpc_recheck_peers(s->rpc);

		log_event(LOG_RELOAD, LOG_S(WHAT, "certificates"), LOG_N(COUNT, closed));
	} else {
		metrics_add(METRIC_RELOAD_FAILURES, 1);
		log_event(LOG_RELOAD_FAILED, LOG_S(WHAT, "certificates, the old ones stay"),
		    LOG_S(WHY, why));
	}
	(void)notify_send("READY=1");
}

static void
gauges(struct serve *s)
{
	struct vault_status st;
	uint64_t failed;

	metrics_set(METRIC_READ_ONLY, vault_read_only(s->vault) != NULL);
	metrics_set(METRIC_CONNECTIONS, rpc_connections(s->rpc));
	metrics_set(METRIC_IN_FLIGHT, rpc_in_flight(s->rpc));
	metrics_set(METRIC_SECRET_BYTES, secret_used());
	metrics_set(METRIC_CERTIFICATE_EXPIRY, (uint64_t)tls_context_expiry(s->tls));
	failed = engine_handshakes_failed();
	if (failed > metrics_get(METRIC_HANDSHAKES_FAILED))
		log_event(LOG_HANDSHAKES_FAILED, LOG_N(COUNT, failed - metrics_get(METRIC_HANDSHAKES_FAILED)),
		    LOG_S(WHY, tls_context_refused(s->tls) ? "a certificate was refused, here or there"
			: "no TLS 1.3, or cut off"));
	metrics_set(METRIC_HANDSHAKES_FAILED, failed);
	if (vault_status(s->vault, &st) != STATUS_OK)
		return;		/* an unreadable store is logged where it is read */
	metrics_set(METRIC_EPOCH, st.epoch);
	metrics_set(METRIC_SETTLED_EPOCH, st.settled);
	metrics_set(METRIC_SUBJECTS, st.subjects);
	metrics_set(METRIC_ERASED, st.erased);
	metrics_set(METRIC_STORE_BYTES, st.store_used);
	metrics_set(METRIC_STORE_LIMIT, st.store_limit);
	metrics_set(METRIC_KEY_BACKUPS, st.key_backups);
	for (size_t i = 0; i < BACKUP_NOTE_COUNT; i++)
		metrics_set((enum metric)(METRIC_BACKUP_DATA + i), (uint64_t)st.backup_ms[i] / 1000);
	_Static_assert(METRIC_BACKUP_DRILL - METRIC_BACKUP_DATA == (int)BACKUP_NOTE_DRILL, "one for each");
	metrics_set(METRIC_LEDGER_LAG, ledger_copies_lag(s->copies, st.ledger_entries));
}

static struct timespec
until(uint64_t when, uint64_t now)
{
	uint64_t ns = when > now ? when - now : 0;

	return (struct timespec){ (time_t)(ns / SECOND_NS), (long)(ns % SECOND_NS) };
}

/* Everything that happens every second, and the watchdog's sign of life if the server has one. */
static void
tick(struct serve *s, uint64_t now, uint64_t *watchdog_at)
{
	uint64_t every = notify_watchdog_ns();

	gauges(s);
	vault_watch(s->vault);
	pulse_tick(&s->pulse, s->writer, now);
	if (every != 0 && now >= *watchdog_at && pulse_stuck(&s->pulse, now) == NULL) {
		(void)notify_send("WATCHDOG=1");
		*watchdog_at = now + (every > SECOND_NS ? every - SECOND_NS : 0);
	}
}

int
serve_loop(struct serve *s)
{
	uint64_t now = clock_monotonic_ns(), next = now, watchdog_at = now;
	struct timespec wait;
	sigset_t set;
	int got;

	serve_signals(&set);
	for (;;) {
		if ((now = clock_monotonic_ns()) >= next) {
			tick(s, now, &watchdog_at);
			next = now + SECOND_NS;
		}
		wait = until(next, now);
		registers_wipe();
		got = sigtimedwait(&set, NULL, &wait);
		must(got > 0 || errno == EAGAIN || errno == EINTR);
		if (got == SIGHUP)
			reload(s);
		else if (got > 0)
			return got;
	}
}
