#include "door.h"

#include <pthread.h>
#include <stdbool.h>

#include <nng/nng.h>

struct nni_pipe;

/* The names are the linker's: __real_x is nng's x, and what calls x gets __wrap_x. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wreserved-identifier"
void __real_nni_aio_close(nng_aio *aio);
void __real_nni_pipe_close(struct nni_pipe *p);
void __wrap_nni_aio_close(nng_aio *aio);
void __wrap_nni_pipe_close(struct nni_pipe *p);

static enum { FREE, ASKED_FOR, HELD } state;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static _Thread_local bool closing;	/* this thread closes a connection */

void
__wrap_nni_aio_close(nng_aio *aio)
{
	__real_nni_aio_close(aio);
	(void)pthread_mutex_lock(&lock);
	if (closing && state == ASKED_FOR) {
		state = HELD;
		(void)pthread_cond_broadcast(&changed);
		while (state == HELD)
			(void)pthread_cond_wait(&changed, &lock);
	}
	(void)pthread_mutex_unlock(&lock);
}

void
__wrap_nni_pipe_close(struct nni_pipe *p)
{
	closing = true;
	__real_nni_pipe_close(p);
	closing = false;
}
#pragma GCC diagnostic pop

void
door_hold(void)
{
	(void)pthread_mutex_lock(&lock);
	state = ASKED_FOR;
	(void)pthread_mutex_unlock(&lock);
}

void
door_wait(void)
{
	(void)pthread_mutex_lock(&lock);
	while (state != HELD)
		(void)pthread_cond_wait(&changed, &lock);
	(void)pthread_mutex_unlock(&lock);
}

void
door_let_go(void)
{
	(void)pthread_mutex_lock(&lock);
	state = FREE;
	(void)pthread_cond_broadcast(&changed);
	(void)pthread_mutex_unlock(&lock);
}
