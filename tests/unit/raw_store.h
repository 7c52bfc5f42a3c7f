/*
 * The rows of a stopped vault's store, behind its back: one write transaction of LMDB, committed
 * when it is closed. Tables by their names in the engine. One thread.
 */
#ifndef TESTS_RAW_STORE_H
#define TESTS_RAW_STORE_H

#include <stdbool.h>
#include <lmdb.h>

#include "server/bytes.h"

struct raw_store {
	MDB_env *env;
	MDB_txn *txn;
};

void raw_store_open(struct raw_store *r, const char *folder);
void raw_store_close(struct raw_store *r);

/* A copy of a row. */
struct raw_row {
	uint8_t key[512], value[8192];
	size_t key_len, value_len;
};

size_t raw_store_count(struct raw_store *r, const char *table);

/* The n-th row in the order of keys. */
void raw_store_nth(struct raw_store *r, const char *table, size_t n, struct raw_row *out);
bool raw_store_get(struct raw_store *r, const char *table, struct bytes key, struct raw_row *out);
void raw_store_put(struct raw_store *r, const char *table, struct bytes key, struct bytes value);
void raw_store_delete(struct raw_store *r, const char *table, struct bytes key);

/* Replaces the row's value under its key. */
void raw_store_write(struct raw_store *r, const char *table, const struct raw_row *row);

/* One bit in the middle of a row's value is another; the row must be there. Opens and closes the store. */
void raw_store_flip(const char *folder, const char *table, struct bytes key);

#endif /* TESTS_RAW_STORE_H */
