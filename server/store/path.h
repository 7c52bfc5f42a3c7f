/*
 * The way from the root down to one keyring or bucket: boxes copied out of a snapshot, from
 * the lowest page that was found opened in the cache, and opened after the snapshot ended.
 * One thread at a time.
 */
#ifndef SERVER_STORE_PATH_H
#define SERVER_STORE_PATH_H

#include <stdbool.h>

#include "server/keys/cache.h"
#include "server/keys/page.h"
#include "server/keys/root.h"
#include "server/store/store.h"

struct path_hop {
	enum seal_kind kind;
	struct node node;
	size_t len;
	uint8_t box[PAGE_BOX_MAX];
};

/* In ordinary memory but for key and page, which are the owner's secret memory. */
struct path {
	struct path_hop hop[NODE_B_TOP + 1];	/* by level; top .. bottom are filled */
	int top, bottom;	/* top < bottom: nothing to open, the cache had the last page */
	bool found;		/* hop[bottom] is the keyring or bucket; else the place is to be empty */
	struct node below;	/* the node whose place in the last page is asked for */
	struct path_secret *secret;
};

struct path_secret {
	struct key key;			/* of hop[top] */
	uint8_t page[PAGE_BUFFER_LEN];
};

/* Where the row of a node stands: its table, and its key in buf. */
struct path_row {
	enum store_table table;
	struct bytes key;
};
struct path_row path_row(enum seal_kind kind, struct node n, uint8_t buf[static NODE_KEY_LEN]);

/* The snapshot's box of a node. STATUS_ABSENT. */
enum status path_fetch(struct store_snapshot *s, enum seal_kind kind, struct node n,
    struct bytes *box) MUST_USE;

struct path_source {
	struct store_snapshot *snapshot;
	struct cache *cache;
	const struct root *root;	/* of the snapshot's epoch */
};

/* Copies what is needed to open the keyring of a slot. STATUS_CORRUPT: a page is missing. */
enum status path_fetch_slot(const struct path_source *src, uint64_t slot, struct path *p) MUST_USE;

/* The same for the bucket that covers a tag. */
enum status path_fetch_tag(const struct path_source *src,
    const uint8_t tag[static SEAL_TAG16_LEN], struct path *p) MUST_USE;

/*
 * Opens hop after hop, gives opened pages to the cache, and the keyring or bucket to ${out}
 * (page_padded() bytes). STATUS_ABSENT: its place is empty. STATUS_FORGED: something does not open, or a
 * row is there whose place is empty.
 */
enum status path_open(struct path *p, const uint8_t vault[static 16], struct cache *c,
    void *out) MUST_USE;

#endif /* SERVER_STORE_PATH_H */
