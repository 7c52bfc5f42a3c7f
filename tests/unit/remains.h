/*
 * What is left of a key in the memory of the test, freed or not.
 */
#ifndef TESTS_UNIT_REMAINS_H
#define TESTS_UNIT_REMAINS_H

#include <stdint.h>

#define REMAINS_LEN 32u

/* The key, wiped, becomes a form in which it is not found. */
void remains_hide(uint8_t key[static REMAINS_LEN], uint8_t out[static REMAINS_LEN]);

/*
 * Places in writable memory where the first or the second half of it stands. What is put aside by an
 * allocator is looked at as well, and a sanitizer puts all aside.
 */
unsigned remains_of(const uint8_t hidden[static REMAINS_LEN]);

#endif /* TESTS_UNIT_REMAINS_H */
