#include "server/store/switch.h"

#include <sodium.h>
#include <stdlib.h>

#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/mutant.h"
#include "server/store/damage.h"
#include "server/store/vault_internal.h"

#define READER_LIMIT_NS 2000000000u	/* K6: longer, and the process stops */
#define SETTLE_TRIES 3

bool
switch_needed(struct overlay *o)
{
	for (unsigned level = 0; level < OVERLAY_LEVELS; level++)
		if (overlay_dirty(o, level) != NULL)
			return true;
	return overlay_is_forced(o);
}

static struct key *
place_of(struct overlay *o, const struct overlay_item *it, struct overlay_item **parent)
{
	*parent = overlay_parent(o, it);
	if (*parent == NULL)
		return it->node.tree == NODE_S ? &overlay_root(o)->s_top : &overlay_root(o)->b_top;
	return &((struct page *)(void *)(*parent)->now)->key[node_place(it->node)];
}

static enum seal_purpose
purpose_of(enum seal_kind kind)
{
	return kind == SEAL_KEYRING ? SEAL_FOR_SUBJECT :
	    kind == SEAL_BUCKET ? SEAL_FOR_BUCKET : SEAL_FOR_PAGE;
}

static uint64_t
count_dropped(struct overlay *o)
{
	uint64_t n = 0;

	for (const struct overlay_item *it = overlay_dirty(o, 0); it != NULL; it = it->next_dirty)
		n += it->kind == SEAL_KEYRING && it->deleted;
	return n;
}

#ifdef PDV_MUTANT
/* A page is sealed under the key that it had. */
static bool
mutant_keeps_key(struct overlay *o, const struct overlay_item *it)
{
	if (it->was == NULL || it->node.tree != NODE_S)
		return false;
	return mutant(wrapped_key_only) || (mutant(leaf_only) && it->node.level > 1) ||
	    (mutant(upper_kept) && it->node.level > 2) ||
	    (mutant(insert_keeps_key) && count_dropped(o) == 0);
}
#else
#define mutant_keeps_key(o, item) false
#endif

/* K2: a fresh key and a fresh nonce for every page that is written; the parent follows. */
static enum status
seal_item(struct vault *v, struct overlay *o, struct overlay_item *it)
{
	struct overlay_item *parent;
	struct key *k = place_of(o, it, &parent);

	must(parent == NULL || parent->dirty);
	if ((it->box = malloc(page_box_len(it->kind, it->now))) == NULL)
		return STATUS_NO_MEMORY;
	page_set_epoch(it->kind, it->now, overlay_root(o)->epoch);
	if (!mutant_keeps_key(o, it))
		seal_key_new(k, purpose_of(it->kind));
	if (mutant(subject_key_derived) && it->kind == SEAL_KEYRING)
		seal_wrap_key(&overlay_root(o)->index, overlay_root(o)->commitment, k);
	page_seal(k, v->id, &(struct page_box){ it->kind, it->node, { NULL, 0 } }, it->now, it->box);
	return STATUS_OK;
}

/* In constant time; key by key, since comparing bytes one by one would cost as much as sealing them. */
static bool
same_page(enum seal_kind kind, const void *a, const void *b)
{
	const struct page *x = a, *y = b;

	if (kind != SEAL_PAGE)
		return sodium_memcmp(a, b, page_len(kind)) == 0;
	for (unsigned p = 0; p < NODE_FANOUT; p++)
		if (!seal_key_equal(&x->key[p], &y->key[p]))
			return false;
	return page_epoch(kind, a) == page_epoch(kind, b);
}

/* The key of the item's last version: in the page above as it was, or at the top of its tree. */
static const struct key *
key_before(const struct root *old, const struct overlay_item *it, const struct overlay_item *up)
{
	if (up != NULL && up->was != NULL)
		return &((const struct page *)(const void *)up->was)->key[node_place(it->node)];
	/* Under a page that is new there was nothing, but for the old top of a tree that has grown. */
	return it->node.tree == NODE_S ? &old->s_top : &old->b_top;
}

/* Of what was shredded no key is left: a state alone shreds nothing. */
static bool
keeps_dead_key(const struct keyring *k)
{
	for (unsigned i = 0; i < CATEGORY_COUNT; i++)
		if (k->category[i].state != CATEGORY_LIVE && !seal_key_is_zero(&k->category[i].key))
			return true;
	for (unsigned i = 0; i < KEYRING_BEFORE; i++)
		if ((k->category[CATEGORY_CONTENT - 1 + i].state != CATEGORY_LIVE ||
		    k->before[i].state != CATEGORY_LIVE) && !seal_key_is_zero(&k->before[i].key))
			return true;
	return false;
}

