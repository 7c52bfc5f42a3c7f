#include "meant.h"

#include <stdio.h>
#include <string.h>

enum { WORD_MAX = 96 };

static size_t
least(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein's distance, one row at a time (Wagner and Fischer, 1974). */
static size_t
distance(const char *a, size_t an, const char *b, size_t bn)
{
	size_t row[WORD_MAX + 1], i, j, diagonal, above;

	for (j = 0; j <= bn; j++)
		row[j] = j;
	for (i = 1; i <= an; i++) {
		diagonal = row[0];
		row[0] = i;
		for (j = 1; j <= bn; j++) {
			above = row[j];
			row[j] = least(above + 1, row[j - 1] + 1,
			    diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[bn];
}

void
meant_offer(struct meant *n, const char *candidate)
{
	size_t wn = strlen(n->word), cn = strlen(candidate), d, limit;

	if (wn > WORD_MAX || cn > WORD_MAX)
		return;
	limit = cn / 3 > 2 ? cn / 3 : 2;
	if (limit > cn - (cn > 0))
		limit = cn - (cn > 0);		/* not one letter in common is not near */
	d = distance(n->word, wn, candidate, cn);
	if (d > limit || d >= n->distance)
		return;
	n->best = candidate;
	n->distance = d;
}

const char *
meant_hint(const struct meant *n, char *out, size_t len)
{
	out[0] = '\0';
	if (n->best != NULL)
		(void)snprintf(out, len, "; did you mean %s?", n->best);
	return out;
}
