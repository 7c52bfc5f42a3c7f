/*
 * What sealers and openers stand on: the calls to the vault, and how one fails.
 */
#ifndef CLIENT_BLOB_BLOBS_H
#define CLIENT_BLOB_BLOBS_H

#include <stdbool.h>

#include "client/blob/keycache.h"
#include "pdvault/blob.h"

#define BLOBS_REASON_LEN KEYCACHE_REASON_LEN

/*
 * Of one sealer or opener; one thread's at a time.
 *   1. code is PDV_OK, or the failure after which there is no more; reason says why, or of what can be tried
 *      again.
 */
struct blobs_part {
	struct pdv_blobs *blobs;
	struct pdv_blob_place place; /* its context is here */
	uint8_t context[PDV_CONTEXT_MAX];
	uint32_t deadline_ms;
	char purpose[PDV_PURPOSE_MAX + 1], traceparent[PDV_TRACEPARENT_MAX + 1];
	bool over; /* it was ended well */
	enum pdv_code code;
	char reason[BLOBS_REASON_LEN];
};

/* blobs_begin(p, b, place, options): copies all; ${place} and ${options} may be NULL. PDV_INVALID_ARGUMENT. */
enum pdv_code blobs_begin(struct blobs_part *p, struct pdv_blobs *b, const struct pdv_blob_place *place,
    const struct pdv_call_options *options) __attribute__((warn_unused_result));

/* blobs_place(p, place): copies ${place}, whose context is within its limit. */
void blobs_place(struct blobs_part *p, const struct pdv_blob_place *place);

/* blobs_ready(p, out, length): can ${p} go on, and is there room for what comes of ${length} bytes? */
enum pdv_code blobs_ready(struct blobs_part *p, const struct pdv_blob_buffer *out, size_t length)
    __attribute__((warn_unused_result));

/* blobs_fail(p, code, reason): there is no more; returns ${code}. */
enum pdv_code blobs_fail(struct blobs_part *p, enum pdv_code code, const char *reason);

/* blobs_generate(p, key, wrapped, room): a new data key of ${p}'s place; ${wrapped} is in ${room}. Waits. */
enum pdv_code blobs_generate(struct blobs_part *p, uint8_t key[static PDV_DATA_KEY_LEN],
    struct pdv_wrapped_key *wrapped, uint8_t room[static PDV_WRAPPED_KEY_MAX])
    __attribute__((warn_unused_result));

/* blobs_open_key(p, wrapped, out): a data key of ${p}'s place, perhaps kept. Waits. ${out} is to be wiped. */
enum pdv_code blobs_open_key(struct blobs_part *p, struct pdv_wrapped_key wrapped, struct keycache_answer *out)
    __attribute__((warn_unused_result));

#endif /* CLIENT_BLOB_BLOBS_H */
