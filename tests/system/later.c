/*
 * For LD_PRELOAD: a wall clock that is ahead by PDVAULT_LATER seconds, so that what rests on the age
 * of something can be tested today.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

__attribute__((visibility("default"))) int
clock_gettime(clockid_t clock, struct timespec *out)
{
	const char *ahead = getenv("PDVAULT_LATER");
	long rc = syscall(SYS_clock_gettime, clock, out);

	if (rc == 0 && clock == CLOCK_REALTIME && ahead != NULL)
		out->tv_sec += strtol(ahead, NULL, 10);
	return (int)rc;
}
