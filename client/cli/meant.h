/*
 * The known word nearest to one that is unknown, for "did you mean".
 */
#ifndef CLI_MEANT_H
#define CLI_MEANT_H

#include <stddef.h>

/*
 * struct meant:
 * A search going on. Start with MEANT_START(word).
 */
struct meant {
	const char *word;
	const char *best;		/* NULL: nothing is near */
	size_t distance;
};

#define MEANT_START(text) {.word = (text), .best = NULL, .distance = (size_t)-1}

/*
 * meant_offer(n, candidate):
 * Remember ${candidate}, which must outlive ${n}, if it is the nearest so far and at
 * most a third of its letters (at least two) are wrong.
 */
void meant_offer(struct meant *n, const char *candidate);

/*
 * meant_hint(n, out, len):
 * Write "; did you mean X?" or nothing into ${out} of ${len} bytes and return it.
 */
const char *meant_hint(const struct meant *n, char *out, size_t len);

#endif /* CLI_MEANT_H */
