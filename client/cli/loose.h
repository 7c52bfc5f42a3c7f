/*
 * Texts compared loosely, without blanks and without ASCII case: so are most pairs that the vault takes for the
 * same account or email. That some others are as well costs the import a little time and nothing else. What
 * only Unicode makes the same (case beyond ASCII, NFKC) is not the same here.
 */
#ifndef CLI_LOOSE_H
#define CLI_LOOSE_H

#include <stdbool.h>
#include <stdint.h>

/* loose_hash(text): FNV-1a (Fowler, Noll, Vo) of what counts. Only spreads texts over tables in memory. */
uint32_t loose_hash(const char *text);

/* loose_same(a, b): whether all that counts is equal. */
bool loose_same(const char *a, const char *b);

#endif /* CLI_LOOSE_H */
