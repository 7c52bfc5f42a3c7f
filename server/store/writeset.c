#include "server/store/writeset.h"

#include <sodium.h>
#include <stdlib.h>

#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/mutant.h"
#include "server/store/damage.h"
#include "server/store/overlay.h"
#include "server/store/record.h"
#include "server/store/subject.h"
#include "server/store/vault_internal.h"
#include "server/store/writeset_internal.h"

enum status
writeset_new(struct vault *v, struct overlay *o, struct writeset **out)
{
	struct writeset *ws = calloc(1, sizeof(*ws));

	if (ws == NULL)
		return STATUS_NO_MEMORY;
	ws->vault = v;
	ws->overlay = o;
	if ((ws->keyring = secret_alloc(sizeof(*ws->keyring))) == NULL ||
	    (ws->old = secret_alloc(sizeof(*ws->old))) == NULL ||
	    (ws->signing = secret_alloc(sizeof(*ws->signing))) == NULL) {
		writeset_free(ws);
		return STATUS_NO_MEMORY;
	}
	*out = ws;
	return STATUS_OK;
}

void
writeset_free(struct writeset *ws)
{
	if (ws == NULL)
		return;
	writeset_reset(ws);
	secret_free(ws->keyring, sizeof(*ws->keyring));
	secret_free(ws->old, sizeof(*ws->old));
	secret_free(ws->signing, sizeof(*ws->signing));
	free(ws);
}

void
writeset_reset(struct writeset *ws)
{
	while (ws->rows != NULL) {
		struct writeset_row *r = ws->rows;

		ws->rows = r->next;
		free(r);
	}
	ws->rows_end = &ws->rows;
	ws->subject = WRITESET_NONE;
	if (ws->keyring != NULL)
		sodium_memzero(ws->keyring, sizeof(*ws->keyring));
	if (ws->signing != NULL)
		sodium_memzero(ws->signing, sizeof(*ws->signing));
	sodium_memzero(ws->entry, ws->entry_count * sizeof(ws->entry[0]));
	ws->entry_count = 0;
	ws->root = WRITESET_ROOT_KEPT;
	ws->seals = NULL;
}

struct vault *
writeset_vault(struct writeset *ws)
{
	return ws->vault;
}

const struct root *
writeset_root(struct writeset *ws)
{
	return overlay_root(ws->overlay);
}

uint64_t
writeset_epoch(struct writeset *ws)
{
	bool touches_keys = ws->entry_count > 0 || ws->root != WRITESET_ROOT_KEPT ||
			    ws->seals != NULL || ws->subject == WRITESET_EDITED ||
			    ws->subject == WRITESET_NEW || ws->subject == WRITESET_DROPPED ||
			    ws->subject == WRITESET_DAMAGED;

	return overlay_root(ws->overlay)->epoch + (touches_keys ? 1 : 0);
}

/* A mutant's: the key of an identity once more, under the index key. */
static enum status
mutant_wrap(struct overlay *o, const struct keyring *k)
{
	const struct seal_context c = { .kind = SEAL_ROOT_PAGE };
	uint8_t box[SEAL_BOX_LEN(SEAL_KEY_LEN + 16)];

	seal_box(&overlay_root(o)->index, &c, bytes_of(k->category[0].key.b, SEAL_KEY_LEN), SEAL_KEY_LEN + 16,
	    box);
	return overlay_put(o, STORE_META, bytes_of(k->slot, sizeof(k->slot)), bytes_of(box, sizeof(box)));
}

void
writeset_change_root(struct writeset *ws, enum writeset_root change)
{
	ws->root = change;
}

enum status
writeset_reseal(struct writeset *ws, struct anchor_seals *seals)
{
	if (overlay_seals(ws->overlay) != NULL)
		return STATUS_BUSY;
	ws->seals = seals;
	return STATUS_OK;
}

