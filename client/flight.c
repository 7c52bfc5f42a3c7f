#include <string.h>

#include <sodium.h>

#include "client/backoff.h"
#include "client/client.h"
#include "client/flight.h"
#include "client/reply.h"
#include "client/transport/guard.h"
#include "client/transport/must.h"
#include "client/transport/registers.h"

#define LAST_TRY 100 /* ms that one more try must have when the last was answered */
#define CONNECT_TURN 250 /* ms for one server to take a request when there are others */

static void flight_done(void *arg);

/*
 * To receive on a context of REQ before the send has completed, and then to cancel that, corrupts nng's memory
 * (1.5.2). So a flight has one aio for both, which receives when it has sent. A test sees it otherwise.
 */
#ifdef PDV_TEST_HOOKS
static void
receive_early(struct flight *f)
{
	if (guard_on(GUARD_SEND_FIRST) || f->early != NULL || nng_aio_alloc(&f->early, NULL, NULL) != 0)
		return;
	nng_ctx_recv(f->context[f->server], f->early);
	nng_aio_cancel(f->early);
}
#else
#define receive_early(f) ((void)(f))
#endif

enum pdv_code
flight_init(struct flight *f, struct pdv_client *client)
{
	*f = (struct flight){.client = client, .state = FLIGHT_IDLE};
	if (nng_aio_alloc(&f->aio, flight_done, f) != 0)
		return PDV_RESOURCE_EXHAUSTED;
	if (nng_aio_alloc(&f->nap, flight_done, f) != 0) {
		nng_aio_free(f->aio);
		return PDV_RESOURCE_EXHAUSTED;
	}
	return PDV_OK;
}

void
flight_fini(struct flight *f)
{
	unsigned i;

	must(f->call == NULL);
	nng_aio_free(f->aio);
	nng_aio_free(f->nap);
	for (i = 0; i < PDV_SERVERS_MAX; i++) {
		if (f->open[i])
			(void)nng_ctx_close(f->context[i]);
	}
}

void
flight_cancel(struct flight *f)
{
	nng_aio_cancel(f->aio);
	nng_aio_cancel(f->nap);
}

static void
sleep_for(struct flight *f, enum flight_state state, nng_duration ms)
{
	f->state = state;
	nng_sleep_aio(ms, f->nap);
}

/* The result is final: give the call back. Only in the callback of the aio. */
static void
land(struct flight *f)
{
	struct call *c = f->call;

	f->call = NULL;
	f->state = FLIGHT_IDLE;
	call_settle(c);
	client_landed(f->client, f, c);
}

/* As land, outside the callback: through it, so that no caller's thread is used. */
static void
land_later(struct flight *f, const char *detail)
{
	result_fail(f->call->result, PDV_RESOURCE_EXHAUSTED, PDV_REASON_MEMORY, detail);
	sleep_for(f, FLIGHT_END, 1);
}

static bool
context_ready(struct flight *f)
{
	unsigned i = f->server;

	if (!f->open[i])
		f->open[i] = nng_ctx_open(&f->context[i],
				 client_servers(f->client)->list[i].socket) == 0;
	return f->open[i];
}

static void
send(struct flight *f)
{
	struct servers *servers = client_servers(f->client);
	struct call *c = f->call;
	nng_duration left = call_left(c);
	nng_msg *m;

	if (left <= 0)
		left = 1; /* it has just begun, or its pause was cut to fit */
	f->server = servers_pick(servers);
	if (!context_ready(f)) {
		land_later(f, "no request context could be made");
		return;
	}
	if ((m = call_message(c, left)) == NULL) {
		land_later(f, "the client has no memory for the message");
		return;
	}
	if (servers->count > 1 && left > CONNECT_TURN)
		left = CONNECT_TURN; /* then look again which one is connected */
	if (c->tries > 0) /* the first try's mark was set with its turn */
		client_mark(f->client, &f->mark);
	f->state = FLIGHT_SEND;
	nng_aio_set_msg(f->aio, m);
	nng_aio_set_timeout(f->aio, left);
	nng_ctx_send(f->context[f->server], f->aio);
	receive_early(f);
}

void
flight_start(struct flight *f, struct call *call)
{
	must(f->call == NULL && f->state == FLIGHT_IDLE);
	f->call = call;
	send(f);
}

static void
fail(struct flight *f, enum pdv_code code, const char *reason, const char *detail)
{
	result_fail(f->call->result, code, reason, detail);
	land(f);
}

/* Try again after a pause, if the deadline leaves time; else what ${result} says is final. */
static void
again(struct flight *f)
{
	struct call *c = f->call;
	uint32_t hint = c->result->retry_after_ms;
	uint32_t pause = backoff_ms(c->tries, hint, randombytes_random());
	nng_duration left = call_left(c);

	if (left <= 1 || hint >= (uint32_t)left) {
		land(f);
		return;
	}
	if (pause >= (uint32_t)left)
		pause = hint + ((uint32_t)left - hint) / 2;
	/* What is known is worth more than one more try that may not be answered in time. */
	if (!c->lost && (uint32_t)left - pause < LAST_TRY) {
		land(f);
		return;
	}
	client_retrying(f->client);
	sleep_for(f, FLIGHT_PAUSE, (nng_duration)(pause > 0 ? pause : 1));
}

static void
closed(struct flight *f)
{
	fail(f, PDV_CANCELLED, PDV_REASON_CLOSED, "the handle is being freed");
}

