/*
 * The batch in the making: what its requests have changed so far, over the snapshot it
 * began with. Opened pages, buckets and keyrings rest in one piece of secret memory that is
 * wiped when the batch ends; rows are sealed or were never secret. The writer's thread only.
 *
 * Invariants (overlay_check):
 *  1. The parent page of an item is an item, up to the top of its tree.
 *  2. A dirty item is on the list of its level, and its parent is dirty. The was of a dirty page is what
 *     the snapshot holds, or NULL if it is new.
 *  3. A place of a page differs from was only for a child that is dirty or deleted.
 */
#ifndef SERVER_STORE_OVERLAY_H
#define SERVER_STORE_OVERLAY_H

#include <stdbool.h>

#include "server/keys/page.h"
#include "server/keys/root.h"
#include "server/store/store.h"
#include "server/store/vault.h"

#define OVERLAY_SECRET (3u << 19)	/* secret memory of a batch */
#define OVERLAY_LEVELS (NODE_B_TOP + 1u)

struct overlay;

struct overlay_item {
	enum seal_kind kind;
	struct node node;
	bool dirty;		/* to be sealed anew, or deleted */
	bool deleted;		/* its row goes */
	bool fresh;		/* the snapshot has no such row */
	bool broken;		/* what the snapshot has does not open: it is left alone */
	uint8_t *now;		/* page_padded(kind) bytes of secret memory */
	uint8_t *was;		/* of a page that is dirty and not fresh: PAGE_PADDED bytes; or NULL */
	uint8_t *box;		/* K2's: page_box_len(kind, now) bytes, or NULL */
	uint8_t key[NODE_KEY_LEN];	/* room for the key of its row */
	struct overlay_item *chain, *next_dirty, *next;
};

/* A row of the batch; value.p is NULL when it is deleted. */
struct overlay_row {
	enum store_table table;
	struct bytes key, value;
	bool replaced;		/* a later row of the same key counts */
	struct overlay_row *chain, *next;
};

enum status overlay_new(struct vault *v, struct overlay **out) MUST_USE;
void overlay_free(struct overlay *o);

/* Begins with the present state; overlay_end() wipes and forgets everything. */
enum status overlay_begin(struct overlay *o) MUST_USE;
void overlay_end(struct overlay *o);

/* The snapshot is over, its rows are not needed any more: before K4. */
void overlay_release(struct overlay *o);

struct store_snapshot *overlay_snapshot(struct overlay *o);
struct root *overlay_root(struct overlay *o);

/* Secret bytes left. */
size_t overlay_room(const struct overlay *o);

#ifdef PDV_TEST_HOOKS
/* As if a batch had ${bytes} of secret memory, at most OVERLAY_SECRET. */
void overlay_test_limit(size_t bytes);
#endif

/* Rows: what the batch put, else what the snapshot has. STATUS_ABSENT. */
enum status overlay_get(struct overlay *o, enum store_table t, struct bytes key,
    struct bytes *value) MUST_USE;
enum status overlay_put(struct overlay *o, enum store_table t, struct bytes key,
    struct bytes value) MUST_USE;
enum status overlay_delete(struct overlay *o, enum store_table t, struct bytes key) MUST_USE;
struct overlay_row *overlay_rows(struct overlay *o);

/*
 * Loading: nothing becomes dirty. STATUS_ABSENT: its place is empty; STATUS_FORGED, STATUS_CORRUPT;
 * STATUS_NO_MEMORY: the batch is full.
 */
enum status overlay_keyring(struct overlay *o, uint64_t slot, struct overlay_item **out) MUST_USE;
enum status overlay_bucket(struct overlay *o, const uint8_t tag[static SEAL_TAG16_LEN],
    struct overlay_item **out) MUST_USE;

/*
 * Looking: as loading, but nothing is kept, so that a request may look at any number of them. What comes
 * back lies in secret memory until the next call. A keyring that is not there is STATUS_CORRUPT, unless the
 * batch has dropped it.
 */
