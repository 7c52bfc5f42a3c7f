#include "keep.h"

#include <jansson.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct keep_block {
	struct keep_block *next;
	max_align_t data[];
};

/* In front of what keep_new() hands out, so that it can be wiped without being told. */
struct header {
	size_t size;
	max_align_t data[];
};

static struct header *
header_of(void *at)
{
	return (struct header *)(void *)((unsigned char *)at - offsetof(struct header, data));
}

void *
keep_new(size_t size)
{
	struct header *h;

	if (size > SIZE_MAX / 2)
		return NULL;
	if ((h = malloc(sizeof(*h) + size)) == NULL)
		return NULL;
	h->size = size;
	return h->data;
}

void
keep_drop(void *at)
{
	struct header *h;

	if (at == NULL)
		return;
	h = header_of(at);
	sodium_memzero(at, h->size);
	free(h);
}

void *
keep_resize(void *at, size_t size)
{
	size_t old = at == NULL ? 0 : header_of(at)->size;
	void *moved = keep_new(size);

	if (moved == NULL)
		return NULL;
	if (at != NULL)
		memcpy(moved, at, old < size ? old : size);
	keep_drop(at);
	return moved;
}

char *
keep_copy(const char *text, size_t len)
{
	char *copy = keep_new(len + 1);

	if (copy == NULL)
		return NULL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

void *
keep_alloc(struct keep *k, size_t size)
{
	struct keep_block *b;

	if (size > SIZE_MAX / 2 || (b = keep_new(sizeof(*b) + size)) == NULL)
		return NULL;
	memset(b->data, 0, size);
	b->next = k->blocks;
	k->blocks = b;
	return b->data;
}

void
keep_free(struct keep *k)
{
	struct keep_block *b, *next;

	for (b = k->blocks; b != NULL; b = next) {
		next = b->next;
		keep_drop(b);
	}
	k->blocks = NULL;
}

void
keep_json(void)
{
	json_set_alloc_funcs(keep_new, keep_drop);
}
