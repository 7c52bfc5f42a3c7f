#include "server/store/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/keys/own_file.h"
#include "server/log.h"

static enum status
complain(const char *path, const char *what)
{
	log_event(LOG_STORE_ERROR, LOG_S(PATH, path), LOG_S(WHAT, what), LOG_S(ERRNO, strerror(errno)));
	return STATUS_IO;
}

static enum status
path_of(const char *store, const char *name, const char *end, char out[static PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/%s%s", store, name, end);

	return n >= 0 && n < PATH_MAX ? STATUS_OK : STATUS_CONFIG;
}

enum status
mark_stands(const char *store, const char *name, bool *out)
{
	char path[PATH_MAX];
	enum status rc = path_of(store, name, "", path);

	if (rc != STATUS_OK)
		return rc;
	*out = access(path, F_OK) == 0;
	return *out || errno == ENOENT ? STATUS_OK : complain(path, "cannot be looked for");
}

enum status
mark_load(const char *store, const char *name, struct mark_list *l)
{
	char path[PATH_MAX];
	enum status rc = path_of(store, name, "", path);
	ssize_t n;
	int fd;

	l->len = 0;
	if (rc != STATUS_OK)
		return rc;
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) < 0)
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

enum status
mark_save(const char *store, const char *name, const struct mark_list *l)
{
	char path[PATH_MAX], next[PATH_MAX];
	const char *why = NULL;
	enum status rc;

	if ((rc = path_of(store, name, "", path)) != STATUS_OK ||
	    (rc = path_of(store, name, ".new", next)) != STATUS_OK)
		return rc;
	(void)unlink(next);	/* of a try that was cut off */
	if (own_file_create(next, bytes_of(l->text, l->len), &why) != STATUS_OK)
		return complain(next, why);
	if (rename(next, path) != 0 || !own_file_flush_folder(path))
		return complain(path, "cannot be made");
	return STATUS_OK;
}

enum status
mark_end(const char *store, const char *name)
{
	char path[PATH_MAX], next[PATH_MAX];
	enum status rc;

	if ((rc = path_of(store, name, "", path)) != STATUS_OK ||
	    (rc = path_of(store, name, ".new", next)) != STATUS_OK)
		return rc;
	(void)unlink(next);
	if (unlink(path) != 0)
		return errno == ENOENT ? STATUS_OK : complain(path, "cannot be removed");
	return own_file_flush_folder(path) ? STATUS_OK : complain(path, "cannot be removed durably");
}

const char *
mark_next(const struct mark_list *l, const char *path)
{
	size_t at = path != NULL ? (size_t)(path - l->text) + strlen(path) + 1 : 0;

	return at < l->len ? l->text + at : NULL;
}

bool
mark_has(const struct mark_list *l, const char *path)
{
	for (const char *p = mark_next(l, NULL); p != NULL; p = mark_next(l, p))
		if (strcmp(p, path) == 0)
			return true;
	return false;
}

enum status
mark_add(struct mark_list *l, const char *given)
{
	char real[PATH_MAX];
	const char *path = realpath(given, real) != NULL ? real : given;
	size_t len = strlen(path) + 1;

	if (mark_has(l, path))
		return STATUS_OK;
	if (len > sizeof(l->text) - l->len)
		return STATUS_CONFIG;
	memcpy(l->text + l->len, path, len);
	l->len += len;
	return STATUS_OK;
}
