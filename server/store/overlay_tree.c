/*
 * How the two trees change in a batch.
 */
#include <sodium.h>
#include <stdlib.h>

#include "server/mutant.h"
#include "server/store/damage.h"
#include "server/store/lookup.h"
#include "server/store/overlay_internal.h"

static struct page *
page_of(struct overlay_item *it)
{
	must(it->kind == SEAL_PAGE);
	return (struct page *)(void *)it->now;
}

static struct bucket *
bucket_of(struct overlay_item *it)
{
	must(it != NULL && it->kind == SEAL_BUCKET);
	return (struct bucket *)(void *)it->now;
}

static enum status
create(struct overlay *o, enum seal_kind kind, struct node n, struct overlay_item **out)
{
	struct overlay_item *it;
	enum status rc;

	if ((rc = overlay_item_new(o, kind, n, &it)) != STATUS_OK)
		return rc;
	if (!it->dirty)
		it->fresh = true;
	if ((rc = overlay_mark(o, it)) != STATUS_OK)
		return rc;
	*out = it;
	return STATUS_OK;
}

/* One more level on top: the old top's key moves into place 0 of the new one. */
static enum status
grow(struct overlay *o)
{
	struct overlay_item *it;
	enum status rc;

	must(o->root->s_height < NODE_S_TOP_MAX);
	rc = create(o, SEAL_PAGE, (struct node){ NODE_S, (uint8_t)(o->root->s_height + 1), 0 }, &it);
	if (rc != STATUS_OK)
		return rc;
	page_of(it)->key[0] = o->root->s_top;
	o->root->s_height++;
	return STATUS_OK;
}

/* The page of tree S at n, made if its place is empty. */
static enum status
s_page(struct overlay *o, struct node n, struct overlay_item **out)
{
	struct overlay_item *up;
	enum status rc = overlay_page(o, n, out);

	if (rc != STATUS_ABSENT)
		return rc;
	if (n.level < o->root->s_height && (rc = s_page(o, node_parent(n), &up)) != STATUS_OK)
		return rc;
	return create(o, SEAL_PAGE, n, out);
}

enum status
overlay_put_keyring(struct overlay *o, const struct keyring *k)
{
	uint64_t slot = bytes_get64(k->slot);
	struct node n = node_of_slot(slot);
	struct overlay_item *it, *leaf;
	enum status rc;

	while (slot >> (NODE_BITS * o->root->s_height) != 0)
		if ((rc = grow(o)) != STATUS_OK)
			return rc;
	if ((rc = s_page(o, node_parent(n), &leaf)) != STATUS_OK)
		return rc;
	rc = overlay_keyring(o, slot, &it);
	rc = rc == STATUS_ABSENT ? create(o, SEAL_KEYRING, n, &it) :
	    rc == STATUS_OK ? overlay_mark(o, it) : rc;
	if (rc != STATUS_OK)
		return rc;
	memcpy(it->now, k, sizeof(*k));
	if (slot >= o->root->next_slot)
		o->root->next_slot = slot + 1;
	return STATUS_OK;
}

/* Its row goes, and its place in the page above becomes empty. */
static enum status
drop(struct overlay *o, struct overlay_item *it)
{
	struct overlay_item *up = overlay_parent(o, it);
	enum status rc;

	if ((rc = overlay_mark(o, it)) != STATUS_OK)
		return rc;
	if (up != NULL) {
		if ((rc = overlay_mark(o, up)) != STATUS_OK)
			return rc;
		if (!mutant(row_only) || it->kind != SEAL_KEYRING)
			seal_key_wipe(&page_of(up)->key[node_place(it->node)]);
	} else {
		must(it->node.tree == NODE_B);
		seal_key_wipe(&o->root->b_top);
	}
	sodium_memzero(it->now, page_padded(it->kind));
	it->deleted = true;
	return STATUS_OK;
}

enum status
overlay_drop_keyring(struct overlay *o, uint64_t slot)
{
	struct overlay_item *it;
	enum status rc = overlay_keyring(o, slot, &it);

	return rc == STATUS_OK ? drop(o, it) : rc;
}

