/*
 * The root page: what the root key of an epoch opens. Rests in secret memory. Any thread.
 */
#ifndef SERVER_KEYS_ROOT_H
#define SERVER_KEYS_ROOT_H

#include "server/keys/seal.h"

struct root {
	struct key self;		/* the root key: in the anchor, not in the page */
	uint64_t epoch;
	uint64_t next_slot;		/* slot numbers are never used twice */
	uint8_t s_height;		/* level of tree S's top, at least 1 */
	struct key s_top, b_top;	/* zero: that tree is empty */
	struct key index;		/* for the tags of look-ups */
	struct key index_before;	/* while the index key is being rotated: the one before; else zero */
	uint8_t index_parity; /* 0 or 1: that of entries under index; the other one's is under
				 index_before */
	struct key signing;		/* seed of the vault's Ed25519 key (RFC 8032) */
	uint64_t signer;		/* number of that key: 1 for the first */
	int64_t index_ms, signing_ms;	/* when they were made: milliseconds since 1970 */
	uint8_t public_key[SEAL_PUBLIC_LEN];	/* of the signing key; not in the page, root_publish() */
	uint8_t commitment[SEAL_DIGEST_LEN];	/* BLAKE2b-256 of the sealed page */
};

#define ROOT_PADDED 256u
#define ROOT_BOX_LEN SEAL_BOX_LEN(ROOT_PADDED)

/* A new vault's root, of epoch 0: nothing in it but an index key and a signing key, made now. */
void root_new(struct root *r);

/* Makes a fresh r->self, seals r under it into out, and sets r->commitment. */
void root_seal(struct root *r, const uint8_t vault[static 16], uint8_t out[static ROOT_BOX_LEN]);

/*
 * root_open(self, vault, epoch, box, out): STATUS_FORGED: not the root page of that epoch
 * under that key.
 */
enum status root_open(const struct key *self, const uint8_t vault[static 16], uint64_t epoch,
    struct bytes box, struct root *out) MUST_USE;

/* Makes r->public_key, which root_open() leaves as it is: it takes some 20 us. */
void root_publish(struct root *r);

void root_wipe(struct root *r);

#endif /* SERVER_KEYS_ROOT_H */
