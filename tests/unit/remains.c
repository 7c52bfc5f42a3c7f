#include "remains.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/must.h"

#define MASK 0x5a
#define HALF (REMAINS_LEN / 2)
#define MAPPING_MAX (1ul << 30)		/* larger ones are a sanitizer's own */

void
remains_hide(uint8_t key[static REMAINS_LEN], uint8_t out[static REMAINS_LEN])
{
	for (unsigned i = 0; i < REMAINS_LEN; i++)
		out[i] = key[i] ^ MASK;
	sodium_memzero(key, REMAINS_LEN);
}

__attribute__((no_sanitize("address", "undefined", "thread"))) static unsigned
count(const uint8_t *p, const uint8_t *end, const uint8_t *half)
{
	unsigned n = 0, i;

	for (; p + HALF <= end; p++) {
		for (i = 0; i < HALF && (uint8_t)(p[i] ^ MASK) == half[i]; i++)
			;
		n += i == HALF;
	}
	return n;
}

unsigned
remains_of(const uint8_t hidden[static REMAINS_LEN])
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uintptr_t from[1024], to[1024];
	unsigned n = 0, found = 0;
	char line[512], rights[8];

	must(maps != NULL);
	while (n < 1024 && fgets(line, sizeof(line), maps) != NULL) {
		must(sscanf(line, "%lx-%lx %4s", &from[n], &to[n], rights) == 3);
		n += rights[0] == 'r' && rights[1] == 'w' && to[n] - from[n] <= MAPPING_MAX;
	}
	must(n < 1024 && fclose(maps) == 0);
	for (unsigned i = 0; i < n; i++)
		for (unsigned half = 0; half < 2; half++)
			found += count((const uint8_t *)from[i], (const uint8_t *)to[i], hidden + half * HALF);
	return found;
}
