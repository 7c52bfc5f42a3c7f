#include "server/restore/known.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static enum status
add(struct known *k, const struct key_backup *b, bool row)
{
	if (k->count == k->room) {
		size_t room = k->room * 2 + 64;
		struct known_item *more = realloc(k->item, room * sizeof(*more));

		if (more == NULL)
			return STATUS_NO_MEMORY;
		k->item = more;
		k->room = room;
	}
	k->item[k->count++] = (struct known_item){ *b, row };
	return STATUS_OK;
}

enum status
known_add(struct known *k, const struct key_backup *b)
{
	return add(k, b, false);
}

enum status
known_rows(struct known *k, struct input *in)
{
	struct stream *s = NULL;
	struct bytes key, row;
	struct key_backup b;
	enum status rc = stream_new(in, STORE_BACKUPS, &s);

	while (rc == STATUS_OK && (rc = stream_row(s, &key, &row)) == STATUS_OK) {
		if ((rc = key_backup_decode(key, row, &b)) == STATUS_OK)
			rc = add(k, &b, true);
		stream_step(s);
	}
	stream_free(s);
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

/* What was signed comes first. */
static int
by_id(const void *a, const void *b)
{
	const struct known_item *x = a, *y = b;
	int d = memcmp(x->b.id, y->b.id, sizeof(x->b.id));

	return d != 0 ? d : (int)x->row - (int)y->row;
}

/* The words of a row, which decide nothing. */
static void
merge_words(struct key_backup *into, const struct key_backup *row)
{
	if (sodium_is_zero(into->recovery_key, sizeof(into->recovery_key)))
		memcpy(into->recovery_key, row->recovery_key, sizeof(into->recovery_key));
	if (into->destroyed_ms != 0 && into->destroyed_by[0] == '\0')
		memcpy(into->destroyed_by, row->destroyed_by, sizeof(into->destroyed_by));
}

/* Of what was signed each says one thing, and the rest is at its greatest. */
static void
merge_signed(struct key_backup *into, const struct key_backup *also)
{
	into->destroyed_ms = into->destroyed_ms != 0 ? into->destroyed_ms : also->destroyed_ms;
	into->slots = also->slots < into->slots ? also->slots : into->slots;
	into->created_ms = also->created_ms < into->created_ms ? also->created_ms : into->created_ms;
	into->expires_ms = also->expires_ms < into->expires_ms ? also->expires_ms : into->expires_ms;
	into->epoch = also->epoch < into->epoch ? also->epoch : into->epoch;
	merge_words(into, also);
}

/* A key backup of which there are rows alone. */
static void
merge_rows(struct key_backup *into, const struct key_backup *also)
{
	into->slots = also->slots > into->slots ? also->slots : into->slots;
	into->expires_ms = also->expires_ms > into->expires_ms ? also->expires_ms : into->expires_ms;
	into->epoch = also->epoch < into->epoch ? also->epoch : into->epoch;
	merge_words(into, also);
}

/* All of one key backup; the first of them becomes what is known. */
static void
merge(struct known_item *all, size_t count)
{
	struct key_backup *one = &all->b;

	if (all->row) {
		one->destroyed_ms = 0;
		memset(one->destroyed_by, 0, sizeof(one->destroyed_by));
	}
	for (size_t i = 1; i < count; i++)
		if (!all[i].row)
			merge_signed(one, &all[i].b);
		else if (all->row)
			merge_rows(one, &all[i].b);
		else
			merge_words(one, &all[i].b);
}

enum status
known_write(struct known *k, uint64_t epoch, struct bulk *b)
{
	uint8_t row[KEY_BACKUP_ROW_MAX];
	enum status rc = STATUS_OK;

	if (k->count > 0)
		qsort(k->item, k->count, sizeof(*k->item), by_id);
	for (size_t i = 0, next; i < k->count && rc == STATUS_OK; i = next) {
		struct key_backup *one = &k->item[i].b;

		next = i + 1;
		while (next < k->count && memcmp(one->id, k->item[next].b.id, sizeof(one->id)) == 0)
			next++;
		merge(&k->item[i], next - i);
		one->epoch = one->epoch < epoch ? one->epoch : epoch;
		rc = bulk_put(b, STORE_BACKUPS, bytes_of(one->id, sizeof(one->id)),
		    bytes_of(row, key_backup_encode(one, row)));
	}
	return rc;
}

void
known_free(struct known *k)
{
	free(k->item);
	*k = (struct known){ NULL, 0, 0 };
}
