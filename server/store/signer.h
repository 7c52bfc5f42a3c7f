/*
 * The signing key's rotation. A new key is an entry of the ledger, which names it and is signed by the
 * one before: who trusts that one and reads the ledger on trusts the new one. That signature is kept,
 * since the key is not. Behind it an entry names the one before: signed with the new key it says to who
 * trusts that one whose signatures of before are the vault's.
 */
#ifndef SERVER_STORE_SIGNER_H
#define SERVER_STORE_SIGNER_H

#include "server/store/ledger.h"

/* The key of a row in STORE_SIGNERS: the sequence of a LEDGER_SIGNER. The row is its signature. */
#define SIGNER_KEY_LEN 8u

/* A new signing key with this request. The writer's thread. As ledger_append(). */
enum status signer_rotate(struct writeset *ws) MUST_USE;

/* The two entries of a rotation, but for sequence and hash before: of the new key, and of the one before. */
struct signer_entries {
	struct ledger_entry now, before;
};
void signer_entries(const uint8_t now[static SEAL_PUBLIC_LEN], const uint8_t before[static SEAL_PUBLIC_LEN],
    uint64_t epoch, struct signer_entries *out);

/* Of an entry LEDGER_SIGNER or LEDGER_SIGNER_BEFORE: the key that it names. */
void signer_named(const struct ledger_entry *e, uint8_t out[static SEAL_PUBLIC_LEN]);

/* Whether it is a LEDGER_SIGNER, whose signature is kept. */
bool signer_signature_is_kept(const uint8_t entry[static LEDGER_ENTRY_LEN]);

/* What getting its row came to, and the signature in it. STATUS_CORRUPT: there is none. */
enum status signer_kept(enum status got, const struct bytes *row, struct ledger_proof *out) MUST_USE;

/*
 * signer_leads(s, from, to): who trusts ${from} and reads the ledger of the snapshot comes to trust ${to}.
 * STATUS_ABSENT: does not. STATUS_CORRUPT, STATUS_IO.
 */
enum status signer_leads(struct store_snapshot *s, const uint8_t from[static SEAL_PUBLIC_LEN],
    const uint8_t to[static SEAL_PUBLIC_LEN]) MUST_USE;

#endif /* SERVER_STORE_SIGNER_H */
