#include "server/keys/provider_versions.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/keys/own_file.h"

/* false: too long for a path. */
static bool
name_of(const char *path, enum version_place at, char out[static PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s%s", path, at == VERSION_NEXT ? ".next" : "");

	return n > 0 && n < PATH_MAX;
}

enum status
versions_read(const char *path, enum version_place at, struct version_buffer *out, const char **why)
{
	char name[PATH_MAX];
	struct stat st;
	ssize_t n;
	int fd = -1;
	enum status rc;

	errno = 0;
	*why = "its path is too long";
	if (!name_of(path, at, name))
		return STATUS_CONFIG;
	if (lstat(name, &st) != 0) {
		*why = "cannot be looked at";
		return errno == ENOENT ? STATUS_ABSENT : STATUS_CONFIG;
	}
	*why = "has the wrong length";
	if (S_ISREG(st.st_mode) && (st.st_size <= 0 || (size_t)st.st_size > out->cap))
		return STATUS_CONFIG;
	if ((rc = own_file_open(name, false, (size_t)st.st_size, &fd, why)) != STATUS_OK)
		return rc;
	/* A regular file of this length gives it in one read, unless it is being changed. */
	n = read(fd, out->p, (size_t)st.st_size);
	errno = n < 0 ? errno : 0;
	(void)close(fd);
	*why = "cannot be read";
	if (n != st.st_size)
		return STATUS_CONFIG;
	out->len = (size_t)n;
	return STATUS_OK;
}

bool
versions_stands(const char *path, enum version_place at)
{
	char name[PATH_MAX];
	struct stat st;

	return !name_of(path, at, name) || lstat(name, &st) == 0 || errno != ENOENT;
}

enum status
versions_add(const char *path, enum version_place at, struct bytes content, const char **why)
{
	char name[PATH_MAX];

	errno = 0;
	*why = "its path is too long";
	return name_of(path, at, name) ? own_file_create(name, content, why) : STATUS_CONFIG;
}

enum status
versions_keep(const char *path, enum version_place at, const char **why)
{
	char now[PATH_MAX], next[PATH_MAX];

	errno = 0;
	*why = "its path is too long";
	if (!name_of(path, VERSION_NOW, now) || !name_of(path, VERSION_NEXT, next))
		return STATUS_CONFIG;
	*why = "cannot be overwritten and removed";
	if (at != VERSION_NOW && !own_file_destroy(now))
		return STATUS_IO;
	if (at != VERSION_NEXT && !own_file_destroy(next))
		return STATUS_IO;
	*why = "the new version cannot take the place of the old";
	if (at == VERSION_NEXT && rename(next, now) != 0)
		return STATUS_IO;
	return own_file_flush_folder(now) ? STATUS_OK : STATUS_IO;
}
