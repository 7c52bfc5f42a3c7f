#include "histogram.h"

#include <string.h>

void
histogram_reset(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
}

/* Below 64 ns the bucket is the number itself; above, 64 to each doubling. */
static unsigned
bucket_of(uint64_t ns)
{
	unsigned shift = 0, b;

	while (ns >> shift >= 2 * HISTOGRAM_STEPS)
		shift++;
	b = shift * HISTOGRAM_STEPS + (unsigned)(ns >> shift);
	return b < HISTOGRAM_BUCKETS ? b : HISTOGRAM_BUCKETS - 1;
}

static uint64_t
upper(unsigned b)
{
	unsigned shift = b < 2 * HISTOGRAM_STEPS ? 0 : b / HISTOGRAM_STEPS - 1;

	return ((uint64_t)(b - shift * HISTOGRAM_STEPS) + 1) << shift;
}

void
histogram_record(struct histogram *h, uint64_t ns)
{
	atomic_fetch_add_explicit(&h->bucket[bucket_of(ns)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->count, 1, memory_order_relaxed);
}

uint64_t
histogram_count(const struct histogram *h)
{
	return atomic_load(&h->count);
}

uint64_t
histogram_quantile(const struct histogram *h, double q)
{
	uint64_t count = histogram_count(h), seen = 0;

	for (unsigned b = 0; b < HISTOGRAM_BUCKETS; b++) {
		seen += atomic_load(&h->bucket[b]);
		if (seen > 0 && (double)seen >= q * (double)count)
			return upper(b);
	}
	return 0;
}
