/*
 * The handle. The contract of its pdv_* functions is in pdvault/pdvault.h.
 *
 * Locks: ${lock} guards what stands under it; nng is called under it only to start or stop
 * the timer, and never calls back on the same thread. The servers' own lock is inner.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/client.h"
#include "client/flight.h"
#include "client/home.h"
#include "client/transport/must.h"
#include "client/transport/tls_context.h"

#define CLOSE_STEP 5   /* ms between two looks at what still runs */
#define TIMER_STEP 5   /* ms: deadlines of waiting calls are looked at no more often */

/*
 * Invariants, under the lock:
 *   1. a flight is in ${idle}, or is one of the ${flying} that have a call;
 *   2. calls wait only while no flight is idle;
 *   3. while calls wait, the timer is armed;
 *   4. ${running} counts at least those that fly and those that wait.
 */
struct pdv_client {
	pid_t pid;
	uint32_t deadline_ms;
	unsigned flight_count;
	unsigned waiting_max;
	struct servers servers;
	struct flight *flights;
	nng_aio *timer;
	atomic_bool closing;
	atomic_uint_fast64_t running; /* calls not ended, and callbacks not returned */
	pthread_mutex_t lock;
	pthread_cond_t quiet; /* ${running} has become 0 */
	struct flight *idle;
	struct call *first, *last; /* waiting, oldest first */
	unsigned waiting;
	unsigned flying;
	bool armed;
	nng_time rings; /* when the timer will, if armed */
	struct epochs epochs;
	struct erased erased; /* has a lock of its own */
	uint64_t ended;
	uint64_t retries;
};

/* Is this thread in a callback of ours? */
static _Thread_local bool in_callback;

static void
lock(struct pdv_client *c)
{
	must(pthread_mutex_lock(&c->lock) == 0);
}

static void
unlock(struct pdv_client *c)
{
	must(pthread_mutex_unlock(&c->lock) == 0);
}

struct servers *
client_servers(struct pdv_client *c)
{
	return &c->servers;
}

struct erased *
client_erased(struct pdv_client *c)
{
	return &c->erased;
}

bool
client_closing(struct pdv_client *c)
{
	return atomic_load(&c->closing);
}

void
client_mark(struct pdv_client *c, struct epochs_mark *out)
{
	lock(c);
	epochs_mark(&c->epochs, out);
	unlock(c);
}

enum epochs_verdict
client_note(struct pdv_client *c, const struct epochs_mark *mark,
    const uint8_t vault[static PDV_ID_LEN], struct epochs_at at)
{
	enum epochs_verdict v;

	lock(c);
	v = epochs_note(&c->epochs, mark, vault, at);
	unlock(c);
	return v;
}

void
client_retrying(struct pdv_client *c)
{
	lock(c);
	c->retries++;
	unlock(c);
}

/* Hand over the result; ${call} lives in it and is gone afterwards. */
static void
tell(struct pdv_client *c, struct call *call)
{
	bool outer = in_callback;

	in_callback = true;
	call->done(call->result, call->arg);
	in_callback = outer;
	if (atomic_fetch_sub(&c->running, 1) > 1)
		return;
	lock(c);
	must(pthread_cond_broadcast(&c->quiet) == 0);
	unlock(c);
}

/* The oldest waiting call, or NULL. Under the lock. */
static struct call *
dequeue(struct pdv_client *c)
{
	struct call *call = c->first;

	if (call == NULL)
		return NULL;
	if ((c->first = call->next) == NULL)
		c->last = NULL;
	call->next = NULL;
	c->waiting--;
	return call;
}

void
client_landed(struct pdv_client *c, struct flight *f, struct call *call)
{
	struct call *next;

	erased_see(&c->erased, call);
	lock(c);
	c->ended++;
	/* When the handle is being freed the timer ends those that wait: none of them was sent. */
	next = client_closing(c) ? NULL : dequeue(c);
	if (next == NULL) {
		f->next = c->idle;
		c->idle = f;
		c->flying--;
	} else {
		epochs_mark(&c->epochs, &f->mark);
	}
	unlock(c);
	if (next != NULL)
		flight_start(f, next);
	tell(c, call);
}

/* Let the timer ring at ${when}, or earlier if it will. Under the lock. */
static void
arm(struct pdv_client *c, nng_time when)
{
	nng_time now = nng_clock();

	if (c->armed) {
		/* Its callback arms it again, for the earliest. */
		if (when + TIMER_STEP < c->rings) {
			c->rings = 0;
			nng_aio_cancel(c->timer);
		}
		return;
	}
	if (when < now + TIMER_STEP)
		when = now + TIMER_STEP;
	c->armed = true;
	c->rings = when;
	nng_aio_set_timeout(c->timer, NNG_DURATION_INFINITE);
	nng_sleep_aio((nng_duration)(when - now), c->timer);
}

