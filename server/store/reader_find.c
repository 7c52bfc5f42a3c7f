/*
 * Look-ups: from a value to the subjects that have it.
 */
#include <sodium.h>

#include "server/store/damage.h"
#include "server/store/reader_internal.h"
#include "server/store/subject.h"

#define FIND_PINNED 8u		/* entries of a shared value that are looked up under one pin */
#define FIND_ROUNDS 4u

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
	if ((rc = reader_snapshot(r, &src)) == STATUS_OK) {
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
	struct bucket_entry e = { .category = 0 };
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
