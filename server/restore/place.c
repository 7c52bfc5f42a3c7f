#include "server/restore/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/keys/own_file.h"
#include "server/keys/secret.h"
#include "server/log.h"
#include "server/store/mark.h"
#include "server/store/vault_internal.h"

#define BIRTH_MAX 96u
#define FILES_MAX (PROVIDER_MAX + ANCHOR_FILES_MAX)

/* Files that a restore makes besides the store, none of which may be there before. */
static size_t
files_of(const struct place *p, const char *out[static FILES_MAX])
{
	size_t n;

	if (p->living != NULL)
		return 0;
	n = seals_files(p->o, out);	/* first: make_files() */
	for (size_t i = 0; i < p->o->anchor.count; i++)
		out[n++] = p->o->anchor.path[i];
	return n;
}

static enum status
unborn(const char *path, char out[static PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s" RESTORE_PART, path);

	return n >= 0 && n < PATH_MAX ? STATUS_OK : STATUS_CONFIG;
}

/*
 * What tells a file from every other, for the mark: where it lies, and since when. A file of the same name may
 * have been put there since, and may be all that opens a vault.
 */
static bool
birth_of(const char *path, char out[static BIRTH_MAX])
{
	struct statx st;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &st) != 0)
		return false;
	(void)snprintf(out, BIRTH_MAX, "made %" PRIx32 ":%" PRIx32 " %" PRIu64 " %" PRId64 ".%09" PRIu32,
	    st.stx_dev_major, st.stx_dev_minor, (uint64_t)st.stx_ino, (int64_t)st.stx_btime.tv_sec,
	    st.stx_btime.tv_nsec);
	return true;
}

static bool
is_made(const struct mark_list *l, const char *path)
{
	char birth[BIRTH_MAX];

	return birth_of(path, birth) && mark_has(l, birth);
}

/* What stands in the mark was made by a restore into this place, and holds no key that is needed. */
static enum status
remove_made(const struct place *p, const struct mark_list *l)
{
	const char *file[FILES_MAX];
	size_t n = files_of(p, file);
	char part[PATH_MAX];
	enum status rc;

	for (size_t i = 0; i < n; i++) {
		if (!mark_has(l, file[i]))
			continue;	/* it may belong to a store that was whole */
		if ((rc = unborn(file[i], part)) != STATUS_OK)
			return rc;
		if (!own_file_destroy(part) || (is_made(l, file[i]) && !own_file_destroy(file[i])))
			return STATUS_IO;
	}
	store_remove(p->o->store_path);
	return STATUS_OK;
}

static enum status
clear(struct place *p, struct mark_list *l)
{
	enum status rc = mark_stands(p->o->store_path, MARK_RESTORE, &p->cut_off);

	if (rc != STATUS_OK || !p->cut_off)
		return rc;
	if ((rc = mark_load(p->o->store_path, MARK_RESTORE, l)) != STATUS_OK)
		return rc;
	log_event(LOG_RESTORE, LOG_S(PATH, p->o->store_path),
	    LOG_S(WHAT, "a restore was cut off here: what it made is removed"));
	return remove_made(p, l);
}

