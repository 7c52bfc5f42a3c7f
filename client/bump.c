#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "client/bump.h"
#include "client/transport/must.h"

#define CHUNK_MIN 8192u
#define ALIGN alignof(max_align_t)

struct bump_chunk {
	struct bump_chunk *next;
	size_t size; /* of data */
	size_t used;
	alignas(max_align_t) unsigned char data[];
};

void
bump_init(struct bump *b, void *base, size_t size, size_t budget)
{
	must(size <= budget);
	*b = (struct bump){.base = base, .size = size, .held = size, .budget = budget};
}

/* The place of ${n} bytes in ${data}, or NULL; ${n} is a multiple of ALIGN. */
static void *
take(unsigned char *data, size_t size, size_t *used, size_t n)
{
	void *p;

	if (n > size - *used)
		return NULL;
	p = data + *used;
	*used += n;
	return p;
}

/* A new chunk as large as all before it, so that their number stays small. */
static bool
grow(struct bump *b, size_t n)
{
	size_t room = b->budget - b->held;
	size_t size = b->held > CHUNK_MIN ? b->held : CHUNK_MIN;
	struct bump_chunk *c;

	if (n > room)
		return false;
	if (size < n)
		size = n;
	if (size > room)
		size = room;
	if ((c = malloc(sizeof(*c) + size)) == NULL)
		return false;
	c->size = size;
	c->used = 0;
	c->next = b->more;
	b->more = c;
	b->held += size;
	return true;
}

void *
bump_alloc(struct bump *b, size_t n)
{
	void *p;

	if (n > b->budget)
		return NULL;
	n = n == 0 ? ALIGN : (n + ALIGN - 1) / ALIGN * ALIGN;
	if ((p = take(b->base, b->size, &b->used, n)) != NULL)
		return p;
	if (b->more != NULL &&
	    (p = take(b->more->data, b->more->size, &b->more->used, n)) != NULL)
		return p;
	if (!grow(b, n))
		return NULL;
	return take(b->more->data, b->more->size, &b->more->used, n);
}

void *
bump_array(struct bump *b, size_t count, size_t each)
{
	void *p;

	if (each != 0 && count > SIZE_MAX / each)
		return NULL;
	if ((p = bump_alloc(b, count * each)) != NULL)
		memset(p, 0, count * each);
	return p;
}

static void *
hook_alloc(void *b, size_t n)
{
	return bump_alloc(b, n);
}

static void
hook_free(void *b, void *p)
{
	(void)b;
	(void)p;
}

ProtobufCAllocator
bump_allocator(struct bump *b)
{
	return (ProtobufCAllocator){.alloc = hook_alloc, .free = hook_free, .allocator_data = b};
}

void
bump_end(struct bump *b)
{
	struct bump_chunk *c;

	while ((c = b->more) != NULL) {
		b->more = c->next;
		sodium_memzero(c->data, c->used);
		free(c);
	}
	sodium_memzero(b->base, b->used);
	b->used = 0;
	b->held = b->size;
}

void
bump_check(const struct bump *b)
{
	const struct bump_chunk *c;
	size_t held = b->size;

	must(b->used <= b->size);
	for (c = b->more; c != NULL; c = c->next) {
		must(c->used <= c->size);
		held += c->size;
	}
	must(held == b->held && held <= b->budget);
}
