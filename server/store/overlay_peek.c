/*
 * Looking at a bucket or a keyring without keeping it in the batch. What the batch has changed is an
 * item, and so are all pages above it; beside that the snapshot holds the truth.
 */
#include "server/store/damage.h"
#include "server/store/overlay_internal.h"

static struct path_source
source(struct overlay *o)
{
	/* Not the batch's own root: tree S may have grown in it. */
	return (struct path_source){ o->snapshot, o->vault->cache,
		epoch_root(o->vault->epochs, epoch_current(o->vault->epochs)) };
}

/* The batch has met the node: what it made of it. */
static enum status
state_of(const struct overlay_item *it)
{
	return it->broken ? STATUS_FORGED : it->deleted ? STATUS_ABSENT : STATUS_OK;
}

enum status
overlay_peek_keyring(struct overlay *o, uint64_t slot, const struct keyring **out)
{
	const struct overlay_item *it = overlay_any(o, SEAL_KEYRING, node_of_slot(slot));
	const void *found = o->peek->keyring;
	struct path_source src = source(o);
	enum status rc;

	if (it != NULL && (rc = state_of(it)) != STATUS_OK)
		return rc;
	if (it != NULL) {
		found = it->now;
	} else {
		if (slot >= src.root->next_slot)
			return STATUS_ABSENT;
		if ((rc = path_fetch_slot(&src, slot, &o->path)) == STATUS_OK)
			rc = path_open(&o->path, o->vault->id, o->vault->cache, o->peek->keyring);
		if (rc != STATUS_OK)
			return damage_judged(rc, "a keyring that a write looks at");
	}
	*out = found;
	return STATUS_OK;
}

/*
 * The item that says where a tag's bucket is, or what became of it; NULL: the snapshot says it, or, if *fresh,
 * it is nowhere, since the batch made the page above: what it was a bucket of lies elsewhere now, or is gone.
 */
static const struct overlay_item *
met(struct overlay *o, const uint8_t *tag, bool *fresh)
{
	*fresh = false;
	for (unsigned level = NODE_B_TOP + 1; level-- > 0; ) {
		struct node n = node_of_tag(tag, level);
		const struct overlay_item *it = overlay_find(o, SEAL_PAGE, n);

		if (it == NULL) {
			it = overlay_any(o, SEAL_BUCKET, n);
			return it != NULL ? it : overlay_any(o, SEAL_PAGE, n);
		}
		*fresh = it->fresh;
	}
	return NULL;
}

enum status
overlay_peek_bucket(struct overlay *o, const uint8_t tag[static SEAL_TAG16_LEN],
    const struct bucket **out)
{
	struct path_source src = source(o);
	bool fresh;
	const struct overlay_item *it = met(o, tag, &fresh);
	const void *found = o->peek->bucket;
	enum status rc;

	if (it != NULL && (rc = state_of(it)) != STATUS_OK)
		return rc;
	if (it != NULL) {
		found = it->now;
	} else {
		if (fresh)
			return STATUS_ABSENT;
		if ((rc = path_fetch_tag(&src, tag, &o->path)) == STATUS_OK)
			rc = path_open(&o->path, o->vault->id, o->vault->cache, o->peek->bucket);
		if (rc != STATUS_OK)
			return damage_judged(rc, "a bucket that a write looks at");
	}
	*out = found;
	return STATUS_OK;
}
