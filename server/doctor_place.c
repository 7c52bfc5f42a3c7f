#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "client/transport/tls_expiry.h"
#include "server/clock.h"
#include "server/doctor_flush.h"
#include "server/doctor_internal.h"
#include "server/keys/own_file.h"
#include "server/store/mark.h"
#include "server/store/moving.h"
#include "server/store/store.h"

static void
say_place(struct doctor *d, const struct doctor_place *p)
{
	struct doctor_finding f;
	struct stat st = { 0 };
	int error = lstat(p->path, &st) == 0 ? 0 : errno;

	doctor_judge_place(p, error, &st, &f);
	doctor_say(d, &f);
}

void
doctor_place_store(struct doctor *d)
{
	const struct doctor_place p = {
		.path = d->c->vault_path, .type = S_IFDIR, .mode = 07700,
		.owner = d->user == 0 ? d->owner : d->user,
		.absent = "put back the folder of the store; pdvaultd restore if it is lost, init if there "
		    "was none",
	};

	say_place(d, &p);
}

void
doctor_place_anchor(struct doctor *d)
{
	struct doctor_place p = {
		.type = S_IFREG, .mode = 07700, .owner = d->owner, .length = ANCHOR_LEN, .alone = true,
		.absent = "put back the very same file; OPERATIONS.md, The anchor's files, says what helps "
		    "without it",
	};

	for (size_t i = 0; i < d->vault->anchor.count; i++) {
		p.path = d->vault->anchor.path[i];
		say_place(d, &p);
	}
}

void
doctor_place_keys(struct doctor *d)
{
	struct doctor_place seal = {
		.type = S_IFREG, .mode = 07700, .owner = d->owner, .alone = true,
		.absent = "put back the very same file, from the copy of it: another one opens "
		    "nothing",
	};
	const struct doctor_place tls = {
		.path = d->c->tls_key, .type = S_IFREG, .mode = 0600, .owner = d->owner,
		.absent = "put back the private key of [tls] cert, or renew both",
	};

	for (unsigned i = 0; i < d->vault->seal_count; i++) {
		if (!provider_has_file(d->vault->seal[i].kind))
			continue;
		seal.path = d->vault->seal[i].path;
		say_place(d, &seal);
	}
	say_place(d, &tls);
}

/*
 * By its folder: who opens the file itself looks like an intruder to the server, which says by itself when the
 * file's own blocks are shared or journalled (GetStatus).
 */
static void
say_class(struct doctor *d, const char *path)
{
	char folder[PATH_MAX], beside[PATH_MAX];
	struct doctor_finding f;
	struct stat file, in;
	enum anchor_class class;
	const char *why = "";

	if (!own_file_folder(path, folder, sizeof(folder)) ||
	    snprintf(beside, sizeof(beside), "%s/pdvault-doctor.beside", folder) >= (int)sizeof(beside))
		return;
	if (stat(path, &file) == 0 && stat(folder, &in) == 0 && file.st_dev != in.st_dev) {
		doctor_found(&f, DOCTOR_WARN, "%s: is a mount of its own, whose class only the server can "
		    "tell", path);
		doctor_mend(&f, "mount the folder that holds it instead; pdvault status says the class of now");
	} else {
		class = anchor_class_of(beside, &why);
		doctor_judge_class(path, class, why, d->force_class_d, &f);
	}
	doctor_say(d, &f);
}

void
doctor_place_class(struct doctor *d)
{
	struct doctor_finding f;
	enum anchor_class class;
	const char *why = "";

	for (size_t i = 0; i < d->vault->anchor.count; i++)
		say_class(d, d->vault->anchor.path[i]);
	class = anchor_class_of(d->c->vault_path, &why);
	doctor_judge_store_class(d->c->vault_path, class, why, &f);
	doctor_say(d, &f);
}

static bool
stat_folder(const char *path, struct stat *out)
{
	char folder[PATH_MAX];

	return own_file_folder(path, folder, sizeof(folder)) && stat(folder, out) == 0;
}

/* All files of the anchor, seen from one key file. */
static void
say_pairs(struct doctor *d, const struct provider_options *seal)
{
	struct stat key, anchor, key_in, anchor_in;
	struct doctor_finding f;

	if (stat(seal->path, &key) != 0 || !stat_folder(seal->path, &key_in))
		return;		/* "keys" has said so */
	for (size_t i = 0; i < d->vault->anchor.count; i++) {
		const char *path = d->vault->anchor.path[i];

		if (stat(path, &anchor) != 0 || !stat_folder(path, &anchor_in))
			continue;
		doctor_judge_pair(&(struct doctor_pair){
			.anchor = path, .key = seal->path, .seal = seal->name,
			.same_device = anchor.st_dev == key.st_dev,
			.same_folder = anchor_in.st_dev == key_in.st_dev && anchor_in.st_ino == key_in.st_ino,
		}, &f);
		doctor_say(d, &f);
	}
}

