/*
 * One sealed value of a category, as it lies in the store.
 *
 * Plaintext: etag (8), update time in ms (8), message. It is sealed under the category's key,
 * bound to subject, category, record number and key version, and padded to a size class,
 * so that its length says little. Any thread.
 */
#ifndef SERVER_STORE_RECORD_H
#define SERVER_STORE_RECORD_H

#include "server/bytes.h"
#include "server/keys/page.h"

#define RECORD_HEAD 16u
#define RECORD_LOST_ETAG 0u		/* stands for an identity that a restore did not find; no message */
#define RECORD_MESSAGE_MAX 65536u
#define RECORD_KEY_LEN 13u
#define RECORD_TRANSACTION_KEY_LEN 17u

/* Which box: the kind is SEAL_RECORD or SEAL_TRANSACTION. */
struct record_place {
	enum seal_kind kind;
	const struct keyring *keyring;	/* has the category's live key */
	const uint8_t *vault;		/* id */
	unsigned category;
	uint64_t number;		/* of the record in its category */
};

/* Rows: slot (8), category (1), number (4); transactions: slot (8), 1, number (8). */
void record_key(uint64_t slot, unsigned category, uint32_t number,
    uint8_t out[static RECORD_KEY_LEN]);
void record_transaction_key(uint64_t slot, uint64_t number,
    uint8_t out[static RECORD_TRANSACTION_KEY_LEN]);

/*
 * The row that tells whether a transaction id is there: slot (8), 2, and BLAKE2b-128 of the id under
 * the category's key, so it says nothing once that key is gone. (25 bytes.)
 */
#define RECORD_TRANSACTION_ID_KEY_LEN 25u
void record_transaction_id_key(const struct record_place *p, struct bytes id,
    uint8_t out[static RECORD_TRANSACTION_ID_KEY_LEN]);

/* Bytes of the plaintext after padding: the smallest class above len. */
size_t record_class(size_t len);

/* Seals plain (head and message) into out[SEAL_BOX_LEN(record_class(plain.len))]. */
void record_seal(const struct record_place *p, struct bytes plain, uint8_t *out);

/* Opens into out[box.len]. STATUS_FORGED. */
enum status record_open(const struct record_place *p, struct bytes box, uint8_t *out,
    size_t *len) MUST_USE;

#endif /* SERVER_STORE_RECORD_H */
