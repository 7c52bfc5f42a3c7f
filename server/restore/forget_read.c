/*
 * Reading a ledger out of a copy or a store.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/log.h"
#include "server/restore/forget_internal.h"
#include "server/store/signer.h"

#define ENTRIES_MAX (UINT64_C(1) << 32)
enum { HEAD_LEN = LEDGER_FILE_HEAD_LEN, ITEM_LEN = LEDGER_FILE_ITEM_LEN };

static enum status
make(const struct forget_owner *o, struct forget **out)
{
	struct forget *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return STATUS_NO_MEMORY;
	memcpy(f->public, o->public, sizeof(f->public));
	ledger_walk_begin(&f->walk, o->vault, o->public);
	*out = f;
	return STATUS_OK;
}

/* The next entry of a copy. */
static enum status
add_signed(struct forget *f, const struct ledger_proof *p, const char *path)
{
	struct ledger_entry e;
	enum status rc = ledger_walk_next(&f->walk, p, &e);

	if (rc != STATUS_OK)
		return forget_refuse(path, rc == STATUS_CORRUPT ?
		    "this entry of the ledger does not follow on the one before" :
		    "this entry of the ledger names a key that has not signed the one before", f->count + 1);
	return forget_keep(f, p->entry, &e, p->signature);
}

/* The next entry of a store, whose kept signatures are ${signers}. */
static enum status
add_row(struct forget *f, struct bytes row, struct stream *signers)
{
	struct ledger_entry e;
	struct bytes kept = { NULL, 0 };
	uint8_t key[SIGNER_KEY_LEN];
	enum status rc;

	if (row.len != LEDGER_ENTRY_LEN || ledger_walk_unsigned(&f->walk, row.p, &e) != STATUS_OK)
		return forget_refuse("ledger", "this entry is damaged, or does not follow on the one before",
		    f->count + 1);
	if (e.kind != LEDGER_SIGNER)
		return forget_keep(f, row.p, &e, NULL);
	bytes_put64(key, e.sequence);
	rc = stream_get(signers, bytes_of(key, sizeof(key)), &kept);
	if (rc == STATUS_ABSENT || (rc == STATUS_OK && kept.len != SEAL_SIGNATURE_LEN))
		return forget_refuse("ledger", "the signature of this entry is missing", e.sequence);
	return rc == STATUS_OK ? forget_keep(f, row.p, &e, kept.p) : rc;
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
		f->erasures += forget_is_erasure(&x->e);
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
	enum { OURS = HEAD_LEN - SEAL_PUBLIC_LEN };
	uint8_t head[HEAD_LEN], want[OURS];
	struct ledger_proof p;
	struct stat st;
	enum status rc = STATUS_OK;

	/* The key behind that is where somebody begins who trusts none yet. */
	memcpy(want, LEDGER_LABEL, sizeof(LEDGER_LABEL) - 1);
	memcpy(want + sizeof(LEDGER_LABEL) - 1, o->vault, VAULT_ID_LEN);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || pread(fd, head, HEAD_LEN, 0) != HEAD_LEN ||
	    memcmp(head, want, OURS) != 0)
		return forget_refuse(path, "is not a copy of this vault's ledger", 0);
	if ((uint64_t)st.st_size / ITEM_LEN > ENTRIES_MAX)
		return forget_refuse(path, "is too long", 0);
	while (rc == STATUS_OK && (f->count + 1) * ITEM_LEN <= (uint64_t)st.st_size - HEAD_LEN) {
		if ((rc = read_item(fd, f->count, &p, path)) == STATUS_OK)
			rc = add_signed(f, &p, path);
	}
	f->believed = f->walk.proven;
	f->unproven = ledger_walk_doubt(&f->walk) != 0;
	if (rc == STATUS_OK && f->unproven &&
	    (o->vouched == NULL || memcmp(o->vouched, f->walk.at.hash, SEAL_DIGEST_LEN) != 0))
		return forget_refuse(path, "this entry of the ledger is not signed by the vault",
		    ledger_walk_doubt(&f->walk));
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
		*out = memcmp(hash, f->walk.at.hash, sizeof(hash)) == 0;
	}
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

/* What a store has behind the end of a copy, whose continuation it must be from there on. */
static enum status
read_behind(struct forget *f, struct input *in)
{
	size_t from = f->count;
	struct stream *s = NULL, *signers = NULL;
	struct bytes key, entry;
	uint8_t next[8];
	bool same = false;
	enum status rc;

	if ((rc = stream_new(in, STORE_LEDGER, &s)) != STATUS_OK ||
	    (rc = stream_new(in, STORE_SIGNERS, &signers)) != STATUS_OK ||
	    (rc = has_head(s, f, &same)) != STATUS_OK)
		goto out;
	bytes_put64(next, from + 1);
	if (same)
		rc = stream_seek(s, bytes_of(next, sizeof(next)));
	while (same && rc == STATUS_OK && (rc = stream_row(s, &key, &entry)) == STATUS_OK) {
		rc = add_row(f, entry, signers);
		stream_step(s);
	}
	rc = rc == STATUS_ABSENT ? STATUS_OK : rc;
	if (rc == STATUS_OK && f->count > from)
		log_event(LOG_RESTORE, LOG_N(COUNT, f->count - from),
		    LOG_S(WHAT, "the store has entries of the ledger that the copy has not: they are taken"));
out:
	stream_free(s);
	stream_free(signers);
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
	struct stream *s = NULL, *signers = NULL;
	struct forget *f = NULL;
	struct bytes key, entry;
	enum status rc;

	if ((rc = make(o, &f)) != STATUS_OK || (rc = stream_new(in, STORE_LEDGER, &s)) != STATUS_OK ||
	    (rc = stream_new(in, STORE_SIGNERS, &signers)) != STATUS_OK)
		goto out;
	while ((rc = stream_row(s, &key, &entry)) == STATUS_OK) {
		if ((rc = add_row(f, entry, signers)) != STATUS_OK)
			goto out;
		stream_step(s);
	}
	if (rc != STATUS_ABSENT || (rc = sort(f)) != STATUS_OK)
		goto out;
	f->believed = f->count;
	*out = f;
	f = NULL;
out:
	stream_free(s);
	stream_free(signers);
	forget_free(f);
	return rc;
}
