/*
 * What the medium of the LMDB file holds, read without LMDB and past the page cache: after an
 * I/O error on the meta page the page cache can show another commit than the disk holds.
 */
#ifndef SERVER_STORE_MEDIUM_H
#define SERVER_STORE_MEDIUM_H

#include <stdbool.h>
#include <stdint.h>

#include "server/status.h"

/*
 * The number of the newest commit in the two meta pages of the file ${path} (LMDB 0.9, lmdb/mdb.c,
 * struct MDB_meta). STATUS_IO: cannot be read; STATUS_CORRUPT: no meta page is valid. Any thread.
 */
enum status medium_newest_commit(const char *path, uint64_t *commit) MUST_USE;

/* Whether 4096 bytes are a meta page, and of which commit (LMDB 0.9, as above). Pure. */
bool medium_is_meta(const uint8_t *page, uint64_t *commit) MUST_USE;

#endif /* SERVER_STORE_MEDIUM_H */
