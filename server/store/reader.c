#include "server/store/reader.h"

#include <sodium.h>
#include <stdlib.h>

#include "server/keys/secret.h"
#include "server/mutant.h"
#include "server/store/damage.h"
#include "server/store/path.h"
#include "server/store/record.h"
#include "server/store/subject.h"
#include "server/store/vault_internal.h"

#define FIND_PINNED 8u		/* entries of a shared value that are looked up under one pin */
#define FIND_ROUNDS 4u

/* The reader's keys, in secret memory. */
struct reader_secret {
	struct path_secret path;
	_Alignas(16) uint8_t keyring[KEYRING_PADDED];
	_Alignas(16) uint8_t bucket[BUCKET_PADDED];
	uint8_t tag[SEAL_TAG16_LEN];
};

struct reader {
	struct vault *vault;
	struct reader *next;
	struct store_snapshot *snapshot;
	struct reader_secret *secret;
	struct path path;
	uint64_t epoch;		/* of the last snapshot */
	unsigned number;
};

/* One for each thread; the serial tells whether it belongs to the vault that is asked for. */
static _Thread_local struct reader *mine;
static _Thread_local uint64_t mine_serial;

static void
reader_free(struct reader *r)
{
	if (r == NULL)
		return;
	store_snapshot_free(r->snapshot);
	secret_free(r->secret, sizeof(*r->secret));
	free(r);
}

void
reader_free_all(struct vault *v)
{
	while (v->readers != NULL) {
		struct reader *r = v->readers;

		v->readers = r->next;
		reader_free(r);
	}
}

static enum status
reader_new(struct vault *v, struct reader **out)
{
	struct reader *r = calloc(1, sizeof(*r));
	enum status rc = STATUS_NO_MEMORY;

	if (r == NULL)
		return rc;
	r->vault = v;
	if ((r->secret = secret_alloc(sizeof(*r->secret))) == NULL)
		goto out;
	r->path.secret = &r->secret->path;
	if ((rc = store_snapshot_new(v->store, &r->snapshot)) != STATUS_OK)
		goto out;
	must(pthread_mutex_lock(&v->readers_lock) == 0);
	if (v->reader_count < EPOCH_READERS_MAX) {
		r->number = v->reader_count++;
		r->next = v->readers;
		v->readers = r;
		*out = r;
		r = NULL;
	} else {
		rc = STATUS_NO_MEMORY;
	}
	must(pthread_mutex_unlock(&v->readers_lock) == 0);
out:
	reader_free(r);
	return rc;
}

enum status
reader_begin(struct vault *v, struct reader **out)
{
	enum status rc;

	if (mine == NULL || mine_serial != v->serial) {
		if ((rc = reader_new(v, &mine)) != STATUS_OK) {
			mine_serial = 0;
			return rc;
		}
		mine_serial = v->serial;
	}
	epoch_pin(v->epochs, mine->number);
	*out = mine;
	return STATUS_OK;
}

void
reader_end(struct reader *r)
{
	if (!mutant(reader_keeps_keys))
		sodium_memzero(r->secret, sizeof(*r->secret));
	/* K6 waits for this: the last key of the old epoch is wiped. */
	epoch_unpin(r->vault->epochs, r->number);
}

/* Ends nothing on failure: the caller's one way out does. */
static enum status
begin(struct reader *r, struct path_source *src)
{
	uint8_t commitment[SEAL_DIGEST_LEN];
	uint64_t epoch;
	enum status rc;

	if ((rc = vault_snapshot_epoch(r->snapshot, &epoch, commitment)) != STATUS_OK)
		return rc;
	r->epoch = epoch;
	src->snapshot = r->snapshot;
	src->cache = r->vault->cache;
	src->root = epoch_root(r->vault->epochs, epoch);
	if (src->root == NULL ||
	    memcmp(src->root->commitment, commitment, sizeof(commitment)) != 0)
		return STATUS_CORRUPT;
	return STATUS_OK;
}

static const struct keyring *
keyring_of(const struct reader *r)
{
	return (const struct keyring *)(const void *)r->secret->keyring;
}

/* Everything about one subject that lies in the store, copied in one snapshot. */
struct fetch {
	const uint8_t *id;
	unsigned category;		/* 0: no record is wanted */
	struct arena *arena;
	struct reader_page *page;	/* NULL: no transactions are wanted */
	uint64_t slot;
	struct bytes box;		/* of the record; p is NULL when there is none */
};

