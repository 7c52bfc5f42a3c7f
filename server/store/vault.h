/*
 * One opened vault: the store, the anchor, the roots of the present epochs and the opened
 * pages. Handlers get at its data through reader.h and writeset.h.
 */
#ifndef SERVER_STORE_VAULT_H
#define SERVER_STORE_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/keys/anchor.h"
#include "server/status.h"

#define VAULT_ID_LEN 16u
#define VAULT_FORMAT 4u

struct vault;

struct vault_options {
	const char *store_path;		/* folder */
	struct anchor_paths anchor;	/* files, all of them */
	struct anchor_paths retiring;	/* that were the anchor before: custody_move() */
	struct provider_options seal[PROVIDER_MAX];	/* at least one */
	unsigned seal_count;
	const struct anchor_recovery *recovery;	/* or NULL: what may open the anchor besides */
	uint16_t number;		/* vault number, at init; leads every subject id */
	uint64_t map_bytes, reserve_bytes;	/* as in store.h */
	uint16_t country_code;		/* of phones without one, as 49; 0: none is added; never changes */
	bool force_class_d;
	bool has_recovery_key;		/* keys may be backed up, for that one: X25519, the public half */
	uint8_t recovery_key[SEAL_RECOVERY_KEY_LEN];
	bool stepped;			/* custody_previous()'s own: as in store.h */
	bool moving;			/* custody_move()'s own: also while a move is not through */
};

/*
 * A new vault of epoch 1 in places that do not exist yet: store, key file, anchor. On failure what was made
 * is removed again. STATUS_REFUSED: one of them exists, or the anchor would lie on class D. secret_init()
 * and seal_init() come before. The log says what went wrong.
 */
enum status vault_init(const struct vault_options *o) MUST_USE;

/*
 * Opens, recovers (the table in docs/DESIGN.md) and is ready to serve on STATUS_OK.
 * STATUS_ANCHOR: a file of the anchor lacks the root key and cannot be written, or a slot that is not live
 * cannot be overwritten; other files may have been. STATUS_CONFIG, STATUS_REFUSED (also while `anchor
 * move` is not through), STATUS_CORRUPT, STATUS_IO, STATUS_READ_ONLY (the anchor's medium is, the store's
 * is not): no slot was changed, and at most the start counter of the store; the log says which row of the
 * table it was.
 */
enum status vault_open(const struct vault_options *o, struct vault **out) MUST_USE;

/* After the writer and the last reader. Wipes. */
void vault_close(struct vault *v);

/* Any thread. */
const uint8_t *vault_id(const struct vault *v);		/* VAULT_ID_LEN bytes */
uint16_t vault_country_code(const struct vault *v);
void vault_public_key(struct vault *v, uint8_t out[static SEAL_PUBLIC_LEN]);	/* of its Ed25519 key */
/* false: the configuration has none. */
bool vault_recovery_key(const struct vault *v, uint8_t out[static SEAL_RECOVERY_KEY_LEN]);
int64_t vault_resurrected_ms(const struct vault *v);	/* of the last restore with an older ledger; 0: none */
int64_t vault_created_ms(const struct vault *v);
uint64_t vault_incarnation(const struct vault *v);	/* grows with each restore; in every answer */
uint64_t vault_epoch(struct vault *v);
uint64_t vault_settled(struct vault *v);

/* The letter of the anchor's class now. Any thread. */
char vault_class_of_anchor(struct vault *v);

/* Says in the log, and counts, when another process has opened the anchor since. The main thread. */
void vault_watch(struct vault *v);

/* NULL: it takes writes. Else the reason, static, UPPER_SNAKE; STORE_FULL: it takes erasures. Any thread. */
const char *vault_read_only(struct vault *v);

/*
 * A restore that was made to take a ledger which is not the newest known: time in ms (8), entries (8) and
 * hash (32) of the one taken, entries (8) and hash (32) of the newest that was known of. Kept for ever.
 */
#define VAULT_RESURRECTION_LEN 88u
#define VAULT_RESURRECTIONS_MAX 16u

struct vault_status {
	uint16_t number;
	uint64_t incarnation, epoch, settled, subjects, erased, ledger_entries, store_used, store_limit;
	char anchor_class;
	const char *anchor_class_why;
	char class;			/* of the vault: seals_vault_class() */
	const char *class_why;
	unsigned seals_failing;
	const char *seals[PROVIDER_MAX];
	unsigned seal_count;
	int64_t backup_ms[4];		/* by enum backup_note; 0: never */
	unsigned key_backups;		/* outstanding */
	bool recovery_key;		/* the configuration has one */
	unsigned resurrections;
	uint8_t resurrection[VAULT_RESURRECTIONS_MAX][VAULT_RESURRECTION_LEN];
};

/* Any thread that may read (reader.h). */
enum status vault_status(struct vault *v, struct vault_status *out) MUST_USE;

#endif /* SERVER_STORE_VAULT_H */
