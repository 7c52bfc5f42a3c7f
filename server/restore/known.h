/*
 * What is known of key backups, from several places, put together. What the vault has signed counts: its
 * ledger, and the key backup that is used. A row of a table may have been changed by anybody, so it adds to
 * that no more than a name and a public key; where it is all that there is, the key backup lives as long as
 * any row says, and was not destroyed. One thread.
 */
#ifndef SERVER_RESTORE_KNOWN_H
#define SERVER_RESTORE_KNOWN_H

#include "server/restore/bulk.h"
#include "server/restore/input.h"
#include "server/store/key_backup.h"

struct known_item {
	struct key_backup b;
	bool row;
};

/* Start with all zero. */
struct known {
	struct known_item *item;
	size_t count, room;
};

/* Adds what was signed, of which not everything need be there: times and epoch at their greatest, no key. */
enum status known_add(struct known *k, const struct key_backup *b) MUST_USE;

/* Adds the rows of an input. STATUS_CORRUPT: one is no such row; as stream_row(). */
enum status known_rows(struct known *k, struct input *in) MUST_USE;

/*
 * known_write(k, epoch, b): one row for each. ${epoch} is that of the vault in the making: whom it will forget,
 * all of these may have. As bulk_put().
 */
enum status known_write(struct known *k, uint64_t epoch, struct bulk *b) MUST_USE;
void known_free(struct known *k);

#endif /* SERVER_RESTORE_KNOWN_H */
