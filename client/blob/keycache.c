/*
 * Invariants, under the lock:
 *   1. an empty entry has a zero key;
 *   2. there are no two entries with the same id;
 *   3. an entry that is asked for has its question, and no key yet; who asks ends it;
 *   4. the keeper wakes when the first of the kept expires, or earlier.
 */
#include "client/blob/keycache.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "client/transport/must.h"
#include "client/transport/registers.h"

#define ID_LEN 32u

/* On the stack of who asks, until all who wait have its answer. */
struct question {
	uint8_t id[ID_LEN]; /* of the key */
	struct keycache_answer answer;
	bool answered;
	unsigned waiting;
};

enum state { EMPTY, ASKED, KEPT };

struct entry {
	enum state state;
	bool unwanted; /* ASKED: its subject was forgotten meanwhile */
	uint8_t id[ID_LEN];
	uint8_t subject[PDV_ID_LEN];
	uint64_t expires_ms, used;
	struct question *question;
};

struct keycache {
	pthread_mutex_t lock;
	pthread_cond_t answered; /* a question was, or has nobody left who waits */
	pthread_cond_t changed;  /* for the keeper; CLOCK_MONOTONIC */
	pthread_t keeper;
	bool ending;
	uint32_t ms;
	unsigned count;
	uint64_t uses;
	uint64_t rings_ms; /* when the keeper wakes; 0: when something changes */
	struct entry *entry;
	uint8_t *key; /* PDV_DATA_KEY_LEN bytes for each entry, locked */
	size_t key_bytes;
};

static uint64_t
now_ms(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
lock(struct keycache *c)
{
	must(pthread_mutex_lock(&c->lock) == 0);
}

static void
unlock(struct keycache *c)
{
	must(pthread_mutex_unlock(&c->lock) == 0);
}

static uint8_t *
key_of(struct keycache *c, const struct entry *e)
{
	return c->key + (size_t)(e - c->entry) * PDV_DATA_KEY_LEN;
}

/* Injective: all that has no fixed length has its length before it. */
static void
id_of(const struct keycache_asked *q, uint8_t out[static ID_LEN])
{
	const struct pdv_blob_place *p = q->place;
	const uint8_t head[4] = {(uint8_t)p->category, (uint8_t)(p->context_length >> 8),
	    (uint8_t)p->context_length, 0};
	crypto_generichash_state s;

	must(crypto_generichash_init(&s, NULL, 0, ID_LEN) == 0);
	must(crypto_generichash_update(&s, p->subject.bytes, PDV_ID_LEN) == 0);
	must(crypto_generichash_update(&s, head, sizeof(head)) == 0);
	must(crypto_generichash_update(&s, p->context, p->context_length) == 0);
	must(crypto_generichash_update(&s, q->wrapped.bytes, q->wrapped.length) == 0);
	must(crypto_generichash_final(&s, out, ID_LEN) == 0);
}

static void
empty(struct keycache *c, struct entry *e)
{
	sodium_memzero(key_of(c, e), PDV_DATA_KEY_LEN);
	memset(e, 0, sizeof(*e));
}

/* Wipes what has expired; when the next does, or 0. */
static uint64_t
expire(struct keycache *c, uint64_t now)
{
	uint64_t next = 0;

	for (unsigned i = 0; i < c->count; i++) {
		struct entry *e = &c->entry[i];

		if (e->state != KEPT)
			continue;
		if (e->expires_ms <= now)
			empty(c, e);
		else if (next == 0 || e->expires_ms < next)
			next = e->expires_ms;
	}
	return next;
}

static struct entry *
find(struct keycache *c, const uint8_t id[static ID_LEN])
{
	for (unsigned i = 0; i < c->count; i++) {
		struct entry *e = &c->entry[i];

		if (e->state != EMPTY && memcmp(e->id, id, ID_LEN) == 0)
			return e;
	}
	return NULL;
}

/* An empty entry, if need be by giving up the key that was not used for longest; NULL: all are asked for. */
static struct entry *
place_for_one(struct keycache *c)
{
	struct entry *oldest = NULL;

	for (unsigned i = 0; i < c->count; i++) {
		struct entry *e = &c->entry[i];

		if (e->state == EMPTY)
			return e;
		if (e->state == KEPT && (oldest == NULL || e->used < oldest->used))
			oldest = e;
	}
	if (oldest != NULL)
		empty(c, oldest);
	return oldest;
}

static void
wait_for(struct keycache *c, struct question *q, struct keycache_answer *out)
{
	q->waiting++;
	while (!q->answered)
		must(pthread_cond_wait(&c->answered, &c->lock) == 0);
	*out = q->answer;
	if (--q->waiting == 0)
		must(pthread_cond_broadcast(&c->answered) == 0);
}

/* From here, or from who is asking. False: ${e} is for the caller to ask for (NULL: and it is not kept). */
static bool
take(struct keycache *c, const struct keycache_asked *q, struct question *own, struct entry **e,
    struct keycache_answer *out)
{
	if ((*e = find(c, own->id)) != NULL && (*e)->state == KEPT && (*e)->expires_ms <= now_ms()) {
		empty(c, *e); /* the keeper comes a little later */
		*e = NULL;
	}
	if (*e != NULL) {
		if ((*e)->state == ASKED) {
			wait_for(c, (*e)->question, out);
		} else {
			(*e)->used = ++c->uses;
			memset(out, 0, sizeof(*out));
			memcpy(out->key, key_of(c, *e), PDV_DATA_KEY_LEN);
		}
		return true;
	}
	if ((*e = place_for_one(c)) != NULL) {
		(*e)->state = ASKED;
		(*e)->question = own;
		memcpy((*e)->id, own->id, ID_LEN);
		memcpy((*e)->subject, q->place->subject.bytes, PDV_ID_LEN);
	}
	return false;
}

/* The answer is there: for those who wait, and to be kept until ${expires}. */
static void
settle(struct keycache *c, struct entry *e, struct question *own, uint64_t expires)
{
	const struct keycache_answer *a = &own->answer;

	if (a->code == PDV_OK && !e->unwanted && expires > now_ms()) {
		e->state = KEPT;
		e->question = NULL;
		e->expires_ms = expires;
		e->used = ++c->uses;
		memcpy(key_of(c, e), a->key, PDV_DATA_KEY_LEN);
		if (c->rings_ms == 0 || expires < c->rings_ms)
			must(pthread_cond_signal(&c->changed) == 0);
	} else {
		empty(c, e);
	}
	own->answered = true;
	must(pthread_cond_broadcast(&c->answered) == 0);
	while (own->waiting > 0)
		must(pthread_cond_wait(&c->answered, &c->lock) == 0);
}

void
keycache_get(struct keycache *c, const struct keycache_asked *q, const struct keycache_fetch *fetch,
    struct keycache_answer *out)
{
	struct question own = {.answered = false};
	uint64_t expires = now_ms() + c->ms;
	struct entry *e;
	bool have;

	id_of(q, own.id);
	lock(c);
	have = take(c, q, &own, &e, out);
	unlock(c);
	if (have)
		return;
	fetch->ask(fetch->arg, q, &own.answer);
	lock(c);
	if (e != NULL)
		settle(c, e, &own, expires);
	unlock(c);
	*out = own.answer;
	sodium_memzero(&own, sizeof(own));
}

void
keycache_forget(struct keycache *c, const uint8_t *subject)
{
	lock(c);
	for (unsigned i = 0; i < c->count; i++) {
		struct entry *e = &c->entry[i];

		if (e->state == EMPTY || (subject != NULL && memcmp(e->subject, subject, PDV_ID_LEN) != 0))
			continue;
		if (e->state == KEPT)
			empty(c, e);
		else
			e->unwanted = true;
	}
	unlock(c);
}

#ifdef PDV_TEST_HOOKS
unsigned
keycache_test_kept(struct keycache *c)
{
	unsigned n = 0;

	lock(c);
	for (unsigned i = 0; i < c->count; i++)
		n += c->entry[i].state == KEPT;
	unlock(c);
	return n;
}
#endif

static void
wait_until(struct keycache *c, uint64_t ms)
{
	struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
	int rv = ms == 0 ? pthread_cond_wait(&c->changed, &c->lock)
			 : pthread_cond_timedwait(&c->changed, &c->lock, &t);

	must(rv == 0 || rv == ETIMEDOUT);
}

/* The thread that wipes at the time, also when nobody asks any more. */
static void *
keep(void *arg)
{
	struct keycache *c = arg;

	lock(c);
	while (!c->ending) {
		c->rings_ms = expire(c, now_ms());
		registers_wipe();
		wait_until(c, c->rings_ms);
	}
	unlock(c);
	return NULL;
}

/*
 * Locked, not in core files, and not in a child: whole pages. libsodium alone would not say that they are not
 * locked.
 */
static enum pdv_code
make_keys(struct keycache *c, unsigned keys)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	c->key_bytes = (keys * (size_t)PDV_DATA_KEY_LEN + page - 1) / page * page;
	if ((c->key = sodium_malloc(c->key_bytes)) == NULL)
		return PDV_RESOURCE_EXHAUSTED;
	sodium_memzero(c->key, c->key_bytes);
	if (sodium_mlock(c->key, c->key_bytes) != 0 || madvise(c->key, c->key_bytes, MADV_WIPEONFORK) != 0)
		return PDV_RESOURCE_EXHAUSTED;
	return PDV_OK;
}

