/*
 * The anchor: a pre-allocated file with two slots, or a few of them on several devices, never
 * truncated, renamed or unlinked. A slot holds the root key of one epoch, wrapped for every
 * provider under a key that also needs all of the slot's 64 KiB of random stripes. Slot (epoch
 * mod 2) belongs to an epoch. A slot is immutable until it is overwritten; it has no state: the
 * store decides which epoch is the present one. All files are written and all are erased, or
 * it counts as not done; any one of them opens the vault.
 *
 * The layout is in docs/FORMAT.md. Only anchor*.c opens the files. One thread: the
 * writer's, or start-up's.
 */
#ifndef SERVER_KEYS_ANCHOR_H
#define SERVER_KEYS_ANCHOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/keys/provider.h"
#include "server/keys/seal.h"

#define ANCHOR_BLOCK 4096u
#define ANCHOR_STRIPES 65536u			/* bytes of random stripes in a slot */
#define ANCHOR_SLOT_LEN (ANCHOR_BLOCK + ANCHOR_STRIPES)
#define ANCHOR_LEN ((size_t)2 * ANCHOR_SLOT_LEN)

#define ANCHOR_FILES_MAX 4u
#define ANCHOR_SLOTS_MAX (2u * 2u * ANCHOR_FILES_MAX)	/* of the files, and of those that retire */

struct anchor;

struct anchor_paths {
	const char *path[ANCHOR_FILES_MAX];
	size_t count;
};

/* How surely an overwritten slot is gone, best first: docs/THREATS.md. */
enum anchor_class {
	ANCHOR_CLASS_A = 'A',	/* hardware */
	ANCHOR_CLASS_B = 'B',	/* known rotating disk, in place */
	ANCHOR_CLASS_C = 'C',	/* flash, or unknown */
	ANCHOR_CLASS_D = 'D',	/* copies may remain: copy on write, network, swapped memory */
};

struct anchor_options {
	struct anchor_paths files;		/* at least one */
	struct anchor_paths retiring;		/* only read, until anchor_retire() */
	uint8_t vault[16];
	const struct provider *providers;	/* borrowed; outlive the anchor */
	size_t provider_count;
	bool read_only;		/* never written: those that write answer STATUS_READ_ONLY */
};

/* What stands in a slot, as far as it can be read without a key. */
struct anchor_slot {
	bool valid;		/* magic, format, vault, place and checksum are right */
	uint64_t epoch;
	uint8_t commitment[SEAL_DIGEST_LEN];
};

/*
 * anchor_create(path): a new file of ANCHOR_LEN random bytes, 0600, allocated, flushed with its
 * folder. STATUS_REFUSED: it exists.
 */
enum status anchor_create(const char *path) MUST_USE;

/*
 * Opens and locks all files. STATUS_CONFIG: missing, of another length or owner, a symbolic link,
 * with a second name, open to others; STATUS_REFUSED: another process has it, or it is named twice;
 * STATUS_READ_ONLY: the medium is, and ${read_only} was not asked for (one that retires may be);
 * STATUS_NO_MEMORY. The log says which.
 */
enum status anchor_open(const struct anchor_options *o, struct anchor **out) MUST_USE;
void anchor_close(struct anchor *a);

/* How many files there are, those that retire last; and the path of one. */
size_t anchor_files(const struct anchor *a);
bool anchor_retires(const struct anchor *a, size_t file);
const char *anchor_path(const struct anchor *a, size_t file);

/*
 * anchor_survey(a, file, out): reads both slots of a file from the device, past the page cache.
 * STATUS_IO.
 */
enum status anchor_survey(struct anchor *a, size_t file, struct anchor_slot out[static 2]) MUST_USE;

/*
 * anchor_load(a, file, epoch, root): the root key of ${epoch} out of that file, unwrapped by the
 * first provider that can. STATUS_ABSENT: no valid slot of that epoch. STATUS_FORGED: no provider
 * opens it. STATUS_IO.
 */
enum status anchor_load(struct anchor *a, size_t file, uint64_t epoch, struct key *root) MUST_USE;

/*
 * anchor_spread(a, epoch, commitment, root): files that do not give ${root} for the present epoch
 * are written as by anchor_prepare(): new ones, and those that were away. STATUS_REFUSED: one, of those
 * that retire too, is the anchor of another vault; STATUS_IO: one cannot be read; none was written.
 * STATUS_ANCHOR: not all were.
 */
enum status anchor_spread(struct anchor *a, uint64_t epoch,
    const uint8_t commitment[static SEAL_DIGEST_LEN], const struct key *root) MUST_USE;

/*
 * K3. anchor_prepare(a, epoch, commitment, root): writes slot (epoch mod 2) of every file for every
 * provider with fresh stripes, flushes, reads it back past the cache, and unwraps what was read once.
 * STATUS_ANCHOR: nothing may rest on it; the other slots are untouched. A file that was unlinked,
 * linked or changed in length or mode since is not written.
 */
enum status anchor_prepare(struct anchor *a, uint64_t epoch,
    const uint8_t commitment[static SEAL_DIGEST_LEN], const struct key *root) MUST_USE;

/*
 * K5. anchor_settle(a, epoch): overwrites the slots that are not ${epoch}'s with random bytes,
 * flushes, reads them back past the cache. STATUS_ANCHOR: the old root may still be there.
 */
enum status anchor_settle(struct anchor *a, uint64_t epoch) MUST_USE;

/*
 * anchor_retire(a): overwrites both slots of each file that retires, as K5 does, and logs each; none in which
 * a slot of another vault is seen. STATUS_ANCHOR: not of all; the log says of which.
 */
enum status anchor_retire(struct anchor *a) MUST_USE;

/*
 * Reads the live slot of each file again past the cache and unwraps it; it must give ${root}.
 * STATUS_IO; STATUS_ABSENT: a slot is damaged; STATUS_FORGED: it gives another key, or does not open; of
 * several the last.
 */
enum status anchor_verify(struct anchor *a, uint64_t epoch, const struct key *root) MUST_USE;

/*
 * The class of where the files lie, the worst of them, looked up anew; *why becomes a static text such as
 * "overlay file system". It does not fail: what cannot be found out is C. Also D: a file's blocks
 * are no longer those it was opened with, so older slots were left behind. About 0.1 ms for each.
 */
enum anchor_class anchor_class(struct anchor *a, const char **why);

/* The same for one file, also for one that retires. */
enum anchor_class anchor_class_at(struct anchor *a, size_t file, const char **why);

/* The same for a path that need not exist yet (its folder is looked at). */
enum anchor_class anchor_class_of(const char *path, const char **why);

#endif /* SERVER_KEYS_ANCHOR_H */
