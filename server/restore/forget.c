#include "server/restore/forget.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/log.h"
#include "server/mutant.h"
#include "server/store/erasure.h"
#include "server/store/subject.h"

#define ENTRIES_MAX (UINT64_C(1) << 32)
enum { HEAD_LEN = LEDGER_FILE_HEAD_LEN, ITEM_LEN = LEDGER_FILE_ITEM_LEN };

struct erased {
	struct ledger_entry e;
	bool last;			/* nothing of the subject is left behind it */
};

struct forget {
	uint8_t vault[VAULT_ID_LEN];
	uint8_t (*entry)[LEDGER_ENTRY_LEN];
	size_t count, room;
	uint8_t hash[SEAL_DIGEST_LEN];	/* of the newest */
	uint64_t epoch, slots;
	struct erased *by_slot;		/* erasures, by slot and sequence */
	size_t erasures;
	size_t at;			/* in by_slot: those before belong to slots that are through */
};

static enum status
refuse(const char *path, const char *what, uint64_t sequence)
{
	log_event(LOG_FATAL, LOG_S(PATH, path), LOG_S(WHAT, what), LOG_N(COUNT, sequence));
	return STATUS_REFUSED;
}

static enum status
make(const struct forget_owner *o, struct forget **out)
{
	uint8_t first[LEDGER_HEAD_LEN];
	struct forget *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return STATUS_NO_MEMORY;
	memcpy(f->vault, o->vault, sizeof(f->vault));
	ledger_first_head(f->vault, first);
	memcpy(f->hash, first + 8, sizeof(f->hash));
	*out = f;
	return STATUS_OK;
}

static bool
is_erasure(const struct ledger_entry *e)
{
	return e->kind == LEDGER_PART || e->kind == LEDGER_WHOLE;
}

/* The next entry, which must follow on the one before. */
static enum status
add(struct forget *f, const uint8_t *entry, const char *path)
{
	struct ledger_entry e;

	if (ledger_decode(bytes_of(entry, LEDGER_ENTRY_LEN), &e) != STATUS_OK || e.sequence != f->count + 1 ||
	    memcmp(e.before, f->hash, sizeof(f->hash)) != 0)
		return refuse(path, "this entry of the ledger does not follow on the one before", f->count + 1);
	if (f->count == f->room) {
		size_t room = f->room * 2 + 1024;
		uint8_t (*more)[LEDGER_ENTRY_LEN] = realloc(f->entry, room * sizeof(*more));

		if (more == NULL)
			return STATUS_NO_MEMORY;
		f->entry = more;
		f->room = room;
	}
	memcpy(f->entry[f->count++], entry, LEDGER_ENTRY_LEN);
	ledger_hash(entry, f->hash);
	f->epoch = e.epoch > f->epoch ? e.epoch : f->epoch;
	if (is_erasure(&e) && e.slot >= f->slots)
		f->slots = e.slot + 1;
	if (e.kind == LEDGER_KEYS_READ && e.slot > f->slots)
		f->slots = e.slot;
	return STATUS_OK;
}

static int
by_slot(const void *a, const void *b)
{
	const struct ledger_entry *x = &((const struct erased *)a)->e, *y = &((const struct erased *)b)->e;

	if (x->slot != y->slot)
		return x->slot < y->slot ? -1 : 1;
	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static enum status
sort(struct forget *f)
{
	if ((f->by_slot = calloc(f->count + 1, sizeof(*f->by_slot))) == NULL)
		return STATUS_NO_MEMORY;
	for (size_t i = 0; i < f->count; i++) {
		struct erased *x = &f->by_slot[f->erasures];

		must(ledger_decode(bytes_of(f->entry[i], LEDGER_ENTRY_LEN), &x->e) == STATUS_OK);
		x->last = x->e.kind == LEDGER_WHOLE;
		f->erasures += is_erasure(&x->e);
	}
	qsort(f->by_slot, f->erasures, sizeof(*f->by_slot), by_slot);
	return STATUS_OK;
}

static enum status
read_item(int fd, size_t number, struct ledger_proof *p, const char *path)
{
	uint8_t item[ITEM_LEN];

	if (pread(fd, item, sizeof(item), (off_t)(HEAD_LEN + number * ITEM_LEN)) != ITEM_LEN) {
		log_event(LOG_FATAL, LOG_S(PATH, path), LOG_S(WHAT, "cannot be read"));
		return STATUS_IO;
	}
	memcpy(p->entry, item, sizeof(p->entry));
	memcpy(p->signature, item + sizeof(p->entry), sizeof(p->signature));
	return STATUS_OK;
}

static enum status
read_file(struct forget *f, int fd, const char *path, const struct forget_owner *o)
{
	uint8_t head[HEAD_LEN], want[HEAD_LEN];
	struct ledger_proof p;
	struct stat st;
	enum status rc = STATUS_OK;

	memcpy(want, LEDGER_LABEL, sizeof(LEDGER_LABEL) - 1);
	memcpy(want + sizeof(LEDGER_LABEL) - 1, o->vault, VAULT_ID_LEN);
	memcpy(want + HEAD_LEN - SEAL_PUBLIC_LEN, o->public, SEAL_PUBLIC_LEN);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || pread(fd, head, HEAD_LEN, 0) != HEAD_LEN ||
	    memcmp(head, want, HEAD_LEN) != 0)
		return refuse(path, "is not a copy of this vault's ledger", 0);
	if ((uint64_t)st.st_size / ITEM_LEN > ENTRIES_MAX)
		return refuse(path, "is too long", 0);
	while (rc == STATUS_OK && (f->count + 1) * ITEM_LEN <= (uint64_t)st.st_size - HEAD_LEN) {
		if ((rc = read_item(fd, f->count, &p, path)) == STATUS_OK &&
		    ledger_verify(o->vault, o->public, &p) != STATUS_OK)
			rc = refuse(path, "this entry of the ledger is not signed by the vault", f->count + 1);
		if (rc == STATUS_OK)
			rc = add(f, p.entry, path);
	}
	return rc;
}