static enum pdv_code
start_keeper(struct keycache *c)
{
	sigset_t all, before;
	int rv;

	must(sigfillset(&all) == 0 && pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	rv = pthread_create(&c->keeper, NULL, keep, c);
	must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	return rv == 0 ? PDV_OK : PDV_RESOURCE_EXHAUSTED;
}

static void
destroy(struct keycache *c)
{
	must(pthread_cond_destroy(&c->answered) == 0);
	must(pthread_cond_destroy(&c->changed) == 0);
	must(pthread_mutex_destroy(&c->lock) == 0);
	sodium_free(c->key); /* wipes */
	free(c->entry);
	free(c);
}

enum pdv_code
keycache_new(unsigned keys, uint32_t ms, struct keycache **out)
{
	struct keycache *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;
	enum pdv_code code;

	if (c == NULL)
		return PDV_RESOURCE_EXHAUSTED;
	c->ms = ms;
	c->count = keys;
	must(pthread_mutex_init(&c->lock, NULL) == 0);
	must(pthread_cond_init(&c->answered, NULL) == 0);
	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&c->changed, &attr) == 0);
	must(pthread_condattr_destroy(&attr) == 0);
	if ((c->entry = calloc(keys, sizeof(*c->entry))) == NULL || make_keys(c, keys) != PDV_OK)
		code = PDV_RESOURCE_EXHAUSTED;
	else
		code = start_keeper(c);
	if (code == PDV_OK)
		*out = c;
	else
		destroy(c);
	return code;
}

void
keycache_free(struct keycache *c)
{
	if (c == NULL)
		return;
	lock(c);
	c->ending = true;
	must(pthread_cond_signal(&c->changed) == 0);
	unlock(c);
	must(pthread_join(c->keeper, NULL) == 0);
	destroy(c);
}
