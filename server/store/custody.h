/*
 * What an operator does about the anchor while the server is down: `pdvaultd anchor verify`, `anchor move`,
 * `recover --previous` and `recover --recovery`. One thread; secret_init() and seal_init() come before. The
 * log says what went wrong, and of which file.
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
	enum recover_row row;		/* what recovery would come to */
	bool unknown;			/* but a file that cannot be read may hold what is missing */
	bool moving;			/* but custody_move() is not through */
	struct custody_file file[ANCHOR_FILES_MAX];
	size_t files;
};

/*
 * Looks at every file of the anchor past the page cache; writes nothing. STATUS_OK also when files are
 * bad: ${out} says so. As vault_open() when the vault cannot be opened at all.
 */
enum status custody_verify(const struct vault_options *o, struct custody_report *out) MUST_USE;

struct custody_moved {
	bool done;			/* what o->retiring holds opens nothing that is sealed from now on */
	bool remembered;		/* a place that was left is of class D: the log says which */
	bool missed;			/* a file of an earlier, unfinished move is in neither list, so too */
};

/*
 * o->anchor becomes the anchor, from o->retiring, which was it before (or a part of it). Files of o->anchor
 * that do not exist are made. Recovery writes the root key into them; a switch makes a new root key that the
 * old files never see; then both slots of the old files are overwritten. Can be cut off at any time and done
 * again, and until it is through the vault does not open otherwise (moving.h): what is in the old files then
 * opens what would be answered as shredded. With nothing in o->retiring it only ends such a one.
 *
 * STATUS_ANCHOR: with out->done a file of o->retiring could not be overwritten, or its place keeps what was
 * there (which o->force_class_d takes for STATUS_OK), or one was missed: such a file, or its device, opens
 * what was pending, and what is erased from now on. Else a file of o->anchor could not be written.
 * STATUS_READ_ONLY: the store's medium is. STATUS_INDETERMINATE: a storage error, or K5 failed; do it again.
 * Else as vault_open().
 */
enum status custody_move(const struct vault_options *o, struct custody_moved *out) MUST_USE;

/*
 * Row previous_only of the recovery table: the anchor has no slot for the store's newest epoch, but the one
 * before. Takes the store back by its newest commit, if what is under it opens with that slot.
 * *erasures: how many were in that commit, and are undone. STATUS_REFUSED: it is not that row, or the
 * commit before does not open either; the store is as it was. STATUS_IO: gone back or not; do it again
 * before a start.
 */
enum status custody_previous(const struct vault_options *o, uint64_t *erasures) MUST_USE;

/*
 * Every seal that opens is lost, or some are: with o->recovery, the secret of a recovery key that the
 * anchor is wrapped for, the vault opens, and each seal of the configuration that does not give its key
 * gets a new one, by a switch. *count: how many. STATUS_REFUSED: the secret does not open it, or a file
 * of a seal stands in the way (the log says which). Else as vault_open(), and as a switch.
 */
enum status custody_reseal(const struct vault_options *o, unsigned *count) MUST_USE;

#endif /* SERVER_STORE_CUSTODY_H */
