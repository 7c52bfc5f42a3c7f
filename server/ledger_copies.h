/*
 * Copies of the ledger in files on other devices (docs/FORMAT.md, copy of the ledger), each kept up to date by
 * a thread of its own: an entry as soon as its epoch is settled, and what was missed when a place is there
 * again. A file is only added to, under a lock; one that is not a copy of this vault's ledger is left alone.
 */
#ifndef SERVER_LEDGER_COPIES_H
#define SERVER_LEDGER_COPIES_H

#include <stdbool.h>
#include <stddef.h>

#include "server/status.h"
#include "server/store/vault.h"

#define LEDGER_COPIES_MAX 4u

struct ledger_copies;

struct ledger_copies_options {
	const char *const *path;	/* files, or not there yet; outlive the copies */
	size_t count;			/* at most LEDGER_COPIES_MAX */
	const char *store;		/* the vault's folder: a copy on its device is told of; or NULL */
	uint64_t late_ms;		/* a copy that has not had all entries for so long is late */
};

/* ledger_copies_start(v, o, out): STATUS_NO_MEMORY: or no thread. A place that is not there is no error. */
enum status ledger_copies_start(struct vault *v, const struct ledger_copies_options *o,
    struct ledger_copies **out) MUST_USE;

/*
 * Copies what is missing once more, after the last erasure, and ends. NULL: nothing. false: a place hangs, for
 * longer than ${patience_ms}: its thread still has ${l} and the vault, which must not be closed.
 */
bool ledger_copies_stop(struct ledger_copies *l, uint64_t patience_ms) MUST_USE;

/* Any thread; NULL: no, none. Does not wait for any place. */
bool ledger_copies_late(struct ledger_copies *l);
uint64_t ledger_copies_lag(struct ledger_copies *l, uint64_t entries);	/* that the worst copy lacks */

#endif /* SERVER_LEDGER_COPIES_H */
