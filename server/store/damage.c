#include "server/store/damage.h"

#include "server/clock.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/throttle.h"

static struct throttle said;

enum status
damage_judged(enum status rc, const char *what)
{
	uint64_t count;

	if (rc != STATUS_FORGED && rc != STATUS_CORRUPT)
		return rc;
	metrics_add(METRIC_INTEGRITY_ERRORS, 1);
	if (throttle_pass(&said, clock_monotonic_ns(), &count))
		log_event(LOG_INTEGRITY, LOG_STATUS(rc), LOG_S(WHAT, what), LOG_N(COUNT, count));
	return rc;
}
