/*
 * Ranges of a backup by where they begin.
 */
#ifndef CLI_BACKUP_INDEX_H
#define CLI_BACKUP_INDEX_H

#include <stdbool.h>

#include "client/backup/range.h"

/* All zero: none. */
struct backup_index {
	Pdvault__V1__BackupRange **ranges;	/* of the caller, ordered by table and key */
	size_t count;
};

/* backup_index_make(x, ranges, count): false without memory. backup_index_free() in any case. */
bool backup_index_make(struct backup_index *x, Pdvault__V1__BackupRange *const *ranges, size_t count);

/* The first range of the table that begins at that key or behind it; ${x->count}: there is none. */
size_t backup_index_find(const struct backup_index *x, const char *table, ProtobufCBinaryData key);

void backup_index_free(struct backup_index *x);

#endif /* CLI_BACKUP_INDEX_H */
