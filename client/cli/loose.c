#include "loose.h"

/* The next character that counts, in lower case; at the end 0. */
static unsigned char
next_of(const char **text)
{
	unsigned char c;

	while (**text == ' ' || **text == '\t')
		(*text)++;
	if ((c = (unsigned char)**text) == '\0')
		return 0;
	(*text)++;
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : c;
}

uint32_t
loose_hash(const char *text)
{
	uint32_t h = 2166136261u;
	unsigned char c;

	while ((c = next_of(&text)) != 0)
		h = (h ^ c) * 16777619u;
	return h;
}

bool
loose_same(const char *a, const char *b)
{
	unsigned char c;

	do {
		c = next_of(&a);
		if (c != next_of(&b))
			return false;
	} while (c != 0);
	return true;
}
