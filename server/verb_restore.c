#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/harden.h"
#include "server/keys/secret.h"
#include "server/restore/drill.h"
#include "server/serve.h"
#include "server/verbs.h"

/* Ids of subjects whose identity was lost, in memory until the restore is done. */
struct lost {
	uint8_t *id;
	size_t count, room;
	bool failed;
};

static void
keep(void *arg, const uint8_t subject[static SUBJECT_ID_LEN])
{
	struct lost *l = arg;

	if (l->count == l->room) {
		size_t room = l->room * 2 + 1024;
		uint8_t *more = realloc(l->id, room * SUBJECT_ID_LEN);

		if (more == NULL) {
			l->failed = true;
			return;
		}
		l->id = more;
		l->room = room;
	}
	memcpy(l->id + l->count++ * SUBJECT_ID_LEN, subject, SUBJECT_ID_LEN);
}

/* sub_ and lower-case base32 without padding (RFC 4648), as everywhere. */
static char *
put_id(const uint8_t id[static SUBJECT_ID_LEN], char *out)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint32_t bits = 0;
	unsigned have = 0;

	for (const char *p = "sub_"; *p != '\0'; p++)
		*out++ = *p;
	for (size_t i = 0; i < SUBJECT_ID_LEN; i++) {
		bits = bits << 8 | id[i];
		for (have += 8; have >= 5; have -= 5)
			*out++ = digits[bits >> (have - 5) & 31];
	}
	*out++ = digits[bits << (5 - have) & 31];
	*out++ = '\n';
	return out;
}

#define ID_TEXT 31u	/* with its line feed */

/*
 * The report is made before the restore, so that a restore is not told without it. An empty one is that of a
 * try that was cut off. *fd: -1 without one.
 */
static enum status
open_report(const char *path, int *fd)
{
	const int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	struct stat st;

	*fd = -1;
	if (path == NULL)
		return STATUS_OK;
	if ((*fd = open(path, flags, 0600)) < 0) {
		log_event(LOG_FATAL, LOG_S(PATH, path), LOG_S(WHAT, "the report cannot be made"),
		    LOG_S(ERRNO, strerror(errno)));
		return STATUS_CONFIG;
	}
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
		return STATUS_OK;
	(void)close(*fd);
	*fd = -1;
	log_event(LOG_FATAL, LOG_S(PATH, path),
	    LOG_S(WHAT, "there is one already: give the report a new name"));
	return STATUS_REFUSED;
}

/* The ids, into the report, or where there is none that can be written to the end of what is said. */
static void
tell_lost(const struct lost *l, const char *path, int fd)
{
	char line[ID_TEXT + 1];
	FILE *to = fd >= 0 ? fdopen(fd, "w") : NULL;
	bool done = to != NULL;

	for (size_t i = 0; done && i < l->count; i++)
		done = fwrite(line, 1, (size_t)(put_id(l->id + i * SUBJECT_ID_LEN, line) - line), to) > 0;
	done = done && fflush(to) == 0 && fsync(fd) == 0;
	if (to != NULL)
		done = fclose(to) == 0 && done;
	if (l->failed)
		log_event(LOG_RESTORE, LOG_S(PATH, path), LOG_S(WHY, "out of memory"),
		    LOG_S(WHAT, "restored, but the report is not complete"));
	if (done)
		return;
	log_event(LOG_RESTORE, LOG_S(PATH, path), LOG_S(ERRNO, strerror(errno)),
	    LOG_S(WHAT, "restored, but the report cannot be written: its lines are on the output"));
	for (size_t i = 0; i < l->count; i++)
		(void)fwrite(line, 1, (size_t)(put_id(l->id + i * SUBJECT_ID_LEN, line) - line), stdout);
}

static bool
hash(const char *text, uint8_t out[static SEAL_DIGEST_LEN])
{
	const char *end = NULL;
	size_t len = 0;

	return sodium_hex2bin(out, SEAL_DIGEST_LEN, text, strlen(text), NULL, &len, &end) == 0 &&
	    *end == '\0' && len == SEAL_DIGEST_LEN;
}

static enum status
no_hash(void)
{
	log_event(LOG_FATAL, LOG_S(WHAT, "a head is 64 hexadecimal digits, as `pdvault ledger head` says it"));
	return STATUS_CONFIG;
}

