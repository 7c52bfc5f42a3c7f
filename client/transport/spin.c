#include "client/transport/spin.h"

#include <pthread.h>
#include <stddef.h>

#include "client/transport/must.h"

/* nng's struct nni_plat_mtx is a pthread_mutex_t and nothing else (nng 1.5, src/platform/posix). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wreserved-identifier"
void __real_nni_plat_mtx_init(pthread_mutex_t *m) __attribute__((weak));
void __wrap_nni_plat_mtx_init(pthread_mutex_t *m);

bool
spin_linked(void)
{
	return __real_nni_plat_mtx_init != NULL;
}

void
__wrap_nni_plat_mtx_init(pthread_mutex_t *m)
{
	pthread_mutexattr_t attr;

	must(pthread_mutexattr_init(&attr) == 0);
	must(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP) == 0);
	must(pthread_mutex_init(m, &attr) == 0);
	must(pthread_mutexattr_destroy(&attr) == 0);
}
#pragma GCC diagnostic pop
