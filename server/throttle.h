/*
 * At most one line a second in the log for something that a peer can cause as often as it
 * likes, and the count of the rest.
 */
#ifndef SERVER_THROTTLE_H
#define SERVER_THROTTLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* All zero at first. */
struct throttle {
	atomic_uint_fast64_t next_ns;
	atomic_uint_fast64_t held;
};

/*
 * One more event at ${now_ns} (CLOCK_MONOTONIC). True: log it, with ${count}, the events
 * since the last that was logged, this one included. Any thread.
 */
bool throttle_pass(struct throttle *t, uint64_t now_ns, uint64_t *count);

#endif /* SERVER_THROTTLE_H */
