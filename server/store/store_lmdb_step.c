/*
 * Going back by one commit. LMDB 0.9 keeps two meta pages, of the newest commit and of the one before, whose
 * pages nobody has written over yet; the one with the greater number counts (lmdb/mdb.c, mdb_env_pick_meta).
 * So a copy of the older one takes the newer one's place.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/keys/own_file.h"
#include "server/log.h"
#include "server/store/medium.h"
#include "server/store/store_lmdb_internal.h"

#define OFF_NUMBER 0u		/* of the page, in its own header: MDB_page.mp_pgno */

struct step {
	int lock, data;
	char path[STORE_PATH_MAX], aside[STORE_PATH_MAX];
	uint8_t pages[2][STORE_PAGE];
	uint64_t commit[2];
};

static enum status
complain(const char *path, const char *what)
{
	log_event(LOG_STORE_ERROR, LOG_S(WHAT, what), LOG_S(PATH, path), LOG_S(ERRNO, strerror(errno)));
	return STATUS_IO;
}

static void
step_end(struct step *s)
{
	if (s->data >= 0)
		(void)close(s->data);
	if (s->lock >= 0)
		(void)close(s->lock);
}

/* Locks the store and reads both meta pages. */
static enum status
step_begin(const char *path, struct step *s)
{
	int n = snprintf(s->path, sizeof(s->path), "%s/data.mdb", path);
	int m = snprintf(s->aside, sizeof(s->aside), "%s/" STORE_ASIDE, path);
	enum status rc;

	s->lock = s->data = -1;
	if (n < 0 || (size_t)n >= sizeof(s->path) || m < 0 || (size_t)m >= sizeof(s->aside))
		return STATUS_CONFIG;
	if ((rc = store_lmdb_lock(path, &s->lock)) != STATUS_OK)
		return rc;
	errno = 0;
	if ((s->data = open(s->path, O_RDWR | O_CLOEXEC)) < 0 ||
	    pread(s->data, s->pages, sizeof(s->pages), 0) != (ssize_t)sizeof(s->pages))
		return complain(s->path, "cannot read the meta pages");
	for (int i = 0; i < 2; i++)
		if (!medium_is_meta(s->pages[i], &s->commit[i])) {
			log_event(LOG_STORE_ERROR, LOG_S(PATH, s->path),
			    LOG_S(WHAT, "a meta page is damaged: there is no commit to go back to"));
			return STATUS_REFUSED;
		}
	return STATUS_OK;
}

/* The meta page of number ${place} becomes ${page}, durably. */
static enum status
put_page(struct step *s, unsigned place, const uint8_t *page)
{
	uint8_t out[STORE_PAGE];
	uint64_t number = place;

	memcpy(out, page, sizeof(out));
	memcpy(out + OFF_NUMBER, &number, sizeof(number));
	errno = 0;
	if (pwrite(s->data, out, sizeof(out), (off_t)place * STORE_PAGE) != (ssize_t)sizeof(out) ||
	    fsync(s->data) != 0)
		return complain(s->path, "cannot write a meta page");
	return STATUS_OK;
}

enum status
store_step_back(const char *path)
{
	struct step s;
	const char *why = NULL;
	unsigned newest;
	enum status rc = step_begin(path, &s);

	if (rc != STATUS_OK)
		goto out;
	newest = s.commit[1] > s.commit[0];
	if (s.commit[newest] != s.commit[1 - newest] + 1) {
		rc = STATUS_REFUSED;
		log_event(LOG_STORE_ERROR, LOG_S(PATH, s.path),
		    LOG_S(WHAT, "there is no commit to go back to"));
		goto out;
	}
	rc = own_file_create(s.aside, bytes_of(s.pages[newest], STORE_PAGE), &why);
	if (rc != STATUS_OK) {
		(void)complain(s.aside, why);
		goto out;
	}
	rc = put_page(&s, newest, s.pages[1 - newest]);
out:
	step_end(&s);
	return rc;
}

/* What was set aside; STATUS_ABSENT: nothing. */
static enum status
read_aside(struct step *s, uint8_t page[static STORE_PAGE])
{
	int fd = open(s->aside, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	enum status rc;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? STATUS_ABSENT : complain(s->aside, "cannot be read");
	if ((n = read(fd, page, STORE_PAGE)) < 0)
		rc = complain(s->aside, "cannot be read");	/* it stays: it may be the only copy */
	else	/* A crash while it was made: nothing was changed yet. */
		rc = n == (ssize_t)STORE_PAGE ? STATUS_OK : STATUS_ABSENT;
	(void)close(fd);
	return rc;
}

static enum status
drop_aside(const struct step *s)
{
	if (unlink(s->aside) != 0 && errno != ENOENT)
		return complain(s->aside, "cannot be removed");
	return own_file_flush_folder(s->aside) ? STATUS_OK : complain(s->aside, "cannot be removed durably");
}

enum status
store_step_forward(const char *path)
{
	uint8_t page[STORE_PAGE];
	struct step s;
	uint64_t commit;
	enum status rc = step_begin(path, &s);

	if (rc != STATUS_OK)
		goto out;
	rc = read_aside(&s, page);
	/* Both pages are one, and what was set aside came next: else it is of no use any more. */
	if (rc == STATUS_OK && medium_is_meta(page, &commit) && s.commit[0] == s.commit[1] &&
	    commit == s.commit[0] + 1)
		rc = put_page(&s, (unsigned)(commit % 2), page);
	if (rc == STATUS_OK || rc == STATUS_ABSENT)
		rc = drop_aside(&s);
out:
	step_end(&s);
	return rc;
}

enum status
store_step_stands(const char *path, bool *out)
{
	char name[STORE_PATH_MAX];
	int n = snprintf(name, sizeof(name), "%s/" STORE_ASIDE, path);

	if (n < 0 || (size_t)n >= sizeof(name))
		return STATUS_CONFIG;
	*out = access(name, F_OK) == 0 || errno != ENOENT;
	return STATUS_OK;
}

enum status
store_step_done(const char *path)
{
	struct step s;
	enum status rc = step_begin(path, &s);

	if (rc == STATUS_OK)
		rc = drop_aside(&s);
	step_end(&s);
	return rc;
}
