/*
 * The allocator, the sanitizer's or the C library's, which may be told to fail: for one thread, and once.
 * A test that uses it gets it instead of malloc().
 */
#ifndef TESTS_ALLOCATION_H
#define TESTS_ALLOCATION_H

/* From now on it is the allocations of this thread that count. */
void allocation_watch(void);

/* The n-th from now on fails; 0: none. */
void allocation_fail(unsigned n);

/* How many there were since. */
unsigned allocation_seen(void);

#endif /* TESTS_ALLOCATION_H */