/* Take the calls whose time is over out of the queue, all when closing. Under the lock. */
static struct call *
overdue(struct pdv_client *c, nng_time *earliest)
{
	struct call *out = NULL, **link = &c->first, *call;
	nng_time now = nng_clock();

	c->last = NULL;
	*earliest = UINT64_MAX;
	while ((call = *link) != NULL) {
		if (client_closing(c) || call->deadline <= now) {
			*link = call->next;
			c->waiting--;
			call->next = out;
			out = call;
			continue;
		}
		if (call->deadline < *earliest)
			*earliest = call->deadline;
		c->last = call;
		link = &call->next;
	}
	return out;
}

static void
ring(void *arg)
{
	struct pdv_client *c = arg;
	struct call *call, *list;
	nng_time earliest;

	lock(c);
	list = overdue(c, &earliest);
	c->armed = false;
	if (c->first != NULL)
		arm(c, earliest);
	for (call = list; call != NULL; call = call->next)
		c->ended++;
	unlock(c);
	while ((call = list) != NULL) {
		list = call->next;
		if (client_closing(c))
			result_fail(call->result, PDV_CANCELLED, PDV_REASON_CLOSED,
			    "the handle is being freed");
		else
			result_fail(call->result, PDV_DEADLINE_EXCEEDED, PDV_REASON_DEADLINE,
			    "the deadline passed before it was this call's turn");
		call_settle(call);
		tell(c, call);
	}
}

/* Put ${call} at the end of the queue. Under the lock. */
static void
enqueue(struct pdv_client *c, struct call *call)
{
	if (c->last != NULL)
		c->last->next = call;
	else
		c->first = call;
	c->last = call;
	c->waiting++;
	arm(c, call->deadline);
}

bool
client_usable(const struct pdv_client *c, struct client_refusal *why)
{
	if (c->pid == getpid())
		return true;
	*why = (struct client_refusal){PDV_FAILED_PRECONDITION, PDV_REASON_FORK,
	    "the handle was made in another process"};
	return false;
}

bool
client_in_callback(void)
{
	return in_callback;
}

uint32_t
client_deadline(const struct pdv_client *c)
{
	return c->deadline_ms;
}

bool
client_submit(struct pdv_client *c, struct call *call, struct client_refusal *why)
{
	struct flight *f = NULL;
	bool taken = true;

	lock(c);
	if (client_closing(c)) {
		*why = (struct client_refusal){
		    PDV_CANCELLED, PDV_REASON_CLOSED, "the handle is being freed"};
		taken = false;
	} else if ((f = c->idle) != NULL) {
		c->idle = f->next;
		c->flying++;
	} else if (c->waiting < c->waiting_max) {
		enqueue(c, call);
	} else {
		*why = (struct client_refusal){PDV_RESOURCE_EXHAUSTED, PDV_REASON_QUEUE_FULL,
		    "more calls wait than the handle allows"};
		taken = false;
	}
	if (taken)
		atomic_fetch_add(&c->running, 1);
	if (f != NULL)
		epochs_mark(&c->epochs, &f->mark);
	unlock(c);
	if (f != NULL)
		flight_start(f, call);
	return taken;
}

void
client_check(struct pdv_client *c)
{
	const struct flight *f;
	unsigned idle = 0;

	lock(c);
	for (f = c->idle; f != NULL; f = f->next)
		idle++;
	must(idle + c->flying == c->flight_count);
	must(c->waiting == 0 || (c->idle == NULL && c->armed));
	must((c->first == NULL) == (c->waiting == 0));
	must(c->running >= (uint64_t)c->flying + c->waiting);
	unlock(c);
}

/* Free what there is of ${c}; nothing runs in it. */
static void
destroy(struct pdv_client *c)
{
	unsigned i;

	if (c->timer != NULL)
		nng_aio_free(c->timer);
	for (i = 0; i < c->flight_count; i++)
		flight_fini(&c->flights[i]);
	servers_close(&c->servers);
	must(pthread_cond_destroy(&c->quiet) == 0);
	must(pthread_mutex_destroy(&c->lock) == 0);
	erased_fini(&c->erased);
	free(c->flights);
	free(c);
}

