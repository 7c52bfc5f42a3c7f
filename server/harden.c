#include "server/harden.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/log.h"

static enum status
refused(const char *what)
{
	log_event(LOG_FATAL, LOG_S(WHAT, what), LOG_S(ERRNO, strerror(errno)));
	return STATUS_REFUSED;
}

/* Else a file of ours could become standard error, and the log be written into it. */
static bool
standard_descriptors(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* The lowest free number is given, and all below fd are taken. */
		if (open("/dev/null", O_RDWR) != fd)
			return false;
	}
	return true;
}

enum status
harden_process(void)
{
	const struct rlimit none = { 0, 0 };

	if (!standard_descriptors())
		return refused("open /dev/null");
	(void)umask(077);
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return refused("RLIMIT_CORE");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return refused("PR_SET_DUMPABLE");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return refused("PR_SET_NO_NEW_PRIVS");
	return STATUS_OK;
}

/* The soft limit becomes the hard one. */
static bool
raise_limit(int which, struct rlimit *out)
{
	if (getrlimit((__rlimit_resource_t)which, out) != 0)
		return false;
	out->rlim_cur = out->rlim_max;
	return setrlimit((__rlimit_resource_t)which, out) == 0;
}

enum status
harden_limits(uint64_t descriptors)
{
	struct rlimit files, memory;

	if (!raise_limit(RLIMIT_NOFILE, &files))
		return refused("RLIMIT_NOFILE");
	if (files.rlim_max != RLIM_INFINITY && files.rlim_max < descriptors) {
		log_event(LOG_FATAL, LOG_N(COUNT, descriptors),
		    LOG_S(WHAT, "RLIMIT_NOFILE is too low for [limits] connections"));
		return STATUS_REFUSED;
	}
	if (!raise_limit(RLIMIT_MEMLOCK, &memory))
		return refused("RLIMIT_MEMLOCK");
	return STATUS_OK;
}
