/*
 * The ledger: one entry for each erasure, and for what becomes of key backups, in the order in which they
 * were decided, in the same commit as what they tell of. Each holds the hash of the one before, so none can
 * be changed or left out without all later ones; the newest is the head. What a restored copy must forget,
 * and must not forget, stands here.
 *
 * An entry is LEDGER_ENTRY_LEN bytes (docs/FORMAT.md, ledger); its hash is BLAKE2b-256 of them, and the entry
 * before the first has the hash BLAKE2b-256 of the vault's id. Signed is LEDGER_LABEL || vault id || hash, with
 * Ed25519 (RFC 8032) under the vault's signing key.
 */
#ifndef SERVER_STORE_LEDGER_H
#define SERVER_STORE_LEDGER_H

#include <stdbool.h>

#include "server/keys/root.h"
#include "server/store/store.h"
#include "server/store/vault.h"
#include "server/store/writeset.h"

#define LEDGER_ENTRY_LEN 99u
#define LEDGER_HEAD_LEN (8u + SEAL_DIGEST_LEN)
#define LEDGER_LABEL "pdvault ledger 1"

/* A copy in a file: label, vault id, public key; then entry and signature of each (docs/FORMAT.md). */
#define LEDGER_FILE_HEAD_LEN (sizeof(LEDGER_LABEL) - 1 + VAULT_ID_LEN + SEAL_PUBLIC_LEN)
#define LEDGER_FILE_ITEM_LEN (LEDGER_ENTRY_LEN + SEAL_SIGNATURE_LEN)

enum ledger_kind {
	LEDGER_PART = 0,  /* an erasure; the subject has something left */
	LEDGER_WHOLE = 1, /* the last category went */
	LEDGER_KEYS = 2,  /* a key backup is allowed: erasure is its id, slot its expiry in ms */
	LEDGER_KEYS_READ = 3, /* it is complete: who has this slot or a later one is not in it */
	LEDGER_KEYS_GONE = 4, /* it was destroyed */
	/* Subject and erasure are a public key (signer.h): */
	LEDGER_SIGNER = 5,		/* the one that signs from here on; signed with the one before */
	LEDGER_SIGNER_BEFORE = 6,	/* the one before; the entry behind each LEDGER_SIGNER */
};

/* Of a key backup subject and categories are zero; of a signing key slot and categories are. */
struct ledger_entry {
	uint64_t sequence;		/* 1 is the first */
	uint64_t epoch;			/* that the keys died with; of a key backup that was present */
	int64_t time_ms;
	uint64_t slot;			/* of the subject in tree S */
	uint8_t subject[SUBJECT_ID_LEN], erasure[16];
	uint16_t categories;		/* bit c - 1 for category c */
	enum ledger_kind kind;
	uint8_t before[SEAL_DIGEST_LEN];
};

struct ledger_proof {
	uint8_t entry[LEDGER_ENTRY_LEN], signature[SEAL_SIGNATURE_LEN];
};

struct ledger_head {
	uint64_t count;			/* entries; the newest has this sequence */
	uint8_t hash[SEAL_DIGEST_LEN];
};

/* Any thread. ledger_decode(): STATUS_CORRUPT. */
void ledger_encode(const struct ledger_entry *e, uint8_t out[static LEDGER_ENTRY_LEN]);
enum status ledger_decode(struct bytes in, struct ledger_entry *e) MUST_USE;
void ledger_hash(const uint8_t entry[static LEDGER_ENTRY_LEN], uint8_t out[static SEAL_DIGEST_LEN]);

/* Of a vault without erasures: its row in table meta. */
void ledger_first_head(const uint8_t vault[static VAULT_ID_LEN], uint8_t out[static LEDGER_HEAD_LEN]);

/*
 * Appends; e->sequence and e->before are filled. Of a batch that fails nothing is appended. The writer's
 * thread. STATUS_CORRUPT: the head is not one; STATUS_NO_MEMORY, STATUS_IO.
 */
enum status ledger_append(struct writeset *ws, struct ledger_entry *e) MUST_USE;

/* ledger_head(s, out), ledger_get(s, sequence, entry): as a snapshot has them. STATUS_CORRUPT, STATUS_IO. */
enum status ledger_head(struct store_snapshot *s, struct ledger_head *out) MUST_USE;
enum status ledger_get(struct store_snapshot *s, uint64_t sequence,
    uint8_t entry[static LEDGER_ENTRY_LEN]) MUST_USE;

/*
 * Whether the head is the newest entry's. STATUS_CORRUPT: else erasures would fail one by one, when somebody
 * asks for them. Looks at no entry before. STATUS_IO.
 */
enum status ledger_check(struct store_snapshot *s) MUST_USE;

/*
 * An entry that the request made or repeats, and its signature: what proves it to who has the vault's public
 * key. The signature is the present key's, but that of a LEDGER_SIGNER is the one that was kept. Only sent when
 * the epoch is settled. As ledger_append().
 */
enum status ledger_prove(struct writeset *ws, uint64_t sequence, struct ledger_proof *out) MUST_USE;

/* STATUS_FORGED: the vault with that id and public key has not signed this entry. Any thread. */
enum status ledger_verify(const uint8_t vault[static VAULT_ID_LEN],
    const uint8_t public[static SEAL_PUBLIC_LEN], const struct ledger_proof *p) MUST_USE;

/*
 * Hashes p->entry and signs that for the vault with that id. The caller holds the root (a pin on
 * its epoch, or it is the writer).
 */
struct ledger_signer {
	const struct root *root;	/* its signing key, and the public half of that */
	const uint8_t *vault;		/* VAULT_ID_LEN bytes */
};

void ledger_sign(const struct ledger_signer *s, struct ledger_proof *p);

#endif /* SERVER_STORE_LEDGER_H */
