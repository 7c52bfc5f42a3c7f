#include "server/keys/page.h"

#include <sodium.h>

#include "server/mutant.h"

#define CUTS_MAX 4u
#define BUCKET_OF(n) (offsetof(struct bucket, entry) + (n) * sizeof(struct bucket_entry))
#define KEYRING_OF(n) (offsetof(struct keyring, category) + (n) * sizeof(struct keyring_category))
#define BLOCK 16u	/* padding goes to whole blocks */
#define PADDED(len) (((len) / BLOCK + 1) * BLOCK)

/*
 * The lengths that a kind is stored in, ascending. Few, so that the length of a row tells little: of a
 * bucket about how full it is, of a keyring whether the subject has a category above billing.
 */
struct size {
	size_t len, padded;
	unsigned cuts;
	size_t cut[CUTS_MAX];
};

static const struct size sizes[] = {
	[SEAL_PAGE] = { sizeof(struct page), PAGE_PADDED, 1, { sizeof(struct page) } },
	[SEAL_BUCKET] = { sizeof(struct bucket), BUCKET_PADDED, 4,
	    { BUCKET_OF(2), BUCKET_OF(6), BUCKET_OF(14), BUCKET_OF(BUCKET_ENTRIES) } },
	[SEAL_KEYRING] = { sizeof(struct keyring), KEYRING_PADDED, 2,
	    { KEYRING_OF(3), sizeof(struct keyring) } },
};

_Static_assert(PAGE_BOX_MAX + NODE_KEY_LEN < 2016, "a page fits a node of the store");
_Static_assert(PADDED(sizeof(struct page)) == PAGE_PADDED, "the longest of its kind");
_Static_assert(PADDED(sizeof(struct bucket)) == BUCKET_PADDED, "the longest of its kind");
_Static_assert(PADDED(sizeof(struct keyring)) == KEYRING_PADDED, "the longest of its kind");
_Static_assert(BUCKET_PADDED <= PAGE_PADDED && KEYRING_PADDED <= PAGE_PADDED, "PAGE_BUFFER_LEN");

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

/* The beginning of the struct that is in use: all behind it is zero. */
static size_t
used(enum seal_kind kind, const void *pg)
{
	const struct keyring *k = pg;
	unsigned n = CATEGORY_COUNT;

	_Static_assert(offsetof(struct keyring, before) == KEYRING_OF(CATEGORY_COUNT), "in one row");
	if (kind == SEAL_PAGE)
		return sizeof(struct page);
	if (kind == SEAL_BUCKET)
		return BUCKET_OF(((const struct bucket *)pg)->count);
	for (unsigned i = KEYRING_BEFORE; i-- > 0; )
		if (k->before[i].state != CATEGORY_UNUSED)
			return KEYRING_OF(CATEGORY_COUNT + i + 1);
	while (n > 0 && k->category[n - 1].state == CATEGORY_UNUSED)
		n--;
	return KEYRING_OF(n);
}

static size_t
cut_of(enum seal_kind kind, const void *pg)
{
	const struct size *s = size_of(kind);
	size_t len = used(kind, pg);
	unsigned i = 0;

	while (s->cut[i] < len)
		must(++i < s->cuts);
	return s->cut[i];
}

size_t
page_box_len(enum seal_kind kind, const void *pg)
{
	return SEAL_BOX_LEN(PADDED(cut_of(kind, pg)));
}

static size_t
epoch_place(enum seal_kind kind)
{
	return kind == SEAL_PAGE ? offsetof(struct page, epoch) :
	    kind == SEAL_BUCKET ? offsetof(struct bucket, epoch) : offsetof(struct keyring, epoch);
}

uint64_t
page_epoch(enum seal_kind kind, const void *pg)
{
	return bytes_get64((const uint8_t *)pg + epoch_place(kind));
}

void
page_set_epoch(enum seal_kind kind, void *pg, uint64_t epoch)
{
	bytes_put64((uint8_t *)pg + epoch_place(kind), epoch);
}

bool
page_box_fits(enum seal_kind kind, size_t len)
{
	const struct size *s = size_of(kind);

	for (unsigned i = 0; i < s->cuts; i++)
		if (len == SEAL_BOX_LEN(PADDED(s->cut[i])))
			return true;
	return false;
}

static struct seal_context
context(const uint8_t vault[static 16], enum seal_kind kind, struct node n)
{
	struct seal_context c = { .kind = kind, .tree = n.tree, .level = n.level,
		.index = mutant(context_without_path) ? 0 : n.index };

	memcpy(c.vault, vault, sizeof(c.vault));
	return c;
}

void
page_seal(const struct key *k, const uint8_t vault[static 16], const struct page_box *b,
    const void *pg, uint8_t *out)
{
	struct seal_context c = context(vault, b->kind, b->node);
	size_t len = cut_of(b->kind, pg);

	seal_box(k, &c, bytes_of(pg, len), PADDED(len), out);
}

/* What was opened is what page_seal() makes: the shortest cut that holds what is in use. */
static bool
is_whole(enum seal_kind kind, const void *pg, size_t len)
{
	if (kind == SEAL_BUCKET && ((const struct bucket *)pg)->count > BUCKET_ENTRIES)
		return false;
	return cut_of(kind, pg) == len;
}

enum status
page_open(const struct key *k, const uint8_t vault[static 16], const struct page_box *b,
    void *out)
{
	struct seal_context c = context(vault, b->kind, b->node);
	size_t len, room = page_padded(b->kind);
	enum status rc;

	if (!page_box_fits(b->kind, b->box.len))
		return STATUS_FORGED;
	if ((rc = seal_open(k, &c, b->box, out, &len)) != STATUS_OK)
		return rc;
	memset((uint8_t *)out + len, 0, room - len);
	if (!is_whole(b->kind, out, len)) {
		sodium_memzero(out, room);
		return STATUS_FORGED;
	}
	return STATUS_OK;
}
