/*
 * All keyrings of a tree S in the order of their slots, each opened on the way down from the root. One thread.
 */
#ifndef SERVER_RESTORE_KEYRINGS_H
#define SERVER_RESTORE_KEYRINGS_H

#include "server/keys/page.h"
#include "server/keys/root.h"
#include "server/restore/input.h"

struct keyrings;

/* ${root}, in secret memory, and ${vault} outlive it. Pages rest in secret memory. */
enum status keyrings_new(struct input *in, const struct root *root, const uint8_t *vault,
    struct keyrings **out) MUST_USE;

/* Wipes. */
void keyrings_free(struct keyrings *k);

/*
 * keyrings_next(k, out): the next keyring that opens, into out[KEYRING_PADDED] of secret memory.
 * STATUS_ABSENT: there is none left. STATUS_IO, STATUS_REFUSED: of the input. One that does not open is
 * passed over and counted.
 */
enum status keyrings_next(struct keyrings *k, void *out) MUST_USE;

/* Rows that did not open, so far. */
uint64_t keyrings_damaged(const struct keyrings *k);

#endif /* SERVER_RESTORE_KEYRINGS_H */
