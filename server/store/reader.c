#include "server/store/reader.h"

#include <sodium.h>
#include <stdlib.h>

#include "server/keys/secret.h"
#include "server/mutant.h"
#include "server/store/damage.h"
#include "server/store/reader_internal.h"
#include "server/store/record.h"
#include "server/store/signer.h"
#include "server/store/subject.h"

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
enum status
reader_snapshot(struct reader *r, struct path_source *src)
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

	if ((rc = reader_snapshot(r, &src)) != STATUS_OK)
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

static enum status
kept_signature(struct reader *r, uint64_t sequence, struct ledger_proof *out)
{
	uint8_t key[SIGNER_KEY_LEN];
	struct bytes value;
	enum status rc;

	bytes_put64(key, sequence);
	if ((rc = store_snapshot_begin(r->snapshot)) != STATUS_OK)
		return rc;
	rc = signer_kept(
	    store_get(r->snapshot, STORE_SIGNERS, bytes_of(key, sizeof(key)), &value), &value, out);
	store_snapshot_end(r->snapshot);
	return damage_judged(rc, "the signature of a new signing key");
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
	if (signer_signature_is_kept(out->entry))
		return kept_signature(r, sequence, out);
	/* The pin keeps the root. */
	ledger_sign(&(struct ledger_signer){ epoch_root(e, epoch_current(e)), r->vault->id }, out);
	return STATUS_OK;
}

enum status
reader_signer(struct reader *r, const uint8_t key[static SEAL_PUBLIC_LEN])
{
	const struct root *root = epoch_root(r->vault->epochs, epoch_current(r->vault->epochs));
	enum status rc;

	if ((rc = store_snapshot_begin(r->snapshot)) != STATUS_OK)
		return rc;
	rc = signer_leads(r->snapshot, key, root->public_key);
	store_snapshot_end(r->snapshot);
	return rc == STATUS_ABSENT ? rc : damage_judged(rc, "the ledger");
}
