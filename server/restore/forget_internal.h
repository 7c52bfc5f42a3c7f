/*
 * What forget*.c share: the ledger as it was read.
 */
#ifndef SERVER_RESTORE_FORGET_INTERNAL_H
#define SERVER_RESTORE_FORGET_INTERNAL_H

#include "server/restore/forget.h"
#include "server/store/ledger_walk.h"

struct erased {
	struct ledger_entry e;
	bool last;			/* nothing of the subject is left behind it */
};

/* An entry that names a signing key. */
struct named {
	uint64_t sequence;
	uint8_t key[SEAL_PUBLIC_LEN];
	bool kept;			/* of LEDGER_SIGNER: the signature is there */
	uint8_t signature[SEAL_SIGNATURE_LEN];
};

struct forget {
	uint8_t public[SEAL_PUBLIC_LEN];	/* the owner's */
	struct ledger_walk walk;	/* from there on; its head is the newest entry */
	bool unproven;			/* somebody vouched for it */
	uint64_t believed;		/* entries that are proven, or of a store */
	uint8_t (*entry)[LEDGER_ENTRY_LEN];
	size_t count, room;
	struct named *named;
	size_t names;
	uint64_t epoch, slots;
	struct erased *by_slot;		/* erasures, by slot and sequence */
	size_t erasures;
	size_t at;			/* in by_slot: those before belong to slots that are through */
};

bool forget_is_erasure(const struct ledger_entry *e);
bool forget_names_key(const struct ledger_entry *e);

/*
 * forget_keep(f, entry, e, signature): the next entry, which the walk has found to follow. ${signature}: NULL:
 * it is not known. STATUS_NO_MEMORY.
 */
enum status forget_keep(struct forget *f, const uint8_t entry[static LEDGER_ENTRY_LEN],
    const struct ledger_entry *e, const uint8_t *signature) MUST_USE;

/* Into the log; STATUS_REFUSED. */
enum status forget_refuse(const char *path, const char *what, uint64_t sequence) MUST_USE;

#endif /* SERVER_RESTORE_FORGET_INTERNAL_H */
