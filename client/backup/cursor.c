/* Cursors of a chain: the rows of one table, merged from all layers by their keys. */
#include <stdlib.h>
#include <string.h>

#include "client/backup/chain.h"
#include "client/backup/chain_internal.h"
#include "client/backup/chunk.h"

/* One layer's rows of the table. */
struct stream {
	const struct backup_layer *layer;
	size_t first, end, at;		/* ranges; at: the one that is loaded, or the next one */
	struct backup_chunk chunk;	/* loaded, or all zero */
	const uint8_t *next;		/* in the chunk: behind the row */
	struct backup_row row;		/* the newest that was read from the chunk; key NULL: none */
	struct backup_row before;	/* and the one before it */
	bool have;			/* the row was not taken yet */
	uint8_t passed[BACKUP_KEY_MAX];	/* the last key of the chunk before, if that was read to its end */
	size_t passed_len;
};

/*
 * Invariants:
 *   1. a stream with a row has its chunk loaded, and the row and the one before lie in it;
 *   2. a row that was given lies in a chunk that stays loaded until the next call.
 */
struct backup_cursor {
	struct backup_chain *chain;
	size_t count;
	struct stream streams[];	/* as the layers: the oldest first */
};

static void
unload(struct stream *s)
{
	backup_chunk_free(&s->chunk);
	s->row.key = s->before.key = NULL;
	s->have = false;
}

/* Before the first row of the chunk. */
static void
rewind_chunk(struct stream *s)
{
	s->next = s->chunk.rows;
	s->row.key = s->before.key = NULL;
	s->have = false;
}

/* At the end of the chunk. */
static void
leave(struct stream *s)
{
	if (s->before.key != NULL) {
		memcpy(s->passed, s->before.key, s->before.key_len);
		s->passed_len = s->before.key_len;
	}
	unload(s);
}

/* The chunk of range ${s->at}, which must be as the manifest says. */
static enum backup_result
load(struct backup_cursor *k, struct stream *s, struct backup_fault *f)
{
	const Pdvault__V1__BackupManifest *m = s->layer->manifest;
	const Pdvault__V1__BackupRange *range = m->ranges[s->at];
	struct backup_watch *w = k->chain->watch;
	char name[BACKUP_CHUNK_NAME];
	enum backup_result r;

	r = backup_chunk_read(s->layer->path, range->chunk, m->head->backup.data, &s->chunk, f);
	if (r != BACKUP_OK)
		return r == BACKUP_ABSENT ? BACKUP_BAD : r;
	if (memcmp(s->chunk.digest, range->chunk_digest.data, BACKUP_DIGEST_LEN) != 0 ||
	    !backup_range_same(s->chunk.range, range)) {
		unload(s);
		backup_chunk_name(range->chunk, name);
		return backup_fault_set(f, BACKUP_BAD, "%.200s/%s: is not the one that the manifest names",
		    s->layer->path, name);
	}
	rewind_chunk(s);
	if (w != NULL) {
		w->done += s->chunk.len;
		if (w->see != NULL)
			w->see(w->arg, w->done, w->of);
	}
	return BACKUP_OK;
}

/* A row for the stream, unless it is at its end. */
static enum backup_result
fill(struct backup_cursor *k, struct stream *s, struct backup_fault *f)
{
	enum backup_result r;

	while (!s->have && s->at < s->end) {
		if (s->layer->manifest->ranges[s->at]->chunk == 0) {
			s->at++;		/* as in the layers below */
			continue;
		}
		if (s->chunk.bytes == NULL && (r = load(k, s, f)) != BACKUP_OK)
			return r;
		s->before = s->row;
		/* Looked at when it was read: it is a row, or the end. */
		s->have = backup_row_next(&s->next, s->chunk.rows_end, &s->row) == BACKUP_ROW;
		if (!s->have) {
			leave(s);
			s->at++;
		}
	}
	return BACKUP_OK;
}

