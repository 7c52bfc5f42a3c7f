#include "server/restore/drill.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/keys/own_file.h"
#include "server/log.h"
#include "server/restore/look.h"
#include "server/restore/place.h"
#include "server/store/mark.h"
#include "server/store/vault_internal.h"

#define PREFIX "pdvault-drill."
#define TEMPLATE PREFIX "XXXXXX"

struct drill {
	int place;			/* locked: one drill at a time */
	char folder[PATH_MAX - 16], store[PATH_MAX], anchor[PATH_MAX], key[PATH_MAX];
	struct vault_options vault;
	struct restore_options o;
	struct drill_report *report;
};

static uint64_t
now_ms(void)
{
	return clock_monotonic_ns() / 1000000;
}

static enum status
refuse(const char *place, const char *what)
{
	log_event(LOG_FATAL, LOG_S(PATH, place), LOG_S(WHAT, what));
	return STATUS_CONFIG;
}

static enum status
name_parts(struct drill *d, const char *place, const char *name)
{
	if (snprintf(d->folder, sizeof(d->folder), "%s/%s", place, name) >= (int)sizeof(d->folder))
		return refuse(place, "is too long a path");
	(void)snprintf(d->store, sizeof(d->store), "%s/store", d->folder);
	(void)snprintf(d->anchor, sizeof(d->anchor), "%s/anchor", d->folder);
	(void)snprintf(d->key, sizeof(d->key), "%s/key", d->folder);
	return STATUS_OK;
}

/* It held keys: what opens them is overwritten where it lies, and then everything goes. */
static enum status
clean(struct drill *d)
{
	char part[PATH_MAX + 16];
	bool ok = true;

	for (unsigned i = 0; i < 2; i++) {
		const char *path = i == 0 ? d->anchor : d->key;

		(void)snprintf(part, sizeof(part), "%s" RESTORE_PART, path);
		ok = own_file_destroy(path) && own_file_destroy(part) && ok;
	}
	store_remove(d->store);
	ok = mark_end(d->store, MARK_RESTORE) == STATUS_OK && ok;
	ok = (rmdir(d->store) == 0 || access(d->store, F_OK) != 0) && ok;
	if (rmdir(d->folder) == 0 && ok)
		return STATUS_OK;
	log_event(LOG_RESTORE, LOG_S(PATH, d->folder),
	    LOG_S(WHAT, "could not be removed: overwrite its anchor"));
	return STATUS_IO;
}

/* A folder of our own, as mkdtemp() makes them; never where a link of somebody else leads. */
static bool
is_drill(int place, const char *name)
{
	struct stat st;

	return strncmp(name, PREFIX, sizeof(PREFIX) - 1) == 0 && strlen(name) == sizeof(TEMPLATE) - 1 &&
	    fstatat(place, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_uid == geteuid() && (st.st_mode & 07777) == 0700;
}

/* What a drill that was killed left: a vault with keys of people, which forgets nobody. */
static enum status
clean_others(struct drill *d, const char *place)
{
	DIR *folder = opendir(place);
	struct dirent *e;
	enum status rc = STATUS_OK;

	if (folder == NULL)
		return refuse(place, "cannot be read");
	while (rc == STATUS_OK && (e = readdir(folder)) != NULL) {
		if (!is_drill(d->place, e->d_name))
			continue;
		log_event(LOG_RESTORE, LOG_S(PATH, place),
		    LOG_S(WHAT, "a drill was cut off here: what it made is removed"));
		if ((rc = name_parts(d, place, e->d_name)) == STATUS_OK)
			rc = clean(d);
	}
	(void)closedir(folder);
	return rc;
}

static enum status
make_folder(struct drill *d, const char *place)
{
	struct stat st;
	enum status rc;

	d->place = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->place < 0)
		return refuse(place, "is no folder that can be opened: make it");
	if (fstat(d->place, &st) != 0 || (st.st_uid != geteuid() && st.st_uid != 0) ||
	    ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (st.st_mode & S_ISVTX) == 0))
		return refuse(place, "others can change what is in it: a drill needs a folder of its user's");
	if (flock(d->place, LOCK_EX | LOCK_NB) != 0)
		return refuse(place, "another drill is at work here");
	if ((rc = clean_others(d, place)) != STATUS_OK || (rc = name_parts(d, place, TEMPLATE)) != STATUS_OK)
		return rc;
	if (mkdtemp(d->folder) == NULL)
		return refuse(place, "no folder can be made here");
	if ((rc = name_parts(d, place, strrchr(d->folder, '/') + 1)) != STATUS_OK)
		return rc;
	d->vault.store_path = d->store;
	d->vault.anchor = (struct anchor_paths){ { d->anchor }, 1 };
	d->vault.seal[0] = (struct provider_options){ .name = "drill", .kind = "file", .path = d->key };
	d->vault.seal_count = 1;
	/* It holds keys for the time of the drill, and is overwritten as well as its place lets it be. */
	d->vault.force_class_d = true;
	return STATUS_OK;
}

static enum status
try(struct drill *d)
{
	uint64_t start = now_ms(), restored, opened;
	struct vault *v = NULL;
	enum status rc;

	if ((rc = restore_run(&d->o, &d->report->restored)) != STATUS_OK)
		return rc;
	restored = now_ms();
	if ((rc = vault_open(&d->vault, &v)) == STATUS_OK) {
		opened = now_ms();
		rc = look_at(v, d->o.stop, d->report);
		d->report->restore_ms = restored - start;
		d->report->open_ms = opened - restored;
		d->report->sample_ms = now_ms() - opened;
	}
	vault_close(v);
	return rc;
}

enum status
drill_run(const struct restore_options *o, const char *place, struct drill_report *out)
{
	struct drill *d = calloc(1, sizeof(*d));
	enum status rc = STATUS_NO_MEMORY, cleaned;

	if (d == NULL)
		return rc;
	memset(out, 0, sizeof(*out));
	d->report = out;
	d->vault = *o->vault;
	d->o = *o;
	d->o.vault = &d->vault;
	d->place = -1;
	if ((rc = make_folder(d, place)) != STATUS_OK)
		goto out;
	rc = try(d);
	cleaned = clean(d);
	rc = rc == STATUS_OK ? cleaned : rc;
out:
	if (d->place >= 0)
		(void)close(d->place);
	free(d);
	return rc;
}