static void
lost(struct flight *f)
{
	servers_avoid(client_servers(f->client), f->server);
	result_fail(f->call->result, PDV_UNAVAILABLE, PDV_REASON_CONNECTION_LOST,
	    "the connection to the server broke");
	f->call->result->retry_after_ms = 0;
	again(f);
}

static void
not_sent(struct flight *f, int rv)
{
	struct call *c = f->call;

	call_message_free(nng_aio_get_msg(f->aio));
	nng_aio_set_msg(f->aio, NULL);
	if (client_closing(f->client)) {
		closed(f);
	} else if (rv != NNG_ETIMEDOUT) {
		lost(f);
	} else if (call_left(c) > 0) {
		servers_avoid(client_servers(f->client), f->server);
		send(f);
	} else if (c->tries > 0) {
		land(f); /* what the last try said is all that is known */
	} else {
		fail(f, PDV_UNAVAILABLE, PDV_REASON_NOT_CONNECTED,
		    servers_refused(client_servers(f->client))
			? "no connection to a server could be made in time: a certificate was refused, "
			  "the server's here or ours there"
			: "no connection to a server could be made in time");
	}
}

static void
sent(struct flight *f, int rv)
{
	nng_duration left = call_left(f->call);

	if (rv != 0) {
		not_sent(f, rv);
		return;
	}
	f->call->tries++;
	f->since = nng_clock();
	f->state = FLIGHT_WAIT;
	nng_aio_set_msg(f->aio, NULL);
	nng_aio_set_timeout(f->aio, left > 0 ? left : 1);
	nng_ctx_recv(f->context[f->server], f->aio);
}

static void
no_answer(struct flight *f, int rv)
{
	f->call->lost = true;
	if (client_closing(f->client)) {
		closed(f);
	} else if (rv == NNG_ETIMEDOUT) {
		servers_silent(client_servers(f->client), f->server, f->since);
		fail(f, PDV_DEADLINE_EXCEEDED, PDV_REASON_DEADLINE,
		    "the deadline passed before an answer came");
	} else {
		lost(f);
	}
}

static void
take_raw(struct call *c, const uint8_t *body, size_t len)
{
	struct pdv_result *r = c->result;
	uint8_t *copy = bump_alloc(&r->memory, len);

	if (copy == NULL) {
		result_fail(r, PDV_DATA_LOSS, PDV_REASON_ANSWER_TOO_LARGE,
		    "the server's answer needs more memory than a result may take");
		return;
	}
	if (len > 0)
		memcpy(copy, body, len);
	result_fail(r, PDV_OK, "", "");
	r->raw = copy;
	r->raw_length = len;
}

/* Is the vault's epoch what it may be? If not, ${f}'s result says so. */
static bool
epoch_fine(struct flight *f)
{
	struct pdv_result *r = f->call->result;

	if (!r->has_vault)
		return true;
	switch (client_note(f->client, &f->mark, r->vault, r->at)) {
	case EPOCHS_FINE:
		return true;
	case EPOCHS_ROLLED_BACK:
		result_fail(r, PDV_DATA_LOSS, PDV_REASON_EPOCH,
		    "the vault answers from an older epoch or incarnation than it has answered before");
		return false;
	default:
		result_fail(r, PDV_FAILED_PRECONDITION, PDV_REASON_VAULTS,
		    "more vaults answered than a handle remembers");
		return false;
	}
}

/* Read an answer into the result; true: the call is to be tried again. */
static bool
read_answer(struct flight *f, const uint8_t *body, size_t len)
{
	struct call *c = f->call;
	struct pdv_result *r = c->result;
	struct reply reply;

	if (!c->enveloped) {
		take_raw(c, body, len);
		return false;
	}
	if (!reply_open(r, body, len, &reply) || !epoch_fine(f))
		return false;
	if (r->code == PDV_UNAVAILABLE ||
	    (r->code == PDV_RESOURCE_EXHAUSTED && r->retry_after_ms > 0))
		return true;
	if (r->code != PDV_OK)
		return false;
	r->raw = reply.message;
	r->raw_length = reply.length;
	if (c->method != NULL)
		reply_take(r, c->method, &c->asked, &reply);
	return false;
}

static void
answered(struct flight *f, int rv)
{
	nng_msg *m;
	bool retry;

	if (rv != 0) {
		no_answer(f, rv);
		return;
	}
	m = nng_aio_get_msg(f->aio);
	nng_aio_set_msg(f->aio, NULL);
	servers_heard(client_servers(f->client), f->server);
	retry = read_answer(f, nng_msg_body(m), nng_msg_len(m));
	call_message_free(m);
	if (!retry) {
		land(f);
		return;
	}
	if (f->call->result->code == PDV_UNAVAILABLE)
		servers_avoid(client_servers(f->client), f->server);
	again(f);
}

static void
flight_done(void *arg)
{
	struct flight *f = arg;
	int rv = nng_aio_result(f->aio);

	switch (f->state) {
	case FLIGHT_SEND:
		sent(f, rv);
		break;
	case FLIGHT_WAIT:
		answered(f, rv);
		break;
	case FLIGHT_PAUSE:
		if (client_closing(f->client))
			closed(f);
		else
			send(f);
		break;
	case FLIGHT_END:
		land(f);
		break;
	case FLIGHT_IDLE:
		must(f->state != FLIGHT_IDLE); /* nothing was under way */
	}
	registers_wipe();
}
