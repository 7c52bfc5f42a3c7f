#include "server/keys/anchor.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "server/keys/anchor_internal.h"
#include "server/keys/own_file.h"
#include "server/keys/secret.h"
#include "server/mutant.h"

_Static_assert(ANCHOR_SLOT_LEN % ANCHOR_BLOCK == 0, "a slot is whole blocks");

enum status
anchor_create(const char *path)
{
	const char *why = NULL;
	uint8_t *image = malloc(ANCHOR_LEN);
	enum status rc = STATUS_NO_MEMORY;

	if (image == NULL)
		return rc;
	seal_random(image, ANCHOR_LEN);
	if ((rc = own_file_create(path, bytes_of(image, ANCHOR_LEN), &why)) != STATUS_OK)
		anchor_io_complain(path, why);
	free(image);
	return rc;
}

/* STATUS_REFUSED: somebody else has it. */
static enum status
take(struct anchor *a)
{
	const char *why = NULL;
	enum status rc;

	rc = own_file_open(a->o.path, !a->o.read_only, ANCHOR_LEN, &a->fd, &why);
	if (rc != STATUS_OK) {
		anchor_io_complain(a->o.path, why);
		return rc;
	}
	if (flock(a->fd, LOCK_EX | LOCK_NB) == 0)
		return anchor_io_begin(a);
	rc = errno == EWOULDBLOCK ? STATUS_REFUSED : STATUS_IO;
	anchor_io_complain(a->o.path, rc == STATUS_REFUSED ? "another process has the anchor" :
	    "cannot be locked");
	return rc;
}

enum status
anchor_open(const struct anchor_options *o, struct anchor **out)
{
	struct anchor *a = calloc(1, sizeof(*a));
	enum status rc = STATUS_NO_MEMORY;

	must(o->provider_count > 0 && o->provider_count <= PROVIDER_MAX);
	if (a == NULL)
		return rc;
	a->o = *o;
	a->fd = -1;
	if ((a->o.path = a->path = strdup(o->path)) == NULL ||
	    (a->out = secret_pages(ANCHOR_SLOT_LEN)) == NULL ||
	    (a->in = secret_pages(ANCHOR_SLOT_LEN)) == NULL)
		goto out;
	if ((rc = take(a)) != STATUS_OK)
		goto out;
	a->mapped = anchor_place_extents(a->fd, a->extents, NULL);
	*out = a;
	a = NULL;
out:
	anchor_close(a);
	return rc;
}

void
anchor_close(struct anchor *a)
{
	if (a == NULL)
		return;
	if (a->fd >= 0)
		(void)close(a->fd);
	secret_pages_free(a->out, ANCHOR_SLOT_LEN);
	secret_pages_free(a->in, ANCHOR_SLOT_LEN);
	free(a->path);
	free(a);
}

static void
wipe(struct anchor *a)
{
	sodium_memzero(a->out, ANCHOR_SLOT_LEN);
	sodium_memzero(a->in, ANCHOR_SLOT_LEN);
}

enum status
anchor_survey(struct anchor *a, struct anchor_slot out[static 2])
{
	struct anchor_slot found[2];
	uint8_t digest[SEAL_DIGEST_LEN];
	enum status rc = STATUS_OK;
	unsigned place;

	for (place = 0; place < 2 && rc == STATUS_OK; place++) {
		if ((rc = anchor_io_read(a, place)) == STATUS_OK)
			anchor_slot_decode(a->in, a->o.vault, place, &found[place], digest);
	}
	if (rc == STATUS_OK)
		memcpy(out, found, sizeof(found));
	sodium_memzero(digest, sizeof(digest));
	wipe(a);
	return rc;
}

/* The root key out of what was read into a->in. */
static enum status
unwrap(struct anchor *a, uint64_t epoch, struct key *root)
{
	struct anchor_slot slot;
	uint8_t digest[SEAL_DIGEST_LEN];
	enum status rc = STATUS_ABSENT;

	anchor_slot_decode(a->in, a->o.vault, (unsigned)(epoch % 2), &slot, digest);
	if (slot.valid && slot.epoch == epoch)
		rc = anchor_slot_unwrap(a->in, digest, &a->o, root);
	sodium_memzero(digest, sizeof(digest));
	return rc;
}

enum status
anchor_load(struct anchor *a, uint64_t epoch, struct key *root)
{
	enum status rc = anchor_io_read(a, (unsigned)(epoch % 2));

	if (rc == STATUS_OK && (rc = unwrap(a, epoch, root)) == STATUS_FORGED) {
		errno = 0;
		anchor_io_complain(a->o.path, "no configured provider opens the slot");
	}
	wipe(a);
	return rc;
}

/* Whether what is in a->in gives ${root} back. */
static enum status
gives(struct anchor *a, uint64_t epoch, const struct key *root)
{
	struct key got = { { 0 } };
	enum status rc = unwrap(a, epoch, &got);

	if (rc == STATUS_OK && sodium_memcmp(got.b, root->b, SEAL_KEY_LEN) != 0)
		rc = STATUS_FORGED;
	seal_key_wipe(&got);
	if (rc == STATUS_OK)
		return rc;
	errno = 0;
	anchor_io_complain(a->o.path, "the slot read back does not give the root key");
	return rc;
}

/* A file that lost its name would take the only root key with it. */
static bool
still_ours(struct anchor *a)
{
	const char *why = NULL;

	if (own_file_is(a->fd, ANCHOR_LEN, &why))
		return true;
	anchor_io_complain(a->o.path, why);
	return false;
}

enum status
anchor_prepare(struct anchor *a, uint64_t epoch, const uint8_t commitment[static SEAL_DIGEST_LEN],
    const struct key *root)
{
	const struct anchor_content c = {
		.vault = a->o.vault, .epoch = epoch, .commitment = commitment,
		.providers = a->o.providers, .provider_count = a->o.provider_count, .root = root
	};
	enum status rc = STATUS_ANCHOR;

	if (a->o.read_only)
		return STATUS_READ_ONLY;
	if (!still_ours(a))
		return rc;
	seal_random(a->out + ANCHOR_BLOCK, ANCHOR_STRIPES);
	anchor_slot_encode(a->out, &c);
	/* K3: nothing rests on this slot until it was read back from the device. */
	if (anchor_io_replace(a, (unsigned)(epoch % 2)) == STATUS_OK &&
	    gives(a, epoch, root) == STATUS_OK)
		rc = STATUS_OK;
	wipe(a);
	return rc;
}

enum status
anchor_settle(struct anchor *a, uint64_t epoch)
{
	enum status rc;

	if (a->o.read_only)
		return STATUS_READ_ONLY;
	if (!still_ours(a))
		return STATUS_ANCHOR;
	if (mutant(old_slot_kept))
		return STATUS_OK;
	seal_random(a->out, ANCHOR_SLOT_LEN);
	/* K5: the old root key dies here. */
	rc = anchor_io_replace(a, (unsigned)((epoch + 1) % 2));
	wipe(a);
	return rc;
}

enum status
anchor_verify(struct anchor *a, uint64_t epoch, const struct key *root)
{
	enum status rc = anchor_io_read(a, (unsigned)(epoch % 2));

	if (rc == STATUS_OK)
		rc = gives(a, epoch, root);
	wipe(a);
	return rc;
}
