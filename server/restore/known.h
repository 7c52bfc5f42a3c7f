/*
 * What is known of key backups, from several places, put together: what happened to one stays so. One thread.
 */
#ifndef SERVER_RESTORE_KNOWN_H
#define SERVER_RESTORE_KNOWN_H

#include "server/restore/bulk.h"
#include "server/restore/input.h"
#include "server/store/key_backup.h"

/* Start with all zero. */
struct known {
	struct key_backup *item;
	size_t count, room;
};

/* Adds one, of which not everything need be known: times and epoch at their greatest, no key. */
enum status known_add(struct known *k, const struct key_backup *b) MUST_USE;

/* Adds the rows of an input. STATUS_CORRUPT: one is no such row; as stream_row(). */
enum status known_rows(struct known *k, struct input *in) MUST_USE;

/* One row for each. As bulk_put(). */
enum status known_write(struct known *k, struct bulk *b) MUST_USE;
void known_free(struct known *k);

#endif /* SERVER_RESTORE_KNOWN_H */
