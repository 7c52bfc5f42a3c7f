#include "server/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/backup/recovery.h"
#include "client/transport/tls_context.h"
#include "server/access/access.h"
#include "server/harden.h"
#include "server/keys/secret.h"
#include "server/serve.h"
#include "server/store/custody.h"
#include "server/store/mark.h"
#include "server/store/moving.h"
#include "server/store/store.h"

/* Options of the vault, and what opening it needs. */
static enum status
begin(const struct config *c, const struct verb_options *o, struct vault_options *out)
{
	enum status rc = harden_limits(0);

	serve_vault_options(c, o->force_class_d, out);
	return rc == STATUS_OK ? serve_secrets(c) : rc;
}

enum status
verb_init(const struct config *c, const struct verb_options *o)
{
	struct vault_options vo;
	enum status rc = begin(c, o, &vo);

	if (rc == STATUS_OK && (rc = vault_init(&vo)) == STATUS_OK)
		log_event(LOG_INIT, LOG_S(PATH, c->vault_path));
	secret_end();
	return rc;
}

/* What must be true of a file or folder of ours. length: of a file, 0 if any will do. */
static bool
check_place(const char *what, const char *path, mode_t type, size_t length)
{
	struct stat st;
	const char *fault = NULL;

	if (lstat(path, &st) != 0)
		fault = strerror(errno);
	else if ((st.st_mode & S_IFMT) != type)
		fault = type == S_IFDIR ? "not a folder" : "not a regular file";
	else if (st.st_uid != geteuid())
		fault = "belongs to another user";
	else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		fault = "open to others (chmod go=)";
	else if (length != 0 && st.st_size != (off_t)length)
		fault = "has the wrong length";
	(void)printf("%s: %s: %s\n", what, path, fault != NULL ? fault : "ok");
	return fault == NULL;
}

static bool
check_anchor(const char *path, bool force_class_d)
{
	const char *why = "";
	char beside[CONFIG_PATH_MAX + 16];
	enum anchor_class class;
	bool ok;

	/* By a name beside it: a server that runs takes it for an alarm when somebody opens the anchor. */
	(void)snprintf(beside, sizeof(beside), "%s.pdvault-check", path);
	class = anchor_class_of(beside, &why);
	ok = class != ANCHOR_CLASS_D || force_class_d;

	(void)printf("anchor: %s: class %c (%s)%s\n", path, (int)class, why,
	    ok ? "" : ": refused without --force-class-d");
	return check_place("anchor", path, S_IFREG, ANCHOR_LEN) && ok;
}

/* One file under two names would be erased by one and kept by the other. */
static bool
check_twice(const struct anchor_paths *p)
{
	struct stat a, b;
	bool ok = true;

	for (size_t i = 1; i < p->count; i++)
		for (size_t j = 0; j < i; j++) {
			if (stat(p->path[i], &a) != 0 || stat(p->path[j], &b) != 0 || a.st_dev != b.st_dev ||
			    a.st_ino != b.st_ino)
				continue;
			ok = false;
			(void)printf("anchor: %s: the same file as %s\n", p->path[i], p->path[j]);
		}
	return ok;
}

/* What an operator has begun and nothing starts before it is through. */
static bool
check_begun(const char *store)
{
	bool move = false, step = false, restore = false;
	bool ok = moving_stands(store, &move) == STATUS_OK && store_step_stands(store, &step) == STATUS_OK &&
	    mark_stands(store, MARK_RESTORE, &restore) == STATUS_OK;

	if (move)
		(void)puts("store: anchor move is not through: run it again");
	if (step)
		(void)puts("store: recover --previous is not through: run it again");
	if (restore)
		(void)puts("store: restore is not through: run it again");
	return ok && !move && !step && !restore;
}

static bool
check_tls(const struct config *c)
{
	struct tls_context *tls = NULL;
	char text[32] = "?";
	struct tm when;
	time_t expiry;
	bool ok = serve_tls(c, &tls) == STATUS_OK;

	if (ok) {
		expiry = (time_t)tls_context_expiry(tls);
		if (gmtime_r(&expiry, &when) != NULL)
			(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &when);
		(void)printf("tls: ok, the certificate ends %s\n", text);
	} else {
		(void)printf("tls: not usable, see above\n");
	}
	tls_context_free(tls);
	return ok;
}

static bool
check_principals(const struct config *c)
{
	struct access *access = NULL;
	bool ok = serve_access(c, &access) == STATUS_OK;

	(void)printf("principals: %u%s\n", c->principal_count, ok ? "" : ", not usable, see above");
	access_free(access);
	return ok;
}

/* What is said of a seal is whole, and its file is there. */
static bool
check_seal(const struct provider_options *o)
{
	struct provider *p = NULL;
	const char *why = "out of memory";
	bool ok = provider_new(o, &p, &why) == STATUS_OK;

	if (!ok)
		(void)printf("seal %s: %s\n", o->name, why);
	else if (provider_has_file(o->kind))
		ok = check_place("seal", o->path, S_IFREG, 0);
	provider_free(p);
	return ok;
}

enum status
verb_check(const struct config *c, const struct verb_options *o)
{
	bool ok = check_principals(c);
	struct vault_options vo;

	serve_vault_options(c, o->force_class_d, &vo);
	ok &= check_tls(c);
	ok &= check_place("store", c->vault_path, S_IFDIR, 0) && check_begun(c->vault_path);
	for (unsigned i = 0; i < vo.seal_count; i++)
		ok &= check_seal(&vo.seal[i]);
	for (size_t i = 0; i < vo.anchor.count; i++)
		ok &= check_anchor(vo.anchor.path[i], o->force_class_d);
	ok &= check_twice(&vo.anchor);
	return ok ? STATUS_OK : STATUS_CONFIG;
}

