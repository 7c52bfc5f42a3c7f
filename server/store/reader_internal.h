/*
 * What the files of the reader share.
 */
#ifndef SERVER_STORE_READER_INTERNAL_H
#define SERVER_STORE_READER_INTERNAL_H

#include "server/store/path.h"
#include "server/store/reader.h"
#include "server/store/vault_internal.h"

/* The reader's keys, in secret memory. */
struct reader_secret {
	struct path_secret path;
	_Alignas(16) uint8_t keyring[KEYRING_PADDED];
	_Alignas(16) uint8_t bucket[BUCKET_PADDED];
	uint8_t tag[SEAL_TAG16_LEN];
};

struct reader {
	struct vault *vault;
	struct reader *next;
	struct store_snapshot *snapshot;
	struct reader_secret *secret;
	struct path path;
	uint64_t epoch;		/* of the last snapshot */
	unsigned number;
};

/* The begun snapshot's epoch and its root, where rows are fetched from. */
enum status reader_snapshot(struct reader *r, struct path_source *src) MUST_USE;

#endif /* SERVER_STORE_READER_INTERNAL_H */
