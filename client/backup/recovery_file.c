#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/backup/recovery_internal.h"

static enum backup_result
io(struct backup_fault *f, const char *path, const char *what)
{
	return backup_fault_set(f, BACKUP_IO, "%.200s: %s: %s", path, what, strerror(errno));
}

static enum backup_result
get_all(int fd, const char *path, struct recovery_file *out, struct backup_fault *f)
{
	struct stat st;
	ssize_t n = 1;

	if (fstat(fd, &st) != 0)
		return io(f, path, "cannot be looked at");
	if (!S_ISREG(st.st_mode))
		return backup_fault_set(f, BACKUP_BAD, "%.200s: is not a regular file", path);
	for (out->len = 0; n != 0 && out->len <= RECOVERY_TEXT_MAX; out->len += (size_t)n) {
		do
			n = read(fd, out->text + out->len, RECOVERY_TEXT_MAX + 1 - out->len);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return io(f, path, "cannot be read");
	}
	if (out->len > RECOVERY_TEXT_MAX)
		return backup_fault_set(f, BACKUP_BAD, "%.200s: is no file of a recovery key", path);
	return BACKUP_OK;
}

enum backup_result
recovery_file_get(const char *path, struct recovery_file *out, struct backup_fault *f)
{
	/* O_NONBLOCK: a FIFO in its place must not hold us up. */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	enum backup_result rc;

	if (fd < 0 && errno == ENOENT)
		return backup_fault_set(f, BACKUP_ABSENT, "%.200s: is not there", path);
	if (fd < 0 && errno == ELOOP)
		return backup_fault_set(f, BACKUP_BAD, "%.200s: is a symbolic link", path);
	if (fd < 0)
		return io(f, path, "cannot be opened");
	rc = get_all(fd, path, out, f);
	(void)close(fd);
	return rc;
}

static bool
put_all(int fd, const char *at, size_t len)
{
	ssize_t n;

	while (len > 0) {
		if ((n = write(fd, at, len)) < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0;
}

/* A new name is durable only when its folder is flushed. */
static bool
flush_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX] = ".";
	size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
	bool done;
	int fd;

	if (len >= sizeof(folder)) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (len > 0) {
		memcpy(folder, path, len);
		folder[len] = '\0';
	}
	if ((fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return false;
	done = fsync(fd) == 0;
	return close(fd) == 0 && done;
}

enum backup_result
recovery_file_put(const char *path, const struct recovery_file *in, struct backup_fault *f)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	enum backup_result rc;
	bool done;

	if (fd < 0 && errno == EEXIST)
		return backup_fault_set(f, BACKUP_EXISTS, "%.200s: is there already", path);
	if (fd < 0)
		return io(f, path, "cannot be made");
	done = put_all(fd, in->text, in->len);
	done = close(fd) == 0 && done;
	if (done && flush_folder(path))
		return BACKUP_OK;
	rc = io(f, path, "cannot be written");
	(void)unlink(path);
	return rc;
}
