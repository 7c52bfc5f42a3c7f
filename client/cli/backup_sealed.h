/*
 * The sealed root key of a backup of keys, in its folder. It is written where it lies and overwritten before it
 * goes, so that no earlier one stays behind in free blocks, as far as the file system writes in place.
 */
#ifndef CLI_BACKUP_SEALED_H
#define CLI_BACKUP_SEALED_H

#include "client/backup/manifest.h"
#include "failure.h"

/* backup_sealed_write(folder, sealed, f): the file, mode 0600, in place of what was in it; flushed. */
enum pdv_code backup_sealed_write(const char *folder, const uint8_t sealed[static BACKUP_SEALED_LEN],
    struct failure *f);

/*
 * backup_sealed_destroy(folder, f):
 * Overwritten with random bytes, flushed, read back past the cache, removed. One that is not there is gone.
 */
enum pdv_code backup_sealed_destroy(const char *folder, struct failure *f);

/* backup_sealed_check(folder, f): it is there, and as long as it must be. */
enum pdv_code backup_sealed_check(const char *folder, struct failure *f);

#endif /* CLI_BACKUP_SEALED_H */
