/*
 * What the files of the LMDB side of the store share.
 */
#ifndef SERVER_STORE_STORE_LMDB_INTERNAL_H
#define SERVER_STORE_STORE_LMDB_INTERNAL_H

#include <stdatomic.h>

#include "server/store/store.h"

#define STORE_PATH_MAX 4096u
#define STORE_PAGE 4096u		/* of LMDB, here */
#define STORE_ASIDE "newest.meta"	/* a file in the folder: store_lmdb_step.c */

struct store {
	struct MDB_env *env;
	unsigned dbi[STORE_TABLE_COUNT];
	uint64_t map_bytes, reserve_bytes;
	uint64_t allocated;		/* bytes of the file that are surely on the disk */
	_Atomic uint64_t used;
	int lock_fd, data_fd;
	bool read_only;
	bool made;			/* by this store_open(): removed again if that fails */
	bool broken;			/* a flush failed: nothing is written any more */
	char data[STORE_PATH_MAX];
};

/* Opens and locks path/pdvault.lock. STATUS_REFUSED: another process has the store. */
enum status store_lmdb_lock(const char *path, int *fd) MUST_USE;

/* Sets used from what LMDB says. */
void store_lmdb_count(struct store *st);

#endif /* SERVER_STORE_STORE_LMDB_INTERNAL_H */
