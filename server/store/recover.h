/*
 * Recovery at start: the table of docs/DESIGN.md. One thread, before anything is served.
 */
#ifndef SERVER_STORE_RECOVER_H
#define SERVER_STORE_RECOVER_H

#include <stdbool.h>

#include "server/keys/root.h"
#include "server/store/vault.h"

/* The rows of the table, in its order. */
enum recover_row {
	RECOVER_SERVE,			/* the live slot opens: the other one is overwritten */
	RECOVER_STORE_ROLLED_BACK,	/* the other slot is of a later switch than the next */
	RECOVER_FOREIGN,		/* wrong provider key, or another vault's anchor */
	RECOVER_STORE_LOST_COMMITS,	/* the anchor is ahead of the store */
	RECOVER_PREVIOUS,		/* only the slot before the store's epoch is there */
	RECOVER_NOTHING,		/* no slot at all */
	RECOVER_READ_ONLY,		/* as the first, on read-only media */
};

/* What recovery decides from: epoch t of the store, and the two slots. */
struct recover_facts {
	uint64_t epoch;
	struct anchor_slot slot[2];
	bool opens;			/* the slot of epoch t unwraps, and its key opens the root page */
	bool read_only;
};

enum recover_row recover_decide(const struct recover_facts *f);

/*
 * Runs it on an opened store and anchor. STATUS_OK: *root is what to serve, *settled its epoch (or the
 * one before, on read-only media). Otherwise nothing was written to the anchor, and the log says
 * which row it was.
 */
enum status recover_run(struct vault *v, bool read_only, struct root *root,
    uint64_t *settled) MUST_USE;

#endif /* SERVER_STORE_RECOVER_H */
