/*
 * Look-up entries in the making: all of tree B, from the identities that were restored. Tags and subject
 * ids lie in ordinary memory, which is wiped; the values do not stay. One thread.
 */
#ifndef SERVER_RESTORE_ENTRIES_H
#define SERVER_RESTORE_ENTRIES_H

#include "server/keys/page.h"
#include "server/keys/root.h"
#include "server/status.h"
#include "server/bytes.h"

struct entries;

/* ${root} has the index key, and outlives it. */
enum status entries_new(const struct root *root, uint16_t country, struct entries **out) MUST_USE;

/* Wipes. */
void entries_free(struct entries *e);

/*
 * entries_add(e, subject, message): the look-ups of an identity, packed as it is stored. What somebody else has
 * already is left out and counted. STATUS_CORRUPT: it is no identity; STATUS_NO_MEMORY.
 */
enum status entries_add(struct entries *e, const uint8_t subject[static SUBJECT_ID_LEN],
    struct bytes message) MUST_USE;

uint64_t entries_taken(const struct entries *e);

/* All of them, no tag twice; the caller may sort them. */
struct bucket_entry *entries_all(struct entries *e, size_t *count);

#endif /* SERVER_RESTORE_ENTRIES_H */
