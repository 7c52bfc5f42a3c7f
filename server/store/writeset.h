/*
 * K1: what one request reads and what it is going to change. Reads see the batch so far and
 * the request's own rows; nothing of the vault is touched before the whole request has succeeded, and
 * then everything at once. The writer's thread only.
 */
#ifndef SERVER_STORE_WRITESET_H
#define SERVER_STORE_WRITESET_H

#include <stdbool.h>

#include "server/arena.h"
#include "server/keys/page.h"
#include "server/store/lookup.h"
#include "server/store/store.h"
#include "server/store/vault.h"

/*
 * Look-up entries added or removed by one request: an update that replaces the most values that an identity
 * may have (24, docs/PROTOCOL.md). To leave takes two of them and an addition, to come takes two.
 */
#define WRITESET_ENTRIES_MAX 120u

struct overlay;
struct overlay_row;
struct writeset;

/* For the writer: one writeset serves request after request. */
enum status writeset_new(struct vault *v, struct overlay *o, struct writeset **out) MUST_USE;
void writeset_free(struct writeset *ws);

/* Empties it, and wipes. */
void writeset_reset(struct writeset *ws);

/* STATUS_NO_MEMORY: the batch has no room for it; nothing was changed, or the overlay is spoiled. */
enum status writeset_merge(struct writeset *ws) MUST_USE;

struct vault *writeset_vault(struct writeset *ws);

/* The root as the batch has it so far; its signing key is the vault's. In secret memory. */
const struct root *writeset_root(struct writeset *ws);

/*
 * The epoch that the request as it stands is decided under: the next one if it changes a key, else the
 * present one. Rows that say "done" carry it.
 */
uint64_t writeset_epoch(struct writeset *ws);

/* Rows, as in store.h. STATUS_ABSENT. */
enum status writeset_get(struct writeset *ws, enum store_table t, struct bytes key,
    struct bytes *value) MUST_USE;
enum status writeset_put(struct writeset *ws, enum store_table t, struct bytes key,
    struct bytes value) MUST_USE;
enum status writeset_delete(struct writeset *ws, enum store_table t, struct bytes key) MUST_USE;

/*
 * Deletes rows whose key begins with prefix: those that this batch put, and ${most} of the snapshot's.
 * *left: there are more.
 */
enum status writeset_delete_some(struct writeset *ws, enum store_table t, struct bytes prefix,
    unsigned most, bool *left) MUST_USE;

/*
 * The keyring of a subject as this request leaves it so far; NULL is never given. Statuses
 * as reader_subject(). It lies in secret memory until the request ends.
 */
enum status writeset_subject(struct writeset *ws, const uint8_t id[static SUBJECT_ID_LEN],
    const struct keyring **out) MUST_USE;

/* The same, to be changed: it will be written under a fresh key. */
enum status writeset_edit_subject(struct writeset *ws, const uint8_t id[static SUBJECT_ID_LEN],
    struct keyring **out) MUST_USE;

/* A new subject, with a new id, in the next slot. One for each request. */
enum status writeset_new_subject(struct writeset *ws, struct keyring **out) MUST_USE;

/* The subject's keyring goes, and with it every key of it; its row becomes a tombstone. */
enum status writeset_drop_subject(struct writeset *ws, const uint8_t id[static SUBJECT_ID_LEN],
    const uint8_t erasure[static 16]) MUST_USE;

/*
 * The same for a subject whose keyring does not open: its place in tree S is emptied. slot becomes the
 * place. STATUS_FORGED, STATUS_CORRUPT: the pages above do not open, or the place is another subject's.
 */
enum status writeset_drop_damaged(struct writeset *ws, const uint8_t id[static SUBJECT_ID_LEN],
    const uint8_t erasure[static 16], uint8_t slot[static 8]) MUST_USE;

/*
 * Look-ups. Adding: STATUS_LOOKUP_TAKEN if another subject has it and it cannot be
 * shared; STATUS_CROWDED if LOOKUP_SHARED_MAX share it. Removing one that is not there is STATUS_OK.
 * A value may be added or removed once in a request.
 */
enum status writeset_add_lookup(struct writeset *ws, const struct lookup *l, unsigned category,
    const uint8_t id[static SUBJECT_ID_LEN]) MUST_USE;
enum status writeset_remove_lookup(struct writeset *ws, const struct lookup *l,
    const uint8_t id[static SUBJECT_ID_LEN]) MUST_USE;

/*
 * During a rotation of the index key: the entry of a subject moves from the key before to the present one.
 * *moved: there was one, and it goes; else the request is as it was before. Statuses as adding.
 */
enum status writeset_move_lookup(struct writeset *ws, const struct lookup *l,
    const uint8_t id[static SUBJECT_ID_LEN], bool *moved) MUST_USE;

/* What becomes of the root as such, when the request is merged. */
enum writeset_root { WRITESET_ROOT_KEPT,
	WRITESET_INDEX_BEGINS,		/* a new index key; the present one becomes the one before */
	WRITESET_INDEX_ENDS,		/* the one before goes */
	WRITESET_SIGNING,		/* a new signing key: signer_rotate() */
};
void writeset_change_root(struct writeset *ws, enum writeset_root change);

/*
 * The anchor's next slot is wrapped for other seals; one whose since is 0 begins with it. ${seals} is
 * borrowed until the batch has ended, and lies in secret memory. STATUS_BUSY: another request of this
 * batch has some.
 */
enum status writeset_reseal(struct writeset *ws, struct anchor_seals *seals) MUST_USE;

/*
 * A rotation of the subject that was asked for last by writeset_edit_subject(): a new key for that
 * category, and all that is sealed under the old one sealed again. Of content and usage, whose data
 * keys are kept elsewhere, the old key stays as the version before. STATUS_FORGED, STATUS_CORRUPT:
 * something does not open; STATUS_CROWDED: there is no further version. Transactions that this batch
 * has appended are not looked at: writeset_has_transactions(). ${a} is emptied again and again.
 */
enum status writeset_rekey(struct writeset *ws, unsigned category, struct arena *a) MUST_USE;

/* Of content or usage the version before goes: the data keys that it wraps do not open any more. */
void writeset_retire(struct writeset *ws, unsigned category);

/* Whether ${rows}, the batch's or a part of them, have transactions of that slot. */
bool writeset_has_transactions(const struct overlay_row *rows, uint64_t slot);

/* The record of a category, opened into the arena. Statuses as reader_record(). */
enum status writeset_record(struct writeset *ws, const struct keyring *k, unsigned category,
    struct arena *a, struct bytes *plain) MUST_USE;

/* Seals and puts it; the category has a key. */
enum status writeset_put_record(struct writeset *ws, const struct keyring *k, unsigned category,
    struct bytes plain) MUST_USE;

/*
 * Transactions: the plaintext of the one that has this id (STATUS_ABSENT), and a new one.
 */
enum status writeset_transaction(struct writeset *ws, const struct keyring *k, struct bytes id,
    struct arena *a, struct bytes *plain) MUST_USE;
enum status writeset_put_transaction(struct writeset *ws, const struct keyring *k,
    struct bytes id, struct bytes plain) MUST_USE;

#endif /* SERVER_STORE_WRITESET_H */
