#include "backup_sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup_call.h"
#include "client/backup/file.h"

static enum pdv_code
failed(const char *path, const char *what, struct failure *f)
{
	return failure_set(f, PDV_INTERNAL, "FILE", "%s: %s: %s", path, what, strerror(errno));
}

static enum pdv_code
path_of(const char *folder, char out[static BACKUP_PATH_MAX], struct failure *f)
{
	struct backup_fault fault;

	return backup_failed(backup_file_path(folder, BACKUP_SEALED_NAME, out, &fault), &fault, f);
}

static bool
put(int fd, const uint8_t sealed[static BACKUP_SEALED_LEN])
{
	return pwrite(fd, sealed, BACKUP_SEALED_LEN, 0) == (ssize_t)BACKUP_SEALED_LEN && fsync(fd) == 0;
}

enum pdv_code
backup_sealed_write(const char *folder, const uint8_t sealed[static BACKUP_SEALED_LEN], struct failure *f)
{
	char path[BACKUP_PATH_MAX];
	struct backup_fault fault;
	enum pdv_code rc = path_of(folder, path, f);
	bool done;
	int fd;

	if (rc != PDV_OK)
		return rc;
	/* Cut off, it is no harm: without a manifest there is no backup, and it is written again. */
	if ((fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600)) < 0)
		return failed(path, "cannot be opened", f);
	done = fchmod(fd, 0600) == 0 && put(fd, sealed);
	if (!done)
		rc = failed(path, "cannot be written", f);
	(void)close(fd);
	return done ? backup_failed(backup_file_flush(folder, &fault), &fault, f) : rc;
}

static bool
overwrite(int fd)
{
	uint8_t random[BACKUP_SEALED_LEN], again[BACKUP_SEALED_LEN];

	randombytes_buf(random, sizeof(random));
	if (!put(fd, random))
		return false;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (pread(fd, again, sizeof(again), 0) == (ssize_t)sizeof(again) &&
	    memcmp(random, again, sizeof(again)) == 0)
		return true;
	errno = EIO;
	return false;
}

enum pdv_code
backup_sealed_destroy(const char *folder, struct failure *f)
{
	char path[BACKUP_PATH_MAX];
	struct backup_fault fault;
	enum pdv_code rc = path_of(folder, path, f);
	int fd;

	if (rc != PDV_OK)
		return rc;
	if ((fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)) < 0)
		return errno == ENOENT ? PDV_OK : failed(path, "cannot be overwritten", f);
	if (!overwrite(fd))
		rc = failed(path, "cannot be overwritten", f);
	(void)close(fd);
	if (rc == PDV_OK && unlink(path) != 0)
		rc = failed(path, "cannot be removed", f);
	return rc == PDV_OK ? backup_failed(backup_file_flush(folder, &fault), &fault, f) : rc;
}

enum pdv_code
backup_sealed_check(const char *folder, struct failure *f)
{
	char path[BACKUP_PATH_MAX];
	enum pdv_code rc = path_of(folder, path, f);
	struct stat st;

	if (rc != PDV_OK)
		return rc;
	if (lstat(path, &st) != 0)
		return errno != ENOENT ? failed(path, "cannot be looked at", f) :
		    failure_set(f, PDV_FAILED_PRECONDITION, "KEY_BACKUP_DESTROYED",
			"%s: is not there: this backup of keys was destroyed, and opens nothing", path);
	if (!S_ISREG(st.st_mode) || st.st_size != BACKUP_SEALED_LEN)
		return failure_set(f, PDV_DATA_LOSS, "BACKUP_DAMAGED", "%s: is no sealed root key", path);
	return PDV_OK;
}
