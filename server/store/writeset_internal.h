/*
 * What the files of the writeset share.
 */
#ifndef SERVER_STORE_WRITESET_INTERNAL_H
#define SERVER_STORE_WRITESET_INTERNAL_H

#include <stdbool.h>

#include "server/store/writeset.h"

struct writeset_row {
	enum store_table table;
	struct bytes key, value;	/* value.p NULL: delete */
	struct writeset_row *next;	/* in the order of the request */
};

struct writeset_entry {
	bool add;
	struct bucket_entry entry;
};

/* What becomes of the request's subject; the last one is dropped although it does not open. */
enum writeset_subject { WRITESET_NONE, WRITESET_READ, WRITESET_EDITED, WRITESET_NEW,
	WRITESET_DROPPED, WRITESET_DAMAGED };

struct writeset {
	struct vault *vault;
	struct overlay *overlay;
	struct writeset_row *rows, **rows_end;
	enum writeset_subject subject;
	struct keyring *keyring, *old;	/* secret memory; old: writeset_rekey()'s */
	struct writeset_entry entry[WRITESET_ENTRIES_MAX];
	unsigned entry_count;
	enum writeset_root root;
	struct anchor_seals *seals;	/* or NULL */
	struct key *signing;		/* secret memory: of WRITESET_SIGNING */
};

#endif /* SERVER_STORE_WRITESET_INTERNAL_H */
