#include "server/nearest.h"

#include <string.h>

/* Three rows of the table of distances are enough: a swap looks two rows back. */
struct rows {
	size_t row[3][NEAREST_WORD_MAX + 1];
};

static size_t
cell(const struct rows *r, const char *a, const char *b, size_t i, size_t j)
{
	const size_t *now = r->row[i % 3], *before = r->row[(i + 2) % 3];
	size_t d = before[j - 1] + (a[i - 1] != b[j - 1]);

	if (before[j] + 1 < d)
		d = before[j] + 1;
	if (now[j - 1] + 1 < d)
		d = now[j - 1] + 1;
	if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]
	    && r->row[(i + 1) % 3][j - 2] + 1 < d)
		d = r->row[(i + 1) % 3][j - 2] + 1;
	return d;
}

static size_t
distance(const char *a, size_t an, const char *b, size_t bn)
{
	struct rows r;
	size_t i, j;

	for (j = 0; j <= bn; j++)
		r.row[0][j] = j;
	for (i = 1; i <= an; i++) {
		r.row[i % 3][0] = i;
		for (j = 1; j <= bn; j++)
			r.row[i % 3][j] = cell(&r, a, b, i, j);
	}
	return r.row[an % 3][bn];
}

void
nearest_offer(struct nearest *n, const char *known)
{
	size_t wn = strlen(n->word), kn = strlen(known), d;
	size_t limit = kn / 3 > 2 ? kn / 3 : 2;

	if (wn > NEAREST_WORD_MAX || kn > NEAREST_WORD_MAX)
		return;
	d = distance(n->word, wn, known, kn);
	/* Words that share not one letter are not near, however short. */
	if (d > limit || d >= kn || d >= n->distance)
		return;
	n->best = known;
	n->distance = d;
}
