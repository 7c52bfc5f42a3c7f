/*
 * Many rows into a new store, in commits of some megabytes each. Nothing rests on them before the rows of
 * table meta are there, which come last, in a commit of their own. One thread.
 */
#ifndef SERVER_RESTORE_BULK_H
#define SERVER_RESTORE_BULK_H

#include "server/store/store.h"

struct bulk;

enum status bulk_new(struct store *st, struct bulk **out) MUST_USE;

/* What is not committed is lost. */
void bulk_free(struct bulk *b);

/* Any error ends it. STATUS_FULL, STATUS_IO, STATUS_NO_MEMORY. */
enum status bulk_put(struct bulk *b, enum store_table t, struct bytes key, struct bytes value) MUST_USE;

/* Commits what was put so far, durably. */
enum status bulk_commit(struct bulk *b) MUST_USE;

#endif /* SERVER_RESTORE_BULK_H */
