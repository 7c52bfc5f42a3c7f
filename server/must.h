/*
 * must(cond): our own bug if not true: says where, and aborts, in every build.
 * MUST_USE: the result may not be dropped.
 */
#ifndef SERVER_MUST_H
#define SERVER_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define MUST_USE __attribute__((warn_unused_result))

#define must(cond) ((cond) ? (void)0 : must_fail(#cond, __FILE__, __LINE__))

static inline _Noreturn void
must_fail(const char *what, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: must hold: %s\n", file, line, what);
	abort();
}

#endif /* SERVER_MUST_H */
