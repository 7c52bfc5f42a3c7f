#include "server/store/overlay.h"

#include <sodium.h>
#include <stdlib.h>

#include "server/keys/secret.h"
#include "server/mutant.h"
#include "server/store/damage.h"
#include "server/store/overlay_internal.h"

enum status
overlay_new(struct vault *v, struct overlay **out)
{
	struct overlay *o = calloc(1, sizeof(*o));
	enum status rc = STATUS_NO_MEMORY;

	if (o == NULL)
		return rc;
	o->vault = v;
	if ((o->root = secret_alloc(sizeof(*o->root))) == NULL ||
	    (o->peek = secret_alloc(sizeof(*o->peek))) == NULL ||
	    (o->secret = secret_alloc(OVERLAY_SECRET)) == NULL)
		goto out;
	o->path.secret = &o->peek->path;
	if ((rc = store_snapshot_new(v->store, &o->snapshot)) != STATUS_OK)
		goto out;
	*out = o;
	o = NULL;
out:
	overlay_free(o);
	return rc;
}

void
overlay_free(struct overlay *o)
{
	if (o == NULL)
		return;
	store_snapshot_free(o->snapshot);
	secret_free(o->secret, OVERLAY_SECRET);
	secret_free(o->peek, sizeof(*o->peek));
	secret_free(o->root, sizeof(*o->root));
	free(o);
}

enum status
overlay_begin(struct overlay *o)
{
	enum status rc;

	must(!o->begun && o->items == NULL && o->rows == NULL);
	if ((rc = store_snapshot_begin(o->snapshot)) != STATUS_OK)
		return rc;
	o->begun = true;
	/* No switch runs beside us: the writer is the one who switches. */
	*o->root = *epoch_root(o->vault->epochs, epoch_current(o->vault->epochs));
	return STATUS_OK;
}

void
overlay_release(struct overlay *o)
{
	if (o->begun)
		store_snapshot_end(o->snapshot);
	o->begun = false;
}

void
overlay_end(struct overlay *o)
{
	overlay_release(o);
	while (o->items != NULL) {
		struct overlay_item *it = o->items;

		o->items = it->next;
		free(it->box);
		free(it);
	}
	while (o->rows != NULL) {
		struct overlay_row *r = o->rows;

		o->rows = r->next;
		free(r);
	}
	memset(o->item_chain, 0, sizeof(o->item_chain));
	memset(o->row_chain, 0, sizeof(o->row_chain));
	memset(o->dirty, 0, sizeof(o->dirty));
	if (!mutant(batch_keeps_keys))
		sodium_memzero(o->secret, o->secret_used);
	o->secret_used = 0;
	o->spoiled = o->forced = false;
	o->seals = NULL;
	sodium_memzero(o->peek, sizeof(*o->peek));
	root_wipe(o->root);
}

struct store_snapshot *
overlay_snapshot(struct overlay *o)
{
	return o->snapshot;
}

struct root *
overlay_root(struct overlay *o)
{
	return o->root;
}

void
overlay_force(struct overlay *o)
{
	o->forced = true;
}

bool
overlay_is_forced(const struct overlay *o)
{
	return o->forced;
}

void
overlay_reseal(struct overlay *o, struct anchor_seals *seals)
{
	o->seals = seals;
}

struct anchor_seals *
overlay_seals(const struct overlay *o)
{
	return o->seals;
}

void
overlay_spoil(struct overlay *o)
{
	o->spoiled = true;
}

bool
overlay_is_spoiled(const struct overlay *o)
{
	return o->spoiled;
}

#ifdef PDV_TEST_HOOKS
static _Atomic size_t limit = OVERLAY_SECRET;

void
overlay_test_limit(size_t bytes)
{
	must(bytes <= OVERLAY_SECRET);
	limit = bytes;
}
#else
static const size_t limit = OVERLAY_SECRET;
#endif

size_t
overlay_room(const struct overlay *o)
{
	return limit > o->secret_used ? limit - o->secret_used : 0;
}

static uint8_t *
take_secret(struct overlay *o, size_t len)
{
	uint8_t *p = o->secret + o->secret_used;

	len = (len + 15) & ~(size_t)15;
	if (len > overlay_room(o))
		return NULL;
	o->secret_used += len;
	if (mutant(batch_keeps_keys))
		memset(p, 0, len);
	return p;
}

static unsigned
item_hash(enum seal_kind kind, struct node n)
{
	uint64_t h = (n.index * 4 + (unsigned)kind % 4) * 0x9E3779B97F4A7C15u;

	h ^= ((uint64_t)n.level * 2 + n.tree) * 0xC2B2AE3D27D4EB4Fu;
	return (unsigned)(h >> 32) % OVERLAY_CHAINS;
}

/* Deleted ones, too. */
struct overlay_item *
overlay_any(struct overlay *o, enum seal_kind kind, struct node n)
{
	struct overlay_item *it = o->item_chain[item_hash(kind, n)];

	while (it != NULL && !(it->kind == kind && node_equal(it->node, n)))
		it = it->chain;
	return it;
}

struct overlay_item *
overlay_find(struct overlay *o, enum seal_kind kind, struct node n)
{
	struct overlay_item *it = overlay_any(o, kind, n);

	return it != NULL && !it->deleted && !it->broken ? it : NULL;
}

bool
overlay_touches(struct overlay *o, struct node n)
{
	static const enum seal_kind kinds[] = { SEAL_PAGE, SEAL_BUCKET, SEAL_KEYRING };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct overlay_item *it = overlay_any(o, kinds[i], n);

		if (it != NULL && it->dirty)
			return true;
	}
	return false;
}

