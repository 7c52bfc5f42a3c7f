#include "server/doctor_flush.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/clock.h"

#define BLOCK 4096u
#define TEMPLATE "pdvault-doctor.XXXXXX"

static int
compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t
doctor_flush_median(uint64_t *ns, unsigned n)
{
	must(n > 0);
	qsort(ns, n, sizeof(ns[0]), compare);
	return ns[n / 2];
}

/* One block in place, other bytes each time; 0, or errno. */
static int
turn(int fd, unsigned n)
{
	uint8_t block[BLOCK];
	ssize_t written;

	memset(block, (int)(n & 0xff), sizeof(block));
	if ((written = pwrite(fd, block, sizeof(block), 0)) != (ssize_t)sizeof(block))
		return written < 0 ? errno : ENOSPC;
	return fdatasync(fd) == 0 ? 0 : errno;
}

static int
measure(int fd, struct doctor_flush *out)
{
	uint64_t ns[DOCTOR_FLUSH_ROUNDS], begun = clock_monotonic_ns(), last, now;
	unsigned n = 0;
	int error;

	/* The first one allocates the block, and is not counted. */
	if ((error = turn(fd, 0)) != 0)
		return error;
	for (last = clock_monotonic_ns(); n < DOCTOR_FLUSH_ROUNDS; last = now) {
		if ((error = turn(fd, n + 1)) != 0)
			return error;
		now = clock_monotonic_ns();
		ns[n++] = now - last;
		if (now - begun >= DOCTOR_FLUSH_LIMIT_NS)
			break;
	}
	*out = (struct doctor_flush){ doctor_flush_median(ns, n), n };
	return 0;
}

int
doctor_flush_measure(const char *folder, struct doctor_flush *out)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/" TEMPLATE, folder), fd, error = 0;

	if (n < 0 || (size_t)n >= sizeof(path))
		return ENAMETOOLONG;
	if ((fd = mkostemp(path, O_CLOEXEC)) < 0)
		return errno;
	/* Now, so that nothing is left even if this process is killed. */
	if (unlink(path) != 0)
		error = errno;
	if (error == 0)
		error = measure(fd, out);
	(void)close(fd);
	return error;
}
