#include "backup_index.h"

#include <stdlib.h>
#include <string.h>

static int
order(const Pdvault__V1__BackupRange *r, const char *table, ProtobufCBinaryData key)
{
	int d = strcmp(r->table, table);

	return d != 0 ? d : backup_key_compare(r->from.data, r->from.len, key.data, key.len);
}

static int
by_place(const void *a, const void *b)
{
	Pdvault__V1__BackupRange *const *x = a, *const *y = b;

	return order(*x, (*y)->table, (*y)->from);
}

bool
backup_index_make(struct backup_index *x, Pdvault__V1__BackupRange *const *ranges, size_t count)
{
	if (count == 0)
		return true;
	if ((x->ranges = calloc(count, sizeof(*x->ranges))) == NULL)
		return false;
	memcpy(x->ranges, ranges, count * sizeof(*x->ranges));
	x->count = count;
	qsort(x->ranges, count, sizeof(*x->ranges), by_place);
	return true;
}

size_t
backup_index_find(const struct backup_index *x, const char *table, ProtobufCBinaryData key)
{
	size_t low = 0, high = x->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (order(x->ranges[middle], table, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < x->count && strcmp(x->ranges[low]->table, table) == 0 ? low : x->count;
}

void
backup_index_free(struct backup_index *x)
{
	free(x->ranges);
	*x = (struct backup_index){.ranges = NULL};
}
