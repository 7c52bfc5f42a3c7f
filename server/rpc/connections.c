#include "server/rpc/connections.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "client/transport/tls_peer.h"

#define SHARDS 64u		/* a power of two */

/* A request takes its connection's shard only, so that connections do not share a lock. */
struct shard {
	pthread_mutex_t lock;
	struct connection *first;
};

/*
 * 1. count is the number of connections in all shards, the sum of of_principal.
 * 2. count <= limits.all, each of of_principal <= limits.per_principal.
 * counts is taken before a shard's lock.
 */
struct connections {
	struct shard shard[SHARDS];
	struct connections_limits limits;
	pthread_mutex_t counts;
	unsigned count;
	unsigned principals;
	unsigned of_principal[];	/* ACCESS_NONE is the first */
};

enum status
connections_new(struct connections_limits limits, unsigned principals, struct connections **out)
{
	struct connections *t;
	unsigned i;

	t = calloc(1, sizeof(*t) + (principals + 1) * sizeof(t->of_principal[0]));
	if (t == NULL)
		return STATUS_NO_MEMORY;
	t->limits = limits;
	t->principals = principals;
	must(pthread_mutex_init(&t->counts, NULL) == 0);
	for (i = 0; i < SHARDS; i++)
		must(pthread_mutex_init(&t->shard[i].lock, NULL) == 0);
	*out = t;
	return STATUS_OK;
}

static struct shard *
shard_of(struct connections *t, uint32_t pipe)
{
	return &t->shard[pipe % SHARDS];	/* nng counts its ids up */
}

static unsigned *
count_of(struct connections *t, int principal)
{
	must(principal >= -1 && principal < (int)t->principals);
	return &t->of_principal[principal + 1];
}

/* Room for one more of this principal, taken. */
static enum status
enter(struct connections *t, int principal)
{
	unsigned *of_principal = count_of(t, principal);
	enum status rc = STATUS_OK;

	must(pthread_mutex_lock(&t->counts) == 0);
	if (t->count >= t->limits.all) {
		rc = STATUS_BUSY;
	} else if (*of_principal >= t->limits.per_principal) {
		rc = STATUS_TOO_MANY;
	} else {
		t->count++;
		(*of_principal)++;
	}
	must(pthread_mutex_unlock(&t->counts) == 0);
	return rc;
}

static void
leave(struct connections *t, int principal)
{
	unsigned *of_principal = count_of(t, principal);

	must(pthread_mutex_lock(&t->counts) == 0);
	must(t->count > 0 && *of_principal > 0);
	t->count--;
	(*of_principal)--;
	must(pthread_mutex_unlock(&t->counts) == 0);
}

enum status
connections_add(struct connections *t, const struct connection *from)
{
	struct shard *s = shard_of(t, from->pipe);
	struct connection *c;
	enum status rc;

	if ((rc = enter(t, from->principal)) != STATUS_OK)
		return rc;
	if ((c = calloc(1, sizeof(*c))) == NULL) {
		leave(t, from->principal);
		return STATUS_NO_MEMORY;
	}
	c->pipe = from->pipe;
	c->principal = from->principal;
	c->peer = from->peer;
	c->remote = from->remote;
	atomic_init(&c->holders, 1);
	atomic_init(&c->active_ns, from->active_ns);
	must(pthread_mutex_lock(&s->lock) == 0);
	c->next = s->first;
	s->first = c;
	must(pthread_mutex_unlock(&s->lock) == 0);
	return STATUS_OK;
}

/* Where the connection hangs in its shard, which is locked; the end if it is not there. */
static struct connection **
find(struct shard *s, uint32_t pipe)
{
	struct connection **p = &s->first;

	while (*p != NULL && (*p)->pipe != pipe)
		p = &(*p)->next;
	return p;
}

void
connections_remove(struct connections *t, uint32_t pipe)
{
	struct shard *s = shard_of(t, pipe);
	struct connection **p, *c;

	must(pthread_mutex_lock(&s->lock) == 0);
	p = find(s, pipe);
	if ((c = *p) != NULL)
		*p = c->next;
	must(pthread_mutex_unlock(&s->lock) == 0);
	if (c == NULL)
		return;
	leave(t, c->principal);
	connections_drop(c);
}

struct connection *
connections_take(struct connections *t, uint32_t pipe)
{
	struct shard *s = shard_of(t, pipe);
	struct connection *c;

	must(pthread_mutex_lock(&s->lock) == 0);
	if ((c = *find(s, pipe)) != NULL)
		atomic_fetch_add_explicit(&c->holders, 1, memory_order_relaxed);
	must(pthread_mutex_unlock(&s->lock) == 0);
	return c;
}

void
connections_drop(struct connection *c)
{
	if (c == NULL || atomic_fetch_sub(&c->holders, 1) != 1)
		return;
	tls_peer_free(c->peer);
	free(c);
}

/* Those of one shard, held, into ${to}, which has room for ${room}. */
static unsigned
take_shard(struct shard *s, struct connection **to, unsigned room)
{
	struct connection *c;
	unsigned n = 0;

	must(pthread_mutex_lock(&s->lock) == 0);
	for (c = s->first; c != NULL && n < room; c = c->next) {
		atomic_fetch_add_explicit(&c->holders, 1, memory_order_relaxed);
		to[n++] = c;
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
	return n;
}

void
connections_each(struct connections *t, void (*fn)(struct connection *c, void *arg), void *arg)
{
	unsigned room = t->limits.all;
	struct connection **held = calloc(room, sizeof(struct connection *));
	unsigned i, k, n;

	if (held == NULL)
		return;		/* the next round will see them */
	for (i = 0; i < SHARDS; i++) {
		n = take_shard(&t->shard[i], held, room);
		for (k = 0; k < n; k++) {
			fn(held[k], arg);
			connections_drop(held[k]);
		}
	}
	free(held);
}

unsigned
connections_count(struct connections *t)
{
	unsigned count;

	must(pthread_mutex_lock(&t->counts) == 0);
	count = t->count;
	must(pthread_mutex_unlock(&t->counts) == 0);
	return count;
}

void
connections_check(struct connections *t)
{
	struct connection *c;
	unsigned i, listed = 0, sum = 0;

	must(pthread_mutex_lock(&t->counts) == 0);
	for (i = 0; i < SHARDS; i++) {
		must(pthread_mutex_lock(&t->shard[i].lock) == 0);
		for (c = t->shard[i].first; c != NULL; c = c->next) {
			listed++;
			must(atomic_load(&c->holders) > 0);
			must(atomic_load(&c->stuck) <= atomic_load(&c->in_flight));
		}
		must(pthread_mutex_unlock(&t->shard[i].lock) == 0);
	}
	for (i = 0; i <= t->principals; i++) {
		must(t->of_principal[i] <= t->limits.per_principal);
		sum += t->of_principal[i];
	}
	must(listed == t->count && sum == t->count && t->count <= t->limits.all);
	must(pthread_mutex_unlock(&t->counts) == 0);
}

void
connections_free(struct connections *t)
{
	struct connection *c;
	unsigned i;

	if (t == NULL)
		return;
	for (i = 0; i < SHARDS; i++) {
		while ((c = t->shard[i].first) != NULL) {
			t->shard[i].first = c->next;
			must(atomic_load(&c->holders) == 1);
			connections_drop(c);
		}
		must(pthread_mutex_destroy(&t->shard[i].lock) == 0);
	}
	must(pthread_mutex_destroy(&t->counts) == 0);
	free(t);
}
