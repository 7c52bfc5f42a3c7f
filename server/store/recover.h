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
	RECOVER_STORE_ROLLED_BACK,	/* a slot of a switch that was decided and that the store lacks */
	RECOVER_FOREIGN,		/* wrong provider key, or another vault's anchor */
	RECOVER_STORE_LOST_COMMITS,	/* the anchor is ahead of the store */
	RECOVER_PREVIOUS,		/* only the slot before the store's epoch is there */
	RECOVER_NOTHING,		/* no slot at all */
	RECOVER_READ_ONLY,		/* as the first, on read-only media */
};

/* What recovery decides from: epoch t of the store, and the slots. */
struct recover_facts {
	uint64_t epoch;
	struct anchor_slot slot[ANCHOR_SLOTS_MAX];	/* of all files of the anchor, two of each */
	size_t slots;
	uint64_t starts;		/* of the store so far */
	bool opens;			/* a slot of epoch t unwraps, and its key opens the root page */
	bool unreadable;		/* a file cannot be read; of those that retire only if none opens */
	bool read_only;
};

enum recover_row recover_decide(const struct recover_facts *f);

/* The row's name in the log. */
const char *recover_name(enum recover_row row);

/*
 * What the table is asked about an opened store and anchor; writes nothing. With f->opens *root is the
 * root page of the store's epoch, which the caller wipes in any case. Not to be judged when a file is
 * unreadable. STATUS_IO, STATUS_CORRUPT: of the store.
 */
enum status recover_look(struct vault *v, bool read_only, struct recover_facts *f,
    struct root *root) MUST_USE;

/*
 * Runs it on an opened store and anchor. STATUS_OK: *root is what to serve, *settled its epoch (or the
 * one before, on read-only media). STATUS_REFUSED: the log says which row it was, or which file is another
 * vault's; nothing was written, or (if not the first look refuses) the start counter. STATUS_ANCHOR as
 * vault_open(); STATUS_IO, STATUS_CORRUPT.
 */
enum status recover_run(struct vault *v, bool read_only, struct root *root,
    uint64_t *settled) MUST_USE;

#ifdef PDV_TEST_HOOKS
/* How often recover_run() ended in that row. */
unsigned recover_test_reached(enum recover_row row);
#endif

#endif /* SERVER_STORE_RECOVER_H */
