#include "server/version.h"

#include <pthread.h>

#include "server/clock.h"
#include "server/must.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint64_t start;

static void
set_start(void)
{
	start = clock_monotonic_ns();
}

uint64_t
version_start_ns(void)
{
	must(pthread_once(&once, set_start) == 0);
	return start;
}
