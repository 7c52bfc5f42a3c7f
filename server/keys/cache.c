#include "server/keys/cache.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "server/keys/secret.h"
#include "server/metrics.h"

#define WAYS 4u

struct entry {
	struct node node;		/* tree 0: empty */
	uint8_t nonce[SEAL_NONCE_LEN];
	uint32_t used;			/* the set's clock when it was last taken */
	struct page *page;
};

struct set {
	pthread_mutex_t lock;
	uint32_t clock;
	struct entry way[WAYS];
};

struct cache {
	size_t set_count;
	struct page *pages;		/* secret memory: set_count * WAYS */
	struct set set[];
};

enum status
cache_new(size_t bytes, struct cache **out)
{
	struct cache *c;
	size_t sets = 1;

	if (bytes > WAYS * sizeof(struct page))
		sets = bytes / (WAYS * sizeof(struct page));
	if ((c = calloc(1, sizeof(*c) + sets * sizeof(struct set))) == NULL)
		return STATUS_NO_MEMORY;
	c->set_count = sets;
	if ((c->pages = secret_alloc(sets * WAYS * sizeof(struct page))) == NULL) {
		free(c);
		return STATUS_NO_MEMORY;
	}
	for (size_t i = 0; i < sets; i++) {
		must(pthread_mutex_init(&c->set[i].lock, NULL) == 0);
		for (size_t w = 0; w < WAYS; w++)
			c->set[i].way[w].page = &c->pages[i * WAYS + w];
	}
	*out = c;
	return STATUS_OK;
}

void
cache_free(struct cache *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->set_count; i++)
		(void)pthread_mutex_destroy(&c->set[i].lock);
	secret_free(c->pages, c->set_count * WAYS * sizeof(struct page));
	free(c);
}

static struct set *
set_of(struct cache *c, struct node n)
{
	uint64_t h = (n.index * 2 + (n.tree == NODE_B)) * 0x9E3779B97F4A7C15u;

	h ^= (uint64_t)n.level * 0xC2B2AE3D27D4EB4Fu;
	return &c->set[(h >> 20) % c->set_count];
}

/* Under the set's lock. */
static struct entry *
find(struct set *s, struct node n, const uint8_t *nonce)
{
	for (unsigned w = 0; w < WAYS; w++) {
		struct entry *e = &s->way[w];

		if (node_equal(e->node, n) && memcmp(e->nonce, nonce, SEAL_NONCE_LEN) == 0) {
			e->used = ++s->clock;
			return e;
		}
	}
	return NULL;
}

bool
cache_key(struct cache *c, struct node n, const uint8_t nonce[static SEAL_NONCE_LEN],
    unsigned place, struct key *out)
{
	struct set *s = set_of(c, n);
	struct entry *e;

	must(place < NODE_FANOUT);
	must(pthread_mutex_lock(&s->lock) == 0);
	if ((e = find(s, n, nonce)) != NULL)
		*out = e->page->key[place];
	must(pthread_mutex_unlock(&s->lock) == 0);
	metrics_add(e != NULL ? METRIC_PAGE_HITS : METRIC_PAGE_MISSES, 1);
	return e != NULL;
}

bool
cache_page(struct cache *c, struct node n, const uint8_t nonce[static SEAL_NONCE_LEN],
    struct page *out)
{
	struct set *s = set_of(c, n);
	struct entry *e;

	must(pthread_mutex_lock(&s->lock) == 0);
	if ((e = find(s, n, nonce)) != NULL)
		*out = *e->page;
	must(pthread_mutex_unlock(&s->lock) == 0);
	return e != NULL;
}

/*
 * How many pages a page is above, about. The levels of tree S begin at its leaves. Tree B begins at the
 * top, and what is below its second level is as common as leaves are.
 */
static unsigned
rank(struct node n)
{
	const unsigned common = NODE_B_TOP - 3;

	if (n.tree == NODE_S)
		return n.level;
	return n.level > common ? n.level - common : 1;
}

/* The same node's older version, an empty way, or of the lowest rank the one taken longest ago. */
static struct entry *
victim(struct set *s, struct node n)
{
	struct entry *best = NULL;

	for (unsigned w = 0; w < WAYS; w++) {
		struct entry *e = &s->way[w];

		if (e->node.tree == 0 || node_equal(e->node, n))
			return e;
		if (rank(e->node) > rank(n))
			continue;
		if (best == NULL || rank(e->node) < rank(best->node) ||
		    (rank(e->node) == rank(best->node) && s->clock - e->used > s->clock - best->used))
			best = e;
	}
	return best;
}

void
cache_put(struct cache *c, struct node n, const uint8_t nonce[static SEAL_NONCE_LEN],
    const struct page *pg)
{
	struct set *s = set_of(c, n);
	struct entry *e;

	must(pthread_mutex_lock(&s->lock) == 0);
	if ((e = victim(s, n)) != NULL) {
		e->node = n;
		memcpy(e->nonce, nonce, SEAL_NONCE_LEN);
		*e->page = *pg;
		e->used = ++s->clock;
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
}

void
cache_evict(struct cache *c, struct node n)
{
	struct set *s = set_of(c, n);

	must(pthread_mutex_lock(&s->lock) == 0);
	for (unsigned w = 0; w < WAYS; w++) {
		struct entry *e = &s->way[w];

		if (!node_equal(e->node, n))
			continue;
		e->node = (struct node){ 0, 0, 0 };
		sodium_memzero(e->page, sizeof(*e->page));
	}
	must(pthread_mutex_unlock(&s->lock) == 0);
}
