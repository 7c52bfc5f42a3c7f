/* Judgements of where the vault lies, and of its certificates. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "server/doctor_judge.h"

#define DAY 86400
#define MIB (1u << 20)

void
doctor_judge_class(
    const char *path, enum anchor_class class, const char *why, bool forced, struct doctor_finding *f)
{
	const bool bad = class == ANCHOR_CLASS_D;

	doctor_found(f, !bad ? DOCTOR_OK : forced ? DOCTOR_WARN : DOCTOR_FAIL, "%s: class %c (%s)%s",
	    path, (int)class, why, !bad ? "" : ": old keys may stay there");
	if (bad)
		doctor_mend(f, "name a place of class C or better in [anchor], then pdvaultd anchor move "
		    "--from %s", path);
}

void
doctor_judge_store_class(
    const char *path, enum anchor_class class, const char *why, struct doctor_finding *f)
{
	doctor_found(f, class == ANCHOR_CLASS_D ? DOCTOR_WARN : DOCTOR_OK, "%s: class %c (%s)", path,
	    (int)class, why);
	if (class == ANCHOR_CLASS_D)
		doctor_mend(f, "stop the server, move the folder to ext4 or XFS on a local disk, [vault] "
		    "path = there");
}

static void
not_there(const struct doctor_place *p, int error, struct doctor_finding *f)
{
	doctor_found(f, DOCTOR_FAIL, "%s: %s", p->path,
	    error == ENOENT ? "is not there" : strerrordesc_np(error));
	if (error == EACCES)
		doctor_mend(f, "run this as the vault's user, or as root");
	else
		doctor_mend(f, "%s", p->absent);
}

void
doctor_judge_place(const struct doctor_place *p, int error, const struct stat *st, struct doctor_finding *f)
{
	const mode_t mode = st->st_mode & 07777, loose = mode & ~p->mode;

	if (error != 0) {
		not_there(p, error, f);
	} else if ((st->st_mode & S_IFMT) != p->type) {
		doctor_found(f, DOCTOR_FAIL, "%s: is not a %s", p->path, p->type == S_IFDIR ? "folder" :
		    "regular file");
		doctor_mend(f, "%s", p->absent);
	} else if (st->st_uid != p->owner) {
		doctor_found(f, DOCTOR_FAIL, "%s: belongs to user %ju, not to %ju", p->path,
		    (uintmax_t)st->st_uid, (uintmax_t)p->owner);
		doctor_mend(f, "run this as that user, or as root; if the owner is wrong: chown %ju %s",
		    (uintmax_t)p->owner, p->path);
	} else if ((loose & (S_IRWXG | S_IRWXO)) != 0) {
		doctor_found(f, DOCTOR_FAIL, "%s: mode %04o, open to others", p->path, mode);
		doctor_mend(f, "chmod go= %s", p->path);
	} else if (loose != 0) {
		doctor_found(f, DOCTOR_FAIL, "%s: mode %04o, and at most %04o is taken", p->path, mode,
		    p->mode);
		doctor_mend(f, "chmod %04o %s", p->mode, p->path);
	} else if (p->alone && st->st_nlink != 1) {
		doctor_found(f, DOCTOR_FAIL, "%s: has %ju names", p->path, (uintmax_t)st->st_nlink);
		doctor_mend(f, "find the others (find -xdev -samefile %s) and remove them", p->path);
	} else if (p->length != 0 && st->st_size != (off_t)p->length) {
		doctor_found(f, DOCTOR_FAIL, "%s: has %jd bytes instead of %zu", p->path,
		    (intmax_t)st->st_size, p->length);
		doctor_mend(f, "%s", p->absent);
	} else {
		doctor_found(f, DOCTOR_OK, "%s: mode %04o", p->path, mode);
	}
}

void
doctor_judge_pair(const struct doctor_pair *p, struct doctor_finding *f)
{
	if (!p->same_device) {
		doctor_found(f, DOCTOR_OK, "%s and %s are on different devices", p->anchor, p->key);
		return;
	}
	doctor_found(f, DOCTOR_WARN, "%s and %s %s: one theft takes both", p->anchor, p->key,
	    p->same_folder ? "lie in one folder" : "are on one device");
	doctor_mend(f, "copy %s to another device, [seal %s] path = there, restart, shred the old one",
	    p->key, p->seal);
}

void
doctor_judge_space(uint64_t free, uint64_t reserve, uint64_t growth, struct doctor_finding *f)
{
	if (free < reserve) {
		doctor_found(f, DOCTOR_FAIL, "%" PRIu64 " MiB are free, less than [vault] reserve: soon "
		    "only erasures are " "taken", free / MIB);
		doctor_mend(f, "make room on the file system of the store");
	} else if (free < growth) {
		doctor_found(f, DOCTOR_WARN, "%" PRIu64 " MiB are free, and the store may grow by "
		    "%" PRIu64 " MiB", free / MIB, growth / MIB);
		doctor_mend(f, "enlarge the file system of the store, or lower [vault] map_size");
	} else {
		doctor_found(f, DOCTOR_OK, "%" PRIu64 " MiB are free, the store may grow by %" PRIu64 " "
		    "MiB", free / MIB, growth / MIB);
	}
}

void
doctor_judge_flush(const char *path, uint64_t median_ns, unsigned rounds, struct doctor_finding *f)
{
	const uint64_t tenths = median_ns / 100;

	if (median_ns >= DOCTOR_FLUSH_NS) {
		doctor_found(f, DOCTOR_OK, "%s: flushes in %" PRIu64 ".%" PRIu64 " us, the median of %u",
		    path, tenths / 10, tenths % 10, rounds);
		return;
	}
	doctor_found(f, DOCTOR_WARN, "%s: flushes in %" PRIu64 ".%" PRIu64 " us: a cache that lies or a "
	    "RAM disk", path, tenths / 10, tenths % 10);
	doctor_mend(f, "a durable disk; or an end to what answers for it (libeatmydata, cache=unsafe of a "
	    "virtual disk)");
}

void
doctor_judge_unmeasured(const char *path, int error, struct doctor_finding *f)
{
	const bool bad = error == EROFS || error == ENOSPC || error == EIO;

	doctor_found(f, bad ? DOCTOR_FAIL : DOCTOR_WARN,
	    "%s: no file can be written and flushed there: %s", path, strerrordesc_np(error));
	doctor_mend(f, "%s", error == EROFS ? "mount -o remount,rw, when the log of the kernel says why it "
	    "was not" : error == ENOSPC ? "make room on that file system" : error == ENOENT ||
	    error == ENOTDIR ? "make that folder, or put back what was there" : error == EIO ?
	    "look at the disk (dmesg, smartctl) and save what is on it" :
	    "run this as the vault's user, or as root");
}

static const char *
day_of(int64_t when, char out[static 32])
{
	time_t t = (time_t)when;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)memcpy(out, "?", 2);
	return out;
}

void
doctor_judge_term(const struct doctor_term *t, int64_t now, struct doctor_finding *f)
{
	const int64_t end = t->any ? t->last : t->first, soon = (int64_t)DOCTOR_SOON_DAYS * DAY;
	char text[32];

	if (!t->any && now < t->from) {
		doctor_found(f, DOCTOR_FAIL, "%s: begins %s, which is not yet", t->path, day_of(t->from, text));
		doctor_mend(f, "set the clock if it is wrong (date -u); else %s %s", t->mend, t->path);
	} else if (end <= now) {
		doctor_found(f, DOCTOR_FAIL, "%s: ended %s", t->path, day_of(end, text));
		doctor_mend(f, "%s %s", t->mend, t->path);
	} else if (end - now < soon) {
		doctor_found(f, DOCTOR_WARN, "%s: ends %s, in %" PRId64 " days", t->path, day_of(end, text),
		    (end - now) / DAY);
		doctor_mend(f, "%s %s", t->mend, t->path);
	} else if (t->first - now < soon) {
		doctor_found(f, DOCTOR_WARN, "%s: one of several ends %s", t->path, day_of(t->first, text));
		doctor_mend(f, "%s %s", t->mend, t->path);
	} else if (end == INT64_MAX) {
		doctor_found(f, DOCTOR_OK, "%s: has no end", t->path);
	} else {
		doctor_found(f, DOCTOR_OK, "%s: ends %s, in %" PRId64 " days", t->path, day_of(end, text),
		    (end - now) / DAY);
	}
}
