/*
 * The anchor: one pre-allocated file with two slots, never truncated, renamed or
 * unlinked. A slot holds the root key of one epoch, wrapped for every provider
 * under a key that also needs all of the slot's 64 KiB of random stripes. Slot (epoch mod 2)
 * belongs to an epoch. A slot is immutable until it is overwritten; it has no state: the
 * store decides which epoch is the present one.
 *
 * The layout is in docs/FORMAT.md. Only anchor*.c opens the file. One thread: the
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

struct anchor;

/* How surely an overwritten slot is gone, best first: docs/THREATS.md. */
enum anchor_class {
	ANCHOR_CLASS_A = 'A',	/* hardware */
	ANCHOR_CLASS_B = 'B',	/* known rotating disk, in place */
	ANCHOR_CLASS_C = 'C',	/* flash, or unknown */
	ANCHOR_CLASS_D = 'D',	/* copies may remain: copy on write, network, swapped memory */
};

struct anchor_options {
	const char *path;
	uint8_t vault[16];
	const struct provider *providers;	/* borrowed; outlive the anchor */
	size_t provider_count;
	bool read_only;		/* never written: prepare and settle answer STATUS_READ_ONLY */
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
 * Opens and locks the file. STATUS_CONFIG: missing, of another length or owner, a symbolic link,
 * with a second name, open to others; STATUS_REFUSED: another process has it; STATUS_READ_ONLY:
 * the medium is, and ${read_only} was not asked for; STATUS_NO_MEMORY. The log says which.
 */
enum status anchor_open(const struct anchor_options *o, struct anchor **out) MUST_USE;
void anchor_close(struct anchor *a);

/* Reads both slots from the device, past the page cache. STATUS_IO. */
enum status anchor_survey(struct anchor *a, struct anchor_slot out[static 2]) MUST_USE;

/*
 * anchor_load(a, epoch, root): the root key of ${epoch}, unwrapped by the first provider that
 * can. STATUS_ABSENT: no valid slot of that epoch. STATUS_FORGED: no provider opens it.
 */
enum status anchor_load(struct anchor *a, uint64_t epoch, struct key *root) MUST_USE;

/*
 * K3. anchor_prepare(a, epoch, commitment, root): writes slot (epoch mod 2) for every provider
 * with fresh stripes, flushes, reads it back past the cache, and unwraps what was read once.
 * STATUS_ANCHOR: nothing may rest on it; the other slot is untouched. A file that was unlinked,
 * linked or changed in length or mode since is not written.
 */
enum status anchor_prepare(struct anchor *a, uint64_t epoch,
    const uint8_t commitment[static SEAL_DIGEST_LEN], const struct key *root) MUST_USE;

/*
 * K5. anchor_settle(a, epoch): overwrites the slot that is not ${epoch}'s with random bytes,
 * flushes, reads it back past the cache. STATUS_ANCHOR: the old root may still be there.
 */
enum status anchor_settle(struct anchor *a, uint64_t epoch) MUST_USE;

/*
 * Reads the live slot again past the cache and unwraps it; it must give ${root}. STATUS_IO;
 * STATUS_ABSENT: the slot is damaged; STATUS_FORGED: it gives another key, or does not open.
 */
enum status anchor_verify(struct anchor *a, uint64_t epoch, const struct key *root) MUST_USE;

/*
 * The class of where the file lies, looked up anew; *why becomes a static text such as
 * "overlay file system". It does not fail: what cannot be found out is C. Also D: the file's blocks
 * are no longer those it was opened with, so older slots were left behind. About 0.1 ms.
 */
enum anchor_class anchor_class(struct anchor *a, const char **why);

/* The same for a path that need not exist yet (its folder is looked at). */
enum anchor_class anchor_class_of(const char *path, const char **why);

#endif /* SERVER_KEYS_ANCHOR_H */
