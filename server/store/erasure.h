/*
 * Rows of erasures: what was shredded, when, under which epoch. They outlive the person and
 * hold the subject's id and nothing else of them.
 *
 * Row: key is the erasure id (16 random bytes); value is subject id (16), epoch (8), time in ms (8),
 * categories (2: bit c - 1 for category c), final (1: the last category went), sequence of its ledger
 * entry (8), class that the anchor had (1: a letter; 0: not known, of one that a restore brought). Any
 * thread.
 */
#ifndef SERVER_STORE_ERASURE_H
#define SERVER_STORE_ERASURE_H

#include <stdbool.h>

#include "server/store/writeset.h"

#define ERASURE_ID_LEN 16u
#define ERASURE_ROW_LEN 44u

struct erasure {
	uint8_t id[ERASURE_ID_LEN], subject[SUBJECT_ID_LEN];
	uint64_t epoch;
	int64_t time_ms;
	uint16_t categories;
	bool final;
	uint64_t sequence;		/* of its entry in the ledger */
	char class;			/* of the anchor, when it was done; 0: not known */
};

void erasure_encode(const struct erasure *e, uint8_t out[static ERASURE_ROW_LEN]);

/* STATUS_CORRUPT. e->id is not written. */
enum status erasure_decode(struct bytes row, struct erasure *e) MUST_USE;

/*
 * E1 to E3 of docs/DESIGN.md: takes the categories' keys out of the keyring (or drops the subject with
 * its last one), deletes their records, and puts the row and the entry of the ledger. e->subject and
 * e->categories are given, the rest is filled. The look-ups of the identity are the caller's. The writer's
 * thread.
 * STATUS_CATEGORY_ERASED: nothing of what is asked is live any more; STATUS_NO_RECORD: it never was.
 */
enum status erasure_apply(struct writeset *ws, struct erasure *e) MUST_USE;

/*
 * The same for a subject whose keyring does not open: all of it goes, e->categories (as given) says which
 * those may have been. Its look-ups stay in their buckets, where nobody is found by them any more.
 * STATUS_FORGED, STATUS_CORRUPT: the pages above do not open, or the place is another subject's.
 */
enum status erasure_apply_damaged(struct writeset *ws, struct erasure *e) MUST_USE;

#endif /* SERVER_STORE_ERASURE_H */
