/*
 * A recorder for LD_PRELOAD: what a program does to the files below some folders, in order, with
 * the data, on a tape. In the environment:
 *   PDV_TAPE        the tape; is appended to
 *   PDV_TAPE_BELOW  absolute paths of folders and files, with colons between: what is recorded
 *   PDV_TAPE_STOP   n: the process ends in place of its n-th recorded call
 *   PDV_TAPE_HOLD   n: it is stopped (SIGSTOP) before its n-th recorded call
 *   PDV_TAPE_FAIL   n: its n-th recorded call is not done and fails
 *   PDV_TAPE_LIE    n: its n-th recorded call is done, durably if it is such a call, and fails all the same
 *   PDV_TAPE_TIMES  how many calls fail from there on, 1 unless it is set
 *   PDV_TAPE_ERROR  the errno of it, EIO unless it is set
 *   PDV_TAPE_SHORT  n: of the n-th, if it is a write, only half is done
 *   PDV_TAPE_SLOW   n: each flush begins that many milliseconds later, and holds up nobody else
 *   PDV_TAPE_SICK   a path: while something has it, flushes are not done and fail
 *   PDV_TAPE_HEADS  n: of what is written the tape keeps that many bytes at most
 *
 * A record has a head of 64 bytes, in the machine's byte order:
 *   offset  length  what
 *        0       4  0x45504154, "TAPE"
 *        4       4  kind (tape.h)
 *        8       8  number of the record in its process, from 1
 *       16       8  offset in the file
 *       24       8  length that was asked for
 *       32       8  result, signed; an error is its negative number
 *       40       8  CLOCK_MONOTONIC, in nanoseconds
 *       48       4  flags: of open, fallocate; for what is done with a descriptor, its own
 *       52       4  descriptor
 *       56       4  n, length of the path
 *       60       4  m, length of the data
 * and then n bytes of the path that the descriptor has at the moment, and m of data: what was really
 * written, or the new name of a rename. SEND has no data: it tells when a peer was answered, and has the
 * peer's port for an offset.
 *
 * One call at a time is made and recorded under one lock, so that the order on the tape is the
 * order of the calls. SEND is recorded before it is done, all else after. System calls are made
 * directly, since libc's own functions are those that stand here. What stdio writes is not seen,
 * nor what is written through a shared map: MAP records tell of those.
 */
/* Each name below is what it says, not another one behind a macro. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tests/forensic/tape.h"

#define MAGIC 0x45504154u
#define STOPPED 86

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *below;
static long tape = -1;
static const char *sick;
static uint64_t number, stop_at, hold_at, fail_at, lie_at, fail_times, fail_error, short_at,
    slow_ms, heads;

bool
tape_is_below(const char *path)
{
	size_t len;

	for (const char *p = tape >= 0 ? below : NULL; p != NULL && *p != '\0'; p += len + (p[len] == ':')) {
		len = strcspn(p, ":");
		if (strncmp(path, p, len) == 0 && (path[len] == '\0' || path[len] == '/'))
			return true;
	}
	return false;
}

/* What the descriptor is: "" for what cannot be told. */
static void
name_of(int fd, char path[static TAPE_PATH])
{
	char link[32] = "/proc/self/fd/";
	size_t at = strlen(link);
	long n;
	int digits = 1;

	path[0] = '\0';
	if (fd < 0)
		return;
	for (int f = fd; f > 9; f /= 10)
		digits++;
	for (int i = digits - 1, f = fd; i >= 0; i--, f /= 10)
		link[at + (size_t)i] = (char)('0' + f % 10);
	if ((n = syscall(SYS_readlink, link, path, TAPE_PATH - 1)) > 0)
		path[n] = '\0';
}

static uint64_t
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Puts a record with up to ${r->data_len} bytes of ${iov} onto the tape. Under the lock. */
static void
put(struct tape_record *r, const char *path, const struct iovec *iov, size_t count)
{
	struct iovec all[2 + TAPE_PIECES];
	size_t left = r->data_len, n = 2;
	ssize_t whole;

	r->magic = MAGIC;
	r->time = now();
	r->path_len = (uint32_t)strlen(path);
	all[0] = (struct iovec){ r, sizeof(*r) };
	all[1] = (struct iovec){ (void *)(uintptr_t)path, r->path_len };
	whole = (ssize_t)(sizeof(*r) + r->path_len + r->data_len);
	for (size_t i = 0; i < count && left > 0; i++, n++) {
		all[n] = iov[i];
		all[n].iov_len = iov[i].iov_len < left ? iov[i].iov_len : left;
		left -= all[n].iov_len;
	}
	/* A tape with a gap would prove what is not so. */
	if (left > 0 || syscall(SYS_writev, tape, all, n) != whole)
		abort();
}

