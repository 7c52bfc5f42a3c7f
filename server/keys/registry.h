/*
 * Forensic builds write down an id of every key that is made, so that a test can ask of
 * any 32 bytes whether they are a key and of what. In all other builds this is nothing.
 */
#ifndef SERVER_KEYS_REGISTRY_H
#define SERVER_KEYS_REGISTRY_H

#include "server/keys/seal.h"

#ifdef PDV_KEY_REGISTRY
/*
 * Appends "ID PURPOSE\n" to the file named by PDVAULT_KEY_REGISTRY: ID is BLAKE2b-128 of the
 * key in hexadecimal, PURPOSE the number of enum seal_purpose. Any thread.
 */
void registry_add(const struct key *k, enum seal_purpose purpose);
#else
static inline void
registry_add(const struct key *k, enum seal_purpose purpose)
{
	(void)k;
	(void)purpose;
}
#endif

#endif /* SERVER_KEYS_REGISTRY_H */
