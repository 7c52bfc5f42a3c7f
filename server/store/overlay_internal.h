/*
 * What the files of the overlay share.
 */
#ifndef SERVER_STORE_OVERLAY_INTERNAL_H
#define SERVER_STORE_OVERLAY_INTERNAL_H

#include "server/store/overlay.h"
#include "server/store/path.h"
#include "server/store/vault_internal.h"

#define OVERLAY_CHAINS 4096u

/* What was looked at last. */
struct overlay_peek {
	struct path_secret path;
	_Alignas(16) uint8_t bucket[BUCKET_PADDED];
	_Alignas(16) uint8_t keyring[KEYRING_PADDED];
};

struct overlay {
	struct vault *vault;
	struct store_snapshot *snapshot;
	bool begun;
	struct root *root;		/* secret memory */
	uint8_t *secret;		/* OVERLAY_SECRET bytes of secret memory, handed out in order */
	size_t secret_used;
	bool spoiled;			/* half of a request is in it */
	struct anchor_seals *seals;	/* borrowed, or NULL */
	bool forced;			/* a fresh root, whatever else there is */
	struct path path;		/* of what is only looked at */
	struct overlay_peek *peek;	/* secret memory */
	struct overlay_item *item_chain[OVERLAY_CHAINS], *items, *dirty[OVERLAY_LEVELS];
	struct overlay_row *row_chain[OVERLAY_CHAINS], *rows;
};

/* An item of zeros for a node that has none (or whose item was deleted). */
enum status overlay_item_new(struct overlay *o, enum seal_kind kind, struct node n,
    struct overlay_item **out) MUST_USE;

/* The same for a node whose row is missing or does not open: it can be dropped now. */
enum status overlay_item_revive(struct overlay *o, enum seal_kind kind, struct node n,
    struct overlay_item **out) MUST_USE;

/* The item of a node, whatever became of it; NULL: the batch has not met it. */
struct overlay_item *overlay_any(struct overlay *o, enum seal_kind kind, struct node n);

/* The item of a node, opened from the snapshot if need be. STATUS_ABSENT: its place is empty. */
enum status overlay_load(struct overlay *o, enum seal_kind kind, struct node n,
    struct overlay_item **out) MUST_USE;
enum status overlay_page(struct overlay *o, struct node n, struct overlay_item **out) MUST_USE;

#endif /* SERVER_STORE_OVERLAY_INTERNAL_H */
