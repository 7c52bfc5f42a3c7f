/*
 * Tells AddressSanitizer which bytes of our own allocators nobody owns, so that a
 * use after free or past the end is found as it is with malloc. Elsewhere this is nothing.
 */
#ifndef SERVER_POISON_H
#define SERVER_POISON_H

#include <stddef.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define POISON_ON 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define POISON_ON 1
#endif

#ifdef POISON_ON
#include <sanitizer/asan_interface.h>
#endif

/* No one may touch p[0 .. len-1] from now on; p is aligned to 8. */
static inline void
poison(void *p, size_t len)
{
#ifdef POISON_ON
	__asan_poison_memory_region(p, len);
#else
	(void)p;
	(void)len;
#endif
}

static inline void
unpoison(void *p, size_t len)
{
#ifdef POISON_ON
	__asan_unpoison_memory_region(p, len);
#else
	(void)p;
	(void)len;
#endif
}

#endif /* SERVER_POISON_H */
