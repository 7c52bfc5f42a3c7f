/*
 * The two clocks. Any thread.
 */
#ifndef SERVER_CLOCK_H
#define SERVER_CLOCK_H

#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC: deadlines and durations. */
uint64_t clock_monotonic_ns(void);

/* Milliseconds since 1970-01-01T00:00Z by CLOCK_REALTIME: what rows and logs say. */
int64_t clock_wall_ms(void);

#endif /* SERVER_CLOCK_H */
