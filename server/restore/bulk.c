#include "server/restore/bulk.h"

#include <stdlib.h>

#define ROWS_MAX 16384u		/* of one commit */
#define ROWS_MIN 16u
#define ROW_BYTES 512u		/* of keys and values, for each row that a commit has room for */

struct bulk {
	struct store *store;
	struct store_batch *batch;	/* NULL: none is begun */
	size_t rows, bytes;
	size_t limit; /* rows of a commit: fewer when the store has no room for so many at once */
};

enum status
bulk_new(struct store *st, struct bulk **out)
{
	struct bulk *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return STATUS_NO_MEMORY;
	b->store = st;
	b->limit = ROWS_MAX;
	*out = b;
	return STATUS_OK;
}

void
bulk_free(struct bulk *b)
{
	if (b == NULL)
		return;
	store_batch_abort(b->batch);
	free(b);
}

static enum status
begin(struct bulk *b)
{
	enum status rc;

	b->rows = b->bytes = 0;
	/* The last row may be as long as any. */
	while ((rc = store_allocate(b->store, b->limit, b->limit * ROW_BYTES + STORE_VALUE_MAX, false)) ==
	    STATUS_FULL && b->limit > ROWS_MIN)
		b->limit /= 4;
	if (rc != STATUS_OK)
		return rc;
	return store_batch_begin(b->store, &b->batch);
}

enum status
bulk_commit(struct bulk *b)
{
	struct store_batch *batch = b->batch;

	b->batch = NULL;
	return batch != NULL ? store_batch_commit(batch) : STATUS_OK;
}

enum status
bulk_put(struct bulk *b, enum store_table t, struct bytes key, struct bytes value)
{
	enum status rc;

	if ((b->rows >= b->limit || b->bytes >= b->limit * ROW_BYTES) && (rc = bulk_commit(b)) != STATUS_OK)
		return rc;
	if (b->batch == NULL && (rc = begin(b)) != STATUS_OK)
		return rc;
	b->rows++;
	b->bytes += key.len + value.len;
	return store_batch_put(b->batch, t, key, value);
}
