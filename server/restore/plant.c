#include "server/restore/plant.h"

#include <stdlib.h>
#include <string.h>

#include "server/keys/secret.h"
#include "server/store/path.h"

#define LEVELS (NODE_B_TOP + 1u)
_Static_assert(NODE_S_TOP_MAX < LEVELS, "both trees fit");

struct growing {
	struct page page[LEVELS];	/* by level, from 1 on */
	struct bucket bucket;
};

struct plant {
	struct bulk *bulk;
	struct root *root;
	const uint8_t *vault;
	struct growing *growing;	/* secret memory */
	uint64_t index[LEVELS];		/* of tree S: which page is in the making */
	bool some[LEVELS];		/* there is one */
};

enum status
plant_new(struct bulk *b, struct root *root, const uint8_t *vault, struct plant **out)
{
	struct plant *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return STATUS_NO_MEMORY;
	p->bulk = b;
	p->root = root;
	p->vault = vault;
	if ((p->growing = secret_alloc(sizeof(*p->growing))) == NULL) {
		free(p);
		return STATUS_NO_MEMORY;
	}
	*out = p;
	return STATUS_OK;
}

void
plant_free(struct plant *p)
{
	if (p == NULL)
		return;
	secret_free(p->growing, sizeof(*p->growing));
	free(p);
}

/* Under a fresh key, which is ${key} from now on. */
static enum status
put(struct plant *p, const struct page_box *b, void *pg, struct key *key)
{
	static const enum seal_purpose purposes[] = { [SEAL_PAGE] = SEAL_FOR_PAGE,
		[SEAL_BUCKET] = SEAL_FOR_BUCKET, [SEAL_KEYRING] = SEAL_FOR_SUBJECT };
	uint8_t box[PAGE_BOX_MAX], buf[NODE_KEY_LEN];
	struct path_row row = path_row(b->kind, b->node, buf);

	seal_key_new(key, purposes[b->kind]);
	page_set_epoch(b->kind, pg, p->root->epoch);
	page_seal(key, p->vault, b, pg, box);
	return bulk_put(p->bulk, row.table, row.key, bytes_of(box, page_box_len(b->kind, pg)));
}

static enum status place(struct plant *p, struct node child, struct key **out);

/* The page in the making at that level is whole. */
static enum status
finish(struct plant *p, unsigned level)
{
	struct page_box b = { SEAL_PAGE, { NODE_S, (uint8_t)level, p->index[level] }, { NULL, 0 } };
	struct page *pg = &p->growing->page[level];
	struct key *key;
	enum status rc;

	if ((rc = place(p, b.node, &key)) != STATUS_OK || (rc = put(p, &b, pg, key)) != STATUS_OK)
		return rc;
	memset(pg, 0, sizeof(*pg));
	p->some[level] = false;
	return STATUS_OK;
}

/* Where the key of a node goes: the page above it, begun if it is another than before. */
static enum status
place(struct plant *p, struct node child, struct key **out)
{
	struct node up = node_parent(child);
	enum status rc;

	must(up.level < LEVELS);
	if (p->some[up.level] && p->index[up.level] != up.index && (rc = finish(p, up.level)) != STATUS_OK)
		return rc;
	p->some[up.level] = true;
	p->index[up.level] = up.index;
	*out = &p->growing->page[up.level].key[node_place(child)];
	return STATUS_OK;
}

enum status
plant_keyring(struct plant *p, struct keyring *k)
{
	uint64_t slot = bytes_get64(k->slot);
	struct page_box b = { SEAL_KEYRING, node_of_slot(slot), { NULL, 0 } };
	struct key *key;
	enum status rc;

	while (slot >> (NODE_BITS * p->root->s_height) != 0)
		p->root->s_height++;
	must(p->root->s_height <= NODE_S_TOP_MAX);
	if ((rc = place(p, b.node, &key)) != STATUS_OK)
		return rc;
	return put(p, &b, k, key);
}

enum status
plant_end(struct plant *p)
{
	unsigned top = p->root->s_height;
	struct page_box b = { SEAL_PAGE, { NODE_S, (uint8_t)top, 0 }, { NULL, 0 } };
	enum status rc;

	for (unsigned level = 1; level < top; level++)
		if (p->some[level] && (rc = finish(p, level)) != STATUS_OK)
			return rc;
	if (!p->some[top])
		return STATUS_OK;	/* nobody is there */
	rc = put(p, &b, &p->growing->page[top], &p->root->s_top);
	memset(p->growing, 0, sizeof(*p->growing));
	return rc;
}

static int
by_tag(const void *a, const void *b)
{
	return memcmp(((const struct bucket_entry *)a)->tag, ((const struct bucket_entry *)b)->tag,
	    SEAL_TAG16_LEN);
}

struct range {
	const struct bucket_entry *entry;
	size_t count;
};

/* A node of tree B over these entries, of which there are some. */
static enum status
build(struct plant *p, struct node n, struct range r, struct key *key)
{
	struct page_box b = { SEAL_BUCKET, n, { NULL, 0 } };
	struct page *pg = &p->growing->page[n.level];
	struct bucket *bucket = &p->growing->bucket;
	enum status rc;

	if (r.count <= BUCKET_ENTRIES) {
		memset(bucket, 0, sizeof(*bucket));
		bucket->count = (uint8_t)r.count;
		memcpy(bucket->entry, r.entry, r.count * sizeof(*r.entry));
		return put(p, &b, bucket, key);
	}
	if (n.level == 0)
		return STATUS_CROWDED;
	memset(pg, 0, sizeof(*pg));
	while (r.count > 0) {
		struct node child = node_of_tag(r.entry->tag, n.level - 1u);
		struct range part = { r.entry, 0 };

		while (part.count < r.count &&
		    node_of_tag(r.entry[part.count].tag, child.level).index == child.index)
			part.count++;
		if ((rc = build(p, child, part, &pg->key[node_place(child)])) != STATUS_OK)
			return rc;
		r.entry += part.count;
		r.count -= part.count;
	}
	b.kind = SEAL_PAGE;
	return put(p, &b, pg, key);
}

enum status
plant_entries(struct plant *p, struct bucket_entry *e, size_t count)
{
	if (count == 0)
		return STATUS_OK;
	qsort(e, count, sizeof(*e), by_tag);
	return build(p, (struct node){ NODE_B, NODE_B_TOP, 0 }, (struct range){ e, count }, &p->root->b_top);
}
