/*
 * Latencies in logarithmic buckets with 64 steps to each doubling: a quantile is right to 1.6 %.
 * Any number of threads record at once.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_STEPS 64u
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * 40u)

struct histogram {
	_Atomic uint64_t count, bucket[HISTOGRAM_BUCKETS];
};

void histogram_reset(struct histogram *h);
void histogram_record(struct histogram *h, uint64_t ns);
uint64_t histogram_count(const struct histogram *h);

/* The upper bound of the bucket that holds the q-th part (0 < q <= 1), in ns; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double q);

#endif /* BENCH_HISTOGRAM_H */