bool
tape_is_on(void)
{
	return tape >= 0;
}

bool
tape_begin(struct tape_record *r)
{
	(void)pthread_mutex_lock(&lock);
	r->number = ++number;
	if (number == stop_at)
		(void)syscall(SYS_exit_group, STOPPED);
	if (number == hold_at)
		(void)syscall(SYS_kill, syscall(SYS_getpid), SIGSTOP);
	return fail_at == 0 || number < fail_at || number - fail_at >= fail_times;
}

long
tape_end(struct tape_record *r, long result, const char *path, const struct iovec *iov, size_t count)
{
	int error = errno;

	r->result = result < 0 ? -error : result;
	if (r->kind == WRITE)
		r->data_len = result <= 0 ? 0 : (uint32_t)((uint64_t)result < heads ? (uint64_t)result : heads);
	put(r, path, iov, count);
	(void)pthread_mutex_unlock(&lock);
	if (r->number == lie_at)
		return tape_fails();
	errno = error;
	return result;
}

void
tape_wait(const struct tape_record *r)
{
	const struct timespec t = { (time_t)(slow_ms / 1000), (long)(slow_ms % 1000) * 1000000 };

	if (r->kind == FLUSH && slow_ms > 0)
		(void)nanosleep(&t, NULL);
}

bool
tape_is_sick(const struct tape_record *r)
{
	return r->kind == FLUSH && sick != NULL && syscall(SYS_faccessat, AT_FDCWD, sick, F_OK) == 0;
}

long
tape_fails(void)
{
	errno = (int)fail_error;
	return -1;
}

bool
tape_recorded(int fd, char path[static TAPE_PATH])
{
	int error = errno;

	if (tape < 0)
		return false;
	name_of(fd, path);
	errno = error;
	return tape_is_below(path);
}

uint32_t
tape_flags(int fd)
{
	return (uint32_t)syscall(SYS_fcntl, fd, F_GETFL);
}

bool
tape_is_short(const struct tape_record *r)
{
	return r->number == short_at;
}

static uint64_t
number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("PDV_TAPE");
	struct tape_record r = { .kind = START };

	below = getenv("PDV_TAPE_BELOW");
	if (path == NULL || below == NULL)
		return;
	stop_at = number_of("PDV_TAPE_STOP", 0);
	hold_at = number_of("PDV_TAPE_HOLD", 0);
	fail_at = number_of("PDV_TAPE_FAIL", 0);
	fail_times = number_of("PDV_TAPE_TIMES", 1);
	fail_error = number_of("PDV_TAPE_ERROR", EIO);
	lie_at = number_of("PDV_TAPE_LIE", 0);
	short_at = number_of("PDV_TAPE_SHORT", 0);
	slow_ms = number_of("PDV_TAPE_SLOW", 0);
	heads = number_of("PDV_TAPE_HEADS", UINT64_MAX);
	sick = getenv("PDV_TAPE_SICK");
	tape = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (tape < 0)
		abort();
	(void)tape_begin(&r);
	(void)tape_end(&r, 0, "", NULL, 0);
}

void
tape_send(int fd, size_t length)
{
	struct tape_record r = { .kind = SEND, .fd = (uint32_t)fd, .length = length };
	struct sockaddr_in peer = { .sin_family = AF_UNSPEC };
	socklen_t len = sizeof(peer);
	struct stat sb;
	int error = errno;

	if (tape < 0 || syscall(SYS_fstat, fd, &sb) != 0 || !S_ISSOCK(sb.st_mode)) {
		errno = error;
		return;
	}
	if (syscall(SYS_getpeername, fd, &peer, &len) == 0 && peer.sin_family == AF_INET)
		r.offset = ntohs(peer.sin_port);
	(void)tape_begin(&r);
	(void)tape_end(&r, 0, "", NULL, 0);
	errno = error;
}