static enum status
fetch_record(struct reader *r, struct fetch *f)
{
	uint8_t key[RECORD_KEY_LEN];
	struct bytes box;
	enum status rc;

	record_key(f->slot, f->category, 0, key);
	rc = store_get(r->snapshot, STORE_RECORDS, bytes_of(key, sizeof(key)), &box);
	if (rc == STATUS_ABSENT)
		return STATUS_OK;
	if (rc != STATUS_OK)
		return rc;
	f->box = arena_copy(f->arena, box);
	return f->box.p != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

/* Copies the boxes of a page; their rows follow each other by number. */
static enum status
fetch_transactions(struct reader *r, const struct fetch *f, struct reader_page *pg)
{
	uint8_t from[RECORD_TRANSACTION_KEY_LEN];
	uint64_t last = pg->after;
	struct bytes key, box;
	enum status rc;

	for (pg->count = 0, pg->more = false; !pg->more; ) {
		struct reader_item *it = &pg->item[pg->count];

		record_transaction_key(f->slot, last + 1, from);
		rc = store_seek(r->snapshot, STORE_TRANSACTIONS, bytes_of(from, sizeof(from)), &key,
		    &box);
		if (rc == STATUS_ABSENT)
			return STATUS_OK;
		if (rc != STATUS_OK)
			return rc;
		if (key.len != sizeof(from) || memcmp(key.p, from, 9) != 0)
			return STATUS_OK;
		if (pg->count == pg->limit) {
			pg->more = true;
			continue;
		}
		last = it->number = bytes_get64(key.p + 9);
		if ((it->plain = arena_copy(f->arena, box)).p == NULL)
			return STATUS_NO_MEMORY;
		pg->count++;
	}
	return STATUS_OK;
}

static enum status
fetch_copy(struct reader *r, struct fetch *f)
{
	struct path_source src;
	enum status rc;

	if ((rc = begin(r, &src)) != STATUS_OK)
		return rc;
	if ((rc = subject_row(r->snapshot, f->id, &f->slot)) != STATUS_OK)
		return rc;
	if ((rc = path_fetch_slot(&src, f->slot, &r->path)) != STATUS_OK)
		return rc;
	if (f->page != NULL)
		return fetch_transactions(r, f, f->page);
	return f->category != 0 ? fetch_record(r, f) : STATUS_OK;
}

static enum status
fetch_subject(struct reader *r, struct fetch *f)
{
	enum status rc;

	if (memcmp(f->id, subject_prefix(r->vault).b, 2) != 0)
		return STATUS_OTHER_VAULT;
	if ((rc = store_snapshot_begin(r->snapshot)) != STATUS_OK)
		return rc;
	rc = fetch_copy(r, f);
	store_snapshot_end(r->snapshot);
	if (rc != STATUS_OK)
		return damage_judged(rc, "rows of a subject");
	rc = path_open(&r->path, r->vault->id, r->vault->cache, r->secret->keyring);
	if (rc != STATUS_OK)
		return damage_judged(rc == STATUS_ABSENT ? STATUS_CORRUPT : rc, "pages above a keyring");
	return damage_judged(subject_check(keyring_of(r), f->id, f->slot), "a keyring of another subject");
}

enum status
reader_subject(struct reader *r, const uint8_t id[static SUBJECT_ID_LEN],
    struct reader_subject *out)
{
	struct fetch f = { .id = id };
	enum status rc;

	if ((rc = fetch_subject(r, &f)) != STATUS_OK)
		return rc;
	out->slot = f.slot;
	out->keyring = keyring_of(r);
	return STATUS_OK;
}

enum status
reader_record(struct reader *r, const uint8_t id[static SUBJECT_ID_LEN], unsigned category,
    struct arena *a, struct bytes *plain)
{
	struct fetch f = { .id = id, .category = category, .arena = a };
	struct record_place p = { SEAL_RECORD, keyring_of(r), r->vault->id, category, 0 };
	uint8_t *text;
	size_t len;
	enum status rc;

	if ((rc = fetch_subject(r, &f)) != STATUS_OK)
		return rc;
	if ((rc = subject_category(keyring_of(r), category)) != STATUS_OK)
		return rc;
	if (f.box.p == NULL)
		return category != SUBJECT_IDENTITY ? STATUS_NO_RECORD :
		    damage_judged(STATUS_CORRUPT, "an identity is missing");
	if ((text = arena_alloc(a, f.box.len)) == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = record_open(&p, f.box, text, &len)) != STATUS_OK)
		return damage_judged(rc, "a record");
	if (bytes_get64(text) == RECORD_LOST_ETAG)
		return STATUS_LOST;
	*plain = bytes_of(text, len);
	return STATUS_OK;
}

