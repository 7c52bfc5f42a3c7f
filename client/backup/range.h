/*
 * Ranges of keys: what is checked of them, and where a key lies. Any thread.
 */
#ifndef CLIENT_BACKUP_RANGE_H
#define CLIENT_BACKUP_RANGE_H

#include "client/backup/rows.h"
#include "pdvault/v1/backup.pb-c.h"

#define BACKUP_ID_LEN 16u
#define BACKUP_CHUNKS_MAX 999999u	/* numbers of files */
#define BACKUP_KEY_MAX 255u
#define BACKUP_TABLE_MAX 31u		/* bytes of a table's name */
#define BACKUP_RANGE_ROWS (4u << 20)	/* bytes of rows, about: where a range is split */

/*
 * backup_range_ok(r):
 * The table has a name, keys and digests have their lengths, the range is not empty, its chunk has a number;
 * a digest of the chunk is there or not.
 */
bool backup_range_ok(const Pdvault__V1__BackupRange *r);

/* The same in all but the digest of the chunk. */
bool backup_range_same(const Pdvault__V1__BackupRange *a, const Pdvault__V1__BackupRange *b);

/* Where a key lies: -1 before it, 0 in it, 1 behind it. */
int backup_range_place(const Pdvault__V1__BackupRange *r, const uint8_t *key, size_t key_len);

/*
 * backup_range_copy(r):
 * In one piece of memory, for free(), with room for a chunk's digest; NULL without memory.
 */
Pdvault__V1__BackupRange *backup_range_copy(const Pdvault__V1__BackupRange *r);

#endif /* CLIENT_BACKUP_RANGE_H */
