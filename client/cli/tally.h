/*
 * What became of the rows of an import, which end in another order than they were read.
 * Rows have numbers from 0; those below the mark have all ended, and a run that goes on
 * from there misses none and counts none twice.
 *
 * Invariants: mark <= next; next - mark <= TALLY_WINDOW; the outcome of a row at or above
 * the mark is in ring[number % TALLY_WINDOW].
 */
#ifndef CLI_TALLY_H
#define CLI_TALLY_H

#include <stdbool.h>
#include <stdint.h>

enum { TALLY_WINDOW = 4096 };

enum tally_outcome {
	TALLY_OPEN,
	TALLY_CREATED,
	TALLY_UPDATED,
	TALLY_UNCHANGED,
	TALLY_FAILED,
	TALLY_OUTCOMES
};

/* Start with all zero, or with mark, next and counts of an earlier run. */
struct tally {
	uint64_t mark, next;
	uint64_t counts[TALLY_OUTCOMES];	/* of the rows below the mark */
	uint64_t early[TALLY_OUTCOMES];		/* of those above it that have ended */
	uint8_t ring[TALLY_WINDOW];
};

/*
 * tally_room(t):
 * Another row may begin.
 */
bool tally_room(const struct tally *t);

/*
 * tally_begin(t):
 * The number of a row that begins; there was room.
 */
uint64_t tally_begin(struct tally *t);

/*
 * tally_end(t, number, outcome):
 * A row that began and had not ended.
 */
void tally_end(struct tally *t, uint64_t number, enum tally_outcome outcome);

/*
 * tally_count(t, outcome):
 * All rows with that outcome, also those above the mark.
 */
uint64_t tally_count(const struct tally *t, enum tally_outcome outcome);

#endif /* CLI_TALLY_H */
