/*
 * Outcomes of mutations, kept for a day, so that a request that is sent twice is executed
 * once. A row is written in the same commit as what it tells of, and holds no personal
 * data: the response message of a mutation has none.
 *
 * Row: key is the idempotency key (16) and the principal's name; value is time in seconds (4), a tag of the
 * method (2), epoch (6), fingerprint (8), versions (2), response message. The writer's thread only.
 */
#ifndef SERVER_STORE_IDEMPOTENCY_H
#define SERVER_STORE_IDEMPOTENCY_H

#include "server/keys/seal.h"
#include "server/store/writeset.h"

#define IDEMPOTENCY_KEY_LEN 16u
#define IDEMPOTENCY_SECONDS 86400u
#define IDEMPOTENCY_FINGERPRINT_LEN 8u
#define IDEMPOTENCY_PRINCIPAL_MAX 63u

/* Who asked for what. */
struct idempotency_request {
	const uint8_t *key;		/* IDEMPOTENCY_KEY_LEN bytes */
	const char *principal, *method;
	struct bytes message;
};

struct idempotency_row {
	uint64_t epoch;
	uint8_t fingerprint[IDEMPOTENCY_FINGERPRINT_LEN];	/* zero: only key and method are compared */
	uint8_t versions[2]; /* last bytes of the versions of both category keys; a rotated one has
				another */
	struct bytes response;		/* dies with the request */
};

/*
 * The outcome of an earlier request with this key. STATUS_ABSENT: none; STATUS_KEY_REUSED: it
 * was for another method.
 */
enum status idempotency_find(struct writeset *ws, const struct idempotency_request *q,
    struct idempotency_row *out) MUST_USE;

/*
 * Keyed under the category key of the subject, so that it says nothing once that is gone; and under ${also}
 * (or NULL), the key of another category that the message tells of, so that it dies with either.
 */
void idempotency_fingerprint(const struct key *category, const struct key *also,
    const struct idempotency_request *q, uint8_t out[static IDEMPOTENCY_FINGERPRINT_LEN]);

enum status idempotency_put(struct writeset *ws, const struct idempotency_request *q,
    const struct idempotency_row *row) MUST_USE;

/* Where a sweep is; all zero at first. deleted: how many rows the last call deleted. */
struct idempotency_sweep {
	uint8_t at[STORE_KEY_MAX];
	size_t at_len;
	unsigned deleted;
};

/* Looks at the next ${limit} rows in a circle and deletes those that are older than a day. */
enum status idempotency_sweep(struct writeset *ws, struct idempotency_sweep *s,
    unsigned limit) MUST_USE;

#endif /* SERVER_STORE_IDEMPOTENCY_H */