enum backup_result
backup_cursor_new(struct backup_chain *c, const char *table, struct backup_cursor **out, struct backup_fault *f)
{
	struct backup_cursor *k = calloc(1, sizeof(*k) + c->count * sizeof(k->streams[0]));
	size_t i;

	if (k == NULL)
		return backup_fault_set(f, BACKUP_NO_MEMORY, "not enough memory");
	k->chain = c;
	k->count = c->count;
	for (i = 0; i < k->count; i++) {
		struct stream *s = &k->streams[i];

		s->layer = &c->layers[i];
		backup_chain_table(s->layer->manifest, table, &s->first, &s->end);
		s->at = s->first;
	}
	*out = k;
	return BACKUP_OK;
}

/* The first range with a chunk that can have the key or one behind it: ranges cover the table. */
static size_t
range_of(const struct stream *s, const struct backup_row *to)
{
	Pdvault__V1__BackupRange *const *ranges = s->layer->manifest->ranges;
	size_t low = s->first, high = s->end, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (backup_range_place(ranges[middle], to->key, to->key_len) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (low < s->end && ranges[low]->chunk == 0)
		low++;
	return low;
}

static bool
below(const struct backup_row *row, const struct backup_row *to)
{
	return row->key == NULL || backup_key_compare(row->key, row->key_len, to->key, to->key_len) < 0;
}

/* It stands there already: the row is the first that is not below, or there is none. */
static bool
stands(const struct stream *s, const struct backup_row *to)
{
	struct backup_row passed = s->have ? s->before : s->row;

	if (passed.key == NULL) {
		passed.key = s->passed;
		passed.key_len = s->passed_len;
	}
	return passed.key_len > 0 && below(&passed, to) && (!s->have || !below(&s->row, to));
}

static enum backup_result
seek(struct backup_cursor *k, struct stream *s, const struct backup_row *to, struct backup_fault *f)
{
	size_t at;
	enum backup_result r;

	if (s->chunk.bytes != NULL || s->passed_len > 0) {
		if ((r = fill(k, s, f)) != BACKUP_OK)
			return r;
		if (stands(s, to))
			return BACKUP_OK;
	}
	if ((at = range_of(s, to)) != s->at) {
		unload(s);
		s->passed_len = 0;
		s->at = at;
	} else if (s->chunk.bytes != NULL && !below(s->have ? &s->before : &s->row, to)) {
		rewind_chunk(s);
	}
	while ((r = fill(k, s, f)) == BACKUP_OK && s->have && below(&s->row, to))
		s->have = false;
	return r;
}

enum backup_result
backup_cursor_seek(struct backup_cursor *k, const uint8_t *key, size_t key_len, struct backup_fault *f)
{
	const struct backup_row to = {.key = key, .key_len = key_len};
	enum backup_result r = BACKUP_OK;
	size_t i;

	for (i = 0; i < k->count && r == BACKUP_OK; i++)
		r = seek(k, &k->streams[i], &to, f);
	return r;
}

/* The lowest key; of several layers that have it, the newest one's row counts, and all are taken. */
static bool
take(struct backup_cursor *k, struct backup_row *out)
{
	struct stream *best = NULL;
	size_t i;
	int d;

	for (i = 0; i < k->count; i++) {
		struct stream *s = &k->streams[i];

		if (!s->have)
			continue;
		d = best == NULL ? -1 : backup_key_compare(s->row.key, s->row.key_len, best->row.key,
		    best->row.key_len);
		if (d == 0)
			best->have = false;
		if (d <= 0)
			best = s;
	}
	if (best == NULL)
		return false;
	*out = best->row;
	best->have = false;
	return true;
}

enum backup_result
backup_cursor_next(struct backup_cursor *k, struct backup_row *out, bool *end, struct backup_fault *f)
{
	struct backup_row row = {.gone = true};
	enum backup_result r;
	bool over = false;
	size_t i;

	while (!over && row.gone) {
		for (i = 0; i < k->count; i++)
			if ((r = fill(k, &k->streams[i], f)) != BACKUP_OK)
				return r;
		over = !take(k, &row);
	}
	*end = over;
	if (!over)
		*out = row;
	return BACKUP_OK;
}

void
backup_cursor_free(struct backup_cursor *k)
{
	size_t i;

	if (k == NULL)
		return;
	for (i = 0; i < k->count; i++)
		unload(&k->streams[i]);
	free(k);
}
