/*
 * Rows whose keys are gone. A shred deletes a few of them itself; of somebody with very many transactions the
 * rest is deleted afterwards, some with each batch, so that no erasure holds up the others. They are
 * ciphertext that nothing opens: they take room, no more.
 *
 * Row of table litter: key is the slot (8); value is one zero byte. It stays until the last of them is gone.
 * The writer's thread.
 */
#ifndef SERVER_STORE_LITTER_H
#define SERVER_STORE_LITTER_H

#include <stdbool.h>

#include "server/store/writeset.h"

#define LITTER_AT_ONCE 128u	/* rows that the shred itself deletes */

/* The transactions of a slot whose billing category dies in this request. */
enum status litter_drop(struct writeset *ws, const uint8_t slot[static 8]) MUST_USE;

/* Deletes up to ${most} rows that were left. *deleted: whether there were any. */
enum status litter_sweep(struct writeset *ws, unsigned most, bool *deleted) MUST_USE;

#endif /* SERVER_STORE_LITTER_H */