/* The n-th of those who share a value, under one index key. */
struct sharer {
	const struct lookup *l;
	enum lookup_age age;
	unsigned n;
	uint8_t parity;		/* out: of the snapshot's index key */
};

/* Its entry. STATUS_ABSENT: there is none. */
static enum status
find_entry(struct reader *r, struct sharer *s, struct bucket_entry *out)
{
	const struct bucket *b = (const struct bucket *)(const void *)r->secret->bucket;
	struct path_source src;
	enum status rc;
	int at;

	if ((rc = store_snapshot_begin(r->snapshot)) != STATUS_OK)
		return rc;
	if ((rc = begin(r, &src)) == STATUS_OK) {
		s->parity = src.root->index_parity;
		rc = STATUS_ABSENT;
		if (s->age == LOOKUP_NOW || lookup_has_before(src.root)) {
			lookup_entry(src.root, s->age, s->l, s->n, out);
			memcpy(r->secret->tag, out->tag, sizeof(r->secret->tag));
			rc = path_fetch_tag(&src, r->secret->tag, &r->path);
		}
	}
	store_snapshot_end(r->snapshot);
	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? rc : damage_judged(rc, "rows of a look-up");
	rc = path_open(&r->path, r->vault->id, r->vault->cache, r->secret->bucket);
	if (rc != STATUS_OK)
		return damage_judged(rc, "pages above a bucket");
	if ((at = lookup_in_bucket(b, r->secret->tag)) < 0)
		return STATUS_ABSENT;
	*out = b->entry[at];
	return STATUS_OK;
}

/* The subject of an entry is there, and so is the category that the entry belongs to. */
static enum status
check_entry(struct reader *r, const struct bucket_entry *e)
{
	struct reader_subject s;
	enum status rc = reader_subject(r, e->subject, &s);

	if (rc == STATUS_NO_SUBJECT || rc == STATUS_OTHER_VAULT)
		return damage_judged(STATUS_CORRUPT, "the subject of a look-up is missing");
	return rc == STATUS_OK ? subject_category(s.keyring, e->category) : rc;
}

/* One round over those who share a value. */
struct finds {
	uint8_t (*ids)[SUBJECT_ID_LEN];
	unsigned kept;
	enum status end;	/* STATUS_ABSENT, STATUS_OK (all places), or why no entry came */
	enum status damage;	/* of a subject that was left out for it */
	bool moved;		/* a switch came between two entries */
	bool looked;		/* parity: of the index key that was looked up under last */
	uint8_t parity;
};

static void
repin(struct reader *r)
{
	sodium_memzero(r->secret, sizeof(*r->secret));
	epoch_unpin(r->vault->epochs, r->number);
	epoch_pin(r->vault->epochs, r->number);
}

static bool
is_kept(const struct finds *f, const uint8_t *id)
{
	for (unsigned i = 0; i < f->kept; i++)
		if (memcmp(f->ids[i], id, SUBJECT_ID_LEN) == 0)
			return true;
	return false;
}

/* It is of another snapshot than its entry: one that was erased between is skipped. */
static void
keep_entry(struct reader *r, const struct bucket_entry *e, struct finds *f)
{
	enum status rc = check_entry(r, e);

	if (rc == STATUS_OK && f->kept < LOOKUP_SHARED_MAX && !is_kept(f, e->subject))
		memcpy(f->ids[f->kept++], e->subject, SUBJECT_ID_LEN);
	else if (rc != STATUS_OK && rc != STATUS_ERASED && rc != STATUS_CATEGORY_ERASED)
		f->damage = rc;
}

/* Those under one index key. */
static void
find_age(struct reader *r, const struct lookup *l, enum lookup_age age, struct finds *f)
{
	unsigned most = lookup_is_shared(l->kind) ? LOOKUP_SHARED_MAX : 1;
	struct sharer s = { .l = l, .age = age };
	struct bucket_entry e;
	uint64_t epoch = 0;

	f->end = STATUS_OK;
	for (; s.n < most; s.n++) {
		/* A cold disk may be slow, and K6 waits for us: not longer than a few look-ups take. */
		if (s.n % FIND_PINNED == FIND_PINNED - 1)
			repin(r);
		f->end = find_entry(r, &s, &e);
		/* A switch moved somebody into a gap, or began another index key. */
		f->moved = (s.n > 0 && r->epoch != epoch) || (f->looked && s.parity != f->parity);
		f->parity = s.parity;
		f->looked = true;
		epoch = r->epoch;
		if (f->moved || f->end != STATUS_OK)
			break;
		keep_entry(r, &e, f);
	}
	sodium_memzero(&e, sizeof(e));
}

