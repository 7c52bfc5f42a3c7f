#include "server/restore/known.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum status
known_add(struct known *k, const struct key_backup *b)
{
	if (k->count == k->room) {
		size_t room = k->room * 2 + 64;
		struct key_backup *more = realloc(k->item, room * sizeof(*more));

		if (more == NULL)
			return STATUS_NO_MEMORY;
		k->item = more;
		k->room = room;
	}
	k->item[k->count++] = *b;
	return STATUS_OK;
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
			rc = known_add(k, &b);
		stream_step(s);
	}
	stream_free(s);
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

static int
by_id(const void *a, const void *b)
{
	const struct key_backup *x = a, *y = b;

	return memcmp(x->id, y->id, sizeof(x->id));
}

/* Of each number the least: it is complete, and not later than anybody says. */
static void
merge(struct key_backup *into, const struct key_backup *also)
{
	if (also->destroyed_ms != 0 && (into->destroyed_ms == 0 || into->destroyed_by[0] == '\0')) {
		into->destroyed_ms = also->destroyed_ms;
		memcpy(into->destroyed_by, also->destroyed_by, sizeof(into->destroyed_by));
	}
	if (sodium_is_zero(into->recovery_key, sizeof(into->recovery_key)))
		memcpy(into->recovery_key, also->recovery_key, sizeof(into->recovery_key));
	into->slots = also->slots < into->slots ? also->slots : into->slots;
	into->created_ms = also->created_ms < into->created_ms ? also->created_ms : into->created_ms;
	into->expires_ms = also->expires_ms < into->expires_ms ? also->expires_ms : into->expires_ms;
	into->epoch = also->epoch < into->epoch ? also->epoch : into->epoch;
}

enum status
known_write(struct known *k, struct bulk *b)
{
	uint8_t row[KEY_BACKUP_ROW_MAX];
	enum status rc = STATUS_OK;

	if (k->count > 0)
		qsort(k->item, k->count, sizeof(*k->item), by_id);
	for (size_t i = 0, next; i < k->count && rc == STATUS_OK; i = next) {
		struct key_backup *one = &k->item[i];

		for (next = i + 1; next < k->count && by_id(one, &k->item[next]) == 0; next++)
			merge(one, &k->item[next]);
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
