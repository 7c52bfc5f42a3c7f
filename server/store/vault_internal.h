/*
 * What the files of server/store share of a vault.
 */
#ifndef SERVER_STORE_VAULT_INTERNAL_H
#define SERVER_STORE_VAULT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/keys/cache.h"
#include "server/keys/epoch.h"
#include "server/store/seals_internal.h"
#include "server/store/store.h"
#include "server/store/vault.h"

/* Why a vault takes no writes; each comes and goes by itself. */
enum vault_trouble {
	VAULT_MEDIUM = 1,		/* the store's file system is read-only */
	VAULT_NOT_ERASED = 2,		/* K5 failed: the old root key is still in the anchor */
	VAULT_CLASS_D = 4,		/* the anchor came to lie where overwriting does not erase */
	VAULT_FULL = 8,			/* the store is full: erasures are taken all the same */
};

struct vault {
	uint8_t id[VAULT_ID_LEN];
	pthread_mutex_t public_lock;
	uint8_t public_key[SEAL_PUBLIC_LEN];	/* of the present signing key */
	uint16_t number, country_code;
	uint64_t incarnation;
	int64_t created_ms, resurrected_ms;
	bool has_recovery_key;
	uint8_t recovery_key[SEAL_RECOVERY_KEY_LEN];
	bool force_class_d;		/* the operator knows */
	struct store *store;
	struct anchor *anchor;
	struct seals *seals;
	struct anchor_watch *watch;	/* the main thread's; NULL: none */
	struct epochs *epochs;
	struct cache *cache;
	uint64_t sequence;		/* the writer's: next number of a transaction row */
	atomic_uint trouble;		/* enum vault_trouble: why it takes no writes */
	uint64_t class_seen_ns;		/* the writer's: when the anchor's place was last looked at */
	_Atomic int anchor_class;
	_Atomic(const char *) anchor_class_why;
	uint64_t serial;		/* no other vault of this process had it */
	pthread_mutex_t readers_lock;
	struct reader *readers;		/* all that were made, for vault_close */
	unsigned reader_count;
	struct backup_sessions *backups;
	uint32_t rotate_rate;		/* of rotations that ask for none */
};

/* Rows of STORE_META. */
#define META_FORMAT "format"		/* format (4) */
#define META_VAULT "vault"		/* id (16), number (2), create time in ms (8), country code (2) */
#define META_EPOCH "epoch"		/* epoch (8), commitment of the root page (32) */
#define META_ROOT "root"		/* sealed root page */
#define META_START "start"		/* starts (8): recovery's durable commit */
#define META_SEQUENCE "sequence"	/* next number of a transaction row (8) */
#define META_INCARNATION "incarnation"	/* 1 at first (8) */
#define META_BACKUPS "backups"		/* times of the last of each (enum backup_note, 8 each) */
#define META_RESURRECTED "resurrected"	/* what restores were forced with (VAULT_RESURRECTION_LEN each) */
#define META_LEDGER "ledger"		/* entries of the ledger (8), hash of the newest (32) */
#define META_KEY(name) bytes_of(name, sizeof(name) - 1)
#define META_EPOCH_LEN (8u + SEAL_DIGEST_LEN)

/* The rows of table meta that every vault has. All pointers are borrowed. */
struct vault_meta {
	const uint8_t *id;		/* VAULT_ID_LEN */
	uint16_t number, country_code;
	const struct root *root;	/* epoch and commitment */
	const uint8_t *root_box;	/* ROOT_BOX_LEN */
	uint64_t sequence, incarnation, ledger_entries;
	const uint8_t *ledger_hash;	/* SEAL_DIGEST_LEN */
};

/* Of the row "vault". */
enum { VAULT_OFF_NUMBER = VAULT_ID_LEN, VAULT_OFF_CREATED = VAULT_OFF_NUMBER + 2,
	VAULT_OFF_COUNTRY = VAULT_OFF_CREATED + 8, META_VAULT_LEN = VAULT_OFF_COUNTRY + 2 };

/* An empty one, not opened yet, and its anchor; NULL: no memory. */
struct vault *vault_alloc(const struct vault_options *o);
enum status vault_open_anchor(struct vault *v, const struct vault_options *o, bool read_only) MUST_USE;

/* Gives each row to ${put}, until it says something else than STATUS_OK, which is returned. */
enum status vault_meta_rows(const struct vault_meta *m,
    enum status (*put)(void *arg, struct bytes key, struct bytes value), void *arg) MUST_USE;

/* The epoch and commitment that a snapshot holds. STATUS_CORRUPT: not such a row. */
enum status vault_snapshot_epoch(struct store_snapshot *s, uint64_t *epoch,
    uint8_t commitment[static SEAL_DIGEST_LEN]) MUST_USE;

/*
 * The store, its identity, the seals and the anchor; nothing is judged yet, and nothing is written.
 * vault_close() closes it. As vault_open().
 */
enum status vault_open_parts(const struct vault_options *o, bool read_only, struct vault **out) MUST_USE;

/* The store and its identity alone, for who only copies rows. vault_close() closes it. As vault_open(). */
enum status vault_open_store(const struct vault_options *o, struct vault **out) MUST_USE;

/* Where the files of the anchor lie or would lie. STATUS_REFUSED: one on class D, and it is not forced. */
enum status vault_classes(const struct vault_options *o) MUST_USE;

/* The signing key of that root is the present one. */
void vault_publish(struct vault *v, const struct root *root);

/* One more trouble, or one less. */
void vault_trouble(struct vault *v, enum vault_trouble t, bool is);

/* Looks at the anchor's place again, at most once a second. The writer's thread. */
void vault_look_at_class(struct vault *v);

/* Frees all readers of the vault; no thread may read any more. In reader.c. */
void reader_free_all(struct vault *v);

#endif /* SERVER_STORE_VAULT_INTERNAL_H */