static enum pdv_code
make_flights(struct pdv_client *c, unsigned count)
{
	struct flight *f;

	if (nng_aio_alloc(&c->timer, ring, c) != 0 ||
	    (c->flights = calloc(count, sizeof(*c->flights))) == NULL)
		return PDV_RESOURCE_EXHAUSTED;
	while (c->flight_count < count) {
		f = &c->flights[c->flight_count];
		if (flight_init(f, c) != PDV_OK)
			return PDV_RESOURCE_EXHAUSTED;
		c->flight_count++;
		f->next = c->idle;
		c->idle = f;
	}
	return PDV_OK;
}

static enum pdv_code
make(const struct pdv_client_options *o, struct pdv_client **out,
    char why[static PDV_WHY_LEN])
{
	struct pdv_client *c = calloc(1, sizeof(*c));
	enum pdv_code code;

	snprintf(why, PDV_WHY_LEN, "no memory");
	if (c == NULL)
		return PDV_RESOURCE_EXHAUSTED;
	c->pid = getpid();
	c->deadline_ms = o->deadline_ms > 0 ? o->deadline_ms : PDV_DEADLINE_DEFAULT_MS;
	c->waiting_max = o->waiting > 0 ? o->waiting : PDV_WAITING_DEFAULT;
	atomic_init(&c->closing, false);
	atomic_init(&c->running, 0);
	must(pthread_mutex_init(&c->lock, NULL) == 0);
	must(pthread_cond_init(&c->quiet, NULL) == 0);
	erased_init(&c->erased);
	if ((code = servers_open(&c->servers, o, why)) == PDV_OK)
		code = make_flights(c, o->in_flight > 0 ? o->in_flight : PDV_IN_FLIGHT_DEFAULT);
	if (code == PDV_OK)
		*out = c;
	else
		destroy(c);
	return code;
}

static enum pdv_code
check_options(const struct pdv_client_options *o, char why[static PDV_WHY_LEN])
{
	if (o == NULL || o->in_flight > PDV_IN_FLIGHT_MAX || o->waiting > PDV_WAITING_MAX ||
	    o->deadline_ms > PDV_DEADLINE_MAX_MS) {
		snprintf(why, PDV_WHY_LEN, "an option is above its limit");
		return PDV_INVALID_ARGUMENT;
	}
	return PDV_OK;
}

enum pdv_code
pdv_client_new(const struct pdv_client_options *options, struct pdv_client **out, char *why)
{
	char unwanted[PDV_WHY_LEN];
	enum pdv_code code;

	if (why == NULL)
		why = unwanted;
	if ((code = check_options(options, why)) != PDV_OK || (code = home_enter(why)) != PDV_OK)
		return code;
	return make(options, out, why);
}

enum pdv_code
pdv_client_reload(struct pdv_client *c, char *why)
{
	char reason[TLS_WHY_LEN] = "";
	enum pdv_code code;

	if (c->pid != getpid())
		return PDV_FAILED_PRECONDITION;
	code = tls_context_reload(c->servers.tls, reason);
	if (why != NULL)
		snprintf(why, PDV_WHY_LEN, "%s", reason);
	return code == PDV_FAILED_PRECONDITION ? PDV_INVALID_ARGUMENT : code;
}

/* Wait a little, or until nothing runs. Under the lock. */
static void
wait_a_little(struct pdv_client *c)
{
	struct timespec until;
	int rv;

	must(clock_gettime(CLOCK_REALTIME, &until) == 0);
	until.tv_nsec += CLOSE_STEP * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	rv = pthread_cond_timedwait(&c->quiet, &c->lock, &until);
	must(rv == 0 || rv == ETIMEDOUT);
}

void
pdv_client_free(struct pdv_client *c)
{
	unsigned i;

	if (c == NULL || c->pid != getpid())
		return;
	must(!in_callback);
	atomic_store(&c->closing, true);
	lock(c);
	while (c->running > 0) {
		/* What was just about to begin misses one cancel, not the next. */
		unlock(c);
		nng_aio_cancel(c->timer);
		for (i = 0; i < c->flight_count; i++)
			flight_cancel(&c->flights[i]);
		lock(c);
		if (c->running > 0)
			wait_a_little(c);
	}
	unlock(c);
	destroy(c);
}

void
pdv_client_stats(struct pdv_client *c, struct pdv_client_stats *out)
{
	memset(out, 0, sizeof(*out));
	if (c->pid != getpid())
		return;
	lock(c);
	out->calls = c->ended;
	out->retries = c->retries;
	out->in_flight = c->flying;
	out->waiting = c->waiting;
	unlock(c);
	out->connections = servers_connections(&c->servers, &out->failovers);
}