static void
change_root(struct writeset *ws)
{
	struct root *root = overlay_root(ws->overlay);

	if (ws->root == WRITESET_ROOT_KEPT && ws->seals == NULL)
		return;
	overlay_force(ws->overlay);
	if (ws->seals != NULL)
		overlay_reseal(ws->overlay, ws->seals);
	if (ws->root == WRITESET_INDEX_BEGINS) {
		root->index_before = root->index;
		seal_key_new(&root->index, SEAL_FOR_INDEX);
		root->index_parity ^= 1;
		root->index_ms = clock_wall_ms();
	} else if (ws->root == WRITESET_INDEX_ENDS) {
		if (!mutant(index_key_kept))
			seal_key_wipe(&root->index_before);
	} else if (ws->root == WRITESET_SIGNING) {
		root->signing = *ws->signing;
		seal_public(&root->signing, root->public_key);
		root->signer++;
		root->signing_ms = clock_wall_ms();
	}
}

/* Everything was read and checked before; what is left can only run out of memory. */
enum status
writeset_merge(struct writeset *ws)
{
	struct overlay *o = ws->overlay;
	enum status rc = STATUS_OK;

	if (overlay_room(o) < OVERLAY_ROOM_KEYRING + ws->entry_count * (size_t)OVERLAY_ROOM_ENTRY)
		return STATUS_NO_MEMORY;
	if (ws->subject == WRITESET_EDITED || ws->subject == WRITESET_NEW)
		rc = overlay_put_keyring(o, ws->keyring);
	else if (ws->subject == WRITESET_DROPPED)
		rc = overlay_drop_keyring(o, bytes_get64(ws->keyring->slot));
	else if (ws->subject == WRITESET_DAMAGED)
		rc = overlay_drop_damaged(o, bytes_get64(ws->keyring->slot));
	for (unsigned i = 0; i < ws->entry_count && rc == STATUS_OK; i++)
		if (!ws->entry[i].add)
			rc = overlay_remove_entry(o, ws->entry[i].entry.tag);
	for (unsigned i = 0; i < ws->entry_count && rc == STATUS_OK; i++)
		if (ws->entry[i].add)
			rc = overlay_add_entry(o, &ws->entry[i].entry);
	for (const struct writeset_row *r = ws->rows; r != NULL && rc == STATUS_OK; r = r->next)
		rc = r->value.p != NULL ? overlay_put(o, r->table, r->key, r->value) :
		    overlay_delete(o, r->table, r->key);
	if (rc == STATUS_OK)
		change_root(ws);
	if (mutant(second_wrap) && ws->subject == WRITESET_NEW && rc == STATUS_OK)
		rc = mutant_wrap(o, ws->keyring);
	/* Half a request in the batch would be worse than none. */
	if (rc != STATUS_OK)
		overlay_spoil(o);
	return rc;
}

static struct writeset_row *
own_row(struct writeset *ws, enum store_table t, struct bytes key)
{
	struct writeset_row *found = NULL;

	for (struct writeset_row *r = ws->rows; r != NULL; r = r->next)
		if (r->table == t && bytes_compare(r->key, key) == 0)
			found = r;
	return found;
}

enum status
writeset_get(struct writeset *ws, enum store_table t, struct bytes key, struct bytes *value)
{
	const struct writeset_row *r = own_row(ws, t, key);

	if (r == NULL)
		return overlay_get(ws->overlay, t, key, value);
	if (r->value.p == NULL)
		return STATUS_ABSENT;
	*value = r->value;
	return STATUS_OK;
}

static enum status
add_row(struct writeset *ws, enum store_table t, struct bytes key, const struct bytes *value)
{
	size_t len = value != NULL ? value->len : 0;
	struct writeset_row *r = malloc(sizeof(*r) + key.len + len);
	uint8_t *mem = (uint8_t *)r + sizeof(*r);

	if (r == NULL)
		return STATUS_NO_MEMORY;
	memcpy(mem, key.p, key.len);
	if (len > 0)
		memcpy(mem + key.len, value->p, len);
	r->table = t;
	r->key = bytes_of(mem, key.len);
	r->value = bytes_of(value != NULL ? mem + key.len : NULL, len);
	r->next = NULL;
	*ws->rows_end = r;
	ws->rows_end = &r->next;
	return STATUS_OK;
}

