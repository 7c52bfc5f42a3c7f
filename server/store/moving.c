#include "server/store/moving.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/keys/own_file.h"
#include "server/log.h"

#define LIST_MAX 65536u

/* Paths, each with a zero byte behind it. */
struct list {
	size_t len;
	char text[LIST_MAX];
};

static enum status
complain(const char *path, const char *what)
{
	log_event(LOG_STORE_ERROR, LOG_S(PATH, path), LOG_S(WHAT, what), LOG_S(ERRNO, strerror(errno)));
	return STATUS_IO;
}

static enum status
name(const char *store, const char *end, char out[static PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/anchor.moving%s", store, end);

	return n >= 0 && n < PATH_MAX ? STATUS_OK : STATUS_CONFIG;
}

enum status
moving_stands(const char *store, bool *out)
{
	char path[PATH_MAX];
	enum status rc = name(store, "", path);

	if (rc != STATUS_OK)
		return rc;
	*out = access(path, F_OK) == 0;
	return *out || errno == ENOENT ? STATUS_OK : complain(path, "cannot be looked for");
}

static bool
has(const struct list *l, const char *path)
{
	for (size_t at = 0; at < l->len; at += strlen(l->text + at) + 1)
		if (strcmp(l->text + at, path) == 0)
			return true;
	return false;
}

static enum status
add(struct list *l, const struct anchor_paths *p)
{
	char real[PATH_MAX];

	for (size_t i = 0; i < p->count; i++) {
		const char *path = realpath(p->path[i], real) != NULL ? real : p->path[i];
		size_t len = strlen(path) + 1;

		if (has(l, path))
			continue;
		if (len > sizeof(l->text) - l->len)
			return STATUS_CONFIG;
		memcpy(l->text + l->len, path, len);
		l->len += len;
	}
	return STATUS_OK;
}

/* What the mark says; empty where none stands. */
static enum status
load(const char *path, struct list *l)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	l->len = 0;
	if (fd < 0)
		return errno == ENOENT ? STATUS_OK : complain(path, "cannot be read");
	n = read(fd, l->text, sizeof(l->text));
	(void)close(fd);
	if (n < 0)
		return complain(path, "cannot be read");
	/* Another end than ours: the last path is not whole. */
	for (l->len = (size_t)n; l->len > 0 && l->text[l->len - 1] != '\0'; l->len--)
		;
	return STATUS_OK;
}

static enum status
replace(const char *store, const char *path, const struct list *l)
{
	char next[PATH_MAX];
	const char *why = NULL;
	enum status rc = name(store, ".new", next);

	if (rc != STATUS_OK)
		return rc;
	(void)unlink(next);	/* of a try that was cut off */
	if (own_file_create(next, bytes_of(l->text, l->len), &why) != STATUS_OK)
		return complain(next, why);
	if (rename(next, path) != 0 || !own_file_flush_folder(path))
		return complain(path, "cannot be made");
	return STATUS_OK;
}

enum status
moving_begin(const char *store, const struct anchor_paths *anchor, const struct anchor_paths *left)
{
	struct list *l = malloc(sizeof(*l));
	char path[PATH_MAX];
	enum status rc = STATUS_NO_MEMORY;

	if (l != NULL && (rc = name(store, "", path)) == STATUS_OK && (rc = load(path, l)) == STATUS_OK &&
	    (rc = add(l, anchor)) == STATUS_OK && (rc = add(l, left)) == STATUS_OK)
		rc = replace(store, path, l);
	free(l);
	return rc;
}

/* Logs what is in ${all} and not in ${these}. */
static bool
differ(const struct list *all, const struct list *these)
{
	bool some = false;

	for (size_t at = 0; at < all->len; at += strlen(all->text + at) + 1) {
		if (has(these, all->text + at))
			continue;
		some = true;
		log_event(LOG_ANCHOR_ERROR, LOG_S(PATH, all->text + at), LOG_S(WHAT, "of a move that was cut "
		    "off, and not overwritten: anchor move --from it, or destroy its device"));
	}
	return some;
}

enum status
moving_missed(const char *store, const struct anchor_paths *anchor, const struct anchor_paths *left,
    bool *missed)
{
	struct list *all = malloc(sizeof(*all)), *these = malloc(sizeof(*these));
	char path[PATH_MAX];
	enum status rc = STATUS_NO_MEMORY;

	if (all == NULL || these == NULL)
		goto out;
	these->len = 0;
	if ((rc = name(store, "", path)) == STATUS_OK && (rc = load(path, all)) == STATUS_OK &&
	    (rc = add(these, anchor)) == STATUS_OK && (rc = add(these, left)) == STATUS_OK)
		*missed = differ(all, these);
out:
	free(all);
	free(these);
	return rc;
}

enum status
moving_end(const char *store)
{
	char path[PATH_MAX];
	enum status rc = name(store, "", path);

	if (rc != STATUS_OK)
		return rc;
	if (unlink(path) != 0)
		return errno == ENOENT ? STATUS_OK : complain(path, "cannot be removed");
	return own_file_flush_folder(path) ? STATUS_OK : complain(path, "cannot be removed durably");
}
