#include "server/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "server/poison.h"

struct chunk {
	struct chunk *next;		/* the one before it in time */
	size_t cap, used;
	alignas(max_align_t) uint8_t b[];
};

/*
 * Invariants (arena_check):
 *  1. total is the sum of the chunks' capacities and at most ARENA_BUDGET.
 *  2. Bytes of a chunk that are not handed out are zero (so arena_alloc need not clear).
 *  3. The list ends in the first chunk, which has ARENA_CHUNK bytes.
 */
struct arena {
	ProtobufCAllocator allocator;
	struct chunk *newest;
	size_t total;
	bool refused;
};

#ifdef PDV_TEST_HOOKS
static void (*see_wiped)(const void *p, size_t len);
static size_t fail_in;

void
arena_test_wiped(void (*see)(const void *p, size_t len))
{
	see_wiped = see;
}

void
arena_test_fail(size_t nth)
{
	fail_in = nth;
}
#endif

static void *
get_zeroed(size_t len)
{
#ifdef PDV_TEST_HOOKS
	if (fail_in > 0 && --fail_in == 0)
		return NULL;
#endif
	return calloc(1, len);
}

static struct chunk *
chunk_new(size_t cap)
{
	struct chunk *c = get_zeroed(sizeof(*c) + cap);

	if (c == NULL)
		return NULL;
	c->cap = cap;
	poison(c->b, cap);
	return c;
}

static void
chunk_wipe(struct chunk *c)
{
	unpoison(c->b, c->cap);
	explicit_bzero(c->b, c->used);
#ifdef PDV_TEST_HOOKS
	if (see_wiped != NULL)
		see_wiped(c->b, c->cap);
#endif
	c->used = 0;
}

static void *
unpacker_alloc(void *a, size_t len)
{
	/* protobuf-c asks for nothing when a field is empty, and takes NULL for "no memory". */
	return arena_alloc(a, len);
}

static void
unpacker_free(void *a, void *p)
{
	(void)a;
	(void)p;
}

struct arena *
arena_new(void)
{
	struct arena *a = get_zeroed(sizeof(*a));

	if (a == NULL)
		return NULL;
	if ((a->newest = chunk_new(ARENA_CHUNK)) == NULL) {
		free(a);
		return NULL;
	}
	a->total = ARENA_CHUNK;
	a->allocator = (ProtobufCAllocator){ unpacker_alloc, unpacker_free, a };
	return a;
}

/* Chunks double, so that a request of any size needs few of them. */
static struct chunk *
grow(struct arena *a, size_t len)
{
	size_t left = ARENA_BUDGET - a->total, cap = a->total;
	struct chunk *c;

	if (len > left)
		return NULL;
	if (cap > left)
		cap = left;
	if (cap < len)
		cap = len;
	if ((c = chunk_new(cap)) == NULL)
		return NULL;
	c->next = a->newest;
	a->newest = c;
	a->total += cap;
	return c;
}

void *
arena_alloc(struct arena *a, size_t len)
{
	const size_t align = alignof(max_align_t);
	struct chunk *c = a->newest;
	size_t step = len == 0 ? align : (len + align - 1) / align * align;
	void *p;

	if (len > ARENA_BUDGET || (step > c->cap - c->used && (c = grow(a, step)) == NULL)) {
		a->refused = true;
		return NULL;
	}
	p = c->b + c->used;
	c->used += step;
	unpoison(p, len);
	return p;
}

bool
arena_refused(const struct arena *a)
{
	return a->refused;
}

struct bytes
arena_copy(struct arena *a, struct bytes b)
{
	uint8_t *p;

	if (b.len >= ARENA_BUDGET || (p = arena_alloc(a, b.len + 1)) == NULL)
		return (struct bytes){ NULL, 0 };
	if (b.len > 0)
		memcpy(p, b.p, b.len);
	return bytes_of(p, b.len);
}

ProtobufCAllocator *
arena_allocator(struct arena *a)
{
	return &a->allocator;
}

void
arena_reset(struct arena *a)
{
	struct chunk *c;

	while ((c = a->newest)->next != NULL) {
		a->newest = c->next;
		chunk_wipe(c);
		free(c);
	}
	chunk_wipe(c);
	poison(c->b, c->cap);
	a->total = ARENA_CHUNK;
	a->refused = false;
}

void
arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	arena_reset(a);
	unpoison(a->newest->b, a->newest->cap);
	free(a->newest);
	free(a);
}

#ifdef PDV_TEST_HOOKS
void
arena_check(struct arena *a)
{
	struct chunk *c;
	size_t sum = 0, i;

	for (c = a->newest; c != NULL; c = c->next) {
		sum += c->cap;
		must(c->used <= c->cap);
		unpoison(c->b + c->used, c->cap - c->used);
		for (i = c->used; i < c->cap; i++)
			must(c->b[i] == 0);				/* 2 */
		poison(c->b + c->used, c->cap - c->used);
		must(c->next != NULL || c->cap == ARENA_CHUNK);		/* 3 */
	}
	must(sum == a->total && sum <= ARENA_BUDGET);			/* 1 */
}
#endif
