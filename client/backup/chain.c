#include "client/backup/chain.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/backup/chain_internal.h"
#include "client/backup/chunk.h"
#include "client/backup/digest.h"
#include "client/backup/file.h"

static bool
same_bytes(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* The next range at or after ${i} with which a table begins. */
static size_t
next_table(const Pdvault__V1__BackupManifest *m, size_t i)
{
	while (i < m->n_ranges && m->ranges[i]->from.len > 0)
		i++;
	return i;
}

static bool
same_tables(const Pdvault__V1__BackupManifest *a, const Pdvault__V1__BackupManifest *b)
{
	size_t i = 0, k = 0;

	while (i < a->n_ranges && k < b->n_ranges) {
		if (strcmp(a->ranges[i]->table, b->ranges[k]->table) != 0)
			return false;
		i = next_table(a, i + 1);
		k = next_table(b, k + 1);
	}
	return i == a->n_ranges && k == b->n_ranges;
}

/* The newest layer belongs behind the others. */
static enum backup_result
follow(const struct backup_chain *c, struct backup_fault *f)
{
	const struct backup_layer *l = &c->layers[c->count - 1], *below = l - 1;
	const Pdvault__V1__BackupHead *h = l->manifest->head;

	if (c->count == 1)
		return l->manifest->since.len == 0 ? BACKUP_OK : backup_fault_set(f, BACKUP_BAD, "%.200s: has "
		    "only the changes since another backup, which must be named before it", l->path);
	/* The keys may differ: the newest manifest has the digests of all rows, whoever signed those below. */
	if (!same_bytes(h->vault, below->manifest->head->vault))
		return backup_fault_set(f, BACKUP_BAD, "%.140s: is of another vault than %.140s", l->path,
		    below->path);
	if (!same_bytes(l->manifest->since, below->manifest->head->backup))
		return backup_fault_set(f, BACKUP_BAD, "%.140s: has not the changes since %.140s", l->path,
		    below->path);
	if (h->kind != below->manifest->head->kind || !same_tables(l->manifest, below->manifest))
		return backup_fault_set(f, BACKUP_BAD, "%.140s: has other tables than %.140s", l->path,
		    below->path);
	return BACKUP_OK;
}

static enum backup_result
add(struct backup_chain *c, const char *path, struct backup_fault *f)
{
	struct backup_layer *l = &c->layers[c->count];
	enum backup_result r = backup_manifest_load(path, &l->manifest, f);

	if (r != BACKUP_OK)
		return r == BACKUP_ABSENT ? BACKUP_BAD : r;
	c->count++;
	if ((l->path = strdup(path)) == NULL)
		return backup_fault_set(f, BACKUP_NO_MEMORY, "not enough memory");
	return follow(c, f);
}

enum backup_result
backup_chain_open(const char *const *path, size_t count, struct backup_chain **out, struct backup_fault *f)
{
	enum backup_result r = BACKUP_OK;
	struct backup_chain *c;
	size_t i;

	if (count == 0 || count > BACKUP_CHAIN_MAX)
		return backup_fault_set(f, BACKUP_BAD, "a backup is in 1 to %u folders", BACKUP_CHAIN_MAX);
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return backup_fault_set(f, BACKUP_NO_MEMORY, "not enough memory");
	for (i = 0; i < count && r == BACKUP_OK; i++)
		r = add(c, path[i], f);
	if (r != BACKUP_OK)
		backup_chain_close(c);
	else
		*out = c;
	return r;
}

void
backup_chain_close(struct backup_chain *c)
{
	size_t i;

	if (c == NULL)
		return;
	for (i = 0; i < c->count; i++) {
		pdvault__v1__backup_manifest__free_unpacked(c->layers[i].manifest, NULL);
		free(c->layers[i].path);
	}
	free(c);
}

static const Pdvault__V1__BackupManifest *
newest(const struct backup_chain *c)
{
	return c->layers[c->count - 1].manifest;
}

const Pdvault__V1__BackupHead *
backup_chain_head(const struct backup_chain *c)
{
	return newest(c)->head;
}

void
backup_chain_table(const Pdvault__V1__BackupManifest *m, const char *table, size_t *first, size_t *end)
{
	size_t i = 0;

	while (i < m->n_ranges && strcmp(m->ranges[i]->table, table) != 0)
		i++;
	*first = i;
	*end = i < m->n_ranges ? next_table(m, i + 1) : i;
}

uint64_t
backup_chain_rows(const struct backup_chain *c, const char *table)
{
	uint64_t rows = 0;
	size_t i, end;

	for (backup_chain_table(newest(c), table, &i, &end); i < end; i++)
		rows += newest(c)->ranges[i]->rows;
	return rows;
}

/* What was found in a range. */
struct found {
	struct backup_digest d;
	uint64_t rows;
};

static enum backup_result
end_range(const struct backup_layer *l, size_t i, struct found *n, struct backup_fault *f)
{
	const Pdvault__V1__BackupRange *r = l->manifest->ranges[i];
	uint8_t digest[BACKUP_DIGEST_LEN];

	backup_digest_end(&n->d, digest);
	if (n->rows != r->rows || memcmp(digest, r->digest.data, sizeof(digest)) != 0)
		return backup_fault_set(f, BACKUP_BAD, "%.200s: range %zu of %s has not the rows that the "
		    "manifest tells of", l->path, i + 1, r->table);
	backup_digest_begin(&n->d);
	n->rows = 0;
	return BACKUP_OK;
}

/* The table whose ranges are [i, end) of the newest layer. */
static enum backup_result
verify_table(struct backup_chain *c, size_t i, size_t end, struct backup_fault *f)
{
	const struct backup_layer *l = &c->layers[c->count - 1];
	Pdvault__V1__BackupRange *const *ranges = l->manifest->ranges;
	struct backup_cursor *k = NULL;
	struct backup_row row;
	struct found n = {.rows = 0};
	enum backup_result r;
	bool over = false;

	backup_digest_begin(&n.d);
	if ((r = backup_cursor_new(c, ranges[i]->table, &k, f)) != BACKUP_OK)
		return r;
	while ((r = backup_cursor_next(k, &row, &over, f)) == BACKUP_OK && !over) {
		while (r == BACKUP_OK && backup_range_place(ranges[i], row.key, row.key_len) > 0)
			r = end_range(l, i++, &n, f);
		if (r != BACKUP_OK)
			break;
		/* As it stands in its chunk: head, key and value. */
		backup_digest_add(&n.d, row.key - BACKUP_ROW_HEAD, backup_row_len(&row));
		n.rows++;
	}
	while (r == BACKUP_OK && i < end)
		r = end_range(l, i++, &n, f);
	backup_cursor_free(k);
	return r;
}

/* How many bytes all chunks have; those that are missing show when they are read. */
static uint64_t
all_bytes(const struct backup_chain *c)
{
	char name[BACKUP_CHUNK_NAME], path[BACKUP_PATH_MAX];
	struct backup_fault ignored;
	uint64_t bytes = 0;
	struct stat st;
	size_t i, k;

	for (i = 0; i < c->count; i++) {
		const Pdvault__V1__BackupManifest *m = c->layers[i].manifest;

		for (k = 0; k < m->n_ranges; k++) {
			if (m->ranges[k]->chunk == 0)
				continue;
			backup_chunk_name(m->ranges[k]->chunk, name);
			if (backup_file_path(c->layers[i].path, name, path, &ignored) == BACKUP_OK &&
			    lstat(path, &st) == 0)
				bytes += (uint64_t)st.st_size;
		}
	}
	return bytes;
}

enum backup_result
backup_chain_verify(struct backup_chain *c, void (*see)(void *arg, uint64_t done, uint64_t of), void *arg,
    struct backup_fault *f)
{
	struct backup_watch watch = {.see = see, .arg = arg, .of = all_bytes(c)};
	const Pdvault__V1__BackupManifest *m = newest(c);
	enum backup_result r = BACKUP_OK;
	size_t i, end;

	c->watch = &watch;
	/* Each layer has these tables and no others, so that every chunk is read. */
	for (i = 0; i < m->n_ranges && r == BACKUP_OK; i = end) {
		end = next_table(m, i + 1);
		r = verify_table(c, i, end, f);
	}
	c->watch = NULL;
	return r;
}
