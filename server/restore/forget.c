#include "server/restore/forget.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/log.h"
#include "server/mutant.h"
#include "server/restore/forget_internal.h"
#include "server/store/erasure.h"
#include "server/store/signer.h"
#include "server/store/subject.h"

enum status
forget_refuse(const char *path, const char *what, uint64_t sequence)
{
	log_event(LOG_FATAL, LOG_S(PATH, path), LOG_S(WHAT, what), LOG_N(COUNT, sequence));
	return STATUS_REFUSED;
}

bool
forget_is_erasure(const struct ledger_entry *e)
{
	return e->kind == LEDGER_PART || e->kind == LEDGER_WHOLE;
}

bool
forget_names_key(const struct ledger_entry *e)
{
	return e->kind == LEDGER_SIGNER || e->kind == LEDGER_SIGNER_BEFORE;
}

/* ${signature}: NULL: it is not there. */
static enum status
add_name(struct forget *f, const struct ledger_entry *e, const uint8_t *signature)
{
	struct named *more, *n;

	if (!forget_names_key(e))
		return STATUS_OK;
	if ((more = realloc(f->named, (f->names + 1) * sizeof(*more))) == NULL)
		return STATUS_NO_MEMORY;
	f->named = more;
	n = &more[f->names++];
	memset(n, 0, sizeof(*n));
	n->sequence = e->sequence;
	signer_named(e, n->key);
	if (e->kind == LEDGER_SIGNER && signature != NULL) {
		n->kept = true;
		memcpy(n->signature, signature, sizeof(n->signature));
	}
	return STATUS_OK;
}

enum status
forget_keep(struct forget *f, const uint8_t entry[static LEDGER_ENTRY_LEN], const struct ledger_entry *e,
    const uint8_t *signature)
{
	if (f->count == f->room) {
		size_t room = f->room * 2 + 1024;
		uint8_t (*more)[LEDGER_ENTRY_LEN] = realloc(f->entry, room * sizeof(*more));

		if (more == NULL)
			return STATUS_NO_MEMORY;
		f->entry = more;
		f->room = room;
	}
	memcpy(f->entry[f->count++], entry, LEDGER_ENTRY_LEN);
	f->epoch = e->epoch > f->epoch ? e->epoch : f->epoch;
	if (forget_is_erasure(e) && e->slot >= f->slots)
		f->slots = e->slot + 1;
	if (e->kind == LEDGER_KEYS_READ && e->slot > f->slots)
		f->slots = e->slot;
	return add_name(f, e, signature);
}

void
forget_free(struct forget *f)
{
	if (f == NULL)
		return;
	free(f->entry);
	free(f->by_slot);
	free(f->named);
	free(f);
}

void
forget_head(const struct forget *f, struct ledger_head *out)
{
	out->count = f->count;
	memcpy(out->hash, f->walk.at.hash, sizeof(out->hash));
}

/* The hash that the ledger had after so many entries. */
static void
hash_after(const struct forget *f, size_t count, uint8_t out[static SEAL_DIGEST_LEN])
{
	uint8_t first[LEDGER_HEAD_LEN];

	if (count > 0) {
		ledger_hash(f->entry[count - 1], out);
		return;
	}
	ledger_first_head(f->walk.vault, first);
	memcpy(out, first + 8, SEAL_DIGEST_LEN);
}

bool
forget_knows(const struct forget *f, const struct ledger_head *h)
{
	uint8_t hash[SEAL_DIGEST_LEN];

	if (h->count > f->count)
		return false;
	hash_after(f, (size_t)h->count, hash);
	if (memcmp(hash, h->hash, sizeof(hash)) == 0)
		return true;
	for (size_t i = 1; h->count == 0 && i <= f->count; i++) {
		hash_after(f, i, hash);
		if (memcmp(hash, h->hash, sizeof(hash)) == 0)
			return true;
	}
	return false;
}

uint64_t
forget_epoch(const struct forget *f)
{
	return f->epoch;
}

uint64_t
forget_slots(const struct forget *f)
{
	return f->slots;
}

static bool
is_empty(const struct keyring *k)
{
	for (unsigned i = 0; i < CATEGORY_COUNT; i++)
		if (k->category[i].state == CATEGORY_LIVE)
			return false;
	return true;
}

static void
forget_category(struct keyring *k, unsigned category, enum forgotten *out)
{
	if (k->category[category - 1].state == CATEGORY_SHREDDED)
		return;
	subject_shred_category(k, category);
	*out = FORGOTTEN_SOME;
}

