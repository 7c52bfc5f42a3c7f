#include "client/backup/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MODE = 0600 };

static enum backup_result
failed(struct backup_fault *f, const char *path, const char *what)
{
	enum backup_result r = errno == ENOENT ? BACKUP_ABSENT : BACKUP_IO;

	return backup_fault_set(f, r, "%.200s: %s: %s", path, what, strerror(errno));
}

enum backup_result
backup_file_path(const char *folder, const char *name, char out[static BACKUP_PATH_MAX], struct backup_fault *f)
{
	int n = snprintf(out, BACKUP_PATH_MAX, "%s/%s", folder, name);

	if (n < 0 || (size_t)n >= BACKUP_PATH_MAX - sizeof(BACKUP_PART))
		return backup_fault_set(f, BACKUP_BAD, "%.200s: is too long a path", folder);
	return BACKUP_OK;
}

/* Up to ${len} bytes; fewer only at the end. */
static bool
read_all(int fd, uint8_t *out, size_t len, size_t *got)
{
	for (*got = 0; *got < len;) {
		ssize_t n = read(fd, out + *got, len - *got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		*got += (size_t)n;
	}
	return true;
}

/* *size: of a regular file that is small enough. */
static enum backup_result
look(int fd, const char *path, size_t max, size_t *size, struct backup_fault *f)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return failed(f, path, "cannot be looked at");
	if (!S_ISREG(st.st_mode))
		return backup_fault_set(f, BACKUP_BAD, "%.200s: is not a regular file", path);
	if (st.st_size < 0 || (uintmax_t)st.st_size > max)
		return backup_fault_set(f, BACKUP_BAD, "%.200s: has more than %zu bytes", path, max);
	*size = (size_t)st.st_size;
	return BACKUP_OK;
}

enum backup_result
backup_file_read(const char *path, size_t max, uint8_t **out, size_t *len, struct backup_fault *f)
{
	/* A pipe of that name must not make it wait. */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	enum backup_result r;
	uint8_t *bytes = NULL;
	size_t size = 0;

	if (fd < 0 && errno == ELOOP)
		return backup_fault_set(f, BACKUP_BAD, "%.200s: is a symbolic link", path);
	if (fd < 0)
		return failed(f, path, "cannot be opened");
	if ((r = look(fd, path, max, &size, f)) != BACKUP_OK)
		goto out;
	if ((bytes = malloc(size + 1)) == NULL) {
		r = backup_fault_set(f, BACKUP_NO_MEMORY, "%.200s: not enough memory", path);
		goto out;
	}
	if (!read_all(fd, bytes, size, len)) {
		r = failed(f, path, "cannot be read");
		goto out;
	}
	*out = bytes;
	bytes = NULL;
out:
	free(bytes);
	(void)close(fd);
	return r;
}

static bool
write_all(int fd, const uint8_t *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static bool
write_pieces(int fd, const struct backup_piece *pieces, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!write_all(fd, pieces[i].p, pieces[i].len))
			return false;
	return fsync(fd) == 0;
}

enum backup_result
backup_file_write(const char *path, const struct backup_piece *pieces, size_t count, struct backup_fault *f)
{
	char part[BACKUP_PATH_MAX + sizeof(BACKUP_PART)];
	enum backup_result r = BACKUP_OK;
	bool done;
	int fd;

	(void)snprintf(part, sizeof(part), "%s%s", path, BACKUP_PART);
	/* What a run that was killed left there; and never through a link. */
	if (unlink(part) != 0 && errno != ENOENT)
		return failed(f, part, "cannot be removed");
	if ((fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE)) < 0)
		return failed(f, part, "cannot be made");
	done = write_pieces(fd, pieces, count);
	if (!done)
		r = failed(f, path, "cannot be written");
	if (close(fd) != 0 && done)
		r = failed(f, path, "cannot be written");
	if (r == BACKUP_OK && rename(part, path) != 0)
		r = failed(f, path, "cannot be renamed to");
	if (r != BACKUP_OK)
		(void)unlink(part);
	return r;
}

enum backup_result
backup_file_complete(const char *unfinished, struct backup_piece end, const char *path, struct backup_fault *f)
{
	int fd = open(unfinished, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	enum backup_result r = BACKUP_OK;

	if (fd < 0)
		return failed(f, unfinished, "cannot be opened");
	if (lseek(fd, -(off_t)end.len, SEEK_END) < 0 || !write_pieces(fd, &end, 1))
		r = failed(f, unfinished, "cannot be written");
	(void)close(fd);
	if (r == BACKUP_OK && rename(unfinished, path) != 0)
		r = failed(f, path, "cannot be renamed to");
	return r;
}

enum backup_result
backup_file_flush(const char *folder, struct backup_fault *f)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum backup_result r = BACKUP_OK;

	if (fd < 0)
		return failed(f, folder, "cannot be opened");
	if (fsync(fd) != 0)
		r = failed(f, folder, "cannot be flushed");
	(void)close(fd);
	return r;
}
