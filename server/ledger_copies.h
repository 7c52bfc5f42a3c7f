/*
 * Copies of the ledger in files on other devices (docs/FORMAT.md, copy of the ledger), kept up to date by a
 * thread of their own: each entry as soon as its epoch is settled, and what was missed when a place is there
 * again. A file is only added to; one that is not a copy of this vault's ledger is left alone, and late.
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
	uint64_t late_ms;		/* an entry that is missing somewhere for so long makes it late */
};

/* ledger_copies_start(v, o, out): STATUS_NO_MEMORY: or no thread. A place that is not there is no error. */
enum status ledger_copies_start(struct vault *v, const struct ledger_copies_options *o,
    struct ledger_copies **out) MUST_USE;

/* Copies what it can once more, after the last erasure, and ends. Before vault_close(). NULL: nothing. */
void ledger_copies_stop(struct ledger_copies *l);

/* Whether an entry is missing in one of them for longer than o->late_ms. NULL: no. Any thread. */
bool ledger_copies_late(const struct ledger_copies *l);

#endif /* SERVER_LEDGER_COPIES_H */