enum status
forget_apply(struct forget *f, struct keyring *k, enum forgotten *out)
{
	uint64_t slot = bytes_get64(k->slot);

	*out = FORGOTTEN_NOTHING;
	while (f->at < f->erasures && f->by_slot[f->at].e.slot < slot)
		f->at++;
	for (; f->at < f->erasures && f->by_slot[f->at].e.slot == slot; f->at++) {
		const struct ledger_entry *e = &f->by_slot[f->at].e;

		if (memcmp(e->subject, k->subject, SUBJECT_ID_LEN) != 0)
			return forget_refuse(
			    "ledger", "the ledger names another subject in this place", e->sequence);
		if (mutant(ledger_skipped))
			continue;
		for (unsigned i = 0; i < CATEGORY_COUNT; i++)
			if (e->kind == LEDGER_WHOLE || (e->categories & (1u << i)) != 0)
				forget_category(k, i + 1, out);
		if (e->kind == LEDGER_WHOLE)
			*out = FORGOTTEN_ALL;
	}
	/* What it had besides came after these keys. */
	if (*out == FORGOTTEN_SOME && is_empty(k)) {
		f->by_slot[f->at - 1].last = true;
		*out = FORGOTTEN_ALL;
	}
	if (*out == FORGOTTEN_ALL)
		sodium_memzero(k, sizeof(*k));
	return STATUS_OK;
}

bool
forget_has_slot(const struct forget *f, uint64_t slot)
{
	size_t from = 0, to = f->erasures;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (f->by_slot[middle].e.slot < slot)
			from = middle + 1;
		else
			to = middle;
	}
	for (; from < f->erasures && f->by_slot[from].e.slot == slot; from++)
		if (f->by_slot[from].last)
			return true;
	return false;
}

static enum status
write_entry(const struct erased *x, struct bulk *b)
{
	const struct ledger_entry *e = &x->e;
	struct erasure row = { .epoch = e->epoch, .time_ms = e->time_ms, .categories = e->categories,
		.final = e->kind == LEDGER_WHOLE, .sequence = e->sequence };
	uint8_t erasure[ERASURE_ROW_LEN], tombstone[SUBJECT_ROW_LEN];
	enum status rc;

	memcpy(row.subject, e->subject, sizeof(row.subject));
	erasure_encode(&row, erasure);
	rc = bulk_put(b, STORE_ERASURES, bytes_of(e->erasure, sizeof(e->erasure)),
	    bytes_of(erasure, sizeof(erasure)));
	if (rc != STATUS_OK || !x->last)
		return rc;
	subject_row_erased(e->erasure, tombstone);
	return bulk_put(b, STORE_SUBJECTS, bytes_of(e->subject, sizeof(e->subject)),
	    bytes_of(tombstone, sizeof(tombstone)));
}

enum status
forget_write(const struct forget *f, struct bulk *b)
{
	enum status rc = STATUS_OK;

	for (size_t i = 0; i < f->count && rc == STATUS_OK; i++) {
		uint8_t key[8];

		bytes_put64(key, i + 1);
		rc = bulk_put(b, STORE_LEDGER, bytes_of(key, sizeof(key)),
		    bytes_of(f->entry[i], LEDGER_ENTRY_LEN));
	}
	for (size_t i = 0; i < f->names && rc == STATUS_OK; i++) {
		uint8_t key[SIGNER_KEY_LEN];

		if (!f->named[i].kept)
			continue;
		bytes_put64(key, f->named[i].sequence);
		rc = bulk_put(b, STORE_SIGNERS, bytes_of(key, sizeof(key)),
		    bytes_of(f->named[i].signature, SEAL_SIGNATURE_LEN));
	}
	for (size_t i = 0; i < f->erasures && rc == STATUS_OK; i++)
		rc = write_entry(&f->by_slot[i], b);
	return rc;
}

bool
forget_key_backup(const struct forget *f, size_t *at, struct key_backup *out)
{
	for (; *at < f->count; ++*at) {
		struct ledger_entry e;

		must(ledger_decode(bytes_of(f->entry[*at], LEDGER_ENTRY_LEN), &e) == STATUS_OK);
		if (forget_is_erasure(&e) || forget_names_key(&e))
			continue;
		*out = (struct key_backup){ .created_ms = e.time_ms, .expires_ms = INT64_MAX,
			.epoch = UINT64_MAX, .slots = KEY_BACKUP_ALL_SLOTS };
		memcpy(out->id, e.erasure, sizeof(out->id));
		if (e.kind == LEDGER_KEYS) {
			out->expires_ms = (int64_t)e.slot;
			out->epoch = e.epoch;
		} else if (e.kind == LEDGER_KEYS_READ) {
			out->slots = e.slot;
		} else {
			out->destroyed_ms = e.time_ms;
		}
		++*at;
		return true;
	}
	return false;
}
