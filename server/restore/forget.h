/*
 * The ledger of erasures, for a restore: read from a copy (docs/FORMAT.md, copy of the ledger) or from a store,
 * verified to its end, and asked what of each subject must be forgotten, and which signing keys the vault had.
 * One thread.
 */
#ifndef SERVER_RESTORE_FORGET_H
#define SERVER_RESTORE_FORGET_H

#include "server/restore/bulk.h"
#include "server/restore/input.h"
#include "server/store/key_backup.h"
#include "server/store/ledger.h"

struct forget;

/* Whose ledger it must be. */
struct forget_owner {
	const uint8_t *vault, *public;	/* VAULT_ID_LEN, SEAL_PUBLIC_LEN bytes */
	const uint8_t *vouched;		/* hash of the newest of a copy that need not be proven; or NULL */
};

/*
 * forget_file(path, o, behind, out): a copy of the ledger. NULL: an empty one. ${behind}: a store of the vault,
 * or NULL. What its ledger has behind the end of the copy is taken as well: the copy is behind by what was
 * erased last, and nobody has signed that yet, but it can only make more be forgotten. STATUS_CONFIG: there is
 * none.
 * STATUS_REFUSED: it is no such file, of another vault, cut off, or an entry does not follow on the one
 * before or is not proven by the owner's key (ledger_walk.h); the log says which. An entry at the end that was
 * being written is no part of it. STATUS_IO.
 */
enum status forget_file(const char *path, const struct forget_owner *o, struct input *behind,
    struct forget **out) MUST_USE;

/* forget_store(in, o, out): the ledger of a store, which is not signed there. STATUS_REFUSED, STATUS_IO. */
enum status forget_store(struct input *in, const struct forget_owner *o, struct forget **out) MUST_USE;
void forget_free(struct forget *f);

/* Whether the owner's key proves it; a store's ledger is believed. Else somebody vouched for it. */
bool forget_is_proven(const struct forget *f);

/* Whether the vault signed with it: it is the owner's, or what is proven of the ledger names it. */
bool forget_signer(const struct forget *f, const uint8_t key[static SEAL_PUBLIC_LEN]);

/* Whether the owner's key has named another, and signs no more. */
bool forget_succeeded(const struct forget *f);

/*
 * forget_turn(f, from, to): ${to} gets a new signing key, the one in ${from} being the owner's; behind what is
 * there come the two entries of that. The log says so. STATUS_NO_MEMORY.
 */
enum status forget_turn(struct forget *f, const struct root *from, struct root *to) MUST_USE;

void forget_head(const struct forget *f, struct ledger_head *out);

/* Whether it has that head, or had it once. Of a head whose count is 0 and whose hash is not that of an empty
 * ledger only the hash counts. */
bool forget_knows(const struct forget *f, const struct ledger_head *h);

/* The greatest epoch in it; 0: it is empty. And the slot above all of its. */
uint64_t forget_epoch(const struct forget *f);
uint64_t forget_slots(const struct forget *f);

enum forgotten { FORGOTTEN_NOTHING, FORGOTTEN_SOME, FORGOTTEN_ALL };

/*
 * forget_apply(f, k, out): takes from a keyring what was erased. Keyrings come in the order of their slots.
 * FORGOTTEN_ALL: nothing may be left of it. STATUS_REFUSED: the slot is another subject's in the ledger.
 */
enum status forget_apply(struct forget *f, struct keyring *k, enum forgotten *out) MUST_USE;

/* Whether nothing may be left of who had that slot; after the last forget_apply(). */
bool forget_has_slot(const struct forget *f, uint64_t slot);

/*
 * forget_key_backup(f, at, out): what the ledger says of key backups, entry by entry; *at is 0 at first. Of
 * each entry only what it says is there: else expiry and epoch are at their greatest, slots
 * KEY_BACKUP_ALL_SLOTS, and it was not destroyed. false: that were all.
 */
bool forget_key_backup(const struct forget *f, size_t *at, struct key_backup *out);

/* Rows of the ledger, of kept signatures, of erasures and of the tombstones, into ${b}. */
enum status forget_write(const struct forget *f, struct bulk *b) MUST_USE;

#endif /* SERVER_RESTORE_FORGET_H */
