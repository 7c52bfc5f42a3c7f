/*
 * What stands in for functions of libc, for the program that is recorded.
 */
/* Each name below is what it says, not another one behind a macro. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/forensic/tape.h"

#define BLOCK 4096u		/* what O_DIRECT asks for */
#define SEEN __attribute__((visibility("default")))

/* --- opening and closing --- */

static int
do_open(int dir, const char *name, int flags, mode_t mode)
{
	struct tape_record r = { .kind = OPEN, .flags = (uint32_t)flags };
	char path[TAPE_PATH];
	long fd;

	fd = syscall(SYS_openat, dir, name, flags, mode);
	if (fd < 0 || !tape_recorded((int)fd, path))
		return (int)fd;
	if (!tape_begin(&r)) {
		(void)syscall(SYS_close, fd);
		return (int)tape_end(&r, tape_fails(), path, NULL, 0);
	}
	r.fd = (uint32_t)fd;
	return (int)tape_end(&r, fd, path, NULL, 0);
}

#define MODE_OF(flags, mode) do { \
	va_list list; \
	va_start(list, flags); \
	(mode) = ((flags) & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0; \
	va_end(list); \
} while (0)

SEEN int
open(const char *name, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return do_open(AT_FDCWD, name, flags, mode);
}

SEEN int
open64(const char *name, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return do_open(AT_FDCWD, name, flags, mode);
}

SEEN int
openat(int dir, const char *name, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return do_open(dir, name, flags, mode);
}

SEEN int
openat64(int dir, const char *name, int flags, ...)
{
	mode_t mode;

	MODE_OF(flags, mode);
	return do_open(dir, name, flags, mode);
}

