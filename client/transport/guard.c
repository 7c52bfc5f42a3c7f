#include "client/transport/guard.h"

#ifdef PDV_TEST_HOOKS
bool guard_off[GUARD_COUNT];
void (*guard_freed)(const void *p, size_t len);
#else
/* ISO C has no empty translation unit. */
typedef int guard_nothing;
#endif
