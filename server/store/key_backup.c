#include "server/store/key_backup.h"

#include <sodium.h>
#include <string.h>

#include "server/clock.h"
#include "server/store/overlay.h"
#include "server/store/writeset_internal.h"

enum { OFF_CREATED = 0, OFF_EXPIRES = 8, OFF_EPOCH = 16, OFF_SLOTS = 24, OFF_KEY = 32, OFF_DESTROYED = 64,
	OFF_BY = 72 };
_Static_assert(OFF_BY == KEY_BACKUP_ROW_MIN, "a name may be empty");

size_t
key_backup_encode(const struct key_backup *b, uint8_t out[static KEY_BACKUP_ROW_MAX])
{
	size_t name = strnlen(b->destroyed_by, KEY_BACKUP_NAME_MAX);

	bytes_put64(out + OFF_CREATED, (uint64_t)b->created_ms);
	bytes_put64(out + OFF_EXPIRES, (uint64_t)b->expires_ms);
	bytes_put64(out + OFF_EPOCH, b->epoch);
	bytes_put64(out + OFF_SLOTS, b->slots);
	memcpy(out + OFF_KEY, b->recovery_key, SEAL_RECOVERY_KEY_LEN);
	bytes_put64(out + OFF_DESTROYED, (uint64_t)b->destroyed_ms);
	memcpy(out + OFF_BY, b->destroyed_by, name);
	return OFF_BY + name;
}

enum status
key_backup_decode(struct bytes key, struct bytes row, struct key_backup *out)
{
	if (key.len != KEY_BACKUP_ID_LEN || row.len < KEY_BACKUP_ROW_MIN || row.len > KEY_BACKUP_ROW_MAX)
		return STATUS_CORRUPT;
	memset(out, 0, sizeof(*out));
	memcpy(out->id, key.p, KEY_BACKUP_ID_LEN);
	out->created_ms = (int64_t)bytes_get64(row.p + OFF_CREATED);
	out->expires_ms = (int64_t)bytes_get64(row.p + OFF_EXPIRES);
	out->epoch = bytes_get64(row.p + OFF_EPOCH);
	out->slots = bytes_get64(row.p + OFF_SLOTS);
	memcpy(out->recovery_key, row.p + OFF_KEY, SEAL_RECOVERY_KEY_LEN);
	out->destroyed_ms = (int64_t)bytes_get64(row.p + OFF_DESTROYED);
	memcpy(out->destroyed_by, row.p + OFF_BY, row.len - OFF_BY);
	return STATUS_OK;
}

bool
key_backup_is_open(const struct key_backup *b, int64_t now_ms)
{
	return b->destroyed_ms == 0 && now_ms < b->expires_ms;
}

int64_t
key_backup_end(const struct key_backup *b)
{
	return b->destroyed_ms != 0 && b->destroyed_ms < b->expires_ms ? b->destroyed_ms : b->expires_ms;
}

bool
key_backup_may_have(const struct key_backup *b, uint64_t slot, uint64_t epoch)
{
	return b->epoch < epoch && slot < b->slots;
}

enum status
key_backup_each(struct store_snapshot *s, bool (*see)(const struct key_backup *b, void *arg), void *arg)
{
	uint8_t from[KEY_BACKUP_ID_LEN + 1] = { 0 };
	struct bytes start = bytes_of(from, 0), key, row;
	struct key_backup b;
	enum status rc;

	while ((rc = store_seek(s, STORE_BACKUPS, start, &key, &row)) == STATUS_OK) {
		if ((rc = key_backup_decode(key, row, &b)) != STATUS_OK)
			return rc;
		if (!see(&b, arg))
			return STATUS_OK;
		memcpy(from, b.id, sizeof(b.id));
		start.len = sizeof(from);	/* the zero byte behind it: the next key */
	}
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

void
key_backup_new_id(struct key_backup *b)
{
	bytes_put64(b->id, (uint64_t)b->created_ms);
	randombytes_buf(b->id + 8, sizeof(b->id) - 8);
}

struct count {
	int64_t now_ms;
	unsigned open;
};

static bool
count_open(const struct key_backup *b, void *arg)
{
	struct count *c = arg;

	c->open += key_backup_is_open(b, c->now_ms);
	return true;
}

enum status
key_backups_open(struct writeset *ws, int64_t now_ms, unsigned *out)
{
	struct count c = { now_ms, 0 };
	enum status rc = key_backup_each(overlay_snapshot(ws->overlay), count_open, &c);

	*out = c.open;
	return rc;
}

enum status
key_backup_get(struct writeset *ws, const uint8_t id[static KEY_BACKUP_ID_LEN], struct key_backup *out)
{
	struct bytes key = bytes_of(id, KEY_BACKUP_ID_LEN), row;
	enum status rc = writeset_get(ws, STORE_BACKUPS, key, &row);

	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_NO_KEY_BACKUP : rc;
	return key_backup_decode(key, row, out);
}

enum status
key_backup_put(struct writeset *ws, const struct key_backup *b)
{
	uint8_t row[KEY_BACKUP_ROW_MAX];
	size_t len = key_backup_encode(b, row);

	return writeset_put(ws, STORE_BACKUPS, bytes_of(b->id, KEY_BACKUP_ID_LEN), bytes_of(row, len));
}

enum status
key_backup_record(struct writeset *ws, const struct key_backup *b, enum ledger_kind kind)
{
	struct ledger_entry e = { .kind = kind, .epoch = b->epoch, .time_ms = b->created_ms,
		.slot = (uint64_t)b->expires_ms };
	enum status rc;

	memcpy(e.erasure, b->id, sizeof(e.erasure));
	if (kind != LEDGER_KEYS) {
		e.epoch = overlay_root(ws->overlay)->epoch;
		e.time_ms = kind == LEDGER_KEYS_GONE ? b->destroyed_ms : clock_wall_ms();
		e.slot = kind == LEDGER_KEYS_READ ? b->slots : 0;
	}
	if ((rc = ledger_append(ws, &e)) != STATUS_OK)
		return rc;
	return key_backup_put(ws, b);
}
