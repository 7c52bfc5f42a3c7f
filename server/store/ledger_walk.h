/*
 * Whom a ledger is believed (docs/FORMAT.md, the walk): entries as they come out of a file, one behind the
 * other, from one key on that is trusted. Each holds the hash of the one before, so that an entry which the
 * trusted key has signed proves all before it, whoever signed those; of kind LEDGER_SIGNER it hands that trust
 * on. One thread for each.
 */
#ifndef SERVER_STORE_LEDGER_WALK_H
#define SERVER_STORE_LEDGER_WALK_H

#include "server/store/ledger.h"

/*
 * Invariants: 1. proven <= at.count. 2. owed <= at.count. 3. turned: the newest entry is turn.entry, of kind
 * LEDGER_SIGNER.
 */
struct ledger_walk {
	uint8_t vault[VAULT_ID_LEN], key[SEAL_PUBLIC_LEN];	/* ${key} is trusted now */
	struct ledger_head at;		/* the newest so far */
	uint64_t proven;		/* the last entry that a key had signed which was trusted then */
	uint64_t owed;			/* 0, or the first entry that waits for a key to be named behind it */
	struct ledger_proof turn;
	bool turned;
};

/* Before the first entry of that vault; ${key} is trusted. */
void ledger_walk_begin(struct ledger_walk *w, const uint8_t vault[static VAULT_ID_LEN],
    const uint8_t key[static SEAL_PUBLIC_LEN]);

/*
 * ledger_walk_next(w, p, e): the next entry; ${e} is what it says. STATUS_CORRUPT: it is none, or does not
 * follow on the one before. STATUS_FORGED: it names a key before that has not signed the one before. Both end
 * the walk.
 */
enum status ledger_walk_next(struct ledger_walk *w, const struct ledger_proof *p,
    struct ledger_entry *e) MUST_USE;

/* ledger_walk_unsigned(w, entry, e): the same of an entry without a signature, which proves nothing. */
enum status ledger_walk_unsigned(struct ledger_walk *w, const uint8_t entry[static LEDGER_ENTRY_LEN],
    struct ledger_entry *e) MUST_USE;

/* 0: all so far is proven, and signed by keys of this vault; or else the first entry that is not. */
uint64_t ledger_walk_doubt(const struct ledger_walk *w);

#endif /* SERVER_STORE_LEDGER_WALK_H */