enum status
overlay_damaged(struct overlay *o, uint64_t slot)
{
	struct node n = node_of_slot(slot);
	struct overlay_item *it, *leaf;
	enum status rc;

	if ((rc = overlay_page(o, node_parent(n), &leaf)) != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_CORRUPT : rc;
	rc = overlay_load(o, SEAL_KEYRING, n, &it);
	if (rc == STATUS_OK)
		return STATUS_REFUSED;
	return rc == STATUS_FORGED || rc == STATUS_CORRUPT || rc == STATUS_ABSENT ? STATUS_OK : rc;
}

enum status
overlay_drop_damaged(struct overlay *o, uint64_t slot)
{
	struct node n = node_of_slot(slot);
	struct overlay_item *it, *leaf;
	enum status rc;

	if ((rc = overlay_damaged(o, slot)) != STATUS_OK ||
	    (rc = overlay_page(o, node_parent(n), &leaf)) != STATUS_OK)
		return rc;
	/* The key is gone already: sealed anew all the same, since a row will name the next epoch. */
	if (overlay_load(o, SEAL_KEYRING, n, &it) == STATUS_ABSENT)
		return overlay_mark(o, leaf);
	if ((rc = overlay_item_revive(o, SEAL_KEYRING, n, &it)) != STATUS_OK)
		return rc;
	return drop(o, it);
}

/* Where the bucket of a tag is; STATUS_ABSENT: nowhere, and it would go to *where. */
static enum status
descend(struct overlay *o, const uint8_t *tag, struct overlay_item **out, struct node *where)
{
	for (unsigned level = NODE_B_TOP + 1; level-- > 0; ) {
		struct node n = node_of_tag(tag, level);
		struct bytes box;
		enum status rc;

		*where = n;
		if (level > 0 && overlay_find(o, SEAL_PAGE, n) != NULL)
			continue;
		if (overlay_find(o, SEAL_BUCKET, n) != NULL)
			return overlay_load(o, SEAL_BUCKET, n, out);
		rc = path_fetch(o->snapshot, SEAL_BUCKET, n, &box);
		if (rc == STATUS_OK)
			return overlay_load(o, SEAL_BUCKET, n, out);
		if (rc != STATUS_ABSENT || level == 0)
			return rc;
		if ((rc = path_fetch(o->snapshot, SEAL_PAGE, n, &box)) != STATUS_OK)
			return rc;
		if ((rc = overlay_load(o, SEAL_PAGE, n, out)) != STATUS_OK)
			return rc;
	}
	return STATUS_ABSENT;
}

/* Neither row is there: then the place above must be empty, or rows were taken away. */
static bool
place_is_empty(struct overlay *o, struct node where)
{
	struct overlay_item *up;

	if (where.level == NODE_B_TOP)
		return seal_key_is_zero(&o->root->b_top);
	up = overlay_find(o, SEAL_PAGE, node_parent(where));
	return up != NULL && seal_key_is_zero(&page_of(up)->key[node_place(where)]);
}

static enum status
find_bucket(struct overlay *o, const uint8_t *tag, struct overlay_item **out, struct node *where)
{
	enum status rc = descend(o, tag, out, where);

	if (rc == STATUS_ABSENT && !place_is_empty(o, *where))
		return damage_judged(STATUS_CORRUPT, "the row of a bucket is missing");
	return rc;
}

enum status
overlay_bucket(struct overlay *o, const uint8_t tag[static SEAL_TAG16_LEN],
    struct overlay_item **out)
{
	struct node where;

	return find_bucket(o, tag, out, &where);
}

/* A full bucket becomes a page over new buckets, one level below, of the entries it had. */
static enum status
split(struct overlay *o, struct overlay_item *full)
{
	struct bucket old = *bucket_of(full);
	struct overlay_item *pg;
	enum status rc;

	must(full->node.level > 0);
	if ((rc = overlay_mark(o, full)) != STATUS_OK)
		goto out;
	sodium_memzero(full->now, page_padded(full->kind));
	full->deleted = true;
	if ((rc = create(o, SEAL_PAGE, full->node, &pg)) != STATUS_OK)
		goto out;
	for (unsigned i = 0; i < old.count && rc == STATUS_OK; i++)
		rc = overlay_add_entry(o, &old.entry[i]);
out:
	sodium_memzero(&old, sizeof(old));
	return rc;
}

enum status
overlay_add_entry(struct overlay *o, const struct bucket_entry *e)
{
	struct overlay_item *it;
	struct bucket *b;
	struct node where;
	enum status rc;

	for (;;) {
		rc = find_bucket(o, e->tag, &it, &where);
		if (rc == STATUS_ABSENT)
			rc = create(o, SEAL_BUCKET, where, &it);
		if (rc != STATUS_OK)
			return rc;
		b = bucket_of(it);
		if (b->count < BUCKET_ENTRIES)
			break;
		if ((rc = split(o, it)) != STATUS_OK)
			return rc;
	}
	if ((rc = overlay_mark(o, it)) != STATUS_OK)
		return rc;
	b->entry[b->count++] = *e;
	return STATUS_OK;
}

enum status
overlay_remove_entry(struct overlay *o, const uint8_t tag[static SEAL_TAG16_LEN])
{
	struct overlay_item *it = NULL;
	struct bucket *b;
	enum status rc;
	int at;

	if ((rc = overlay_bucket(o, tag, &it)) != STATUS_OK)
		return rc;
	b = bucket_of(it);
	if ((at = lookup_in_bucket(b, tag)) < 0)
		return STATUS_ABSENT;
	if (b->count == 1)
		return drop(o, it);
	if ((rc = overlay_mark(o, it)) != STATUS_OK)
		return rc;
	b->entry[at] = b->entry[--b->count];
	sodium_memzero(&b->entry[b->count], sizeof(b->entry[0]));
	return STATUS_OK;
}

/* Invariant 3, for one page. */
static void
check_page(struct overlay *o, struct overlay_item *it)
{
	const struct page *was = (const struct page *)(const void *)it->was;

	for (unsigned p = 0; was != NULL && p < NODE_FANOUT; p++) {
		struct node n = { it->node.tree, (uint8_t)(it->node.level - 1),
			it->node.index * NODE_FANOUT + p };

		must(seal_key_equal(&page_of(it)->key[p], &was->key[p]) ||
		    overlay_touches(o, n));
	}
}

void
overlay_check(struct overlay *o)
{
	for (struct overlay_item *it = o->items; it != NULL; it = it->next) {
		if (it->broken || it->deleted)
			continue;
		must(overlay_parent(o, it) != NULL ||
		    it->node.level == (it->node.tree == NODE_S ? o->root->s_height : NODE_B_TOP));
		must(!it->dirty || overlay_parent(o, it) == NULL || overlay_parent(o, it)->dirty);
		must(it->kind != SEAL_PAGE || !it->dirty || it->fresh == (it->was == NULL));
		if (it->dirty && it->kind == SEAL_PAGE)
			check_page(o, it);
	}
}