SEEN int
creat(const char *name, mode_t mode)
{
	return do_open(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

SEEN int
creat64(const char *name, mode_t mode)
{
	return creat(name, mode);
}

/* What glibc makes of open() when it hardens a program. */

SEEN int
__open_2(const char *name, int flags)
{
	return do_open(AT_FDCWD, name, flags, 0);
}

SEEN int
__open64_2(const char *name, int flags)
{
	return do_open(AT_FDCWD, name, flags, 0);
}

SEEN int
__openat_2(int dir, const char *name, int flags)
{
	return do_open(dir, name, flags, 0);
}

SEEN int
__openat64_2(int dir, const char *name, int flags)
{
	return do_open(dir, name, flags, 0);
}

/* A call with a descriptor and no data. */
static long
with_fd(struct tape_record *r, int fd, long call, const long args[static 3])
{
	char path[TAPE_PATH];

	if (!tape_recorded(fd, path))
		return syscall(call, fd, args[0], args[1], args[2]);
	r->fd = (uint32_t)fd;
	if (r->flags == 0)
		r->flags = tape_flags(fd);
	tape_wait(r);
	if (!tape_begin(r) || tape_is_sick(r))
		return tape_end(r, tape_fails(), path, NULL, 0);
	return tape_end(r, syscall(call, fd, args[0], args[1], args[2]), path, NULL, 0);
}

SEEN int
close(int fd)
{
	return (int)with_fd(&(struct tape_record){ .kind = CLOSE }, fd, SYS_close, (long[3]){ 0 });
}

/* --- flushing, lengths --- */

SEEN int
fsync(int fd)
{
	return (int)with_fd(&(struct tape_record){ .kind = FLUSH }, fd, SYS_fsync, (long[3]){ 0 });
}

SEEN int
fdatasync(int fd)
{
	return (int)with_fd(&(struct tape_record){ .kind = FLUSH }, fd, SYS_fdatasync, (long[3]){ 0 });
}

SEEN int
sync_file_range(int fd, off64_t from, off64_t count, unsigned flags)
{
	struct tape_record r = { .kind = RANGE, .offset = (uint64_t)from, .length = (uint64_t)count };

	return (int)with_fd(&r, fd, SYS_sync_file_range, (long[3]){ from, count, (long)flags });
}

SEEN int
ftruncate(int fd, off_t length)
{
	struct tape_record r = { .kind = TRUNCATE, .length = (uint64_t)length };

	return (int)with_fd(&r, fd, SYS_ftruncate, (long[3]){ length });
}

SEEN int
ftruncate64(int fd, off64_t length)
{
	return ftruncate(fd, length);
}

static int
do_fallocate(int fd, int mode, off_t from, off_t count)
{
	struct tape_record r = { .kind = ALLOCATE, .offset = (uint64_t)from, .length = (uint64_t)count,
		.flags = (uint32_t)mode };

	return (int)with_fd(&r, fd, SYS_fallocate, (long[3]){ mode, from, count });
}

SEEN int
fallocate(int fd, int mode, off_t from, off_t count)
{
	return do_fallocate(fd, mode, from, count);
}

SEEN int
fallocate64(int fd, int mode, off64_t from, off64_t count)
{
	return do_fallocate(fd, mode, from, count);
}

/* glibc writes zeros where the file system cannot; here that is an error. */
SEEN int
posix_fallocate(int fd, off_t from, off_t count)
{
	return do_fallocate(fd, 0, from, count) == 0 ? 0 : errno;
}

SEEN int
posix_fallocate64(int fd, off64_t from, off64_t count)
{
	return posix_fallocate(fd, from, count);
}

/* --- writing --- */

/* The first half of it, in whole blocks if there are any; how many pieces that is. */
static int
halve(const struct iovec *iov, size_t len, struct iovec half[static TAPE_PIECES])
{
	int n = 0;

	len = len >= 2 * BLOCK ? len / 2 / BLOCK * BLOCK : len / 2;
	for (; len > 0; n++) {
		half[n] = iov[n];
		half[n].iov_len = iov[n].iov_len < len ? iov[n].iov_len : len;
		len -= half[n].iov_len;
	}
	return n;
}

/* At ${at}, or where the descriptor stands if it is negative. */
static ssize_t
do_write(int fd, const struct iovec *iov, int count, off_t at)
{
	struct tape_record r = { .kind = WRITE, .fd = (uint32_t)fd };
	struct iovec half[TAPE_PIECES];
	char path[TAPE_PATH];
	struct stat sb;
	long done;

	if (!tape_recorded(fd, path))
		return at < 0 ? syscall(SYS_writev, fd, iov, count) :
		    syscall(SYS_pwritev, fd, iov, count, at, 0);
	r.flags = tape_flags(fd);
	for (int i = 0; i < count; i++)
		r.length += iov[i].iov_len;
	r.offset = (uint64_t)(at < 0 ? syscall(SYS_lseek, fd, 0, SEEK_CUR) : at);
	if ((r.flags & O_APPEND) != 0 && syscall(SYS_fstat, fd, &sb) == 0)
		r.offset = (uint64_t)sb.st_size;
	if (!tape_begin(&r))
		return tape_end(&r, tape_fails(), path, NULL, 0);
	if (tape_is_short(&r)) {
		count = halve(iov, r.length, half);
		iov = half;
	}
	done = at < 0 ? syscall(SYS_writev, fd, iov, count) : syscall(SYS_pwritev, fd, iov, count, at, 0);
	return tape_end(&r, done, path, iov, (size_t)count);
}

SEEN ssize_t
write(int fd, const void *buf, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	char path[TAPE_PATH];

	if (tape_recorded(fd, path))
		return do_write(fd, &iov, 1, -1);
	tape_send(fd, len);
	return syscall(SYS_write, fd, buf, len);
}

SEEN ssize_t
pwrite(int fd, const void *buf, size_t len, off_t at)
{
	struct iovec iov = { (void *)(uintptr_t)buf, len };

	return do_write(fd, &iov, 1, at);
}

SEEN ssize_t
pwrite64(int fd, const void *buf, size_t len, off64_t at)
{
	return pwrite(fd, buf, len, at);
}

static size_t
total(const struct iovec *iov, int count)
{
	size_t n = 0;

	for (int i = 0; i < count; i++)
		n += iov[i].iov_len;
	return n;
}

SEEN ssize_t
writev(int fd, const struct iovec *iov, int count)
{
	char path[TAPE_PATH];

	if (!tape_recorded(fd, path))
		tape_send(fd, total(iov, count));
	return do_write(fd, iov, count, -1);
}

SEEN ssize_t
pwritev(int fd, const struct iovec *iov, int count, off_t at)
{
	return do_write(fd, iov, count, at);
}

SEEN ssize_t
pwritev64(int fd, const struct iovec *iov, int count, off64_t at)
{
	return do_write(fd, iov, count, at);
}

SEEN ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	tape_send(fd, total(m->msg_iov, (int)m->msg_iovlen));
	return syscall(SYS_sendmsg, fd, m, flags);
}

SEEN ssize_t
send(int fd, const void *buf, size_t len, int flags)
{
	tape_send(fd, len);
	return syscall(SYS_sendto, fd, buf, len, flags, NULL, 0);
}

/* --- maps --- */

/* A map that is shared and can be written is a way past this recorder; it is named. */
static void *
do_map(struct tape_map m)
{
	struct tape_record r = { .kind = MAP, .fd = (uint32_t)m.fd, .flags = (uint32_t)m.protection,
		.offset = (uint64_t)m.at, .length = m.len };
	void *p = (void *)syscall(SYS_mmap, m.where, m.len, m.protection, m.flags, m.fd, m.at);
	char path[TAPE_PATH];

	if (p == MAP_FAILED || m.fd < 0 || (m.flags & MAP_SHARED) == 0 || !tape_recorded(m.fd, path))
		return p;
	(void)tape_begin(&r);
	(void)tape_end(&r, 0, path, NULL, 0);
	return p;
}

SEEN void *
mmap(void *where, size_t len, int protection, int flags, int fd, off_t at)
{
	return do_map((struct tape_map){ where, len, protection, flags, fd, at });
}

SEEN void *
mmap64(void *where, size_t len, int protection, int flags, int fd, off64_t at)
{
	return do_map((struct tape_map){ where, len, protection, flags, fd, at });
}

SEEN int
msync(void *p, size_t len, int flags)
{
	struct tape_record r = { .kind = MSYNC, .length = len, .flags = (uint32_t)flags };

	if (!tape_is_on())
		return (int)syscall(SYS_msync, p, len, flags);
	(void)tape_begin(&r);
	return (int)tape_end(&r, syscall(SYS_msync, p, len, flags), "", NULL, 0);
}

/* --- names --- */

static int
do_names(uint32_t kind, const char *from, const char *to)
{
	struct tape_record r = { .kind = kind, .data_len = (uint32_t)(to != NULL ? strlen(to) : 0) };
	struct iovec iov = { (void *)(uintptr_t)to, r.data_len };
	bool seen = (tape_is_below(from) || (to != NULL && tape_is_below(to)));
	long rc;

	if (seen && !tape_begin(&r))
		return (int)tape_end(&r, tape_fails(), from, &iov, 1);
	rc = to != NULL ? syscall(SYS_rename, from, to) : syscall(SYS_unlink, from);
	return (int)(seen ? tape_end(&r, rc, from, &iov, 1) : rc);
}

SEEN int
rename(const char *from, const char *to)
{
	return do_names(RENAME, from, to);
}

SEEN int
unlink(const char *name)
{
	return do_names(UNLINK, name, NULL);
}