static void
print_file(const struct custody_file *f, uint64_t epoch, bool force_class_d)
{
	(void)printf("%s: class %c (%s%s)", f->path, (int)f->class, f->why,
	    f->class == ANCHOR_CLASS_D && !force_class_d ? "; refused without --force-class-d" : "");
	if (!f->readable)
		(void)printf(", cannot be read");
	for (unsigned i = 0; i < 2 && f->readable; i++)
		if (f->slot[i].valid)
			(void)printf(", a slot of epoch %" PRIu64 "%s", f->slot[i].epoch,
			    f->slot[i].epoch != epoch ? "" : f->opens ? " opens the store" :
			    " does NOT open the store");
	if (f->readable && !f->slot[0].valid && !f->slot[1].valid)
		(void)printf(", no slot");
	(void)puts(f->opens ? ": ok" : ": NOT USABLE");
}

enum status
verb_anchor_verify(const struct config *c, const struct verb_options *o)
{
	struct vault_options vo;
	struct custody_report r;
	enum status rc = begin(c, o, &vo);

	if (rc == STATUS_OK && (rc = custody_verify(&vo, &r)) == STATUS_OK) {
		(void)printf("the store is at epoch %" PRIu64 "; a start would %s%s\n", r.epoch,
		    r.unknown ? "fail: a file cannot be read" : r.moving ?
		    "be refused: anchor move is not through" : "come to: ",
		    r.unknown || r.moving ? "" : recover_name(r.row));
		for (size_t i = 0; i < r.files; i++) {
			print_file(&r.file[i], r.epoch, o->force_class_d);
			if (!r.file[i].opens)
				rc = STATUS_ANCHOR;
		}
	}
	secret_end();
	return rc;
}

static void
say_moved(const struct config *c, const struct verb_options *o, const struct custody_moved *m, enum status rc)
{
	bool stands = false;

	if (m->done && (rc != STATUS_OK || m->remembered))
		(void)puts("MOVED, but a file that was left is not erased (the log says which): it, or its\n"
		    "device, opens what was PENDING, and what is erased from now on. The vault may run;\n"
		    "overwrite the file (anchor move --from it), or destroy that device.");
	else if (m->done && o->from.count == 0)
		(void)puts("the move is ended");
	else if (m->done)
		for (size_t i = 0; i < o->from.count; i++)
			(void)printf("%s: overwritten, and not the anchor any more: it may be removed\n",
			    o->from.path[i]);
	else if (moving_stands(c->vault_path, &stands) != STATUS_OK || stands)
		(void)puts("NOT MOVED, see above. Nothing starts until this is done again, or undone (with\n"
		    "the configuration of before, and --from the files of this one). Destroy nothing yet.");
	else
		(void)puts("NOT MOVED, see above. The anchor is what it was.");
}

enum status
verb_anchor_move(const struct config *c, const struct verb_options *o)
{
	struct custody_moved moved = { .done = false };
	struct vault_options vo;
	enum status rc = begin(c, o, &vo);

	for (size_t i = 0; i < o->from.count; i++)
		vo.retiring.path[vo.retiring.count++] = o->from.path[i];
	if (rc == STATUS_OK)
		rc = custody_move(&vo, &moved);
	say_moved(c, o, &moved, rc);
	secret_end();
	return rc;
}

/* All seals that open are lost, but not the recovery secret. */
static enum status
recover_seals(const struct verb_options *o, struct vault_options *vo)
{
	struct recovery_pair *pair = secret_alloc(sizeof(*pair));
	struct anchor_recovery *r = secret_alloc(sizeof(*r));
	struct backup_fault f;
	unsigned count = 0;
	enum status rc = STATUS_NO_MEMORY;

	if (pair == NULL || r == NULL)
		goto out;
	if (recovery_read(o->recovery.path, o->recovery.count, pair, &f) != BACKUP_OK) {
		rc = STATUS_REFUSED;
		log_event(LOG_FATAL, LOG_S(WHAT, "no recovery secret"), LOG_S(WHY, f.text));
		goto out;
	}
	memcpy(r->public, pair->public, sizeof(r->public));
	memcpy(r->secret, pair->secret, sizeof(r->secret));
	vo->recovery = r;
	if ((rc = custody_reseal(vo, &count)) == STATUS_OK)
		(void)printf("the vault opens; seals that have a new key: %u\n", count);
	vo->recovery = NULL;
out:
	secret_free(pair, sizeof(*pair));
	secret_free(r, sizeof(*r));
	return rc;
}

enum status
verb_recover(const struct config *c, const struct verb_options *o)
{
	struct vault_options vo;
	bool stands = false;
	uint64_t erasures;
	enum status rc = begin(c, o, &vo);

	if (rc == STATUS_OK && !o->previous) {
		rc = recover_seals(o, &vo);
		secret_end();
		return rc;
	}
	if (rc == STATUS_OK && (rc = custody_previous(&vo, &erasures)) == STATUS_OK)
		(void)printf("gone back by one commit. What it held is lost; erasures in it: %" PRIu64
		    "%s\n", erasures, erasures > 0 ? ": ask for them AGAIN" : "");
	if (rc == STATUS_OK && (moving_stands(c->vault_path, &stands) != STATUS_OK || stands))
		(void)puts("anchor move is not through: end it with anchor move, under this configuration and\n"
		    "without --from; destroy what has the later epoch.");
	secret_end();
	return rc;
}
