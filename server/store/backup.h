/*
 * Backups while the vault serves: a session holds one snapshot, and its rows are read as they are sealed.
 * No pin is held and no key is used, but for the one moment in which the root key is sealed for the
 * recovery key. A session ends BACKUP_LEASE_MS after its last use; while it lasts, pages that are replaced
 * stay in the store. Any thread, unless said otherwise.
 */
#ifndef SERVER_STORE_BACKUP_H
#define SERVER_STORE_BACKUP_H

#include <stdbool.h>

#include "server/keys/root.h"
#include "server/store/key_backup.h"
#include "server/store/ledger.h"
#include "server/store/reader.h"

#define BACKUP_SESSIONS_MAX 4u
#define BACKUP_LEASE_MS 60000u
#define BACKUP_TABLES_MAX 3u
#define BACKUP_FORMAT 1u
#define BACKUP_LABEL "pdvault backup 1"

/* What is sealed for the recovery key: root key, vault id, id of the backup, epoch, time of expiry. */
#define BACKUP_ROOT_LEN (SEAL_KEY_LEN + VAULT_ID_LEN + KEY_BACKUP_ID_LEN + 16u)
#define BACKUP_SEALED_ROOT_LEN SEAL_FOR_RECOVERY_LEN(BACKUP_ROOT_LEN)

struct backup_id {
	uint8_t b[KEY_BACKUP_ID_LEN];
};

struct backup_begun {
	struct backup_id session, backup;
	bool keys;
	uint64_t epoch, slots, next_transaction;	/* of the snapshot */
	int64_t time_ms;
	struct ledger_head ledger;
	uint8_t signing_key[SEAL_PUBLIC_LEN];		/* public, of the snapshot */
	struct { const char *name; uint64_t rows; } table[BACKUP_TABLES_MAX];
	unsigned tables;
	/* Of a key backup: */
	struct key_backup row;
	uint8_t root_page[ROOT_BOX_LEN], sealed_root[BACKUP_SEALED_ROOT_LEN];
};

/*
 * backup_begin(v, keys, out): a session on the present state. The thread may read (reader.h). ${keys}: a
 * backup of keys, registered under that id; NULL: of data. STATUS_BUSY: BACKUP_SESSIONS_MAX are in use.
 * STATUS_NO_KEY_BACKUP, STATUS_KEY_BACKUP_CLOSED.
 */
enum status backup_begin(struct vault *v, const uint8_t *keys, struct backup_begun *out) MUST_USE;

struct backup_wanted {
	const uint8_t *session;		/* 16 bytes */
	const char *table;
	struct bytes from, to;		/* as in the contract: empty is the beginning, and the end */
	const uint8_t *digest;		/* SEAL_DIGEST_LEN bytes, to be compared; or NULL */
};

struct backup_got {
	size_t len;			/* bytes of rows */
	uint8_t next[STORE_KEY_MAX];
	size_t next_len;		/* 0: the range is at its end */
	bool same;
};

/*
 * backup_read(v, q, out, room, got): rows of a range into out[room] as client/backup/rows.h has them, or with a
 * digest whether it is that of the whole range. STATUS_NO_SESSION; STATUS_BUSY: another call uses it;
 * STATUS_INVALID: it has no such table; STATUS_TOO_LARGE: one row is longer than ${room}.
 */
enum status backup_read(struct vault *v, const struct backup_wanted *q, uint8_t *out, size_t room,
    struct backup_got *got) MUST_USE;

/*
 * backup_finish(v, session, out): what the session began with; it is forgotten some seconds later, so that
 * who has to ask twice can. STATUS_NO_SESSION, STATUS_BUSY.
 */
enum status backup_finish(struct vault *v, const uint8_t *session, struct backup_begun *out) MUST_USE;

/* What the vault remembers of backups: when it was done last. */
enum backup_note { BACKUP_NOTE_DATA, BACKUP_NOTE_KEYS, BACKUP_NOTE_VERIFY, BACKUP_NOTE_DRILL,
	BACKUP_NOTE_COUNT };

/* backup_note(ws, which, ms): it was done at ${ms}. The writer's thread. STATUS_NO_MEMORY, STATUS_IO. */
enum status backup_note(struct writeset *ws, enum backup_note which, int64_t ms) MUST_USE;

/* All key backups that the vault knows, the oldest first, into ${a}. STATUS_CORRUPT, STATUS_IO. */
enum status backup_list(struct vault *v, struct arena *a, struct key_backup **out, size_t *count) MUST_USE;

/* What a status says of backups, key backups and resurrections. STATUS_CORRUPT, STATUS_IO. */
enum status backup_status(struct store_snapshot *s, struct vault_status *out) MUST_USE;

/* Says that ${digest} is the manifest of a backup of this vault. The caller holds the root. */
void backup_sign(const struct ledger_signer *s, const uint8_t digest[static SEAL_DIGEST_LEN],
    uint8_t out[static SEAL_SIGNATURE_LEN]);

/* Ends what was not used for too long. */
void backup_sweep(struct vault *v);

/* Ends all, for vault_close(). */
void backup_free(struct vault *v);

#ifdef PDV_TEST_HOOKS
/* As if sessions lasted so long. */
void backup_test_lease(uint64_t ms);
#endif

#endif /* SERVER_STORE_BACKUP_H */
