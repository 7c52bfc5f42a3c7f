#include <stddef.h>

#include <nng/nng.h>

#include "client/transport/guard.h"
#include "client/transport/orphan.h"

struct nni_pipe;

/*
 * The names are the linker's: __real_x is nng's x, and what calls x gets __wrap_x. Weak,
 * so that a program that is linked otherwise still links, and can ask orphan_linked.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wreserved-identifier"
int __real_nni_aio_begin(nng_aio *aio) __attribute__((weak));
void __real_nng_stream_send(nng_stream *s, nng_aio *aio) __attribute__((weak));
void __real_nng_stream_recv(nng_stream *s, nng_aio *aio) __attribute__((weak));
void __real_nni_pipe_send(struct nni_pipe *p, nng_aio *aio) __attribute__((weak));
void nni_aio_finish_error(nng_aio *aio, int rv) __attribute__((weak));
int __wrap_nni_aio_begin(nng_aio *aio);
void __wrap_nng_stream_send(nng_stream *s, nng_aio *aio);
void __wrap_nng_stream_recv(nng_stream *s, nng_aio *aio);
void __wrap_nni_pipe_send(struct nni_pipe *p, nng_aio *aio);

/* The step that this thread is starting, and whether nng dropped it. */
struct step {
	nng_aio *aio;
	bool dropped;
};
static _Thread_local struct step *innermost;

bool
orphan_linked(void)
{
	return __real_nni_aio_begin != NULL && __real_nng_stream_send != NULL &&
	    __real_nng_stream_recv != NULL && __real_nni_pipe_send != NULL;
}

int
__wrap_nni_aio_begin(nng_aio *aio)
{
	int rv = __real_nni_aio_begin(aio);

	if (rv != 0 && innermost != NULL && innermost->aio == aio)
		innermost->dropped = true;
	return rv;
}

/* Streams lie on streams, TLS on TCP: one step may start another. */
static void
start(void (*real)(nng_stream *, nng_aio *), nng_stream *s, nng_aio *aio)
{
	struct step *outer = innermost;
	struct step mine = { aio, false };

	innermost = &mine;
	real(s, aio);
	innermost = outer;
	if (mine.dropped && guard_on(GUARD_ORPHANS))
		nni_aio_finish_error(aio, NNG_ECONNSHUT);
}

void
__wrap_nng_stream_send(nng_stream *s, nng_aio *aio)
{
	start(__real_nng_stream_send, s, aio);
}

void
__wrap_nng_stream_recv(nng_stream *s, nng_aio *aio)
{
	start(__real_nng_stream_recv, s, aio);
}

/*
 * nng's protocols call it with the socket locked and the message in the aio, which is the connection's. One
 * that is closed completes nothing any more; whatever else waits for it is freed as the connection is.
 */
void
__wrap_nni_pipe_send(struct nni_pipe *p, nng_aio *aio)
{
	struct step *outer = innermost;
	struct step mine = { aio, false };
	nng_msg *msg;

	innermost = &mine;
	__real_nni_pipe_send(p, aio);
	innermost = outer;
	if (!mine.dropped || !guard_on(GUARD_DROPPED))
		return;
	msg = nng_aio_get_msg(aio);
	nng_aio_set_msg(aio, NULL);
	nng_msg_free(msg);
}
#pragma GCC diagnostic pop
