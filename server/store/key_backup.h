/*
 * Key backups, as the vault remembers them: each from before the first byte of it leaves, for ever. Whoever
 * has one and the recovery secret opens whom it has, so an erasure is final only when none is left that may
 * have its subject. The id of one is the time in ms (8) and 8 random bytes, so that rows are in the order
 * of their making.
 */
#ifndef SERVER_STORE_KEY_BACKUP_H
#define SERVER_STORE_KEY_BACKUP_H

#include <stdbool.h>

#include "server/keys/seal.h"
#include "server/store/ledger.h"
#include "server/store/store.h"
#include "server/store/writeset.h"

#define KEY_BACKUP_ID_LEN 16u
#define KEY_BACKUP_NAME_MAX 63u		/* of a principal */
#define KEY_BACKUP_ROW_MIN 72u
#define KEY_BACKUP_ROW_MAX (KEY_BACKUP_ROW_MIN + KEY_BACKUP_NAME_MAX)
#define KEY_BACKUP_ALL_SLOTS UINT64_MAX
#define KEY_BACKUP_LIFETIME_MAX_MS (INT64_C(366) * 24 * 3600 * 1000)
#define KEY_BACKUPS_OPEN_MAX 100u	/* outstanding at once */

struct key_backup {
	uint8_t id[KEY_BACKUP_ID_LEN];
	int64_t created_ms, expires_ms;
	uint64_t epoch;			/* whose keys died in it or before it has not */
	uint64_t slots;			/* nor who has this slot or a later one */
	uint8_t recovery_key[SEAL_RECOVERY_KEY_LEN];
	int64_t destroyed_ms;		/* 0: it was not */
	char destroyed_by[KEY_BACKUP_NAME_MAX + 1];
};

/* Any thread. Returns the length; key_backup_decode(): STATUS_CORRUPT. */
size_t key_backup_encode(const struct key_backup *b, uint8_t out[static KEY_BACKUP_ROW_MAX]);
enum status key_backup_decode(struct bytes key, struct bytes row, struct key_backup *out) MUST_USE;

/* It still opens whom it has, at that time. */
bool key_backup_is_open(const struct key_backup *b, int64_t now_ms);

/* When it ceased, or will cease, to do so. */
int64_t key_backup_end(const struct key_backup *b);

/* It may have keys of the subject in ${slot} that died in ${epoch}. */
bool key_backup_may_have(const struct key_backup *b, uint64_t slot, uint64_t epoch);

/*
 * key_backup_each(s, see, arg): all of a snapshot, the oldest first, until ${see} says false.
 * STATUS_CORRUPT: a row is not one; STATUS_IO.
 */
enum status key_backup_each(struct store_snapshot *s, bool (*see)(const struct key_backup *b, void *arg),
    void *arg) MUST_USE;

/* A new id, from b->created_ms. */
void key_backup_new_id(struct key_backup *b);

/* How many are outstanding, as the batch began. STATUS_CORRUPT, STATUS_IO. */
enum status key_backups_open(struct writeset *ws, int64_t now_ms, unsigned *out) MUST_USE;

/*
 * key_backup_get(ws, id, out), key_backup_put(ws, b): in the batch. STATUS_NO_KEY_BACKUP; STATUS_CORRUPT,
 * STATUS_IO, STATUS_NO_MEMORY. The writer's thread.
 */
enum status key_backup_get(struct writeset *ws, const uint8_t id[static KEY_BACKUP_ID_LEN],
    struct key_backup *out) MUST_USE;
enum status key_backup_put(struct writeset *ws, const struct key_backup *b) MUST_USE;

/* The same, and an entry of the ledger that says so: a restore must know of it. */
enum status key_backup_record(struct writeset *ws, const struct key_backup *b, enum ledger_kind kind) MUST_USE;

#endif /* SERVER_STORE_KEY_BACKUP_H */
