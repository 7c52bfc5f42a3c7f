/*
 * A call: what is to be sent, until when, and whom to tell. It lives in its result's
 * memory from the first byte encoded to the callback.
 */
#ifndef CLIENT_CALL_H
#define CLIENT_CALL_H

#include <stdbool.h>

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

#include "client/method.h"
#include "client/result.h"
#include "pdvault/pdvault.h"
#include "pdvault/rpc/v1/rpc.pb-c.h"

struct call {
	struct pdv_result *result;
	const struct method *method; /* NULL: raw */
	struct method_asked asked;
	bool enveloped; /* else ${envelope}'s message is the whole body */
	bool mutates;
	Pdvault__Rpc__V1__Request envelope; /* points into the result's memory */
	nng_time deadline;                  /* of nng_clock */
	pdv_callback done;
	void *arg;
	/* How it goes. */
	uint32_t tries; /* requests sent */
	bool lost;      /* one of them was never answered */
	struct call *next; /* while it waits for its turn */
};

/*
 * call_new(q, result, out):
 * A call that the methods' functions and pdv_call_raw make; nothing of the caller's is
 * pointed to afterwards. The call lives in its result. Otherwise ${result} says what is wrong,
 * and is for pdv_result_free.
 */
struct call_request {
	const struct method *method; /* NULL: raw */
	const void *request;         /* the method's struct, or struct pdv_raw_request */
	const struct pdv_call_options *options; /* or NULL */
	uint32_t deadline_ms;                   /* when the options name none */
};
enum pdv_code call_new(const struct call_request *q, struct pdv_result **result,
    struct call **out) __attribute__((warn_unused_result));

/*
 * call_message(c, left):
 * The SP message of the next try, with ${left} ms to go; NULL without memory. Whoever does
 * not hand it to nng wipes it by call_message_free.
 */
nng_msg *call_message(struct call *c, nng_duration left);

/* call_message_free(m): wipe ${m}, free it. NULL: nothing. */
void call_message_free(nng_msg *m);

/* call_left(c): ms until the deadline, 0 or less: it has passed. */
nng_duration call_left(const struct call *c);

/*
 * call_settle(c):
 * The result is final: what is not certain is said to be (OUTCOME_INDETERMINATE), and the
 * request's bytes are wiped.
 */
void call_settle(struct call *c);

#endif /* CLIENT_CALL_H */
