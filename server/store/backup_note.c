/*
 * What the vault remembers and says of backups.
 */
#include <string.h>

#include "server/clock.h"
#include "server/store/backup.h"
#include "server/store/damage.h"
#include "server/store/vault_internal.h"

#define NOTES_LEN (BACKUP_NOTE_COUNT * 8u)

enum status
backup_note(struct writeset *ws, enum backup_note which, int64_t ms)
{
	uint8_t row[NOTES_LEN] = { 0 };
	struct bytes value;
	enum status rc = writeset_get(ws, STORE_META, META_KEY(META_BACKUPS), &value);

	if (rc != STATUS_OK && rc != STATUS_ABSENT)
		return rc;
	if (rc == STATUS_OK && value.len == sizeof(row))
		memcpy(row, value.p, sizeof(row));
	bytes_put64(row + (size_t)which * 8, (uint64_t)ms);
	return writeset_put(ws, STORE_META, META_KEY(META_BACKUPS), bytes_of(row, sizeof(row)));
}

struct open_count {
	int64_t now_ms;
	unsigned n;
};

static bool
count_open(const struct key_backup *b, void *arg)
{
	struct open_count *c = arg;

	c->n += key_backup_is_open(b, c->now_ms);
	return true;
}

/* A row of meta that need not be there. */
static enum status
get_meta(struct store_snapshot *s, struct bytes key, struct bytes *out)
{
	enum status rc = store_get(s, STORE_META, key, out);

	if (rc == STATUS_ABSENT)
		*out = bytes_of(NULL, 0);
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

enum status
backup_status(struct store_snapshot *s, struct vault_status *out)
{
	struct open_count open = { clock_wall_ms(), 0 };
	struct bytes notes, forced;
	enum status rc;

	_Static_assert(sizeof(out->backup_ms) / sizeof(out->backup_ms[0]) == BACKUP_NOTE_COUNT, "a time each");
	if ((rc = get_meta(s, META_KEY(META_BACKUPS), &notes)) != STATUS_OK ||
	    (rc = get_meta(s, META_KEY(META_RESURRECTED), &forced)) != STATUS_OK ||
	    (rc = key_backup_each(s, count_open, &open)) != STATUS_OK)
		return rc;
	if ((notes.len != 0 && notes.len != NOTES_LEN) || forced.len % VAULT_RESURRECTION_LEN != 0 ||
	    forced.len > sizeof(out->resurrection))
		return STATUS_CORRUPT;
	for (size_t i = 0; i < BACKUP_NOTE_COUNT && notes.len > 0; i++)
		out->backup_ms[i] = (int64_t)bytes_get64(notes.p + i * 8);
	out->key_backups = open.n;
	out->resurrections = (unsigned)(forced.len / VAULT_RESURRECTION_LEN);
	if (forced.len > 0)
		memcpy(out->resurrection, forced.p, forced.len);
	return STATUS_OK;
}

struct key_backups {
	struct key_backup *item;
	size_t count, room;
};

static bool
keep(const struct key_backup *b, void *arg)
{
	struct key_backups *all = arg;

	if (all->count == all->room)
		return false;
	all->item[all->count++] = *b;
	return true;
}

enum status
backup_list(struct vault *v, struct arena *a, struct key_backup **out, size_t *count)
{
	struct key_backups all = { NULL, 0, 0 };
	struct store_snapshot *s = NULL;
	uint64_t rows;
	enum status rc;

	if ((rc = store_snapshot_new(v->store, &s)) != STATUS_OK ||
	    (rc = store_snapshot_begin(s)) != STATUS_OK)
		goto out;
	if ((rc = store_count(s, STORE_BACKUPS, &rows)) == STATUS_OK) {
		all.room = (size_t)rows;
		all.item = arena_alloc(a, (all.room + 1) * sizeof(*all.item));
		rc = all.item != NULL ? key_backup_each(s, keep, &all) : STATUS_NO_MEMORY;
	}
	*out = all.item;
	*count = all.count;
out:
	store_snapshot_free(s);
	return damage_judged(rc, "the list of key backups");
}

void
backup_sign(const struct ledger_signer *s, const uint8_t digest[static SEAL_DIGEST_LEN],
    uint8_t out[static SEAL_SIGNATURE_LEN])
{
	uint8_t said[sizeof(BACKUP_LABEL) - 1 + VAULT_ID_LEN + SEAL_DIGEST_LEN], *p = said;

	memcpy(p, BACKUP_LABEL, sizeof(BACKUP_LABEL) - 1);
	memcpy(p += sizeof(BACKUP_LABEL) - 1, s->vault, VAULT_ID_LEN);
	memcpy(p + VAULT_ID_LEN, digest, SEAL_DIGEST_LEN);
	seal_sign(&s->root->signing, s->root->public_key, bytes_of(said, sizeof(said)), out);
}
