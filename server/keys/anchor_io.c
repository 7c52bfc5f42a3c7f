#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/keys/anchor_internal.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/mutant.h"

void
anchor_io_complain(const char *path, const char *what)
{
	metrics_add(METRIC_ANCHOR_ERRORS, 1);
	if (errno != 0)
		log_event(LOG_ANCHOR_ERROR, LOG_S(WHAT, what), LOG_S(PATH, path),
		    LOG_S(ERRNO, strerrorname_np(errno)));
	else
		log_event(LOG_ANCHOR_ERROR, LOG_S(WHAT, what), LOG_S(PATH, path));
}

#ifdef PDV_TEST_HOOKS
static struct {
	unsigned count, nth;
	int error;
} faults[ANCHOR_TEST_CALLS];

void
anchor_test_fault(enum anchor_test_call call, unsigned nth, int error)
{
	faults[call].count = 0;
	faults[call].nth = nth;
	faults[call].error = error;
}

unsigned
anchor_test_count(enum anchor_test_call call)
{
	return faults[call].count;
}

/* 0: go on. */
static int
fault(enum anchor_test_call call)
{
	return ++faults[call].count == faults[call].nth ? faults[call].error : 0;
}

static bool cached;

void
anchor_test_cached(bool on)
{
	cached = on;
}

static size_t
half(size_t len)
{
	return len / 2 / ANCHOR_BLOCK * ANCHOR_BLOCK;
}
#endif

static ssize_t
pwrite_(int fd, const uint8_t *buf, size_t len, off_t at)
{
#ifdef PDV_TEST_HOOKS
	int f = fault(ANCHOR_TEST_PWRITE);

	if (f == ANCHOR_TEST_LOST)
		return (ssize_t)len;
	if (f == ANCHOR_TEST_SHORT)
		return pwrite(fd, buf, half(len), at);
	if (f == ANCHOR_TEST_TORN && pwrite(fd, buf, half(len), at) > 0)
		f = EIO;
	if (f != 0) {
		errno = f;
		return -1;
	}
#endif
	return pwrite(fd, buf, len, at);
}

static ssize_t
pread_(int fd, uint8_t *buf, size_t len, off_t at)
{
#ifdef PDV_TEST_HOOKS
	int f = fault(ANCHOR_TEST_PREAD);

	if (f == ANCHOR_TEST_LOST)
		return 0;
	if (f == ANCHOR_TEST_SHORT)
		return pread(fd, buf, half(len), at);
	if (f != 0) {
		errno = f;
		return -1;
	}
#endif
	return pread(fd, buf, len, at);
}

static int
fdatasync_(int fd)
{
#ifdef PDV_TEST_HOOKS
	int f = fault(ANCHOR_TEST_FDATASYNC);

	if (f > 0) {
		errno = f;
		return -1;
	}
#endif
	return fdatasync(fd);
}

static off_t
offset(unsigned place)
{
	must(place < 2);
	return (off_t)place * (off_t)ANCHOR_SLOT_LEN;
}

static enum status
write_slot(const struct anchor *a, const struct anchor_file *f, unsigned place)
{
	size_t done = 0;
	ssize_t n;

	while (done < ANCHOR_SLOT_LEN) {
		n = pwrite_(f->fd, a->out + done, ANCHOR_SLOT_LEN - done,
		    offset(place) + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? ENOSPC : errno;
			anchor_io_complain(f->path, "a slot cannot be written");
			return STATUS_ANCHOR;
		}
		done += (size_t)n;
	}
	/* Once failed it is never asked again: the kernel forgets, and the next one succeeds. */
	if (fdatasync_(f->fd) != 0) {
		anchor_io_complain(f->path, "a slot cannot be flushed");
		return STATUS_ANCHOR;
	}
	return STATUS_OK;
}

enum status
anchor_io_read(struct anchor *a, const struct anchor_file *f, unsigned place)
{
	size_t done = 0;
	ssize_t n;

	/* The pages were flushed before, so that they can be dropped. */
	if (!f->direct)
		(void)posix_fadvise(f->fd, offset(place), ANCHOR_SLOT_LEN, POSIX_FADV_DONTNEED);
	while (done < ANCHOR_SLOT_LEN) {
		n = pread_(f->fd, a->in + done, ANCHOR_SLOT_LEN - done,
		    offset(place) + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n == 0 ? 0 : errno;
			anchor_io_complain(f->path,
			    n == 0 ? "the file ends early" : "a slot cannot be read");
			return STATUS_IO;
		}
		done += (size_t)n;
	}
	return STATUS_OK;
}

/* A mutant's: a copy takes the file's name, and the blocks of before are let go as they are. */
static bool
mutant_rename(struct anchor *a, const struct anchor_file *f)
{
	char name[4096];
	int fd, n = snprintf(name, sizeof(name), "%s.new", f->path);
	bool good;

	if (n < 0 || (size_t)n >= sizeof(name) || (fd = open(name, O_RDWR | O_CREAT, 0600)) < 0)
		return false;
	good = fcntl(fd, F_SETFL, fcntl(f->fd, F_GETFL)) == 0;
	for (unsigned i = 0; i < 2; i++)
		good = good && anchor_io_read(a, f, i) == STATUS_OK &&
		    pwrite(fd, a->in, ANCHOR_SLOT_LEN, offset(i)) == (ssize_t)ANCHOR_SLOT_LEN;
	good = good && rename(name, f->path) == 0 && dup2(fd, f->fd) == f->fd;
	(void)close(fd);
	return good;
}

enum status
anchor_io_replace(struct anchor *a, const struct anchor_file *f, unsigned place)
{
	uint64_t start = clock_monotonic_ns();

	if (mutant(slot_renamed) && !mutant_rename(a, f))
		return STATUS_ANCHOR;
	if (write_slot(a, f, place) != STATUS_OK || anchor_io_read(a, f, place) != STATUS_OK)
		return STATUS_ANCHOR;
	if (mutant(slot_not_read_back))
		memcpy(a->in, a->out, ANCHOR_SLOT_LEN);
	/* Both are what stands on the disk: nothing is learned from how long this takes. */
	if (memcmp(a->out, a->in, ANCHOR_SLOT_LEN) != 0) {
		errno = 0;
		anchor_io_complain(f->path, "other bytes came back than were written");
		return STATUS_ANCHOR;
	}
	metrics_time(METRIC_TIME_ANCHOR, clock_monotonic_ns() - start);
	return STATUS_OK;
}

static bool
set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

#ifdef PDV_TEST_HOOKS
	if (on && cached)
		return false;
#endif
	if (flags < 0)
		return false;
	return fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

enum status
anchor_io_begin(struct anchor *a, struct anchor_file *f)
{
	f->direct = set_direct(f->fd, true);
	/* Some take the flag and then refuse our alignment. */
	if (f->direct && pread(f->fd, a->in, ANCHOR_BLOCK, 0) < 0 && errno == EINVAL)
		f->direct = !set_direct(f->fd, false);
	memset(a->in, 0, ANCHOR_BLOCK);
	if (f->direct || fdatasync(f->fd) == 0 || f->read_only)
		return STATUS_OK;
	anchor_io_complain(f->path, "cannot be flushed");
	return STATUS_IO;
}
