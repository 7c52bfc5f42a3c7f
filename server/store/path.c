#include "server/store/path.h"

struct path_row
path_row(enum seal_kind kind, struct node n, uint8_t buf[static NODE_KEY_LEN])
{
	node_key(n, buf);
	switch (kind) {
	case SEAL_KEYRING:
		return (struct path_row){ STORE_KEYRINGS, bytes_of(buf + 2, 8) };
	case SEAL_BUCKET:
		return (struct path_row){ STORE_BUCKETS, bytes_of(buf + 1, 9) };
	default:
		return (struct path_row){ STORE_NODES, bytes_of(buf, NODE_KEY_LEN) };
	}
}

enum status
path_fetch(struct store_snapshot *s, enum seal_kind kind, struct node n, struct bytes *box)
{
	uint8_t buf[NODE_KEY_LEN];
	struct path_row row = path_row(kind, n, buf);

	return store_get(s, row.table, row.key, box);
}

static enum status
copy_hop(struct path *p, enum seal_kind kind, struct node n, struct bytes box)
{
	struct path_hop *h = &p->hop[n.level];

	if (!page_box_fits(kind, box.len))
		return STATUS_CORRUPT;
	h->kind = kind;
	h->node = n;
	h->len = box.len;
	memcpy(h->box, box.p, box.len);
	return STATUS_OK;
}

static enum status
missing(enum status rc)
{
	return rc == STATUS_ABSENT ? STATUS_CORRUPT : rc;
}

/* From the keyring up to the first page that the cache has, since that is mostly the first. */
enum status
path_fetch_slot(const struct path_source *src, uint64_t slot, struct path *p)
{
	struct node n = node_of_slot(slot), up;
	struct bytes box;
	enum status rc;

	p->bottom = 0;
	p->found = true;
	p->below = n;
	if ((rc = path_fetch(src->snapshot, SEAL_KEYRING, n, &box)) != STATUS_OK)
		return missing(rc);
	if ((rc = copy_hop(p, SEAL_KEYRING, n, box)) != STATUS_OK)
		return rc;
	for (; n.level < src->root->s_height; n = up) {
		up = node_parent(n);
		p->top = n.level;
		if ((rc = path_fetch(src->snapshot, SEAL_PAGE, up, &box)) != STATUS_OK)
			return missing(rc);
		if (page_box_fits(SEAL_PAGE, box.len) &&
		    cache_key(src->cache, up, seal_nonce(box), node_place(n), &p->secret->key))
			return STATUS_OK;
		if ((rc = copy_hop(p, SEAL_PAGE, up, box)) != STATUS_OK)
			return rc;
	}
	p->top = n.level;
	p->secret->key = src->root->s_top;
	return n.index == 0 ? STATUS_OK : STATUS_CORRUPT;
}

/* From the top down, since only the rows tell where the bucket is. */
enum status
path_fetch_tag(const struct path_source *src, const uint8_t tag[static SEAL_TAG16_LEN],
    struct path *p)
{
	struct bytes box;
	enum status rc;

	p->top = NODE_B_TOP;
	p->secret->key = src->root->b_top;
	for (int level = NODE_B_TOP; level >= 0; level--) {
		struct node n = node_of_tag(tag, (unsigned)level);

		p->bottom = level;
		p->below = n;
		rc = path_fetch(src->snapshot, SEAL_BUCKET, n, &box);
		p->found = rc == STATUS_OK;
		if (p->found)
			return copy_hop(p, SEAL_BUCKET, n, box);
		if (rc != STATUS_ABSENT)
			return rc;
		if (level == 0 || (rc = path_fetch(src->snapshot, SEAL_PAGE, n, &box)) == STATUS_ABSENT) {
			p->bottom = level + 1;
			return STATUS_OK;
		}
		if (rc != STATUS_OK)
			return rc;
		if (page_box_fits(SEAL_PAGE, box.len) && cache_key(src->cache, n, seal_nonce(box),
		    node_place(node_of_tag(tag, (unsigned)level - 1)), &p->secret->key))
			p->top = level - 1;
		else if ((rc = copy_hop(p, SEAL_PAGE, n, box)) != STATUS_OK)
			return rc;
	}
	return STATUS_CORRUPT;
}

/* The key of the node below the page at ${level} that was just opened. */
static const struct key *
key_below(const struct path *p, int level)
{
	const struct page *pg = (const struct page *)(const void *)p->secret->page;
	struct node below = p->found ? p->hop[p->bottom].node : p->below;

	while (below.level + 1 < level)
		below = node_parent(below);
	return &pg->key[node_place(below)];
}

enum status
path_open(struct path *p, const uint8_t vault[static 16], struct cache *c, void *out)
{
	for (int level = p->top; level >= p->bottom; level--) {
		struct path_hop *h = &p->hop[level];
		bool last = p->found && level == p->bottom;
		struct page_box b = { h->kind, h->node, bytes_of(h->box, h->len) };
		enum status rc;

		/* K2: an empty place is an erased subject, whatever rows are there. */
		if (seal_key_is_zero(&p->secret->key))
			return STATUS_FORGED;
		rc = page_open(&p->secret->key, vault, &b, last ? out : p->secret->page);
		if (rc != STATUS_OK)
			return rc;
		if (last)
			return STATUS_OK;
		cache_put(c, h->node, seal_nonce(b.box), (struct page *)(void *)p->secret->page);
		p->secret->key = *key_below(p, level);
	}
	must(!p->found);
	return seal_key_is_zero(&p->secret->key) ? STATUS_ABSENT : STATUS_FORGED;
}
