/* One file of the anchor: opened as ours alone, its slots read, written and erased. */
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/keys/anchor_internal.h"
#include "server/keys/own_file.h"
#include "server/mutant.h"

static void
wipe(struct anchor *a)
{
	sodium_memzero(a->out, ANCHOR_SLOT_LEN);
	sodium_memzero(a->in, ANCHOR_SLOT_LEN);
	sodium_memzero(a->found, sizeof(*a->found));
}

enum status
anchor_file_open(struct anchor *a, struct anchor_file *f)
{
	const char *why = NULL;
	enum status rc;

	f->read_only = a->o.read_only;
	rc = own_file_open(f->path, !f->read_only, ANCHOR_LEN, &f->fd, &why);
	if (rc == STATUS_READ_ONLY && f->retiring) {
		f->read_only = true;
		rc = own_file_open(f->path, false, ANCHOR_LEN, &f->fd, &why);
	}
	if (rc != STATUS_OK) {
		anchor_io_complain(f->path, why);
		return rc;
	}
	if (flock(f->fd, LOCK_EX | LOCK_NB) != 0) {
		rc = errno == EWOULDBLOCK ? STATUS_REFUSED : STATUS_IO;
		anchor_io_complain(f->path, rc == STATUS_REFUSED ?
		    "another process has the anchor, or it is named twice" : "cannot be locked");
		return rc;
	}
	if ((rc = anchor_io_begin(a, f)) == STATUS_OK)
		f->mapped = anchor_place_extents(f->fd, f->extents, NULL);
	return rc;
}

/* The root key out of what was read into a->in, and its seals into a->found. */
static enum status
unwrap(struct anchor *a, uint64_t epoch, struct key *root)
{
	struct anchor_slot slot;
	uint8_t digest[SEAL_DIGEST_LEN];
	enum status rc = STATUS_ABSENT;

	anchor_slot_decode(a->in, a->o.vault, (unsigned)(epoch % 2), &slot, digest);
	if (slot.valid && slot.epoch == epoch &&
	    (rc = anchor_slot_unwrap(a->in, digest, &a->o, root)) == STATUS_OK)
		rc = anchor_slot_seals(a->in, digest, root, a->found);
	sodium_memzero(digest, sizeof(digest));
	return rc;
}

enum status
anchor_file_load(struct anchor *a, struct anchor_file *f, uint64_t epoch, struct key *root)
{
	enum status rc = anchor_io_read(a, f, (unsigned)(epoch % 2));

	if (rc == STATUS_OK && (rc = unwrap(a, epoch, root)) == STATUS_FORGED) {
		errno = 0;
		anchor_io_complain(f->path, "no configured provider opens the slot");
	}
	if (rc == STATUS_OK)
		*a->seals = *a->found;
	wipe(a);
	return rc;
}

/* In constant time, and whatever padding a struct has. */
static bool
same_seals(const struct anchor_seals *a, const struct anchor_seals *b)
{
	bool same = a->count == b->count && a->lasting == b->lasting && a->dead_class == b->dead_class;

	for (unsigned i = 0; i < a->count && same; i++) {
		const struct anchor_seal *x = &a->seal[i], *y = &b->seal[i];

		same = x->kind == y->kind && memcmp(x->id, y->id, sizeof(x->id)) == 0 &&
		    strcmp(x->name, y->name) == 0 && seal_key_equal(&x->key, &y->key) &&
		    x->since == y->since && x->made_ms == y->made_ms;
	}
	return same;
}

/* Whether what is in a->in gives ${root} back, by each of the seals. */
static enum status
gives(struct anchor *a, const struct root *root)
{
	const struct anchor_content c = { .vault = a->o.vault, .root = root, .seals = a->seals };
	uint8_t digest[SEAL_DIGEST_LEN];
	struct anchor_slot slot;
	enum status rc = STATUS_ABSENT;

	anchor_slot_decode(a->in, a->o.vault, (unsigned)(root->epoch % 2), &slot, digest);
	if (slot.valid && slot.epoch == root->epoch) {
		rc = anchor_slot_seals(a->in, digest, &root->self, a->found);
		if (rc == STATUS_OK && (!same_seals(a->found, a->seals) || !anchor_slot_is(a->in, digest, &c)))
			rc = STATUS_FORGED;
	}
	sodium_memzero(digest, sizeof(digest));
	return rc;
}

