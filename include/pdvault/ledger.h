/*
 * The ledger of erasures, verified without the vault: one entry, or a walk through all of it.
 */
#ifndef PDVAULT_LEDGER_H
#define PDVAULT_LEDGER_H

#include "pdvault/code.h"
#include "pdvault/export.h"
#include "pdvault/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Where a walk through a ledger stands, from its first entry on (pdv_ledger_walk_begin). To be read; only the
 * walk changes it.
 */
struct pdv_ledger_walk {
	uint8_t vault[PDV_ID_LEN];
	uint8_t signing_key[PDV_SIGNING_KEY_LEN]; /* that is trusted now */
	uint64_t entries;                         /* so far */
	uint8_t hash[PDV_LEDGER_HASH_LEN];        /* of the newest */
	uint64_t proven; /* the last entry that a key had signed which was trusted then */
	uint64_t owed;   /* 0, or the first entry that waits for another key to be named behind it */
	struct pdv_ledger_proof turn; /* the newest entry, if ${turned}: it is a PDV_LEDGER_SIGNER */
	int turned;
};

/*
 * pdv_ledger_verify: whether the vault with that id and Ed25519 key (RFC 8032; pdv_status.signing_key) has
 * signed ${proof}; *out becomes what it says. Needs no vault. DATA_LOSS: it has not. A vault that has got
 * another signing key signs with that: whether it followed on the one that was noted is told by a walk through
 * its ledger. Any thread.
 */
PDV_API enum pdv_code pdv_ledger_verify(const struct pdv_ledger_proof *proof,
    const uint8_t vault[PDV_ID_LEN], const uint8_t signing_key[PDV_SIGNING_KEY_LEN],
    struct pdv_ledger_entry *out) PDV_MUST_USE;

/* pdv_ledger_before_first: what stands as the hash before the first entry of that vault. Any thread. */
PDV_API void pdv_ledger_before_first(
    const uint8_t vault[PDV_ID_LEN], uint8_t hash[PDV_LEDGER_HASH_LEN]);

/*
 * A walk through a ledger from its first entry on, from a key that is trusted (docs/FORMAT.md, the walk). An
 * entry that this key has signed proves all before it, whoever signed those; of kind PDV_LEDGER_SIGNER it hands
 * that trust on to the key that it names.
 *
 * pdv_ledger_walk_next: the next entry; *out becomes what it says, which is proven when pdv_ledger_walk_doubt
 * says so. DATA_LOSS: it is none, does not follow on the one before, or names a key before that has not signed
 * that one; the walk is over.
 *
 * pdv_ledger_walk_doubt: 0: all so far is proven, and signed with keys of the vault. Else the first entry that
 * is not: a ledger that ends so is broken. Any thread, one at a time for each walk.
 */
PDV_API void pdv_ledger_walk_begin(struct pdv_ledger_walk *w, const uint8_t vault[PDV_ID_LEN],
    const uint8_t signing_key[PDV_SIGNING_KEY_LEN]);
PDV_API enum pdv_code pdv_ledger_walk_next(struct pdv_ledger_walk *w,
    const struct pdv_ledger_proof *proof, struct pdv_ledger_entry *out) PDV_MUST_USE;
PDV_API uint64_t pdv_ledger_walk_doubt(const struct pdv_ledger_walk *w);

#ifdef __cplusplus
}
#endif

#endif /* PDVAULT_LEDGER_H */
