/*
 * The anchor: a pre-allocated file with two slots, or a few of them on several devices, never
 * truncated, renamed or unlinked. A slot holds the root key of one epoch, wrapped for every seal under
 * a key that also needs all of the slot's 64 KiB of random stripes; and, under the root key, the keys
 * of all seals: whichever of them opens it, the next slot is wrapped for the others, too. Slot (epoch
 * mod 2) belongs to an epoch. A slot is immutable until it is overwritten; it has no state: the store
 * decides which epoch is the present one. All files are written and all are erased, or it counts as not
 * done; any one of them opens the vault.
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
#include "server/keys/root.h"
#include "server/keys/seal.h"

#define ANCHOR_BLOCK 4096u
#define ANCHOR_STRIPES 65536u			/* bytes of random stripes in a slot */
#define ANCHOR_SLOT_LEN (ANCHOR_BLOCK + ANCHOR_STRIPES)
#define ANCHOR_LEN ((size_t)2 * ANCHOR_SLOT_LEN)

#define ANCHOR_FILES_MAX 4u
#define ANCHOR_SLOTS_MAX (2u * 2u * ANCHOR_FILES_MAX)	/* of the files, and of those that retire */

struct anchor;

/* A recovery key with its secret half: `pdvaultd recover --recovery`. */
struct anchor_recovery {
	uint8_t public[SEAL_RECOVERY_KEY_LEN], secret[SEAL_RECOVERY_KEY_LEN];
};

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

/* One seal of a vault: a version of a provider for which the root key is wrapped. */
enum anchor_seal_kind { ANCHOR_SEAL_KEK = 1, ANCHOR_SEAL_RECOVERY = 2 };
struct anchor_seal {
	enum anchor_seal_kind kind;
	uint8_t id[PROVIDER_ID_LEN];
	char name[PROVIDER_NAME_MAX + 1];	/* of the provider */
	struct key key;			/* KEK; of a recovery key the public half */
	uint64_t since;			/* first epoch whose slot was wrapped for it */
	int64_t made_ms;
};

/* All of them. In secret memory. */
struct anchor_seals {
	unsigned count;			/* 1 to PROVIDER_MAX */
	struct anchor_seal seal[PROVIDER_MAX];
	/*
	 * What is known of seals that were: slots of epochs below ${lasting} may open with a secret
	 * that nothing destroyed (0: none); the worst class of those that were destroyed (0: none was).
	 */
	uint64_t lasting;
	uint8_t dead_class;
};

struct anchor_options {
	struct anchor_paths files;		/* at least one */
	struct anchor_paths retiring;		/* only read, until anchor_retire() */
	uint8_t vault[16];
	const struct provider_kek *keks;	/* what may open it; borrowed, until it is loaded or made */
	size_t kek_count;
	const struct anchor_recovery *recovery;	/* or NULL: what else may open it; borrowed so */
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
 * first KEK that can; the seals of that slot become those of the anchor. STATUS_ABSENT: no valid slot of that
 * epoch. STATUS_FORGED: nothing opens it. STATUS_IO.
 */
enum status anchor_load(struct anchor *a, size_t file, uint64_t epoch, struct key *root) MUST_USE;

/* The seals that the next slots are wrapped for; none before anchor_load() or anchor_reseal(). */
const struct anchor_seals *anchor_seals(const struct anchor *a);

/* Others, copied: from the next anchor_prepare() on. */
void anchor_reseal(struct anchor *a, const struct anchor_seals *seals);

/*
 * anchor_spread(a, root): files that do not give the root key for the present epoch
 * are written as by anchor_prepare(): new ones, and those that were away. STATUS_REFUSED: one, of those
 * that retire too, is the anchor of another vault; STATUS_IO: one cannot be read; none was written.
 * STATUS_ANCHOR: not all were.
 */
enum status anchor_spread(struct anchor *a, const struct root *root) MUST_USE;

/*
 * K3. anchor_prepare(a, root): writes slot (epoch mod 2) of every file for every seal with fresh
 * stripes, flushes, reads it back past the cache, and opens each wrap of what was read (but a recovery key's).
 * STATUS_ANCHOR: nothing may rest on it; the other slots are untouched. A file that was unlinked,
 * linked or changed in length or mode since is not written.
 */
enum status anchor_prepare(struct anchor *a, const struct root *root) MUST_USE;

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
 * Reads the live slot of each file again past the cache and opens each wrap; they must give the root key.
 * STATUS_IO; STATUS_ABSENT: a slot is damaged; STATUS_FORGED: it gives another key, or does not open; of
 * several the last.
 */
enum status anchor_verify(struct anchor *a, const struct root *root) MUST_USE;

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
