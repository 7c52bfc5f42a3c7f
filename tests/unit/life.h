/*
 * One life of a server as a child process: what it had in memory is gone afterwards.
 */
#ifndef TESTS_LIFE_H
#define TESTS_LIFE_H

#include <stddef.h>

#define LIFE_SIGNAL 1000

/*
 * Runs it in a child; its exit status (0 when it returned), or LIFE_SIGNAL + the signal that ended it, and then
 * what it said is shown. No other thread runs in the caller.
 */
int life_run(void (*life)(void));

/* Zero bytes that the children share with their parent; until munmap(2). */
void *life_shared(size_t len);

#endif /* TESTS_LIFE_H */
