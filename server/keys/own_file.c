#include "server/keys/own_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/keys/seal.h"

bool
own_file_folder(const char *path, char *out, size_t cap)
{
	const char *slash = strrchr(path, '/');
	/* "/file" lies in "/". */
	size_t n = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);

	if (n + 1 > cap)
		return false;
	memcpy(out, slash == NULL ? "." : path, n);
	out[n] = '\0';
	return true;
}

bool
own_file_flush_folder(const char *path)
{
	char folder[PATH_MAX];
	int fd;
	bool done;

	if (!own_file_folder(path, folder, sizeof(folder)))
		return false;
	if ((fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return false;
	done = fsync(fd) == 0;
	return close(fd) == 0 && done;
}

static bool
fill(int fd, struct bytes b)
{
	ssize_t n;

	/* All blocks now: overwriting in place must never need a new one. */
	if ((errno = posix_fallocate(fd, 0, (off_t)b.len)) != 0)
		return false;
	while (b.len > 0) {
		n = write(fd, b.p, b.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		b = bytes_of(b.p + n, b.len - (size_t)n);
	}
	return fsync(fd) == 0;
}

enum status
own_file_create(const char *path, struct bytes content, const char **why)
{
	int saved, fd;
	bool done;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		*why = errno == EEXIST ? "it exists already" : "cannot be created";
		return errno == EEXIST ? STATUS_REFUSED : STATUS_IO;
	}
	done = fill(fd, content);
	done = close(fd) == 0 && done;
	if (done && own_file_flush_folder(path))
		return STATUS_OK;
	saved = errno;
	(void)unlink(path);
	errno = saved;
	*why = "cannot be written";
	return STATUS_IO;
}

bool
own_file_is(int fd, size_t len, const char **why)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		*why = "cannot be looked at";
		return false;
	}
	errno = 0;
	if (!S_ISREG(st.st_mode))
		*why = "is not a regular file";
	else if (st.st_uid != geteuid())
		*why = "belongs to another user";
	else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		*why = "is open to others: chmod 600";
	else if (st.st_nlink != 1)
		*why = "does not have exactly one name";
	else if (st.st_size < 0 || (size_t)st.st_size != len)
		*why = "has the wrong length";
	else
		return true;
	return false;
}

enum status
own_file_open(const char *path, bool writing, size_t len, int *fd, const char **why)
{
	/* O_NONBLOCK: a FIFO in its place must not hold us up. */
	int flags = (writing ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	int saved, opened = open(path, flags);

	if (opened < 0) {
		*why = errno == ELOOP ? "is a symbolic link" : "cannot be opened";
		return errno == EROFS ? STATUS_READ_ONLY : STATUS_CONFIG;
	}
	if (!own_file_is(opened, len, why)) {
		saved = errno;
		(void)close(opened);
		errno = saved;
		return STATUS_CONFIG;
	}
	*fd = opened;
	return STATUS_OK;
}

bool
own_file_destroy(const char *path)
{
	uint8_t random[4096];
	struct stat st;
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool ok = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid();

	if (fd < 0)
		return errno == ENOENT;
	for (off_t at = 0; ok && at < st.st_size; at += (off_t)sizeof(random)) {
		size_t len = st.st_size - at < (off_t)sizeof(random) ? (size_t)(st.st_size - at)
								     : sizeof(random);

		seal_random(random, sizeof(random));
		ok = pwrite(fd, random, len, at) == (ssize_t)len;
	}
	ok = ok && fsync(fd) == 0;
	(void)close(fd);
	/* One that could not be overwritten stays, for another try. */
	return ok && unlink(path) == 0;
}