enum status
anchor_file_gives(struct anchor *a, struct anchor_file *f, const struct root *root)
{
	enum status rc = anchor_io_read(a, f, (unsigned)(root->epoch % 2));

	if (rc == STATUS_OK)
		rc = gives(a, root);
	wipe(a);
	return rc;
}

enum status
anchor_file_ours(struct anchor *a, struct anchor_file *f)
{
	uint8_t digest[SEAL_DIGEST_LEN], vault[16];
	struct anchor_slot slot;
	enum status rc = STATUS_OK, one;

	for (unsigned place = 0; place < 2 && rc != STATUS_REFUSED; place++) {
		if ((one = anchor_io_read(a, f, place)) != STATUS_OK) {
			rc = one;
			continue;
		}
		/* Judged by the id that stands in it. */
		memcpy(vault, a->in + ANCHOR_SLOT_VAULT, sizeof(vault));
		anchor_slot_decode(a->in, vault, place, &slot, digest);
		if (slot.valid && memcmp(vault, a->o.vault, sizeof(vault)) != 0)
			rc = STATUS_REFUSED;
	}
	sodium_memzero(digest, sizeof(digest));
	wipe(a);
	if (rc == STATUS_REFUSED) {
		errno = 0;
		anchor_io_complain(f->path, "it holds the anchor of another vault");
	}
	return rc;
}

/* A file that lost its name, or whose name is another's, would take the only root key with it. */
static bool
still_ours(const struct anchor_file *f)
{
	const char *why = NULL;
	struct stat open_, named;

	if (!own_file_is(f->fd, ANCHOR_LEN, &why)) {
		anchor_io_complain(f->path, why);
		return false;
	}
	if (fstat(f->fd, &open_) == 0 && lstat(f->path, &named) == 0 && open_.st_dev == named.st_dev &&
	    open_.st_ino == named.st_ino)
		return true;
	anchor_io_complain(f->path, "its name is gone, or another file's");
	return false;
}

enum status
anchor_file_write(struct anchor *a, struct anchor_file *f, const struct root *root)
{
	const struct anchor_content c = { .vault = a->o.vault, .root = root, .seals = a->seals };
	enum status rc;

	if (!still_ours(f))
		return STATUS_ANCHOR;
	seal_random(a->out + ANCHOR_BLOCK, ANCHOR_STRIPES);
	rc = anchor_slot_encode(a->out, &c);
	/* K3: nothing rests on this slot until it was read back from the device. */
	if (rc == STATUS_OK)
		rc = anchor_io_replace(a, f, (unsigned)(root->epoch % 2));
	if (rc == STATUS_OK && gives(a, root) != STATUS_OK) {
		errno = 0;
		anchor_io_complain(f->path, "the slot read back does not give the root key");
		rc = STATUS_ANCHOR;
	}
	wipe(a);
	return rc;
}

enum status
anchor_file_erase(struct anchor *a, struct anchor_file *f, unsigned place)
{
	enum status rc;

	if (!still_ours(f))
		return STATUS_ANCHOR;
	if (mutant(old_slot_kept))
		return STATUS_OK;
	seal_random(a->out, ANCHOR_SLOT_LEN);
	if (mutant(copy_marked_dead) && f != a->file && anchor_io_read(a, f, place) == STATUS_OK)
		memcpy(a->out + 8, a->in + 8, ANCHOR_SLOT_LEN - 8);
	/* K5: the old root key dies here. */
	rc = anchor_io_replace(a, f, place);
	wipe(a);
	return rc;
}
