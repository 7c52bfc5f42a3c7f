#include "client/transport/guard.h"

#ifdef PDV_TEST_HOOKS
bool guard_off[GUARD_COUNT];
#else
/* ISO C has no empty translation unit. */
typedef int guard_nothing;
#endif
