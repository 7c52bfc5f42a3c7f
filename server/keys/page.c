#include "server/keys/page.h"

#include <sodium.h>

struct size {
	size_t len, padded;
};

static const struct size sizes[] = {
	[SEAL_PAGE] = { sizeof(struct page), PAGE_PADDED },
	[SEAL_BUCKET] = { sizeof(struct bucket), BUCKET_PADDED },
	[SEAL_KEYRING] = { sizeof(struct keyring), KEYRING_PADDED },
};

_Static_assert(PAGE_BOX_MAX + NODE_KEY_LEN < 2016, "a page fits a node of the store");

static const struct size *
size_of(enum seal_kind kind)
{
	must(kind == SEAL_PAGE || kind == SEAL_BUCKET || kind == SEAL_KEYRING);
	return &sizes[kind];
}

size_t
page_len(enum seal_kind kind)
{
	return size_of(kind)->len;
}

size_t
page_padded(enum seal_kind kind)
{
	return size_of(kind)->padded;
}

size_t
page_box_len(enum seal_kind kind)
{
	return SEAL_BOX_LEN(size_of(kind)->padded);
}

static struct seal_context
context(const uint8_t vault[static 16], enum seal_kind kind, struct node n)
{
	struct seal_context c = { .kind = kind, .tree = n.tree, .level = n.level,
		.index = n.index };

	memcpy(c.vault, vault, sizeof(c.vault));
	return c;
}

void
page_seal(const struct key *k, const uint8_t vault[static 16], const struct page_box *b,
    const void *pg, uint8_t *out)
{
	struct seal_context c = context(vault, b->kind, b->node);
	const struct size *s = size_of(b->kind);

	seal_box(k, &c, bytes_of(pg, s->len), s->padded, out);
}

enum status
page_open(const struct key *k, const uint8_t vault[static 16], const struct page_box *b,
    void *out)
{
	struct seal_context c = context(vault, b->kind, b->node);
	size_t len;
	enum status rc;

	if (b->box.len != page_box_len(b->kind))
		return STATUS_FORGED;
	if ((rc = seal_open(k, &c, b->box, out, &len)) != STATUS_OK)
		return rc;
	if (len != page_len(b->kind) ||
	    (b->kind == SEAL_BUCKET && ((const struct bucket *)out)->count > BUCKET_ENTRIES)) {
		sodium_memzero(out, page_padded(b->kind));
		return STATUS_FORGED;
	}
	return STATUS_OK;
}
