/*
 * A random source that fails, for LD_PRELOAD: what libsodium asks for its random bytes, getrandom(2), or
 * the device when that is not there. In the environment:
 *   PDV_STUCK_AFTER   n: how many draws are true before
 *   PDV_STUCK_PERIOD  n: then so many different blocks take turns; 0: nothing is given any more
 *   PDV_STUCK_DEVICE  set: the kernel has no getrandom(2)
 *   PDV_STUCK_LOG     a file: every true draw of a key's length is appended to it
 */
/* Each name below is what it says, not another one behind a macro. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default")))
#define MEMORY_DEVICES 1u	/* major number */
#define DEVICE_RANDOM 8u
#define DEVICE_URANDOM 9u
#define KEY_LEN 32u

static _Atomic uint64_t draws;
static uint64_t after = UINT64_MAX, period;
static bool device;
static long told = -1;

__attribute__((constructor)) static void
start(void)
{
	const char *a = getenv("PDV_STUCK_AFTER"), *p = getenv("PDV_STUCK_PERIOD");
	const char *log = getenv("PDV_STUCK_LOG");

	if (log != NULL && (told = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600)) < 0)
		abort();
	if (a == NULL || p == NULL)
		return;
	after = strtoull(a, NULL, 10);
	period = strtoull(p, NULL, 10);
	device = getenv("PDV_STUCK_DEVICE") != NULL;
}

/* Whether this draw is false; then it is made, or fails. */
static bool
is_stuck(void *buf, size_t len, ssize_t *result)
{
	uint64_t n = atomic_fetch_add(&draws, 1), x;
	uint8_t *out = buf;

	if (n < after)
		return false;
	if (period == 0) {
		errno = EIO;
		*result = -1;
		return true;
	}
	x = (n - after) % period;
	for (size_t i = 0; i < len; i++) {
		/* Knuth's MMIX generator: blocks that look like random ones. */
		x = x * 6364136223846793005u + 1442695040888963407u;
		out[i] = (uint8_t)(x >> 56);
	}
	*result = (ssize_t)len;
	return true;
}

/* Others draw too, for what is no key (nng, for the ids of its messages), and count on it. */
static bool
is_for_keys(const void *caller)
{
	Dl_info who;

	return dladdr(caller, &who) != 0 && strstr(who.dli_fname, "libsodium") != NULL;
}

SEEN ssize_t
getrandom(void *buf, size_t len, unsigned flags)
{
	ssize_t result;

	if (!is_for_keys(__builtin_return_address(0)))
		return syscall(SYS_getrandom, buf, len, flags);
	if (device) {
		errno = ENOSYS;
		return -1;
	}
	if (is_stuck(buf, len, &result))
		return result;
	result = syscall(SYS_getrandom, buf, len, flags);
	if (told >= 0 && result == (ssize_t)KEY_LEN && syscall(SYS_write, told, buf, KEY_LEN) != (long)KEY_LEN)
		abort();
	return result;
}

static bool
is_random_device(int fd)
{
	struct stat sb;

	return syscall(SYS_fstat, fd, &sb) == 0 && S_ISCHR(sb.st_mode) && major(sb.st_rdev) == MEMORY_DEVICES &&
	    (minor(sb.st_rdev) == DEVICE_RANDOM || minor(sb.st_rdev) == DEVICE_URANDOM);
}

SEEN ssize_t
read(int fd, void *buf, size_t len)
{
	ssize_t result;

	if (device && is_random_device(fd) && is_stuck(buf, len, &result))
		return result;
	return syscall(SYS_read, fd, buf, len);
}