static void
say(const struct restore_report *r)
{
	(void)printf("restored: %" PRIu64 " subjects, %" PRIu64 " records, %" PRIu64 " transactions\n",
	    r->subjects, r->rows.records, r->rows.transactions);
	(void)printf("forgotten: %" PRIu64 " subjects as a whole, %" PRIu64 " in part, of a ledger of %" PRIu64
	    " entries\n", r->forgotten, r->shredded, r->ledger_entries);
	(void)printf("without a record: %" PRIu64 " subjects, whose identity is lost\n", r->rows.lost);
	(void)printf("without keys: %" PRIu64
	    " people, of whom there are records alone: they came after the backup of keys\n",
	    r->strangers);
	(void)printf("left out: %" PRIu64 " rows without a key, %" PRIu64 " damaged rows, %" PRIu64
	    " damaged keyrings, %" PRIu64 " look-ups that another has\n", r->rows.keyless, r->rows.damaged,
	    r->damaged_keyrings, r->lookups_taken);
	(void)printf("epoch %" PRIu64 ", incarnation %" PRIu64 "\n", r->epoch, r->incarnation);
	if (r->resurrection)
		(void)puts("RESURRECTION: a newer ledger is known of. People who were erased may be back; the\n"
		    "vault says so in its status for ever. Ask for their erasure again.");
}

static volatile sig_atomic_t stopped;

static void
stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* Whoever stops it must not leave a vault half made; a second time does. */
static void
catch_signals(void)
{
	static const int all[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction a = { .sa_handler = stop, .sa_flags = SA_RESTART | (int)SA_RESETHAND };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		must(sigaction(all[i], &a, NULL) == 0);
}

/* What both verbs want, out of the command line. */
struct asked {
	uint8_t head[SEAL_DIGEST_LEN], accept[SEAL_DIGEST_LEN];
	struct vault_options vault;
	struct restore_options o;
};

static enum status
ask(const struct config *c, const struct verb_options *o, struct asked *a)
{
	enum status rc = harden_limits(0);

	_Static_assert(VERB_PATHS_MAX <= BACKUP_CHAIN_MAX, "the list fits");
	*a = (struct asked){ .o = { .vault = &a->vault,
				 .keys = o->keys,
				 .living = o->living,
				 .ledger = o->ledger,
				 .head = o->head != NULL ? a->head : NULL,
				 .accept = o->accept != NULL ? a->accept : NULL,
				 .stop = &stopped } };
	catch_signals();
	serve_vault_options(c, o->force_class_d, &a->vault);
	for (size_t i = 0; i < o->data.count; i++)
		a->o.data.path[a->o.data.count++] = o->data.path[i];
	for (size_t i = 0; i < o->recovery.count; i++)
		a->o.recovery.path[a->o.recovery.count++] = o->recovery.path[i];
	if ((o->head != NULL && !hash(o->head, a->head)) || (o->accept != NULL && !hash(o->accept, a->accept)))
		rc = no_hash();
	return rc == STATUS_OK ? serve_secrets(c) : rc;
}

static enum status
end(enum status rc, const char *what)
{
	if (rc != STATUS_OK)
		log_event(LOG_RESTORE, LOG_S(WHAT, what), LOG_STATUS(rc));
	secret_end();
	return rc;
}

enum status
verb_restore(const struct config *c, const struct verb_options *o)
{
	struct lost lost = { .id = NULL };
	struct restore_report report;
	struct asked a;
	int fd = -1;
	enum status rc = ask(c, o, &a);

	a.o.lost = keep;
	a.o.arg = &lost;
	for (unsigned i = 0; i < c->ledger_copies.count; i++)
		a.o.copies.path[a.o.copies.count++] = c->ledger_copies.word[i];
	if (rc == STATUS_OK)
		rc = open_report(o->report, &fd);
	if (rc == STATUS_OK && (rc = restore_run(&a.o, &report)) == STATUS_OK) {
		say(&report);
		if (o->report != NULL)
			tell_lost(&lost, o->report, fd);
	} else if (fd >= 0) {
		(void)close(fd);
		(void)unlink(o->report);
	}
	free(lost.id);
	return end(rc, "not restored");
}

enum status
verb_drill(const struct config *c, const struct verb_options *o)
{
	struct drill_report r;
	struct asked a;
	enum status rc = ask(c, o, &a);

	if (rc == STATUS_OK && (rc = drill_run(&a.o, o->place, &r)) == STATUS_OK) {
		say(&r.restored);
		(void)printf("looked at: %" PRIu64 " subjects, %" PRIu64
			     " look-ups that led back to them, %" PRIu64 " tombstones\n",
		    r.sampled, r.found, r.erased_sampled);
		(void)printf("restored in %" PRIu64 " ms, open after %" PRIu64 " ms, looked at in %" PRIu64
		    " ms; removed again\n", r.restore_ms, r.open_ms, r.sample_ms);
	}
	return end(rc, "the drill failed");
}
