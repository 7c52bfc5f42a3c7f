#include "server/store/medium.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/log.h"

#define PAGE 4096u
#define OFF_MAGIC 16u		/* after the page's own header */
#define OFF_VERSION 20u
#define OFF_COMMIT 144u
#define MAGIC 0xBEEFC0DEu
#define VERSION 1u

static int
open_direct(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd >= 0 || errno != EINVAL)
		return fd;
	/* No O_DIRECT here (tmpfs): ask the kernel to forget what it holds. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0)
		(void)posix_fadvise(fd, 0, 2 * PAGE, POSIX_FADV_DONTNEED);
	return fd;
}

bool
medium_is_meta(const uint8_t *page, uint64_t *commit)
{
	uint32_t magic, version;

	memcpy(&magic, page + OFF_MAGIC, sizeof(magic));
	memcpy(&version, page + OFF_VERSION, sizeof(version));
	memcpy(commit, page + OFF_COMMIT, sizeof(*commit));
	return magic == MAGIC && version == VERSION;
}

static enum status
newest(const uint8_t *pages, uint64_t *commit)
{
	uint64_t best = 0;
	bool found = false;

	for (const uint8_t *p = pages; p < pages + 2 * PAGE; p += PAGE) {
		uint64_t n;

		if (!medium_is_meta(p, &n))
			continue;
		if (!found || n > best)
			best = n;
		found = true;
	}
	if (!found)
		return STATUS_CORRUPT;
	*commit = best;
	return STATUS_OK;
}

enum status
medium_newest_commit(const char *path, uint64_t *commit)
{
	void *pages = NULL;
	int fd = -1;
	enum status rc = STATUS_IO;

	if (posix_memalign(&pages, PAGE, (size_t)2 * PAGE) != 0)
		return STATUS_NO_MEMORY;
	if ((fd = open_direct(path)) < 0 || pread(fd, pages, (size_t)2 * PAGE, 0) != 2 * PAGE) {
		log_event(LOG_STORE_ERROR, LOG_S(WHAT, "cannot read the meta pages"),
		    LOG_S(PATH, path), LOG_S(ERRNO, strerror(errno)));
		goto out;
	}
	rc = newest(pages, commit);
out:
	if (fd >= 0)
		(void)close(fd);
	free(pages);
	return rc;
}