/* K2: the sealed bytes give back what was meant, under the new key that the parent has. */
static enum status
reopen_item(struct vault *v, struct overlay *o, const struct overlay_item *it, uint8_t *scratch)
{
	const struct root *old = epoch_root(v->epochs, epoch_current(v->epochs));
	struct overlay_item *up;
	const struct key *k = place_of(o, it, &up);
	struct page_box b = { it->kind, it->node, bytes_of(it->box, page_box_len(it->kind, it->now)) };
	enum status rc = page_open(k, v->id, &b, scratch);

	if (rc != STATUS_OK)
		return rc;
	if (!same_page(it->kind, scratch, it->now) ||
	    (seal_key_equal(key_before(old, it, up), k) && !mutant_keeps_key(o, it)))
		return STATUS_FORGED;
	if (it->kind == SEAL_KEYRING && !mutant(category_key_left) &&
	    keeps_dead_key((const struct keyring *)(const void *)scratch))
		return STATUS_FORGED;
	return STATUS_OK;
}

/* K2: a place has another key than before only for a child that the batch touched. */
static enum status
compare_children(struct overlay *o, const struct overlay_item *it)
{
	const struct page *now = (const struct page *)(const void *)it->now;
	const struct page *was = (const struct page *)(const void *)it->was;

	for (unsigned p = 0; was != NULL && p < NODE_FANOUT; p++) {
		struct node n = { it->node.tree, (uint8_t)(it->node.level - 1),
			it->node.index * NODE_FANOUT + p };

		if (!seal_key_equal(&now->key[p], &was->key[p]) &&
		    !overlay_touches(o, n))
			return STATUS_FORGED;
	}
	return STATUS_OK;
}

/* K2: what is gone has no key above, unless a page or bucket has come to the same node. */
static bool
keeps_place(struct overlay *o, const struct overlay_item *it)
{
	struct overlay_item *up;

	return !seal_key_is_zero(place_of(o, it, &up)) && !mutant(row_only) &&
	    overlay_find(o, SEAL_PAGE, it->node) == NULL && overlay_find(o, SEAL_BUCKET, it->node) == NULL;
}

/* By induction from the root down: each item opens with a key that was itself re-opened. */
static enum status
reopen_all(struct vault *v, struct overlay *o, const uint8_t *root_box, uint8_t *scratch)
{
	const struct root *old = epoch_root(v->epochs, epoch_current(v->epochs));
	struct root *root = overlay_root(o), *again = (struct root *)(void *)scratch;
	enum status rc;

	rc = root_open(&root->self, v->id, root->epoch, bytes_of(root_box, ROOT_BOX_LEN), again);
	if (rc != STATUS_OK)
		return rc;
	if ((seal_key_equal(&old->self, &root->self) && !mutant(root_kept)) ||
	    !seal_key_equal(&again->s_top, &root->s_top) ||
	    !seal_key_equal(&again->b_top, &root->b_top) ||
	    !seal_key_equal(&again->index, &root->index) ||
	    !seal_key_equal(&again->index_before, &root->index_before) ||
	    again->index_parity != root->index_parity || again->signer != root->signer ||
	    !seal_key_equal(&again->signing, &root->signing) ||
	    again->next_slot != root->next_slot || again->s_height != root->s_height)
		return STATUS_FORGED;
	for (unsigned level = OVERLAY_LEVELS; level-- > 0; ) {
		for (struct overlay_item *it = overlay_dirty(o, level); it != NULL; it = it->next_dirty) {
			if (it->deleted && keeps_place(o, it))
				return STATUS_FORGED;
			if (it->deleted)
				continue;
			if ((rc = reopen_item(v, o, it, scratch)) != STATUS_OK)
				return rc;
			if (it->kind == SEAL_PAGE && (rc = compare_children(o, it)) != STATUS_OK)
				return rc;
		}
	}
	return STATUS_OK;
}

enum status
switch_seal(struct vault *v, struct overlay *o, uint8_t root_box[static ROOT_BOX_LEN])
{
	struct root *root = overlay_root(o);
	uint8_t *scratch = secret_alloc(PAGE_BUFFER_LEN);
	enum status rc = STATUS_NO_MEMORY;

	_Static_assert(sizeof(struct root) <= PAGE_BUFFER_LEN, "the scratch page serves both");
	if (scratch == NULL)
		return rc;
	root->epoch++;
	/* The pages above whatever is dirty are dirty too. */
	for (unsigned level = 0; level < OVERLAY_LEVELS; level++)
		for (struct overlay_item *it = overlay_dirty(o, level); it != NULL; it = it->next_dirty)
			if (!it->deleted && (rc = seal_item(v, o, it)) != STATUS_OK)
				goto out;
	root_seal(root, v->id, root_box);
	rc = damage_judged(reopen_all(v, o, root_box, scratch), "what was just sealed");
out:
	secret_free(scratch, PAGE_BUFFER_LEN);
	return rc;
}