enum status
writeset_put(struct writeset *ws, enum store_table t, struct bytes key, struct bytes value)
{
	return add_row(ws, t, key, &value);
}

enum status
writeset_delete(struct writeset *ws, enum store_table t, struct bytes key)
{
	return add_row(ws, t, key, NULL);
}

static bool
begins_with(struct bytes key, struct bytes prefix)
{
	return key.len >= prefix.len && memcmp(key.p, prefix.p, prefix.len) == 0;
}

/* The first row of the snapshot from ${at} on, if its key begins with prefix. STATUS_ABSENT. */
static enum status
next_row(struct writeset *ws, enum store_table t, struct bytes at, struct bytes prefix,
    struct bytes *key)
{
	struct bytes value;
	enum status rc = store_seek(overlay_snapshot(ws->overlay), t, at, key, &value);

	if (rc != STATUS_OK)
		return rc;
	if (!begins_with(*key, prefix))
		return STATUS_ABSENT;
	return key->len <= STORE_KEY_MAX ? STATUS_OK : STATUS_CORRUPT;
}

enum status
writeset_delete_some(struct writeset *ws, enum store_table t, struct bytes prefix, unsigned most,
    bool *left)
{
	uint8_t from[STORE_KEY_MAX + 1];
	struct bytes key, at = prefix;
	enum status rc;

	/* A row that was put and is deleted in one batch is simply not there after it. */
	for (struct overlay_row *r = overlay_rows(ws->overlay); r != NULL; r = r->next)
		if (r->table == t && begins_with(r->key, prefix) && r->value.p != NULL &&
		    (rc = writeset_delete(ws, t, r->key)) != STATUS_OK)
			return rc;
	for (unsigned n = 0; (rc = next_row(ws, t, at, prefix, &key)) == STATUS_OK; n++) {
		if (n == most)
			break;
		if ((rc = writeset_delete(ws, t, key)) != STATUS_OK)
			return rc;
		/* The least key above this one. */
		memcpy(from, key.p, key.len);
		from[key.len] = 0;
		at = bytes_of(from, key.len + 1);
	}
	*left = rc == STATUS_OK;
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

static enum status
find_slot(struct writeset *ws, const uint8_t *id, uint64_t *slot)
{
	struct bytes row;
	enum status rc;

	if (memcmp(id, subject_prefix(ws->vault).b, 2) != 0)
		return STATUS_OTHER_VAULT;
	rc = writeset_get(ws, STORE_SUBJECTS, bytes_of(id, SUBJECT_ID_LEN), &row);
	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_NO_SUBJECT : rc;
	return damage_judged(subject_parse(row, slot, NULL), "the row of a subject");
}

static enum status
load_subject(struct writeset *ws, const uint8_t *id)
{
	struct overlay_item *it;
	const struct keyring *k;
	uint64_t slot;
	enum status rc;

	if ((rc = find_slot(ws, id, &slot)) != STATUS_OK)
		return rc;
	if ((rc = overlay_keyring(ws->overlay, slot, &it)) != STATUS_OK)
		return rc == STATUS_ABSENT ? damage_judged(STATUS_CORRUPT, "a keyring is missing") : rc;
	k = (const struct keyring *)(const void *)it->now;
	if ((rc = subject_check(k, id, slot)) != STATUS_OK)
		return damage_judged(rc, "a keyring of another subject");
	*ws->keyring = *k;
	ws->subject = WRITESET_READ;
	return STATUS_OK;
}

enum status
writeset_subject(struct writeset *ws, const uint8_t id[static SUBJECT_ID_LEN],
    const struct keyring **out)
{
	enum status rc;

	if (ws->subject == WRITESET_NONE && (rc = load_subject(ws, id)) != STATUS_OK)
		return rc;
	/* One request is about one subject. */
	must(memcmp(ws->keyring->subject, id, SUBJECT_ID_LEN) == 0);
	*out = ws->keyring;
	return STATUS_OK;
}

enum status
writeset_edit_subject(struct writeset *ws, const uint8_t id[static SUBJECT_ID_LEN],
    struct keyring **out)
{
	const struct keyring *k;
	enum status rc;

	if ((rc = writeset_subject(ws, id, &k)) != STATUS_OK)
		return rc;
	must(ws->subject != WRITESET_DROPPED);
	if (ws->subject == WRITESET_READ)
		ws->subject = WRITESET_EDITED;
	*out = ws->keyring;
	return STATUS_OK;
}

/* Loads the pages above the slot. A damaged page costs its 32 slots, not every creation. */
static enum status
next_slot(struct overlay *o, uint64_t *out)
{
	uint64_t slot = overlay_root(o)->next_slot;
	struct overlay_item *it;
	enum status rc = STATUS_CORRUPT;

	for (unsigned tries = 0; tries <= NODE_FANOUT; tries++) {
		rc = overlay_keyring(o, slot, &it);
		if (rc == STATUS_ABSENT) {
			*out = slot;
			return STATUS_OK;
		}
		if (rc != STATUS_OK && rc != STATUS_FORGED && rc != STATUS_CORRUPT)
			return rc;
		slot = (slot | (NODE_FANOUT - 1)) + 1;
	}
	return rc == STATUS_OK ? STATUS_CORRUPT : rc;
}

enum status
writeset_new_subject(struct writeset *ws, struct keyring **out)
{
	uint8_t id[SUBJECT_ID_LEN], row[SUBJECT_ROW_LEN];
	uint64_t slot;
	enum status rc;

	must(ws->subject == WRITESET_NONE);
	if ((rc = next_slot(ws->overlay, &slot)) != STATUS_OK)
		return rc;
	subject_new_id(ws->vault, id);
	subject_row_live(slot, row);
	rc = writeset_put(ws, STORE_SUBJECTS, bytes_of(id, sizeof(id)), bytes_of(row, sizeof(row)));
	if (rc != STATUS_OK)
		return rc;
	subject_new_keyring(ws->keyring, id, slot);
	ws->subject = WRITESET_NEW;
	*out = ws->keyring;
	return STATUS_OK;
}

enum status
writeset_drop_subject(struct writeset *ws, const uint8_t id[static SUBJECT_ID_LEN],
    const uint8_t erasure[static 16])
{
	uint8_t row[SUBJECT_ROW_LEN];
	const struct keyring *k;
	enum status rc;

	if ((rc = writeset_subject(ws, id, &k)) != STATUS_OK)
		return rc;
	ws->subject = WRITESET_DROPPED;
	subject_row_erased(erasure, row);
	return writeset_put(ws, STORE_SUBJECTS, bytes_of(id, SUBJECT_ID_LEN),
	    bytes_of(row, sizeof(row)));
}

enum status
writeset_drop_damaged(struct writeset *ws, const uint8_t id[static SUBJECT_ID_LEN],
    const uint8_t erasure[static 16], uint8_t slot[static 8])
{
	uint8_t row[SUBJECT_ROW_LEN];
	uint64_t number;
	enum status rc;

	must(ws->subject == WRITESET_NONE);
	if ((rc = find_slot(ws, id, &number)) != STATUS_OK)
		return rc;
	/* If it opens, it is another subject's: that one must not die for swapped rows. */
	if ((rc = overlay_damaged(ws->overlay, number)) != STATUS_OK)
		return rc == STATUS_REFUSED ? STATUS_FORGED : rc;
	ws->subject = WRITESET_DAMAGED;
	memcpy(ws->keyring->subject, id, SUBJECT_ID_LEN);
	bytes_put64(ws->keyring->slot, number);
	memcpy(slot, ws->keyring->slot, 8);
	subject_row_erased(erasure, row);
	return writeset_put(ws, STORE_SUBJECTS, bytes_of(id, SUBJECT_ID_LEN),
	    bytes_of(row, sizeof(row)));
}
