#include "client/transport/leftover.h"

#include <malloc.h>
#include <stddef.h>

#include <sodium.h>

#include "client/transport/guard.h"

/* As in orphan.c: weak, so that what is linked otherwise still links, and can be told. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wreserved-identifier"
void __real_nni_free(void *p, size_t len) __attribute__((weak));
void __wrap_nni_free(void *p, size_t len);

bool
leftover_linked(void)
{
	return __real_nni_free != NULL;
}

void
__wrap_nni_free(void *p, size_t len)
{
	/* What nng says of the length is believed only as far as the heap agrees. */
	size_t room = malloc_usable_size(p);

	if (len > room)
		len = room;
	if (p != NULL && guard_on(GUARD_LEFTOVERS))
		sodium_memzero(p, len);
#ifdef PDV_TEST_HOOKS
	if (p != NULL && guard_freed != NULL)
		guard_freed(p, len);
#endif
	__real_nni_free(p, len);
}
#pragma GCC diagnostic pop
