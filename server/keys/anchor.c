#include "server/keys/anchor.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/keys/anchor_internal.h"
#include "server/keys/own_file.h"
#include "server/keys/secret.h"
#include "server/log.h"

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

static enum status
open_files(struct anchor *a, const struct anchor_paths *p, bool retiring)
{
	enum status rc = STATUS_OK;

	must(p->count <= ANCHOR_FILES_MAX);
	for (size_t i = 0; i < p->count && rc == STATUS_OK; i++) {
		struct anchor_file *f = &a->file[a->files];

		if ((f->path = strdup(p->path[i])) == NULL)
			return STATUS_NO_MEMORY;
		f->fd = -1;
		f->retiring = retiring;
		a->files++;
		rc = anchor_file_open(a, f);
	}
	return rc;
}

enum status
anchor_open(const struct anchor_options *o, struct anchor **out)
{
	struct anchor *a = calloc(1, sizeof(*a));
	enum status rc = STATUS_NO_MEMORY;

	must(o->files.count > 0);
	if (a == NULL)
		return rc;
	a->o = *o;
	if ((a->out = secret_pages(ANCHOR_SLOT_LEN)) == NULL ||
	    (a->in = secret_pages(ANCHOR_SLOT_LEN)) == NULL ||
	    (a->seals = secret_alloc(sizeof(*a->seals))) == NULL ||
	    (a->found = secret_alloc(sizeof(*a->found))) == NULL)
		goto out;
	if ((rc = open_files(a, &o->files, false)) != STATUS_OK ||
	    (rc = open_files(a, &o->retiring, true)) != STATUS_OK)
		goto out;
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
	for (size_t i = 0; i < a->files; i++) {
		if (a->file[i].fd >= 0)
			(void)close(a->file[i].fd);
		free(a->file[i].path);
	}
	secret_pages_free(a->out, ANCHOR_SLOT_LEN);
	secret_pages_free(a->in, ANCHOR_SLOT_LEN);
	secret_free(a->seals, sizeof(*a->seals));
	secret_free(a->found, sizeof(*a->found));
	free(a);
}

size_t
anchor_files(const struct anchor *a)
{
	return a->files;
}

bool
anchor_retires(const struct anchor *a, size_t file)
{
	must(file < a->files);
	return a->file[file].retiring;
}

const char *
anchor_path(const struct anchor *a, size_t file)
{
	must(file < a->files);
	return a->file[file].path;
}

/* The next file that is written, or (with ${retiring}) that retires; NULL: there is none. */
static struct anchor_file *
next(struct anchor *a, struct anchor_file *f, bool retiring)
{
	for (f = f == NULL ? a->file : f + 1; f < a->file + a->files; f++)
		if (f->retiring == retiring)
			return f;
	return NULL;
}

enum status
anchor_survey(struct anchor *a, size_t file, struct anchor_slot out[static 2])
{
	struct anchor_slot found[2];
	uint8_t digest[SEAL_DIGEST_LEN];
	enum status rc = STATUS_OK;

	must(file < a->files);
	for (unsigned place = 0; place < 2 && rc == STATUS_OK; place++)
		if ((rc = anchor_io_read(a, &a->file[file], place)) == STATUS_OK)
			anchor_slot_decode(a->in, a->o.vault, place, &found[place], digest);
	if (rc == STATUS_OK)
		memcpy(out, found, sizeof(found));
	sodium_memzero(digest, sizeof(digest));
	sodium_memzero(a->in, ANCHOR_SLOT_LEN);
	return rc;
}

enum status
anchor_load(struct anchor *a, size_t file, uint64_t epoch, struct key *root)
{
	must(file < a->files);
	return anchor_file_load(a, &a->file[file], epoch, root);
}

const struct anchor_seals *
anchor_seals(const struct anchor *a)
{
	return a->seals;
}

void
anchor_reseal(struct anchor *a, const struct anchor_seals *seals)
{
	must(seals->count > 0 && seals->count <= PROVIDER_MAX);
	*a->seals = *seals;
}

enum status
anchor_spread(struct anchor *a, const struct root *root)
{
	struct anchor_file *f = NULL, *lacks[ANCHOR_FILES_MAX];
	enum status rc = STATUS_OK;
	size_t count = 0;

	if (a->o.read_only)
		return STATUS_READ_ONLY;
	/* All are judged before one is written; of one that retires all may be unreadable. */
	while (rc == STATUS_OK && (f = next(a, f, true)) != NULL)
		if (anchor_file_ours(a, f) == STATUS_REFUSED)
			rc = STATUS_REFUSED;
	while (rc == STATUS_OK && (f = next(a, f, false)) != NULL)
		if (anchor_file_gives(a, f, root) != STATUS_OK &&
		    (rc = anchor_file_ours(a, f)) == STATUS_OK)
			lacks[count++] = f;
	for (size_t i = 0; i < count && rc == STATUS_OK; i++)
		if ((rc = anchor_file_write(a, lacks[i], root)) == STATUS_OK)
			log_event(LOG_ANCHOR_WRITTEN, LOG_S(PATH, lacks[i]->path), LOG_N(EPOCH, root->epoch));
	return rc;
}

enum status
anchor_prepare(struct anchor *a, const struct root *root)
{
	struct anchor_file *f = NULL;
	enum status rc = STATUS_OK;

	if (a->o.read_only)
		return STATUS_READ_ONLY;
	while (rc == STATUS_OK && (f = next(a, f, false)) != NULL)
		rc = anchor_file_write(a, f, root);
	return rc;
}

enum status
anchor_settle(struct anchor *a, uint64_t epoch)
{
	struct anchor_file *f = NULL;
	enum status rc = STATUS_OK;

	if (a->o.read_only)
		return STATUS_READ_ONLY;
	/* One that fails keeps none of the others. */
	while ((f = next(a, f, false)) != NULL)
		if (anchor_file_erase(a, f, (unsigned)((epoch + 1) % 2)) != STATUS_OK)
			rc = STATUS_ANCHOR;
	return rc;
}

enum status
anchor_retire(struct anchor *a)
{
	struct anchor_file *f = NULL;
	enum status rc = STATUS_OK;
	unsigned erased;

	if (a->o.read_only)
		return STATUS_READ_ONLY;
	while ((f = next(a, f, true)) != NULL) {
		erased = 0;
		errno = 0;
		if (f->read_only)
			anchor_io_complain(f->path, "lies on a read-only medium");
		else if (anchor_file_ours(a, f) != STATUS_REFUSED)
			for (unsigned place = 0; place < 2; place++)
				erased += anchor_file_erase(a, f, place) == STATUS_OK;
		if (erased == 2)
			log_event(LOG_ANCHOR_RETIRED, LOG_S(PATH, f->path));
		else
			rc = STATUS_ANCHOR;
	}
	return rc;
}

enum status
anchor_verify(struct anchor *a, const struct root *root)
{
	struct anchor_file *f = NULL;
	enum status rc = STATUS_OK, one;

	while ((f = next(a, f, false)) != NULL) {
		if ((one = anchor_file_gives(a, f, root)) == STATUS_OK)
			continue;
		rc = one;
		errno = 0;
		if (one != STATUS_IO)	/* of which reading has told */
			anchor_io_complain(f->path, "the live slot does not give the root key");
	}
	return rc;
}