enum status overlay_peek_keyring(struct overlay *o, uint64_t slot, const struct keyring **out) MUST_USE;
enum status overlay_peek_bucket(struct overlay *o, const uint8_t tag[static SEAL_TAG16_LEN],
    const struct bucket **out) MUST_USE;

/*
 * Changing. Whoever calls has loaded the item before, so that only memory can run out, for which
 * OVERLAY_ROOM_* is what such a change takes as a rule. If it does in the middle of a request, the
 * overlay is spoiled: nothing of it may be written.
 */
#define OVERLAY_ROOM_KEYRING (4 * PAGE_PADDED + KEYRING_PADDED)
#define OVERLAY_ROOM_ENTRY (3 * PAGE_PADDED + BUCKET_PADDED)
void overlay_spoil(struct overlay *o);
bool overlay_is_spoiled(const struct overlay *o);
enum status overlay_put_keyring(struct overlay *o, const struct keyring *k) MUST_USE;
enum status overlay_drop_keyring(struct overlay *o, uint64_t slot) MUST_USE;
/*
 * The same for a keyring that does not open or is missing, after overlay_damaged() said STATUS_OK.
 * STATUS_REFUSED: it opens. STATUS_FORGED, STATUS_CORRUPT: the pages above it do not, either.
 */
enum status overlay_damaged(struct overlay *o, uint64_t slot) MUST_USE;
enum status overlay_drop_damaged(struct overlay *o, uint64_t slot) MUST_USE;
enum status overlay_add_entry(struct overlay *o, const struct bucket_entry *e) MUST_USE;
enum status overlay_remove_entry(struct overlay *o,
    const uint8_t tag[static SEAL_TAG16_LEN]) MUST_USE;

/* For K2: dirty items of a level; marking an item dirty marks the pages above it and keeps what they were. */
struct overlay_item *overlay_dirty(struct overlay *o, unsigned level);
enum status overlay_mark(struct overlay *o, struct overlay_item *it) MUST_USE;

/* The parent page of an item; NULL: it is the top of its tree. */
struct overlay_item *overlay_parent(struct overlay *o, const struct overlay_item *it);

/* Any live item of that node (a page or a bucket or a keyring); NULL. */
struct overlay_item *overlay_find(struct overlay *o, enum seal_kind kind, struct node n);

/* The batch seals or deletes something at that node, of whatever kind. */
bool overlay_touches(struct overlay *o, struct node n);

/* The batch is to have a fresh root key though nothing else in it may change one. */
void overlay_force(struct overlay *o);
bool overlay_is_forced(const struct overlay *o);

/* Other seals for the anchor's next slot, borrowed until overlay_end(); NULL: those that it has. */
void overlay_reseal(struct overlay *o, struct anchor_seals *seals);
struct anchor_seals *overlay_seals(const struct overlay *o);

/* Rotations: pages, buckets and keyrings, one after the other. */
enum overlay_walk {
	OVERLAY_RENEW,		/* what was sealed before epoch ${floor} is sealed anew */
	OVERLAY_SWEEP,		/* entries of buckets whose tags are not under the present index key go */
};

struct overlay_walker {
	enum overlay_walk walk;
	uint64_t floor;
	unsigned limit;			/* rows that are looked at, at most */
	/* Goes on at: the table (STORE_KEYRINGS at first, STORE_TABLE_COUNT in the end), the least key. */
	enum store_table table;
	uint8_t from[NODE_KEY_LEN + 1];
	uint8_t from_len;
	/* Out. */
	unsigned looked, changed, damaged;
};

/*
 * The tables keyrings, buckets and nodes from (w->table, w->from) on. It ends early when the batch has
 * no more room. What does not open is left, and counted. STATUS_IO, STATUS_NO_MEMORY: nothing was done.
 */
enum status overlay_walk(struct overlay *o, struct overlay_walker *w) MUST_USE;

void overlay_check(struct overlay *o);

#endif /* SERVER_STORE_OVERLAY_H */