enum status
overlay_item_new(struct overlay *o, enum seal_kind kind, struct node n, struct overlay_item **out)
{
	struct overlay_item *it = overlay_any(o, kind, n);
	unsigned h = item_hash(kind, n);

	if (it != NULL) {
		/* Deleted before in this batch: its row is simply written again. */
		must(it->deleted && !it->broken);
		memset(it->now, 0, page_padded(kind));
		it->deleted = false;
		*out = it;
		return STATUS_OK;
	}
	if ((it = calloc(1, sizeof(*it))) == NULL)
		return STATUS_NO_MEMORY;
	if ((it->now = take_secret(o, page_padded(kind))) == NULL) {
		free(it);
		return STATUS_NO_MEMORY;
	}
	it->kind = kind;
	it->node = n;
	it->chain = o->item_chain[h];
	o->item_chain[h] = it;
	it->next = o->items;
	o->items = it;
	*out = it;
	return STATUS_OK;
}

enum status
overlay_item_revive(struct overlay *o, enum seal_kind kind, struct node n,
    struct overlay_item **out)
{
	struct overlay_item *it = overlay_any(o, kind, n);

	if (it == NULL)
		return overlay_item_new(o, kind, n, out);
	must(it->broken && !it->dirty);
	it->broken = false;
	*out = it;
	return STATUS_OK;
}

static bool
is_top(const struct overlay *o, struct node n)
{
	return n.level == (n.tree == NODE_S ? o->root->s_height : NODE_B_TOP);
}

struct overlay_item *
overlay_parent(struct overlay *o, const struct overlay_item *it)
{
	if (it->kind != SEAL_KEYRING && is_top(o, it->node))
		return NULL;
	return overlay_find(o, SEAL_PAGE, node_parent(it->node));
}

enum status
overlay_mark(struct overlay *o, struct overlay_item *it)
{
	struct overlay_item *up;
	enum status rc;

	if (it->dirty)
		return STATUS_OK;
	if (it->kind == SEAL_PAGE && !it->fresh) {
		if ((it->was = take_secret(o, PAGE_PADDED)) == NULL)
			return STATUS_NO_MEMORY;
		memcpy(it->was, it->now, PAGE_PADDED);
	}
	/* Its new key will stand there. */
	if ((up = overlay_parent(o, it)) != NULL && (rc = overlay_mark(o, up)) != STATUS_OK)
		return rc;
	it->dirty = true;
	it->next_dirty = o->dirty[it->node.level];
	o->dirty[it->node.level] = it;
	return STATUS_OK;
}

struct overlay_item *
overlay_dirty(struct overlay *o, unsigned level)
{
	must(level < OVERLAY_LEVELS);
	return o->dirty[level];
}

/* The key that the snapshot's version of a node was sealed under. STATUS_ABSENT: none. */
static enum status
key_of(struct overlay *o, enum seal_kind kind, struct node n, const struct key **out)
{
	struct overlay_item *up = NULL;
	const struct key *k;
	enum status rc;

	if (kind != SEAL_KEYRING && is_top(o, n)) {
		k = n.tree == NODE_S ? &o->root->s_top : &o->root->b_top;
	} else {
		if ((rc = overlay_page(o, node_parent(n), &up)) != STATUS_OK)
			return rc;
		must(up != NULL);
		k = &((const struct page *)(const void *)up->now)->key[node_place(n)];
	}
	if (seal_key_is_zero(k))
		return STATUS_ABSENT;
	*out = k;
	return STATUS_OK;
}

static enum status
judged(enum status rc)
{
	return damage_judged(rc, "a page that a write needs");
}

enum status
overlay_load(struct overlay *o, enum seal_kind kind, struct node n, struct overlay_item **out)
{
	struct overlay_item *it = overlay_any(o, kind, n);
	const struct key *k;
	struct page_box b = { kind, n, { NULL, 0 } };
	enum status rc;

	if (it != NULL) {
		if (it->deleted || it->broken)
			return it->broken ? STATUS_FORGED : STATUS_ABSENT;
		*out = it;
		return STATUS_OK;
	}
	if ((rc = key_of(o, kind, n, &k)) != STATUS_OK)
		return rc;
	if ((rc = path_fetch(o->snapshot, kind, n, &b.box)) != STATUS_OK)
		return judged(rc == STATUS_ABSENT ? STATUS_CORRUPT : rc);
	if (!page_box_fits(kind, b.box.len))
		return judged(STATUS_CORRUPT);
	if ((rc = overlay_item_new(o, kind, n, &it)) != STATUS_OK)
		return rc;
	if (kind == SEAL_PAGE && cache_page(o->vault->cache, n, seal_nonce(b.box),
	    (struct page *)(void *)it->now)) {
		*out = it;
		return STATUS_OK;
	}
	if ((rc = page_open(k, o->vault->id, &b, it->now)) != STATUS_OK) {
		/* Nothing may be written in its place: it may hold the keys of others. */
		it->broken = true;
		return judged(rc);
	}
	*out = it;
	return STATUS_OK;
}

enum status
overlay_page(struct overlay *o, struct node n, struct overlay_item **out)
{
	/* Above and beside the top there is nothing: such a slot was never given out. */
	if (n.tree == NODE_S && (n.level > o->root->s_height ||
	    (n.level == o->root->s_height && n.index != 0)))
		return STATUS_ABSENT;
	return overlay_load(o, SEAL_PAGE, n, out);
}

enum status
overlay_keyring(struct overlay *o, uint64_t slot, struct overlay_item **out)
{
	return overlay_load(o, SEAL_KEYRING, node_of_slot(slot), out);
}
