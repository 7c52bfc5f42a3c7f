/*
 * The beginning of a blob (docs/FORMAT.md, blobs): whose it is, what for, its wrapped key. Any thread.
 */
#ifndef CLIENT_BLOB_HEADER_H
#define CLIENT_BLOB_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "pdvault/blob.h"

#define HEADER_MAGIC "pdvblob1"
#define HEADER_MAGIC_LEN 8u
#define HEADER_STREAM_LEN 24u
#define HEADER_COMMITMENT_LEN 32u
#define HEADER_MAX PDV_BLOB_HEADER_MAX
#define HEADER_CONTEXT_AT (HEADER_MAGIC_LEN + PDV_ID_LEN + 1u + 2u)

/* Points into the bytes that it was read from. */
struct header {
	struct pdv_blob_place place;
	const uint8_t *commitment; /* HEADER_COMMITMENT_LEN bytes: of the data key, to all that is before it */
	struct pdv_wrapped_key wrapped;
	const uint8_t *stream; /* HEADER_STREAM_LEN bytes */
	size_t said;   /* bytes before the commitment */
	size_t length; /* of all of it */
};

enum header_result { HEADER_OK, HEADER_MORE, HEADER_BAD };

/*
 * header_read(p, len, out):
 * HEADER_MORE: so far it is one, but not whole. HEADER_BAD: it is none. A header is at most HEADER_MAX bytes.
 */
enum header_result header_read(const uint8_t *p, size_t len, struct header *out);

/*
 * header_say(h, out), header_write(h, out):
 * Write the place of ${h} and set said; then also the rest, for which the commitment is known by then, and set
 * length. All is within its limits.
 */
void header_say(struct header *h, uint8_t out[static HEADER_MAX]);
void header_write(struct header *h, uint8_t out[static HEADER_MAX]);

/* header_same(a, b): are they the same place? */
int header_same(const struct pdv_blob_place *a, const struct pdv_blob_place *b);

#endif /* CLIENT_BLOB_HEADER_H */
