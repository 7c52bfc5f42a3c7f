/*
 * Opened pages of the trees, in secret memory, bounded. A page is found by its node and the
 * nonce of its box, so only exactly the version that the reader's snapshot holds is ever taken;
 * K6 evicts what a switch replaced, after the last reader that could bring it back is gone.
 * Any thread.
 */
#ifndef SERVER_KEYS_CACHE_H
#define SERVER_KEYS_CACHE_H

#include <stdbool.h>

#include "server/keys/page.h"

struct cache;

/* For about ${bytes} of secret memory. STATUS_NO_MEMORY. */
enum status cache_new(size_t bytes, struct cache **out) MUST_USE;
void cache_free(struct cache *c);

/* Copies the key at ${place} of the page; false: the page is not here. */
bool cache_key(struct cache *c, struct node n, const uint8_t nonce[static SEAL_NONCE_LEN],
    unsigned place, struct key *out);

/* Copies the whole page; false: it is not here. */
bool cache_page(struct cache *c, struct node n, const uint8_t nonce[static SEAL_NONCE_LEN],
    struct page *out);

/* Takes a copy. Pages near the root push out pages near the leaves, not the other way. */
void cache_put(struct cache *c, struct node n, const uint8_t nonce[static SEAL_NONCE_LEN],
    const struct page *pg);

/* Wipes every version of the node. */
void cache_evict(struct cache *c, struct node n);

#endif /* SERVER_KEYS_CACHE_H */