static bool
is_ours(const char *name)
{
	static const char *const names[] = { ".", "..", "lost+found", "pdvault.lock" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	/* The mark, and one that was being made. */
	return strncmp(name, MARK_RESTORE, sizeof(MARK_RESTORE) - 1) == 0;
}

/* Nothing that is here may be lost. */
static enum status
check_empty(const struct place *p)
{
	const char *file[FILES_MAX];
	size_t n = files_of(p, file);
	DIR *folder = opendir(p->o->store_path);
	struct dirent *e = NULL;
	struct stat st;

	while (folder != NULL && (e = readdir(folder)) != NULL && is_ours(e->d_name))
		;
	if (folder != NULL)
		(void)closedir(folder);
	if (e != NULL) {
		log_event(LOG_FATAL, LOG_S(PATH, p->o->store_path),
		    LOG_S(WHAT, "the folder is not empty: a restore goes to an empty place"));
		return STATUS_REFUSED;
	}
	for (size_t i = 0; i < n; i++)
		if (lstat(file[i], &st) == 0) {
			log_event(LOG_FATAL, LOG_S(PATH, file[i]), LOG_S(WHAT, p->cut_off ?
			    "is none that the restore made which was cut off here: put it in a safe place" :
			    "there is one already: a restore goes to an empty place"));
			return STATUS_REFUSED;
		}
	return STATUS_OK;
}

/* The folder, which nobody else restores into. */
static enum status
take_folder(struct place *p)
{
	const char *path = p->o->store_path;

	if (mkdir(path, 0700) != 0 && errno != EEXIST) {
		log_event(LOG_FATAL, LOG_S(PATH, path), LOG_S(WHAT, "cannot make the folder"),
		    LOG_S(ERRNO, strerror(errno)));
		return STATUS_IO;
	}
	p->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (p->folder >= 0 && flock(p->folder, LOCK_EX | LOCK_NB) == 0)
		return STATUS_OK;
	log_event(LOG_FATAL, LOG_S(PATH, path), LOG_S(WHAT, errno == EWOULDBLOCK ?
	    "another restore is at work here" : "cannot be opened"), LOG_S(ERRNO, strerror(errno)));
	return errno == EWOULDBLOCK ? STATUS_REFUSED : STATUS_IO;
}

enum status
place_make(struct place *p, const struct vault_options *o, struct vault *living,
    const uint8_t vault[static VAULT_ID_LEN])
{
	struct store_options so = { o->store_path, o->map_bytes, o->reserve_bytes, true, false, false };
	struct mark_list *l = calloc(1, sizeof(*l));
	const char *file[FILES_MAX];
	enum status rc = STATUS_NO_MEMORY;

	if (l == NULL)
		return rc;
	p->o = o;
	p->living = living;
	memcpy(p->vault, vault, sizeof(p->vault));
	p->folder = -1;
	if ((rc = vault_classes(o)) != STATUS_OK || (rc = take_folder(p)) != STATUS_OK ||
	    (rc = clear(p, l)) != STATUS_OK || (rc = check_empty(p)) != STATUS_OK)
		goto out;
	l->len = 0;
	rc = mark_add(l, o->store_path);
	for (size_t i = files_of(p, file); i-- > 0 && rc == STATUS_OK; )
		rc = mark_add(l, file[i]);
	if (rc != STATUS_OK || (rc = mark_save(o->store_path, MARK_RESTORE, l)) != STATUS_OK)
		goto out;
	p->marked = true;
	rc = store_open(&so, &p->store);
out:
	free(l);
	return rc;
}

/* A file that stands in the mark gets its name. */
static enum status
give_name(const char *path)
{
	char part[PATH_MAX];
	enum status rc = unborn(path, part);

	if (rc != STATUS_OK)
		return rc;
	/* Not every file system can say no; the place was empty. */
	if ((renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) == 0 ||
	    (errno == EINVAL && rename(part, path) == 0)) && own_file_flush_folder(path))
		return STATUS_OK;
	log_event(LOG_FATAL, LOG_S(PATH, path), LOG_S(WHAT, "cannot be made"), LOG_S(ERRNO, strerror(errno)));
	return STATUS_IO;
}

/* What the seals keep, and anchors: made, entered in the mark, and named. */
static enum status
make_files(struct place *p, struct mark_list *l)
{
	const char *file[FILES_MAX];
	char part[PATH_MAX], birth[BIRTH_MAX];
	size_t n = files_of(p, file), kept = n - p->o->anchor.count;
	enum status rc = mark_load(p->o->store_path, MARK_RESTORE, l);

	if (rc == STATUS_OK)
		rc = seals_create(p->o, RESTORE_PART, p->epoch, p->seals);
	for (size_t i = 0; i < n && rc == STATUS_OK; i++) {
		if ((rc = unborn(file[i], part)) == STATUS_OK)
			rc = i < kept ? STATUS_OK : anchor_create(part);
		if (rc == STATUS_OK)
			rc = birth_of(part, birth) ? mark_add(l, birth) : STATUS_IO;
	}
	if (rc == STATUS_OK)
		rc = mark_save(p->o->store_path, MARK_RESTORE, l);
	for (size_t i = 0; i < n && rc == STATUS_OK; i++)
		rc = give_name(file[i]);
	return rc;
}

static enum status
make_anchor(struct place *p)
{
	struct anchor_options ao = { .files = p->o->anchor };
	struct mark_list *l = calloc(1, sizeof(*l));
	enum status rc = STATUS_NO_MEMORY;

	if (l != NULL && (p->seals = secret_alloc(sizeof(*p->seals))) != NULL)
		rc = make_files(p, l);
	free(l);
	memcpy(ao.vault, p->vault, sizeof(ao.vault));
	if (rc == STATUS_OK && (rc = anchor_open(&ao, &p->anchor)) == STATUS_OK)
		anchor_reseal(p->anchor, p->seals);
	return rc;
}

enum status
place_prepare(struct place *p, const struct root *root)
{
	enum status rc;

	p->epoch = root->epoch;
	if (p->living == NULL && (rc = make_anchor(p)) != STATUS_OK)
		return rc;
	return anchor_prepare(p->living != NULL ? p->living->anchor : p->anchor, root);
}

enum status
place_end(struct place *p, bool done)
{
	struct mark_list *l = calloc(1, sizeof(*l));
	enum status rc = STATUS_OK;

	anchor_close(p->anchor);
	secret_free(p->seals, sizeof(*p->seals));
	p->seals = NULL;
	store_close(p->store);
	p->store = NULL;
	p->anchor = NULL;
	if (p->marked && !done)
		rc = l != NULL ? mark_load(p->o->store_path, MARK_RESTORE, l) : STATUS_NO_MEMORY;
	if (p->marked && !done && rc == STATUS_OK)
		rc = remove_made(p, l);
	if (p->marked && rc == STATUS_OK)
		rc = mark_end(p->o->store_path, MARK_RESTORE);
	if (p->o != NULL && p->folder >= 0)
		(void)close(p->folder);
	free(l);
	return rc;
}
