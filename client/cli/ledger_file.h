/*
 * A copy of a vault's ledger of erasures in a file (docs/FORMAT.md, copy of the ledger), which only grows, and
 * is verified without the vault: each entry is signed, and follows on the one before.
 */
#ifndef CLI_LEDGER_FILE_H
#define CLI_LEDGER_FILE_H

#include "failure.h"
#include "pdvault/pdvault.h"

/* Whose ledger it is. */
struct ledger_owner {
	uint8_t vault[PDV_ID_LEN];
	uint8_t signing_key[PDV_SIGNING_KEY_LEN];
};

/* How far a file goes. */
struct ledger_end {
	uint64_t entries;
	uint8_t hash[PDV_LEDGER_HASH_LEN];	/* of the newest */
};

struct ledger_file {
	int fd;
	const char *path;			/* of the caller */
	struct ledger_owner owner;		/* ${signing_key}: where the walk begins */
	const uint8_t *pinned;			/* a key that all of it must be proven by as well, or NULL */
	struct pdv_ledger_walk walk, pin;	/* from the owner's key; from the pinned one */
	struct ledger_end end;
	uint8_t newest[PDV_LEDGER_ENTRY_LEN];	/* entry, where there is one */
	const uint8_t *wanted;			/* a hash that ought to come, or NULL */
	void (*each)(const struct pdv_ledger_entry *e, void *arg);	/* of all that are read, or NULL */
	void *arg;
	bool seen;				/* it came */
	uint8_t *held;				/* entries that were added and are not proven yet */
	size_t held_len, held_room;
};

/*
 * ledger_file_read(l, f):
 * Open ${l->path} to read and verify all of it. NOT_FOUND: there is none. DATA_LOSS: it is no such file, an
 * entry is missing, changed, cut off or another vault's; ${f} says which. ledger_file_close() in any case.
 */
enum pdv_code ledger_file_read(struct ledger_file *l, struct failure *f);

/*
 * ledger_file_extend(l, f):
 * Open ${l->path} to add to it, verified as by ledger_file_read(); one that is not there is made for
 * ${l->owner}. One that is there must be of the same vault (DATA_LOSS); ${l->owner} becomes what it says, whose
 * key may be an earlier one. An entry that was cut off while it was added is taken away. Until it is closed
 * nobody else adds to it; ABORTED: somebody does.
 */
enum pdv_code ledger_file_extend(struct ledger_file *l, struct failure *f);

/*
 * ledger_file_add(l, p, f): the next entry. It is written when it is proven, by itself or by one that is added
 * behind it. DATA_LOSS: it does not follow.
 */
enum pdv_code ledger_file_add(
    struct ledger_file *l, const struct pdv_ledger_proof *p, struct failure *f);

/* ledger_file_keep(l, f): what was added is durable. DATA_LOSS: not all of the file is proven. */
enum pdv_code ledger_file_keep(struct ledger_file *l, struct failure *f);

void ledger_file_close(struct ledger_file *l);

#endif /* CLI_LEDGER_FILE_H */
