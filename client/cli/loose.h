/*
 * Texts compared loosely, without blanks and without ASCII case: what the vault takes for one
 * account or email is mostly the same here. The reverse does not hold: to the vault, account ids
 * differ by case and inner blanks (docs/PROTOCOL.md, Look-ups). So this may decide which rows
 * wait for one another, which costs a little time, and never whose a row is. What only Unicode
 * makes the same (case beyond ASCII, NFKC) is not the same here.
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