/* Of other kinds the file alone opens nothing. */
void
doctor_place_pair(struct doctor *d)
{
	for (unsigned i = 0; i < d->vault->seal_count; i++)
		if (strcmp(d->vault->seal[i].kind, "file") == 0)
			say_pairs(d, &d->vault->seal[i]);
}

void
doctor_place_space(struct doctor *d)
{
	char path[PATH_MAX];
	struct doctor_finding f;
	struct statvfs fs;
	struct stat st;
	uint64_t has = 0;

	if (statvfs(d->c->vault_path, &fs) != 0)
		return;		/* "store" has said so */
	if (snprintf(path, sizeof(path), "%s/data.mdb", d->c->vault_path) < (int)sizeof(path) &&
	    stat(path, &st) == 0)
		has = (uint64_t)st.st_blocks * 512;
	doctor_judge_space((uint64_t)fs.f_bavail * fs.f_frsize, d->c->reserve_bytes,
	    d->c->map_bytes > has ? d->c->map_bytes - has : 0, &f);
	doctor_say(d, &f);
}

static void
say_flush(struct doctor *d, const char *folder)
{
	struct doctor_flush flush = { 0 };
	struct doctor_finding f;
	int error = doctor_flush_measure(folder, &flush);

	if (error == 0)
		doctor_judge_flush(folder, flush.median_ns, flush.rounds, &f);
	else
		doctor_judge_unmeasured(folder, error, &f);
	doctor_say(d, &f);
}

void
doctor_place_flush(struct doctor *d)
{
	char folder[PATH_MAX];

	say_flush(d, d->c->vault_path);
	for (size_t i = 0; i < d->vault->anchor.count; i++)
		if (own_file_folder(d->vault->anchor.path[i], folder, sizeof(folder)))
			say_flush(d, folder);
}

static void
say_term(struct doctor *d, struct doctor_term *t, enum tls_expiry_kind kind)
{
	struct tls_expiry e;
	struct doctor_finding f;
	char why[TLS_WHY_LEN];

	if (tls_expiry_read(t->path, kind, &e, why)) {
		t->from = e.from;
		t->first = e.first;
		t->last = e.last;
		doctor_judge_term(t, clock_wall_ms() / 1000, &f);
	} else {
		doctor_found(&f, DOCTOR_FAIL, "%s: %s", t->path, why);
		doctor_mend(&f, "pdvaultd check --config %s says what of [tls] is not usable", d->path);
	}
	doctor_say(d, &f);
}

#define RELOADED ", then systemctl reload pdvaultd:"

void
doctor_place_terms(struct doctor *d)
{
	struct doctor_term cert = { .path = d->c->tls_cert, .mend = "renew it" RELOADED };
	struct doctor_term ca = {
		.path = d->c->tls_ca, .any = true,
		    .mend = "add the new CA, and take out what has ended" RELOADED
	};
	struct doctor_term crl = { .path = d->c->tls_crl, .mend = "have the CA sign a new list" RELOADED };

	say_term(d, &cert, TLS_EXPIRY_CERTIFICATES);
	say_term(d, &ca, TLS_EXPIRY_CERTIFICATES);
	if (d->c->tls_crl[0] != '\0')
		say_term(d, &crl, TLS_EXPIRY_CRLS);
}

static enum status
restore_stands(const char *store, bool *out)
{
	return mark_stands(store, MARK_RESTORE, out);
}

void
doctor_place_unfinished(struct doctor *d)
{
	static const struct {
		const char *what, *how;
		enum status (*stands)(const char *store, bool *out);
	} marks[] = {
		{ "anchor move", "with the same --from", moving_stands },
		{ "recover --previous", "and nothing else", store_step_stands },
		{ "restore", "with the same options", restore_stands },
	};
	struct doctor_finding f;
	unsigned said = 0;
	bool stands;

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		stands = false;
		if (marks[i].stands(d->c->vault_path, &stands) != STATUS_OK) {
			doctor_found(&f, DOCTOR_FAIL, "whether %s is through cannot be seen", marks[i].what);
			doctor_mend(&f, "run this as the vault's user, or as root");
		} else if (stands) {
			doctor_found(&f, DOCTOR_FAIL, "%s is not through, and nothing starts before",
			    marks[i].what);
			doctor_mend(&f, "pdvaultd %s --config %s again, %s", marks[i].what, d->path,
			    marks[i].how);
		} else {
			continue;
		}
		doctor_say(d, &f);
		said++;
	}
	if (said > 0)
		return;
	doctor_found(&f, DOCTOR_OK, "no anchor move, recover or restore is under way");
	doctor_say(d, &f);
}
