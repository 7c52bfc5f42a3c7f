/*
 * Emails and account ids belong to one subject each: see I5 in import_internal.h. The table knows a value by
 * its hash alone, so that now and then a row waits for one that it has nothing in common with.
 */
#include "import_internal.h"
#include "loose.h"

static const char *const unique[] = {"account_ids", "emails"};

/* The place of the next value of the row; NULL when there is none. Begin with ${list} and ${i} at 0. */
static struct import_claim *
next_claim(struct import *im, const struct import_row *row, size_t *list, size_t *i)
{
	const json_t *identity = json_object_get(row->data.doc, "identity");
	const char *value;

	for (; *list < sizeof(unique) / sizeof(unique[0]); (*list)++, *i = 0)
		while (*i < json_array_size(json_object_get(identity, unique[*list]))) {
			value = json_string_value(json_array_get(json_object_get(identity,
			    unique[*list]), (*i)++));
			if (value != NULL)
				return &im->claims[loose_hash(value) % IMPORT_CLAIMS];
		}
	return NULL;
}

bool
import_claim_allows(struct import *im, const struct import_row *row, const struct import_lane *lane)
{
	const struct import_claim *c;
	size_t list = 0, i = 0;

	while ((c = next_claim(im, row, &list, &i)) != NULL)
		if (c->rows > 0 && c->lane != lane)
			return false;
	return true;
}

void
import_claim_take(struct import *im, struct import_row *row, const struct import_lane *lane)
{
	struct import_claim *c;
	size_t list = 0, i = 0;

	while ((c = next_claim(im, row, &list, &i)) != NULL) {
		c->lane = lane;
		c->rows++;
	}
	row->claims = true;
}

void
import_claim_drop(struct import *im, struct import_row *row)
{
	struct import_claim *c;
	size_t list = 0, i = 0;

	while (row->claims && (c = next_claim(im, row, &list, &i)) != NULL)
		c->rows--;
	row->claims = false;
}
