/*
 * BLAKE2b-256 over bytes that come in pieces. Any thread; one at a time for each state.
 */
#ifndef CLIENT_BACKUP_DIGEST_H
#define CLIENT_BACKUP_DIGEST_H

#include <sodium.h>

#include "client/backup/rows.h"

/* For the stack, or static: sodium wants it aligned. */
struct backup_digest {
	crypto_generichash_state state;
};

void backup_digest_begin(struct backup_digest *d);
void backup_digest_add(struct backup_digest *d, const uint8_t *p, size_t len);
void backup_digest_end(struct backup_digest *d, uint8_t out[static BACKUP_DIGEST_LEN]);

/* All at once. */
void backup_digest_of(const uint8_t *p, size_t len, uint8_t out[static BACKUP_DIGEST_LEN]);

#endif /* CLIENT_BACKUP_DIGEST_H */