static void
find_all(struct reader *r, const struct lookup *l, struct finds *f)
{
	f->kept = 0;
	f->damage = STATUS_OK;
	f->moved = f->looked = false;
	for (enum lookup_age age = LOOKUP_BEFORE; age < LOOKUP_AGES && !f->moved; age++) {
		find_age(r, l, age, f);
		if (f->end != STATUS_OK && f->end != STATUS_ABSENT)
			break;
	}
}

enum status
reader_find(struct reader *r, const struct lookup *l,
    uint8_t ids[static LOOKUP_SHARED_MAX][SUBJECT_ID_LEN], unsigned *count)
{
	struct finds f = { .ids = ids };

	/* A removal moves the last into the gap: begun again, but not for ever beside a busy writer. */
	for (unsigned round = 0; round < FIND_ROUNDS; round++) {
		find_all(r, l, &f);
		if (!f.moved)
			break;
	}
	if (f.kept > 0) {
		*count = f.kept;
		return STATUS_OK;
	}
	if (f.end != STATUS_OK && f.end != STATUS_ABSENT)
		return f.end;
	return f.damage != STATUS_OK ? f.damage : STATUS_NO_SUBJECT;
}

static enum status
open_transactions(struct reader *r, struct arena *a, struct reader_page *pg)
{
	for (unsigned i = 0; i < pg->count; i++) {
		struct reader_item *it = &pg->item[i];
		struct record_place p = { SEAL_TRANSACTION, keyring_of(r), r->vault->id,
			SUBJECT_BILLING, it->number };
		uint8_t *text = arena_alloc(a, it->plain.len);
		size_t len;
		enum status rc;

		if (text == NULL)
			return STATUS_NO_MEMORY;
		if ((rc = record_open(&p, it->plain, text, &len)) != STATUS_OK)
			return damage_judged(rc, "a transaction");
		it->plain = bytes_of(text, len);
	}
	return STATUS_OK;
}

enum status
reader_transactions(struct reader *r, const uint8_t id[static SUBJECT_ID_LEN], struct arena *a,
    struct reader_page *pg)
{
	struct fetch f = { .id = id, .arena = a, .page = pg };
	enum status rc;

	if ((rc = fetch_subject(r, &f)) != STATUS_OK)
		return rc;
	rc = subject_category(keyring_of(r), SUBJECT_BILLING);
	if (rc == STATUS_NO_RECORD)
		return pg->count == 0 ? STATUS_OK : damage_judged(STATUS_CORRUPT, "transactions without a key");
	return rc == STATUS_OK ? open_transactions(r, a, pg) : rc;
}

enum status
reader_row(struct reader *r, enum store_table t, struct bytes key, struct arena *a,
    struct bytes *value)
{
	struct bytes v;
	enum status rc;

	if ((rc = store_snapshot_begin(r->snapshot)) != STATUS_OK)
		return rc;
	if ((rc = store_get(r->snapshot, t, key, &v)) == STATUS_OK) {
		*value = arena_copy(a, v);
		rc = value->p != NULL ? STATUS_OK : STATUS_NO_MEMORY;
	}
	store_snapshot_end(r->snapshot);
	return rc;
}

enum status
reader_ledger_entry(struct reader *r, uint64_t sequence, uint8_t entry[static LEDGER_ENTRY_LEN], bool *settled)
{
	struct ledger_entry e;
	struct ledger_head head;
	enum status rc;

	if ((rc = store_snapshot_begin(r->snapshot)) != STATUS_OK)
		return rc;
	if ((rc = ledger_head(r->snapshot, &head)) == STATUS_OK)
		rc = sequence <= head.count ? ledger_get(r->snapshot, sequence, entry) : STATUS_ABSENT;
	store_snapshot_end(r->snapshot);
	if (rc == STATUS_OK)
		rc = ledger_decode(bytes_of(entry, LEDGER_ENTRY_LEN), &e);
	if (rc == STATUS_OK)
		*settled = e.epoch <= vault_settled(r->vault) || mutant(done_before_settled);
	return damage_judged(rc, "the ledger");
}

enum status
reader_ledger(struct reader *r, uint64_t sequence, struct ledger_proof *out)
{
	struct epochs *e = r->vault->epochs;
	bool settled = false;
	enum status rc = reader_ledger_entry(r, sequence, out->entry, &settled);

	if (rc != STATUS_OK)
		return rc;
	if (!settled)
		return STATUS_ABSENT;
	/* The pin keeps the root. */
	ledger_sign(&(struct ledger_signer){ epoch_root(e, epoch_current(e)), r->vault->id }, out);
	return STATUS_OK;
}
