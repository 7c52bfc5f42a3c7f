#include "server/clock.h"

#include <time.h>

#include "server/must.h"

uint64_t
clock_monotonic_ns(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int64_t
clock_wall_ms(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_REALTIME, &t) == 0);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
