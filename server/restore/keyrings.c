#include "server/restore/keyrings.h"

#include <stdlib.h>

#include "server/keys/secret.h"
#include "server/store/path.h"
#include "server/store/subject.h"

/* The page opened last at each level above the keyrings. */
struct opened {
	struct page page[NODE_S_TOP_MAX + 1];
	_Alignas(16) uint8_t scratch[PAGE_BUFFER_LEN];
};

struct keyrings {
	const struct root *root;
	const uint8_t *vault;
	struct stream *rows, *nodes[NODE_S_TOP_MAX + 1];
	struct opened *opened;		/* secret memory */
	uint64_t index[NODE_S_TOP_MAX + 1];
	bool held[NODE_S_TOP_MAX + 1];	/* opened->page[level] is the page of index[level] */
	uint64_t damaged;
};

enum status
keyrings_new(struct input *in, const struct root *root, const uint8_t *vault, struct keyrings **out)
{
	struct keyrings *k = calloc(1, sizeof(*k));
	enum status rc = STATUS_NO_MEMORY;

	if (k == NULL)
		return rc;
	k->root = root;
	k->vault = vault;
	if ((k->opened = secret_alloc(sizeof(*k->opened))) == NULL)
		goto out;
	rc = stream_new(in, STORE_KEYRINGS, &k->rows);
	/* One stream for each level: in the order of slots each goes forward only. */
	for (unsigned level = 1; level <= root->s_height && rc == STATUS_OK; level++)
		rc = stream_new(in, STORE_NODES, &k->nodes[level]);
	if (rc != STATUS_OK)
		goto out;
	*out = k;
	k = NULL;
out:
	keyrings_free(k);
	return rc;
}

void
keyrings_free(struct keyrings *k)
{
	if (k == NULL)
		return;
	for (unsigned level = 1; level <= NODE_S_TOP_MAX; level++)
		stream_free(k->nodes[level]);
	stream_free(k->rows);
	secret_free(k->opened, sizeof(*k->opened));
	free(k);
}

/* The key of a node, out of the page above it, which is held. */
static const struct key *
key_of(const struct keyrings *k, struct node n)
{
	return n.level == k->root->s_height ? &k->root->s_top :
	    &k->opened->page[n.level + 1].key[node_place(n)];
}

static enum status
open_page(struct keyrings *k, struct node n)
{
	struct page_box b = { SEAL_PAGE, n, { NULL, 0 } };
	uint8_t buf[NODE_KEY_LEN];
	enum status rc;

	k->held[n.level] = false;
	rc = stream_get(k->nodes[n.level], path_row(SEAL_PAGE, n, buf).key, &b.box);
	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_CORRUPT : rc;
	if (seal_key_is_zero(key_of(k, n)))
		return STATUS_FORGED;
	if ((rc = page_open(key_of(k, n), k->vault, &b, k->opened->scratch)) != STATUS_OK)
		return rc;
	memcpy(&k->opened->page[n.level], k->opened->scratch, sizeof(struct page));
	k->index[n.level] = n.index;
	k->held[n.level] = true;
	return STATUS_OK;
}

/* All pages above a slot are held. */
static enum status
descend(struct keyrings *k, uint64_t slot)
{
	enum status rc = STATUS_OK;

	if (slot >> (NODE_BITS * k->root->s_height) != 0)
		return STATUS_FORGED;
	for (unsigned level = k->root->s_height; level >= 1 && rc == STATUS_OK; level--) {
		struct node n = { NODE_S, (uint8_t)level, slot >> (NODE_BITS * level) };

		if (k->held[level] && k->index[level] == n.index)
			continue;
		rc = open_page(k, n);
		/* What is below belongs to another page now. */
		for (unsigned below = 1; below < level; below++)
			k->held[below] = false;
	}
	return rc;
}

static enum status
open_keyring(struct keyrings *k, uint64_t slot, struct bytes box, void *out)
{
	struct page_box b = { SEAL_KEYRING, node_of_slot(slot), box };
	const struct keyring *got = out;
	enum status rc = descend(k, slot);

	if (rc != STATUS_OK)
		return rc;
	if (seal_key_is_zero(key_of(k, b.node)))
		return STATUS_FORGED;
	if ((rc = page_open(key_of(k, b.node), k->vault, &b, out)) != STATUS_OK)
		return rc;
	return bytes_get64(got->slot) == slot ? STATUS_OK : STATUS_FORGED;
}

enum status
keyrings_next(struct keyrings *k, void *out)
{
	struct bytes key, box;
	enum status rc;

	while ((rc = stream_row(k->rows, &key, &box)) == STATUS_OK) {
		rc = key.len == 8 ? open_keyring(k, bytes_get64(key.p), box, out) : STATUS_CORRUPT;
		stream_step(k->rows);
		if (rc != STATUS_FORGED && rc != STATUS_CORRUPT)
			return rc;
		k->damaged++;
	}
	return rc;
}

uint64_t
keyrings_damaged(const struct keyrings *k)
{
	return k->damaged;
}
