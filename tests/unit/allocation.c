#include "allocation.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

void *__libc_malloc(size_t len);
void *__libc_calloc(size_t n, size_t len);
void *__libc_realloc(void *p, size_t len);
void *__interceptor_malloc(size_t len) __attribute__((weak));
void *__interceptor_calloc(size_t n, size_t len) __attribute__((weak));
void *__interceptor_realloc(void *p, size_t len) __attribute__((weak));

static _Thread_local bool watched;
static _Atomic unsigned fail_at, seen;

/* They run before any sanitizer is ready. */
#define PLAIN __attribute__((no_sanitize("address", "undefined", "thread")))
#define SEEN_BY_ALL __attribute__((visibility("default")))

PLAIN static bool
fails(void)
{
	if (fail_at == 0 || !watched)
		return false;
	return ++seen == fail_at;
}

PLAIN SEEN_BY_ALL void *
malloc(size_t len)
{
	if (fails())
		return NULL;
	return __interceptor_malloc != NULL ? __interceptor_malloc(len) : __libc_malloc(len);
}

PLAIN SEEN_BY_ALL void *
calloc(size_t n, size_t len)
{
	if (fails())
		return NULL;
	return __interceptor_calloc != NULL ? __interceptor_calloc(n, len) : __libc_calloc(n, len);
}

PLAIN SEEN_BY_ALL void *
realloc(void *p, size_t len)
{
	if (fails())
		return NULL;
	return __interceptor_realloc != NULL ? __interceptor_realloc(p, len) : __libc_realloc(p, len);
}

void
allocation_watch(void)
{
	watched = true;
}

void
allocation_fail(unsigned n)
{
	seen = 0;
	fail_at = n;
}

unsigned
allocation_seen(void)
{
	return seen;
}
