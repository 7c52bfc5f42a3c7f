#include "server/rpc/guard.h"

#ifdef PDV_TEST_HOOKS
bool guard_rpc_off[RPC_GUARD_COUNT];
void (*guard_rpc_freed)(const uint8_t *body, size_t len);
#else
/* ISO C has no empty translation unit. */
typedef int guard_nothing;
#endif
