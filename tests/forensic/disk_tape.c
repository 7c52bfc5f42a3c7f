/*
 * A recorder for LD_PRELOAD into user-mode linux: what it writes to the files that are its disks, and when it
 * flushes them, on a tape as tape.c makes it. In the environment:
 *   PDV_DISK_TAPE  the tape; is appended to
 *   PDV_DISKS      absolute paths of the disks, with colons between
 *
 * The calls are made by the guest's kernel, one at a time, on its own stacks, which are small: so no large
 * variables here, and no locks, unlike in tape.c.
 */
/* Each name below is what it says, not another one behind a macro. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/forensic/tape.h"

#define MAGIC 0x45504154u
#define SEEN __attribute__((visibility("default")))

static long tape = -1;
static const char *disks;
static char path[TAPE_PATH];
static uint64_t number;

__attribute__((constructor)) static void
start(void)
{
	const char *name = getenv("PDV_DISK_TAPE");

	disks = getenv("PDV_DISKS");
	if (name == NULL || disks == NULL)
		return;
	tape = syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (tape < 0)
		abort();
}

/* Puts the name of the file into ${path}. */
static bool
is_disk(int fd)
{
	char link[32];
	size_t len;
	long n;

	if (tape < 0)
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = syscall(SYS_readlink, link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	for (const char *p = disks; *p != '\0'; p += len + (p[len] == ':')) {
		len = strcspn(p, ":");
		if (strncmp(path, p, len) == 0 && path[len] == '\0')
			return true;
	}
	return false;
}

/* What was done to ${fd} with that result, if it is a disk. */
static void
put(struct tape_record *r, int fd, const void *data)
{
	int error = errno;
	ssize_t whole;

	if (is_disk(fd)) {
		r->magic = MAGIC;
		r->number = ++number;
		r->fd = (uint32_t)fd;
		r->path_len = (uint32_t)strlen(path);
		r->data_len = r->kind == WRITE && r->result > 0 ? (uint32_t)r->result : 0;
		whole = (ssize_t)(sizeof(*r) + r->path_len + r->data_len);
		struct iovec all[] = { { r, sizeof(*r) }, { path, r->path_len },
			{ (void *)(uintptr_t)data, r->data_len } };
		/* A tape with a gap would prove what is not so. */
		if (syscall(SYS_writev, tape, all, 3) != whole)
			abort();
	}
	errno = error;
}

SEEN ssize_t
pwrite64(int fd, const void *buf, size_t len, off64_t at)
{
	long done = syscall(SYS_pwrite64, fd, buf, len, at);
	struct tape_record r = { .kind = WRITE, .offset = (uint64_t)at, .length = len, .result = done };

	put(&r, fd, buf);
	return done;
}

/* The tape tells what was flushed; the host's own disk has no part in it, and would only be slow. */
static int
flush(int fd, long call)
{
	struct tape_record r = { .kind = FLUSH };

	if (!is_disk(fd))
		return (int)syscall(call, fd);
	put(&r, fd, NULL);
	return 0;
}

SEEN int
fsync(int fd)
{
	return flush(fd, SYS_fsync);
}

SEEN int
fdatasync(int fd)
{
	return flush(fd, SYS_fdatasync);
}
