#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned from, upto;
static _Atomic unsigned wanted;		/* set last: then the others are what they are to be */
static int failure;
static _Atomic unsigned count, unflushed;

void
fault_set(unsigned files, unsigned first, unsigned last, int error)
{
	from = first;
	upto = last;
	failure = error;
	atomic_store(&count, 0);
	atomic_store(&unflushed, 0);
	wanted = files;
}

void
fault_none(void)
{
	wanted = 0;
}

unsigned
fault_count(void)
{
	return atomic_load(&count);
}

unsigned
fault_unflushed(void)
{
	return atomic_load(&unflushed);
}

static int allocation_error;

void
fault_allocation(int error)
{
	allocation_error = error;
}

static unsigned
file_of(int fd)
{
	char link[64], path[512];
	const char *name;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if ((n = readlink(link, path, sizeof(path) - 1)) < 0)
		return 0;
	path[n] = '\0';
	name = strrchr(path, '/');
	if (name == NULL)
		return 0;
	return strcmp(name, "/anchor") == 0 ? (unsigned)FAULT_ANCHOR :
	    strcmp(name, "/data.mdb") == 0 ? (unsigned)FAULT_STORE :
	    strncmp(name, "/ledger", 7) == 0 ? (unsigned)FAULT_LEDGER : 0;
}

/* 0: do it; above 0: fail with that errno; FAULT_TORN: do half and end. */
static int
judge(int fd)
{
	unsigned n;

	if (wanted == 0 || (file_of(fd) & wanted) == 0)
		return 0;
	n = atomic_fetch_add(&count, 1) + 1;
	if (n < from || n > upto)
		return 0;
	if (failure == FAULT_EXIT)
		_exit(FAULT_EXIT_STATUS);
	return failure;
}

static void
note_write(int fd)
{
	if (wanted != 0 && (file_of(fd) & wanted) != 0 && (fcntl(fd, F_GETFL) & O_DSYNC) == 0)
		atomic_fetch_add(&unflushed, 1);
}

static int
failed(int error)
{
	errno = error;
	return -1;
}

static ssize_t
write_at(int fd, const void *buf, size_t len, off64_t at)
{
	int fault = judge(fd);

	if (fault > 0)
		return failed(fault);
	if (fault == FAULT_TORN) {
		(void)syscall(SYS_pwrite64, fd, buf, len / 2 / 512 * 512, at);
		_exit(FAULT_EXIT_STATUS);
	}
	note_write(fd);
	return syscall(SYS_pwrite64, fd, buf, len, at);
}

/* Where files are large the library's headers make one name of the two: LMDB was built with the other. */
__attribute__((visibility("default"))) ssize_t pwrite_small(int fd, const void *buf, size_t len,
    off64_t at) __asm__("pwrite");

ssize_t
pwrite_small(int fd, const void *buf, size_t len, off64_t at)
{
	return write_at(fd, buf, len, at);
}

__attribute__((visibility("default"))) ssize_t
pwrite64(int fd, const void *buf, size_t len, off64_t at)
{
	return write_at(fd, buf, len, at);
}

__attribute__((visibility("default"))) ssize_t
writev(int fd, const struct iovec *v, int n)
{
	int fault = judge(fd);

	if (fault > 0)
		return failed(fault);
	if (fault == FAULT_TORN) {
		(void)syscall(SYS_writev, fd, v, n / 2);
		_exit(FAULT_EXIT_STATUS);
	}
	note_write(fd);
	return syscall(SYS_writev, fd, v, n);
}

__attribute__((visibility("default"))) int
fdatasync(int fd)
{
	int fault = judge(fd);

	if (fault > 0)
		return failed(fault);
	if (fault == FAULT_TORN)
		_exit(FAULT_EXIT_STATUS);
	if (wanted != 0 && (file_of(fd) & wanted) != 0)
		atomic_store(&unflushed, 0);
	return (int)syscall(SYS_fdatasync, fd);
}

/* With fault_allocation() only what makes the file longer fails, as on a disk without room. */
__attribute__((visibility("default"))) int
posix_fallocate64(int fd, off64_t at, off64_t len)
{
	struct stat st;
	int fault = judge(fd);

	if (fault > 0)
		return fault;
	if (fault == FAULT_TORN)
		_exit(FAULT_EXIT_STATUS);
	if (allocation_error != 0 && fstat(fd, &st) == 0 && at + len > st.st_size)
		return allocation_error;
	return syscall(SYS_fallocate, fd, 0, at, len) == 0 ? 0 : errno;
}
