#include "client/home.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include <sodium.h>

#include "client/transport/engine.h"

/* The process in which nng was started. */
static _Atomic pid_t home;

enum pdv_code
home_enter(char why[static PDV_WHY_LEN])
{
	pid_t here = getpid(), first = 0;

	if (!atomic_compare_exchange_strong(&home, &first, here) && first != here) {
		snprintf(why, PDV_WHY_LEN, "a parent process has used the library: fork first");
		return PDV_FAILED_PRECONDITION;
	}
	if (sodium_init() < 0 || engine_register() != PDV_OK) {
		snprintf(why, PDV_WHY_LEN, "nng is not of version 1.5, or cannot be used");
		return PDV_FAILED_PRECONDITION;
	}
	return PDV_OK;
}
