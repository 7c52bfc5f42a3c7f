/*
 * Rows of the batch that are not pages.
 */
#include <stdlib.h>

#include "server/store/overlay_internal.h"

/*
 * FNV-1a, its bits mixed once more: keys that count up differ in their last bytes only. They come from
 * outside only as idempotency keys, a few for each request.
 */
static unsigned
row_hash(enum store_table t, struct bytes key)
{
	uint64_t h = 0xCBF29CE484222325u ^ (uint64_t)t;

	for (size_t i = 0; i < key.len; i++)
		h = (h ^ key.p[i]) * 0x100000001B3u;
	h = (h ^ h >> 32) * 0x9E3779B97F4A7C15u;
	return (unsigned)(h >> 32) % OVERLAY_CHAINS;
}

static struct overlay_row **
find_row(struct overlay *o, enum store_table t, struct bytes key)
{
	struct overlay_row **at = &o->row_chain[row_hash(t, key)];

	while (*at != NULL && !((*at)->table == t && bytes_compare((*at)->key, key) == 0))
		at = &(*at)->chain;
	return at;
}

enum status
overlay_get(struct overlay *o, enum store_table t, struct bytes key, struct bytes *value)
{
	struct overlay_row *r = *find_row(o, t, key);

	if (r == NULL)
		return store_get(o->snapshot, t, key, value);
	if (r->value.p == NULL)
		return STATUS_ABSENT;
	*value = r->value;
	return STATUS_OK;
}

/* A row that is put again replaces the first: it stays on the list, as dead weight, by key only. */
static enum status
put(struct overlay *o, enum store_table t, struct bytes key, const struct bytes *value)
{
	struct overlay_row **at = find_row(o, t, key), *r;
	size_t len = value != NULL ? value->len : 0;
	uint8_t *mem = malloc(sizeof(*r) + key.len + len);

	if (mem == NULL)
		return STATUS_NO_MEMORY;
	r = (struct overlay_row *)(void *)mem;
	memcpy(mem + sizeof(*r), key.p, key.len);
	if (len > 0)
		memcpy(mem + sizeof(*r) + key.len, value->p, len);
	r->table = t;
	r->key = bytes_of(mem + sizeof(*r), key.len);
	r->value = bytes_of(value != NULL ? mem + sizeof(*r) + key.len : NULL, len);
	r->chain = NULL;
	r->replaced = false;
	if (*at != NULL) {
		(*at)->replaced = true;
		r->chain = (*at)->chain;
	}
	*at = r;
	r->next = o->rows;
	o->rows = r;
	return STATUS_OK;
}

enum status
overlay_put(struct overlay *o, enum store_table t, struct bytes key, struct bytes value)
{
	return put(o, t, key, &value);
}

enum status
overlay_delete(struct overlay *o, enum store_table t, struct bytes key)
{
	return put(o, t, key, NULL);
}

struct overlay_row *
overlay_rows(struct overlay *o)
{
	return o->rows;
}
