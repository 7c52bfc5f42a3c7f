/*
 * What the files of the anchor share: the codec of a slot (pure), the few system calls
 * on the file (with faults for tests), and what is found out about where the file lies.
 */
#ifndef SERVER_KEYS_ANCHOR_INTERNAL_H
#define SERVER_KEYS_ANCHOR_INTERNAL_H

#include "server/keys/anchor.h"

struct anchor_file {
	char *path;
	int fd;
	bool retiring;
	bool read_only;
	bool direct;			/* O_DIRECT is in force */
	bool mapped;			/* extents is known */
	uint8_t extents[SEAL_DIGEST_LEN];
};

/*
 * Invariants:
 *  1. out and in are zero between calls.
 *  2. While the anchor is open each file has one name, ANCHOR_LEN bytes and our lock.
 */
struct anchor {
	struct anchor_options o;	/* its paths are not looked at after opening */
	struct anchor_file file[2 * ANCHOR_FILES_MAX];
	size_t files;			/* those that retire come last */
	uint8_t *out, *in;		/* ANCHOR_SLOT_LEN each, whole pages, locked */
	struct anchor_seals *seals, *found;	/* secret memory; those of a slot that was just read */
};

/* --- anchor_file.c: one file. All wipe the buffers before they return. --- */

/* As anchor_open(). f->path and f->retiring are set. */
enum status anchor_file_open(struct anchor *a, struct anchor_file *f) MUST_USE;

/* As anchor_load(). */
enum status anchor_file_load(struct anchor *a, struct anchor_file *f, uint64_t epoch,
    struct key *root) MUST_USE;

/* Whether its slot gives ${root} by every seal: as anchor_verify(). */
enum status anchor_file_gives(struct anchor *a, struct anchor_file *f, const struct root *root) MUST_USE;

/* STATUS_REFUSED: a slot of it is a whole one of another vault, it is not ours to write. STATUS_IO: else. */
enum status anchor_file_ours(struct anchor *a, struct anchor_file *f) MUST_USE;

/* As anchor_prepare(). */
enum status anchor_file_write(struct anchor *a, struct anchor_file *f, const struct root *root) MUST_USE;

/* Overwrites slot ${place} with random bytes: as anchor_settle(). */
enum status anchor_file_erase(struct anchor *a, struct anchor_file *f, unsigned place) MUST_USE;

/* --- anchor_slot.c: bytes of a slot; docs/FORMAT.md. Any thread. --- */

struct anchor_content {
	const uint8_t *vault;			/* 16 bytes */
	const struct root *root;		/* its key, epoch and commitment */
	const struct anchor_seals *seals;
};

#define ANCHOR_SLOT_VAULT 16u	/* offset of the vault's id */

/* Makes the header block of a slot whose stripes are filled in. STATUS_REFUSED: a recovery key is none. */
enum status anchor_slot_encode(uint8_t slot[static ANCHOR_SLOT_LEN], const struct anchor_content *c) MUST_USE;

/*
 * out->valid: a whole slot of this vault that may stand at ${place} (0 or 1). digest becomes
 * the digest of its stripes, which is a secret: the caller wipes it.
 */
void anchor_slot_decode(const uint8_t slot[static ANCHOR_SLOT_LEN], const uint8_t vault[static 16],
    unsigned place, struct anchor_slot *out, uint8_t digest[static SEAL_DIGEST_LEN]);

/*
 * The root key out of a valid slot, by the first of o->keks that has a wrap there which opens, or by
 * o->recovery. STATUS_FORGED: none.
 */
enum status anchor_slot_unwrap(const uint8_t slot[static ANCHOR_SLOT_LEN],
    const uint8_t digest[static SEAL_DIGEST_LEN], const struct anchor_options *o, struct key *root) MUST_USE;

/* The seals in a valid slot, with its root key. STATUS_FORGED: they do not open. */
enum status anchor_slot_seals(const uint8_t slot[static ANCHOR_SLOT_LEN],
    const uint8_t digest[static SEAL_DIGEST_LEN], const struct key *root, struct anchor_seals *out) MUST_USE;

