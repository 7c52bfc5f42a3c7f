#include "server/throttle.h"

#define INTERVAL_NS UINT64_C(1000000000)

bool
throttle_pass(struct throttle *t, uint64_t now_ns, uint64_t *count)
{
	uint_fast64_t next = atomic_load(&t->next_ns);

	atomic_fetch_add(&t->held, 1);
	if (now_ns < next ||
	    !atomic_compare_exchange_strong(&t->next_ns, &next, now_ns + INTERVAL_NS))
		return false;
	*count = atomic_exchange(&t->held, 0);
	return *count > 0;
}
