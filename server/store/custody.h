/*
 * What an operator does about the anchor while the server is down: `pdvaultd anchor verify`, `anchor move`
 * and `recover --previous`. One thread; secret_init() and seal_init() come before. The log says what went
 * wrong, and of which file.
 */
#ifndef SERVER_STORE_CUSTODY_H
#define SERVER_STORE_CUSTODY_H

#include "server/store/recover.h"

/* One file of the anchor, as `anchor verify` sees it. */
struct custody_file {
	const char *path;		/* as in the options */
	enum anchor_class class;
	const char *why;		/* of the class; static */
	bool readable;
	struct anchor_slot slot[2];
	bool opens;			/* its slot of the store's epoch opens the store */
};

struct custody_report {
	uint64_t epoch;			/* of the store */
	enum recover_row row;		/* what a start would come to, */
	bool unknown;			/* unless this: a file that cannot be read may hold what is missing */
	struct custody_file file[ANCHOR_FILES_MAX];
	size_t files;
};

/*
 * Looks at every file of the anchor past the page cache; writes nothing. STATUS_OK also when files are
 * bad: ${out} says so. As vault_open() when the vault cannot be opened at all.
 */
enum status custody_verify(const struct vault_options *o, struct custody_report *out) MUST_USE;

/*
 * o->anchor becomes the anchor, from o->retiring, which was it before (or a part of it). Files of o->anchor
 * that do not exist are made. Recovery writes the root key into them; a switch makes a new root key that the
 * old files never see; then both slots of the old files are overwritten. Can be cut off at any time and done
 * again. STATUS_ANCHOR: a file could not be written, the log says which. One of o->anchor: not moved, do it
 * again. One of o->retiring: moved, and its device is to be destroyed. STATUS_READ_ONLY: the store's medium
 * is. STATUS_INDETERMINATE: a storage error, or K5 failed; do it again. Else as vault_open().
 */
enum status custody_move(const struct vault_options *o) MUST_USE;

/*
 * Row previous_only of the recovery table: the anchor has no slot for the store's newest epoch, but the one
 * before. Takes the store back by its newest commit, if what is under it opens with that slot.
 * *erasures: how many were in that commit, and are undone. STATUS_REFUSED: it is not that row, or the
 * commit before does not open either; the store is as it was. STATUS_IO: gone back or not; do it again
 * before a start.
 */
enum status custody_previous(const struct vault_options *o, uint64_t *erasures) MUST_USE;

#endif /* SERVER_STORE_CUSTODY_H */