/* Whether the wraps of a valid slot are those of ${c} and each that can be opened gives its root key. */
bool anchor_slot_is(const uint8_t slot[static ANCHOR_SLOT_LEN],
    const uint8_t digest[static SEAL_DIGEST_LEN], const struct anchor_content *c);

/* --- anchor_io.c: whole slots, logged and counted when they fail. --- */

/* Sets f->direct to whether the file system takes O_DIRECT. */
enum status anchor_io_begin(struct anchor *a, struct anchor_file *f) MUST_USE;

/* Reads slot ${place} into a->in, past the page cache. STATUS_IO. */
enum status anchor_io_read(struct anchor *a, const struct anchor_file *f, unsigned place) MUST_USE;

/*
 * Writes a->out over slot ${place}, flushes, reads it back past the page cache into a->in;
 * STATUS_ANCHOR: any of this failed, or other bytes came back.
 */
enum status anchor_io_replace(struct anchor *a, const struct anchor_file *f, unsigned place) MUST_USE;

/* Logs ANCHOR_ERROR with errno, where that is not 0, and counts. */
void anchor_io_complain(const char *path, const char *what);

#ifdef PDV_TEST_HOOKS
enum anchor_test_call { ANCHOR_TEST_PWRITE, ANCHOR_TEST_FDATASYNC, ANCHOR_TEST_PREAD,
	ANCHOR_TEST_CALLS };

#define ANCHOR_TEST_SHORT (-1)	/* transfers half, in whole blocks */
#define ANCHOR_TEST_LOST (-2)	/* says that it was done, and does nothing */
#define ANCHOR_TEST_TORN (-3)	/* does half, then fails with EIO */

/* The nth such call from now fails with errno ${error}, or in one of the ways above. 0: none. */
void anchor_test_fault(enum anchor_test_call call, unsigned nth, int error);

/* Such calls since the last anchor_test_fault(). */
unsigned anchor_test_count(enum anchor_test_call call);

/* Anchors opened from now on find a file system without O_DIRECT. */
void anchor_test_cached(bool on);
#endif

/* --- anchor_place.c and anchor_class.c --- */

enum anchor_device {
	ANCHOR_DEVICE_UNKNOWN, ANCHOR_DEVICE_ROTATING, ANCHOR_DEVICE_FLASH, ANCHOR_DEVICE_SHINGLED,
	ANCHOR_DEVICE_USB, ANCHOR_DEVICE_VIRTUAL, ANCHOR_DEVICE_MAPPER, ANCHOR_DEVICE_RAID,
	ANCHOR_DEVICE_CONTROLLER, ANCHOR_DEVICE_LOOP, ANCHOR_DEVICE_NETWORK, ANCHOR_DEVICE_MEMORY,
	ANCHOR_DEVICES
};

/* What was observed. All zero: nothing could be found out. */
struct anchor_facts {
	uint32_t file_system;		/* f_type of statfs(2) */
	bool journalled;		/* data=journal, or the file's own flag for it */
	bool shared;			/* an extent is shared with another file */
	bool moved;			/* the file's blocks are not those it was opened with */
	enum anchor_device device;
	enum anchor_class backing;	/* of a loop device's file; 0: not known */
};

/* Pure. */
enum anchor_class anchor_class_decide(const struct anchor_facts *f, const char **why);

/* Where /sys and /proc are: others in tests. */
struct anchor_roots {
	const char *sys, *proc;
};

/* Everything but ->moved, of an open file or folder. Never fails: see struct anchor_facts. */
void anchor_place_look(int fd, const struct anchor_roots *r, struct anchor_facts *out);

/* Only ->device and ->backing, of the block device major:minor. */
void anchor_place_device(unsigned major, unsigned minor, const struct anchor_roots *r,
    struct anchor_facts *out);

/*
 * A digest of where the file's bytes lie on its device; false: cannot be found out. *shared, where
 * not NULL, becomes whether an extent is shared.
 */
bool anchor_place_extents(int fd, uint8_t digest[static SEAL_DIGEST_LEN], bool *shared);

#endif /* SERVER_KEYS_ANCHOR_INTERNAL_H */
