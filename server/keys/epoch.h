/*
 * The present epoch, the roots that readers may use, and the readers' pins.
 *
 * Invariants (epoch_check):
 *  1. settled <= current; they differ while K6 runs, and from a K5 that failed until it succeeds.
 *  2. A pin is 0 (none) or between current - 1 and current, so a snapshot taken under pin p
 *     is of epoch p or p + 1. (Inside epoch_pin() it may be older for a moment.)
 *  3. The root of epoch e rests at place e mod 2 until no pin is at or below e.
 */
#ifndef SERVER_KEYS_EPOCH_H
#define SERVER_KEYS_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#include "server/keys/root.h"

#define EPOCH_READERS_MAX 48u

struct epochs;

/* Serving ${root}, which is copied. ${settled} is its epoch, or below it on read-only media. */
enum status epoch_new(const struct root *root, uint64_t settled, struct epochs **out) MUST_USE;
void epoch_free(struct epochs *e);

/*
 * Any thread; ${reader} < EPOCH_READERS_MAX is the caller's own. Pin before the snapshot,
 * unpin when the last key taken from it is wiped.
 */
void epoch_pin(struct epochs *e, unsigned reader);
void epoch_unpin(struct epochs *e, unsigned reader);

/* The root of a snapshot's epoch, valid while pinned; NULL: not an epoch of ours. */
const struct root *epoch_root(struct epochs *e, uint64_t epoch);

uint64_t epoch_current(struct epochs *e);
uint64_t epoch_settled(struct epochs *e);

/* Before K4, writer's thread: readers may meet ${root}'s epoch (current + 1) from now on. Copied. */
void epoch_stage(struct epochs *e, const struct root *root);

/* The staged root was not committed: wiped again. */
void epoch_unstage(struct epochs *e);

/*
 * After K4: current becomes the staged epoch. Waits until no pin is below it; false: a
 * reader is stuck for ${limit_ns}, and the process must stop.
 */
bool epoch_advance(struct epochs *e, uint64_t limit_ns) MUST_USE;

/*
 * K6, after what was cached is evicted: the old root is wiped from memory. If K5 has succeeded
 * (${erased}), settled becomes current; if not, it stays behind until epoch_settled_late().
 */
void epoch_settle(struct epochs *e, bool erased);

/* K5 has succeeded after all: settled = current. The writer's thread. */
void epoch_settled_late(struct epochs *e);

/* While no thread is inside epoch_pin(). */
void epoch_check(struct epochs *e);

#ifdef PDV_TEST_HOOKS
/* Called inside epoch_pin(), before and after each time that the pin is set. NULL: nothing. */
void epoch_test_watch(void (*f)(bool pinned));
#endif

#endif /* SERVER_KEYS_EPOCH_H */
