/*
 * Where a restore takes the keys from: a backup of keys and the recovery secret, or a vault that is down.
 * One thread.
 */
#ifndef SERVER_RESTORE_KEYS_IN_H
#define SERVER_RESTORE_KEYS_IN_H

#include "server/restore/input.h"
#include "server/restore/restore.h"

struct keys_in {
	uint8_t vault[VAULT_ID_LEN], public[SEAL_PUBLIC_LEN];
	uint16_t number, country_code;
	uint64_t incarnation, next_transaction;
	struct ledger_head ledger;	/* as the source knew it */
	struct root *root;		/* secret memory */
	struct input *input;		/* rows of tree S, and of key backups */
	struct vault *living;		/* NULL: it is a backup */
	uint8_t resurrection[VAULT_RESURRECTIONS_MAX * VAULT_RESURRECTION_LEN];
	size_t resurrection_len;
};

/*
 * keys_in_open(o, out): as restore_run(). A living vault is opened as far as its anchor gives the root key;
 * nothing is written. keys_in_close() in any case; all zero is allowed.
 */
enum status keys_in_open(const struct restore_options *o, struct keys_in *out) MUST_USE;

/* Wipes. */
void keys_in_close(struct keys_in *k);

#endif /* SERVER_RESTORE_KEYS_IN_H */
