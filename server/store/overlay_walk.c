/*
 * Rotations: going through all that the two trees hold, some rows at a time.
 */
#include "server/mutant.h"
#include "server/store/overlay_internal.h"

static const enum store_table tables[] = { STORE_KEYRINGS, STORE_BUCKETS, STORE_NODES };
#define TABLES (sizeof(tables) / sizeof(tables[0]))

/* Which node and kind a row of one of these tables is. */
static enum status
node_of_row(enum store_table t, struct bytes key, enum seal_kind *kind, struct node *n)
{
	if (t == STORE_KEYRINGS && key.len == 8) {
		*kind = SEAL_KEYRING;
		*n = node_of_slot(bytes_get64(key.p));
	} else if (t == STORE_BUCKETS && key.len == 9) {
		*kind = SEAL_BUCKET;
		*n = (struct node){ NODE_B, key.p[0], bytes_get64(key.p + 1) };
	} else if (t == STORE_NODES && key.len == NODE_KEY_LEN) {
		*kind = SEAL_PAGE;
		*n = (struct node){ key.p[0], key.p[1], bytes_get64(key.p + 2) };
	} else {
		return STATUS_CORRUPT;
	}
	if (n->tree == NODE_S)
		return n->level <= NODE_S_TOP_MAX ? STATUS_OK : STATUS_CORRUPT;
	return n->tree == NODE_B && n->level <= NODE_B_TOP ? STATUS_OK : STATUS_CORRUPT;
}

/* Entries under the index key before: of subjects that are gone, or whose identity does not open. */
static enum status
sweep(struct overlay *o, struct overlay_item *it, struct overlay_walker *w)
{
	uint8_t now = o->root->index_parity != 0 ? BUCKET_PARITY : 0;
	struct bucket *b = (struct bucket *)(void *)it->now;
	uint8_t tag[SEAL_TAG16_LEN];
	enum status rc = STATUS_OK;

	for (unsigned i = b->count; i-- > 0 && rc == STATUS_OK && !mutant(left_over_kept); ) {
		if ((b->entry[i].kind & BUCKET_PARITY) == now)
			continue;
		memcpy(tag, b->entry[i].tag, sizeof(tag));
		rc = overlay_remove_entry(o, tag);
		w->changed += rc == STATUS_OK;
		if (it->deleted)	/* the last of it went */
			break;
	}
	return rc;
}

static enum status
visit(struct overlay *o, struct overlay_walker *w, struct bytes key)
{
	struct overlay_item *it = NULL;
	enum seal_kind kind;
	struct node n;
	enum status rc = node_of_row(w->table, key, &kind, &n);

	if (rc == STATUS_OK)
		rc = overlay_load(o, kind, n, &it);
	if (rc == STATUS_FORGED || rc == STATUS_CORRUPT) {
		w->damaged++;
		return STATUS_OK;
	}
	/* A row without a place above it: its key is gone already. */
	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_OK : rc;
	if (w->walk == OVERLAY_SWEEP)
		return sweep(o, it, w);
	if (it->dirty || page_epoch(kind, it->now) >= w->floor)
		return STATUS_OK;
	w->changed++;
	return overlay_mark(o, it);
}

static unsigned
place_of(enum store_table t)
{
	unsigned i = 0;

	while (i < TABLES && tables[i] != t)
		i++;
	return i;
}

static void
next_table(struct overlay_walker *w)
{
	unsigned i = place_of(w->table) + 1;

	if (mutant(buckets_skipped) && i < TABLES && tables[i] == STORE_BUCKETS)
		i++;
	w->table = i < TABLES ? tables[i] : STORE_TABLE_COUNT;
	w->from_len = 0;
}

static void
sweep_level(struct overlay_walker *w, unsigned level)
{
	w->table = STORE_BUCKETS;
	w->from[0] = (uint8_t)level;
	w->from_len = 1;
}

/*
 * The sweep goes from the top level down, since a bucket that is split meanwhile gives its entries to buckets
 * one level below; and one level a call, since those are in no snapshot before the batch is through.
 */
static enum status
seek(struct overlay *o, struct overlay_walker *w, struct bytes *key)
{
	struct bytes value;
	enum status rc;

	for (;;) {
		rc = store_seek(o->snapshot, w->table, bytes_of(w->from, w->from_len), key, &value);
		if (w->walk != OVERLAY_SWEEP || (rc != STATUS_OK && rc != STATUS_ABSENT))
			return rc;
		if (rc == STATUS_OK && key->len > 0 && key->p[0] == w->from[0])
			return rc;
		if (w->from[0] == 0) {
			w->table = STORE_TABLE_COUNT;
			return STATUS_ABSENT;
		}
		sweep_level(w, w->from[0] - 1u);
		if (w->looked > 0)
			return STATUS_ABSENT;
	}
}

enum status
overlay_walk(struct overlay *o, struct overlay_walker *w)
{
	struct bytes key;
	enum status rc = STATUS_OK;

	w->looked = w->changed = w->damaged = 0;
	if (w->walk == OVERLAY_SWEEP && w->table == STORE_KEYRINGS)
		sweep_level(w, NODE_B_TOP);
	while (w->looked < w->limit && w->table != STORE_TABLE_COUNT) {
		rc = seek(o, w, &key);
		if (rc == STATUS_ABSENT && w->walk == OVERLAY_SWEEP)
			return STATUS_OK;
		if (rc == STATUS_ABSENT) {
			next_table(w);
			rc = STATUS_OK;
			continue;
		}
		/* A page and those above it, each with what it was; a keyring or bucket. */
		if (rc != STATUS_OK || overlay_room(o) < OVERLAY_ROOM_KEYRING + OVERLAY_ROOM_ENTRY)
			break;
		if (key.len >= sizeof(w->from))
			rc = STATUS_CORRUPT;	/* of no tree */
		if (rc != STATUS_OK || (rc = visit(o, w, key)) != STATUS_OK)
			break;
		memcpy(w->from, key.p, key.len);
		w->from[key.len] = 0;
		w->from_len = (uint8_t)(key.len + 1);
		w->looked++;
	}
	/* What was done so far stands by itself. */
	if (w->looked > 0 && rc == STATUS_NO_MEMORY)
		return STATUS_OK;
	return rc == STATUS_OK && w->looked == 0 && w->table != STORE_TABLE_COUNT ? STATUS_NO_MEMORY : rc;
}
