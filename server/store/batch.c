#include "server/store/batch.h"

#include <stdlib.h>

#include "server/clock.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/mutant.h"
#include "server/store/path.h"
#include "server/store/switch.h"
#include "server/store/vault_internal.h"

#define RUN_ROWS 16u	/* rows side by side for which as much room is counted as for one elsewhere */

/* Everything the commit writes, to be sorted: an engine likes rows in the order of their keys. */
struct row {
	enum store_table table;
	struct bytes key, value;	/* value.p NULL: delete */
};

struct rows {
	struct row *row;
	size_t count, room, bytes;
};

static enum status
add(struct rows *rs, enum store_table t, struct bytes key, struct bytes value)
{
	if (rs->count == rs->room) {
		size_t room = rs->room * 2 + 256;
		struct row *row = realloc(rs->row, room * sizeof(*row));

		if (row == NULL)
			return STATUS_NO_MEMORY;
		rs->row = row;
		rs->room = room;
	}
	rs->row[rs->count] = (struct row){ .table = t, .key = key, .value = value };
	rs->count++;
	rs->bytes += key.len + value.len;
	return STATUS_OK;
}

static enum status
add_item(struct rows *rs, struct overlay_item *it)
{
	struct path_row k = path_row(it->kind, it->node, it->key);

	if (it->deleted)
		return add(rs, k.table, k.key, bytes_of(NULL, 0));
	return add(rs, k.table, k.key, bytes_of(it->box, page_box_len(it->kind, it->now)));
}

static int
by_place(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->table != y->table)
		return x->table < y->table ? -1 : 1;
	return bytes_compare(x->key, y->key);
}

static enum status
gather(struct overlay *o, struct rows *rs)
{
	enum status rc = STATUS_OK;

	for (struct overlay_row *r = overlay_rows(o); r != NULL && rc == STATUS_OK; r = r->next)
		if (!r->replaced)
			rc = add(rs, r->table, r->key, r->value);
	for (unsigned level = 0; level < OVERLAY_LEVELS; level++)
		for (struct overlay_item *it = overlay_dirty(o, level); it != NULL && rc == STATUS_OK;
		    it = it->next_dirty)
			rc = add_item(rs, it);
	return rc;
}

/*
 * Rows that may each touch pages of their own. Rows of one slot that are deleted one after the
 * other (the transactions of a subject) lie side by side: their leaves are counted, not they.
 */
static size_t
scattered(const struct rows *rs)
{
	size_t run = 0, n = 0;

	for (size_t i = 0; i < rs->count; i++) {
		const struct row *r = &rs->row[i], *before = i > 0 ? r - 1 : r;
		bool beside = i > 0 && r->value.p == NULL && before->value.p == NULL &&
		    r->table == STORE_TRANSACTIONS && before->table == r->table &&
		    memcmp(r->key.p, before->key.p, 8) == 0;

		run = beside ? run + 1 : 0;
		n += run % RUN_ROWS == 0;
	}
	return n;
}

/* K4: this commit is the decision. */
static enum status
write_rows(struct vault *v, const struct rows *rs, bool *begun)
{
	struct store_batch *b = NULL;
	uint64_t start = clock_monotonic_ns();
	enum status rc;

	if ((rc = store_batch_begin(v->store, &b)) != STATUS_OK)
		return rc;
	for (size_t i = 0; i < rs->count && rc == STATUS_OK; i++) {
		const struct row *r = &rs->row[i];

		rc = r->value.p != NULL ? store_batch_put(b, r->table, r->key, r->value) :
		    store_batch_delete(b, r->table, r->key);
	}
	if (rc != STATUS_OK) {
		store_batch_abort(b);
		return rc;
	}
	*begun = true;
	rc = store_batch_commit(b);
	metrics_time(METRIC_TIME_COMMIT, clock_monotonic_ns() - start);
	metrics_add(METRIC_COMMITS, 1);
	return rc;
}

/* K2 and the rows that decide: the root page, the epoch and its commitment. */
struct sealed {
	uint8_t root_box[ROOT_BOX_LEN], epoch[META_EPOCH_LEN];
};

static enum status
seal(struct vault *v, struct overlay *o, struct sealed *s, struct rows *rs)
{
	const struct root *root = overlay_root(o);
	enum status rc;

	if ((rc = switch_seal(v, o, s->root_box)) != STATUS_OK)
		return rc;
	bytes_put64(s->epoch, root->epoch);
	memcpy(s->epoch + 8, root->commitment, SEAL_DIGEST_LEN);
	rc = add(rs, STORE_META, META_KEY(META_EPOCH), bytes_of(s->epoch, sizeof(s->epoch)));
	if (rc != STATUS_OK)
		return rc;
	return add(rs, STORE_META, META_KEY(META_ROOT), bytes_of(s->root_box, ROOT_BOX_LEN));
}

enum status
batch_commit(struct vault *v, struct overlay *o, bool erasing, bool *fatal)
{
	bool touches_keys = switch_needed(o), begun = false;
	uint64_t start = clock_monotonic_ns();
	struct rows rs = { NULL, 0, 0, 0 };
	struct sealed s;
	enum status rc;

	if (touches_keys && (rc = seal(v, o, &s, &rs)) != STATUS_OK)
		goto out;
	if ((rc = gather(o, &rs)) != STATUS_OK)
		goto out;
	/* A repeated request may have had nothing left to change. */
	if (rs.count == 0)
		goto out;
	qsort(rs.row, rs.count, sizeof(rs.row[0]), by_place);
	overlay_release(o);
	/* K3: room in the store first, then the other slot of the anchor. */
	if ((rc = store_allocate(v->store, scattered(&rs), rs.bytes, erasing)) != STATUS_OK)
		goto out;
	if (touches_keys && (rc = switch_prepare(v, o)) != STATUS_OK)
		goto out;
	if (mutant(erase_first) && touches_keys &&
	    anchor_settle(v->anchor, overlay_root(o)->epoch) != STATUS_OK)
		goto out;
	rc = write_rows(v, &rs, &begun);
	if (rc != STATUS_OK && begun) {
		*fatal = true;
		rc = STATUS_INDETERMINATE;
		goto out;
	}
	if (rc != STATUS_OK) {
		if (touches_keys)
			switch_abandon(v, o);
		goto out;
	}
	if (!touches_keys)
		goto out;
	if ((rc = switch_finish(v, o)) != STATUS_OK) {
		*fatal = rc == STATUS_INDETERMINATE;
		rc = STATUS_INDETERMINATE;
	}
	metrics_time(METRIC_TIME_SWITCH, clock_monotonic_ns() - start);
	/* The anchor may have been moved under us to a place that keeps old blocks. */
	vault_look_at_class(v);
out:
	free(rs.row);
	return rc;
}

enum status
batch_renew(struct vault *v, struct overlay *o, bool *fatal)
{
	enum status rc = overlay_begin(o);

	if (rc != STATUS_OK)
		return rc;
	overlay_force(o);
	rc = batch_commit(v, o, true, fatal);
	overlay_end(o);
	return rc;
}
