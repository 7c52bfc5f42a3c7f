/*
 * New trees of keys, from the leaves to the root, everything under fresh keys: what is not planted has no key
 * anywhere in them. One thread. Pages in the making rest in secret memory.
 */
#ifndef SERVER_RESTORE_PLANT_H
#define SERVER_RESTORE_PLANT_H

#include "server/keys/page.h"
#include "server/keys/root.h"
#include "server/restore/bulk.h"

struct plant;

/* Rows go to ${b}; ${root} gets the top keys and the height. They and ${vault} outlive it. */
enum status plant_new(struct bulk *b, struct root *root, const uint8_t *vault, struct plant **out) MUST_USE;

/* Wipes. */
void plant_free(struct plant *p);

/* plant_keyring(p, k): its slot is above those before. As bulk_put(). */
enum status plant_keyring(struct plant *p, struct keyring *k) MUST_USE;

/* After the last keyring. */
enum status plant_end(struct plant *p) MUST_USE;

/*
 * plant_entries(p, e, count): tree B of these entries, which are sorted here; no tag comes twice. As
 * bulk_put(); STATUS_CROWDED: too many begin with the same 60 bits.
 */
enum status plant_entries(struct plant *p, struct bucket_entry *e, size_t count) MUST_USE;

#endif /* SERVER_RESTORE_PLANT_H */