/* Whether the store's ledger has that head, or had it once. */
static enum status
has_head(struct stream *s, const struct forget *f, bool *out)
{
	uint8_t key[8], hash[SEAL_DIGEST_LEN];
	struct bytes entry;
	enum status rc = STATUS_OK;

	*out = f->count == 0;
	if (f->count == 0)
		return STATUS_OK;
	bytes_put64(key, f->count);
	rc = stream_get(s, bytes_of(key, sizeof(key)), &entry);
	if (rc == STATUS_OK && entry.len == LEDGER_ENTRY_LEN) {
		ledger_hash(entry.p, hash);
		*out = memcmp(hash, f->hash, sizeof(hash)) == 0;
	}
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

/* What a store has behind the end of a copy, whose continuation it must be from there on. */
static enum status
read_behind(struct forget *f, struct input *in)
{
	size_t from = f->count;
	struct stream *s = NULL;
	struct bytes key, entry;
	uint8_t next[8];
	bool same = false;
	enum status rc;

	if ((rc = stream_new(in, STORE_LEDGER, &s)) != STATUS_OK || (rc = has_head(s, f, &same)) != STATUS_OK)
		goto out;
	bytes_put64(next, from + 1);
	if (same)
		rc = stream_seek(s, bytes_of(next, sizeof(next)));
	while (same && rc == STATUS_OK && (rc = stream_row(s, &key, &entry)) == STATUS_OK) {
		rc = entry.len == LEDGER_ENTRY_LEN ? add(f, entry.p, "ledger") :
		    refuse("ledger", "a row of the ledger is damaged", f->count + 1);
		stream_step(s);
	}
	rc = rc == STATUS_ABSENT ? STATUS_OK : rc;
	if (rc == STATUS_OK && f->count > from)
		log_event(LOG_RESTORE, LOG_N(COUNT, f->count - from),
		    LOG_S(WHAT, "the store has entries of the ledger that the copy has not: they are taken"));
out:
	stream_free(s);
	return rc;
}

enum status
forget_file(const char *path, const struct forget_owner *o, struct input *behind, struct forget **out)
{
	struct forget *f = NULL;
	enum status rc = make(o, &f);
	int fd = -1;

	if (rc != STATUS_OK)
		return rc;
	if (path != NULL && (fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0) {
		rc = STATUS_CONFIG;
		log_event(LOG_FATAL, LOG_S(PATH, path), LOG_S(WHAT, "the ledger cannot be opened"),
		    LOG_S(ERRNO, strerror(errno)));
		goto out;
	}
	if ((path != NULL && (rc = read_file(f, fd, path, o)) != STATUS_OK) ||
	    (path != NULL && behind != NULL && (rc = read_behind(f, behind)) != STATUS_OK) ||
	    (rc = sort(f)) != STATUS_OK)
		goto out;
	*out = f;
	f = NULL;
out:
	if (fd >= 0)
		(void)close(fd);
	forget_free(f);
	return rc;
}

enum status
forget_store(struct input *in, const struct forget_owner *o, struct forget **out)
{
	struct stream *s = NULL;
	struct forget *f = NULL;
	struct bytes key, entry;
	enum status rc;

	if ((rc = make(o, &f)) != STATUS_OK || (rc = stream_new(in, STORE_LEDGER, &s)) != STATUS_OK)
		goto out;
	while ((rc = stream_row(s, &key, &entry)) == STATUS_OK) {
		if (entry.len != LEDGER_ENTRY_LEN)
			rc = refuse("ledger", "a row of the ledger is damaged", f->count + 1);
		else
			rc = add(f, entry.p, "ledger");
		if (rc != STATUS_OK)
			goto out;
		stream_step(s);
	}
	if (rc != STATUS_ABSENT || (rc = sort(f)) != STATUS_OK)
		goto out;
	*out = f;
	f = NULL;
out:
	stream_free(s);
	forget_free(f);
	return rc;
}

void
forget_free(struct forget *f)
{
	if (f == NULL)
		return;
	free(f->entry);
	free(f->by_slot);
	free(f);
}

void
forget_head(const struct forget *f, struct ledger_head *out)
{
	out->count = f->count;
	memcpy(out->hash, f->hash, sizeof(out->hash));
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
	ledger_first_head(f->vault, first);
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
			return refuse("ledger", "the ledger names another subject in this place", e->sequence);
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
		if (is_erasure(&e) || e.kind == LEDGER_SIGNER)
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
