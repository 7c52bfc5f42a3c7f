/*
 * The known word nearest to one that is unknown, for "did you mean".
 */
#ifndef SERVER_NEAREST_H
#define SERVER_NEAREST_H

#include <stddef.h>

#define NEAREST_WORD_MAX 64u		/* longer words are near to nothing */

/* A search; start with NEAREST_START(word), offer every known word, then read best. */
struct nearest {
	const char *word;
	const char *best;		/* borrowed from nearest_offer(); NULL: nothing is near */
	size_t distance;
};

#define NEAREST_START(text) { .word = (text), .best = NULL, .distance = (size_t)-1 }

/*
 * nearest_offer(n, known):
 * Keep ${known} if fewer slips lead to it than to the best so far, and at most a third of
 * its letters, or two. A slip is a letter too many, too few, wrong, or changed places with
 * its neighbour (Damerau 1964; the restricted distance).
 */
void nearest_offer(struct nearest *n, const char *known);

#endif /* SERVER_NEAREST_H */