/* The anchor has the new seals from here on; what it had is kept until the commit has decided. */
static void
reseal(struct vault *v, struct overlay *o, uint64_t epoch)
{
	struct anchor_seals *next = overlay_seals(o);

	for (unsigned i = 0; i < next->count; i++)
		if (next->seal[i].since == 0 || next->seal[i].since >= epoch)
			next->seal[i].since = epoch;
	if (next->lasting >= epoch)
		next->lasting = epoch;
	*v->seals->before = *anchor_seals(v->anchor);
	anchor_reseal(v->anchor, next);
}

static void
reseal_undo(struct vault *v, struct overlay *o)
{
	if (overlay_seals(o) == NULL || v->seals->before->count == 0)
		return;
	anchor_reseal(v->anchor, v->seals->before);
	sodium_memzero(v->seals->before, sizeof(*v->seals->before));
}

enum status
switch_prepare(struct vault *v, struct overlay *o)
{
	const struct root *root = overlay_root(o);
	enum status rc;

	if (overlay_seals(o) != NULL)
		reseal(v, o, root->epoch);
	/* K3: e + 1 is on the medium, read back, before anything can rest on it. */
	rc = anchor_prepare(v->anchor, root);
	if (rc != STATUS_OK) {
		reseal_undo(v, o);
		return rc;
	}
	epoch_stage(v->epochs, root);
	return STATUS_OK;
}

void
switch_abandon(struct vault *v, struct overlay *o)
{
	reseal_undo(v, o);
	epoch_unstage(v->epochs);
}

static enum status
settle_anchor(struct vault *v, uint64_t epoch)
{
	enum status rc = STATUS_ANCHOR;

	/* K5: the old root dies here. */
	for (int i = 0; i < SETTLE_TRIES && rc != STATUS_OK; i++)
		rc = anchor_settle(v->anchor, epoch);
	if (rc != STATUS_OK) {
		vault_trouble(v, VAULT_NOT_ERASED, true);
		log_event(LOG_READ_ONLY, LOG_S(WHY, "the old slot of the anchor cannot be overwritten"),
		    LOG_N(EPOCH, epoch));
	}
	return rc;
}

/* K6: what the switch replaced leaves the cache; what it wrote is there for the next reader. */
static void
refresh_cache(struct vault *v, struct overlay *o)
{
	for (unsigned level = OVERLAY_LEVELS; level-- > 0 && !mutant(cache_kept); ) {
		for (struct overlay_item *it = overlay_dirty(o, level); it != NULL; it = it->next_dirty) {
			if (it->kind != SEAL_PAGE)
				continue;
			cache_evict(v->cache, it->node);
			if (!it->deleted)
				cache_put(v->cache, it->node,
				    seal_nonce(bytes_of(it->box, page_box_len(it->kind, it->now))),
				    (const struct page *)(const void *)it->now);
		}
	}
}

enum status
switch_finish(struct vault *v, struct overlay *o)
{
	uint64_t epoch = overlay_root(o)->epoch, start;
	enum status erased = settle_anchor(v, epoch);
	bool free_of_readers;

	/* K6: readers of the old epoch finish; nobody can bring its pages back after that. */
	if (mutant(cache_cleared_early))
		refresh_cache(v, o);
	start = clock_monotonic_ns();
	free_of_readers = epoch_advance(v->epochs, READER_LIMIT_NS);
	metrics_time(METRIC_TIME_PIN_WAIT, clock_monotonic_ns() - start);
	if (!free_of_readers) {
		log_event(LOG_READER_STUCK, LOG_N(EPOCH, epoch));
		return STATUS_INDETERMINATE;
	}
	if (!mutant(cache_cleared_early))
		refresh_cache(v, o);
	epoch_settle(v->epochs, erased == STATUS_OK);
	if (overlay_seals(o) != NULL) {
		sodium_memzero(v->seals->before, sizeof(*v->seals->before));
		seals_note(v);
	}
	vault_publish(v, overlay_root(o));
	metrics_set(METRIC_EPOCH, epoch);
	metrics_set(METRIC_SETTLED_EPOCH, epoch_settled(v->epochs));
	metrics_add(METRIC_SWITCHES, 1);
	if (erased == STATUS_OK)
		metrics_add(METRIC_SUBJECTS_SHREDDED, count_dropped(o));
	return erased;
}

void
switch_retry(struct vault *v)
{
	uint64_t epoch = epoch_current(v->epochs);

	if ((atomic_load(&v->trouble) & VAULT_NOT_ERASED) == 0 ||
	    anchor_settle(v->anchor, epoch) != STATUS_OK)
		return;
	epoch_settled_late(v->epochs);
	vault_trouble(v, VAULT_NOT_ERASED, false);
	metrics_set(METRIC_SETTLED_EPOCH, epoch);
	log_event(LOG_SETTLED, LOG_S(WHAT, "the old slot of the anchor is overwritten"),
	    LOG_N(EPOCH, epoch));
}
