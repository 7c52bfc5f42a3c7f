/*
 * The signing key's rotation. A new key is an entry of the ledger, which names it and is signed by the
 * one before: who trusts that one and reads the ledger on trusts the new one. That signature is kept,
 * since the key is not.
 */
#ifndef SERVER_STORE_SIGNER_H
#define SERVER_STORE_SIGNER_H

#include "server/store/ledger.h"

/* A new signing key with this request. The writer's thread. As ledger_append(). */
enum status signer_rotate(struct writeset *ws) MUST_USE;

/* Of an entry LEDGER_SIGNER: the key that it names. */
void signer_named(const struct ledger_entry *e, uint8_t out[static SEAL_PUBLIC_LEN]);

/* Its row in STORE_SIGNERS, by the entry's sequence: the signature. */
#define SIGNER_KEY_LEN 8u

#endif /* SERVER_STORE_SIGNER_H */
