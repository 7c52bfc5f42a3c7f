/*
 * A flight: one request context of nng for each server, one aio, and the call
 * that uses them now. It sends, waits for the answer, pauses, tries again, and gives
 * the call back when its result is final.
 *
 *   send -> (sent) -> wait -> (answer) -> end
 *     ^ \-> (no connection) -> send by another server
 *     |                        \-> (lost, or the server wants a pause) -> pause --\
 *     \---------------------------------------------------------------------------/
 *
 * One operation is under way at a time, whose end is the only callback: so everything
 * here is touched by one thread at a time, without a lock.
 * A context never receives before its send is complete (nng crashes when such a
 * receive is cancelled), and no operation has a timeout of 0.
 */
#ifndef CLIENT_FLIGHT_H
#define CLIENT_FLIGHT_H

#include <stdbool.h>

#include <nng/nng.h>

#include "client/call.h"
#include "client/epochs.h"
#include "client/servers.h"

enum flight_state { FLIGHT_IDLE, FLIGHT_SEND, FLIGHT_WAIT, FLIGHT_PAUSE, FLIGHT_END };

struct flight {
	struct pdv_client *client;
	struct call *call;
	nng_aio *aio; /* sends and receives */
#ifdef PDV_TEST_HOOKS
	nng_aio *early; /* receives too early, when that guard is off */
#endif
	nng_aio *nap; /* sleeps: an aio that ever slept takes its timeouts for success */
	enum flight_state state;
	unsigned server;
	nng_time since;          /* when the request went out */
	struct epochs_mark mark; /* what had been seen then */
	bool open[PDV_SERVERS_MAX];
	nng_ctx context[PDV_SERVERS_MAX];
	struct flight *next; /* while idle */
};

/* flight_init(f, client): PDV_RESOURCE_EXHAUSTED without memory; then nothing is to free. */
enum pdv_code flight_init(struct flight *f, struct pdv_client *client)
    __attribute__((warn_unused_result));

/*
 * flight_start(f, call):
 * Begin ${call}; ${f} is idle and its mark set. Any thread; never waits, never ends it.
 */
void flight_start(struct flight *f, struct call *call);

/*
 * flight_cancel(f):
 * End what is under way soon, if anything is. Any thread, repeatedly: what was about to begin
 * at that moment is not ended.
 */
void flight_cancel(struct flight *f);

/* flight_fini(f): ${f} is idle; wait for its last callback to return, close its contexts. */
void flight_fini(struct flight *f);

#endif /* CLIENT_FLIGHT_H */
