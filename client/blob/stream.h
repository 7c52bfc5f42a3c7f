/*
 * The chunks of a blob under a key that is here: libsodium's crypto_secretstream_xchacha20poly1305, 64 KiB
 * in each chunk. Not two threads at once. Both kinds of stream hold the key and data: stream_wipe().
 *
 * The stream does not commit to its key: who knows two can make chunks that open under both. So the header
 * carries a commitment, stream_commit(), which is looked at before any chunk is opened. It is a tag of what the
 * header says as well, and the key is this blob's alone: so the chunks need not be bound to the header.
 *
 * Invariants:
 *   1. of a sealing stream held is at most PDV_BLOB_CHUNK: the last full chunk is held back, for it may be the
 *      last of all;
 *   2. of an opening stream held is below STREAM_SEALED: a full chunk is opened at once.
 */
#ifndef CLIENT_BLOB_STREAM_H
#define CLIENT_BLOB_STREAM_H

#include <stdbool.h>

#include <sodium.h>

#include "client/blob/header.h"

#define STREAM_SEALED (PDV_BLOB_CHUNK + PDV_BLOB_CHUNK_EXTRA)

_Static_assert(PDV_BLOB_CHUNK_EXTRA == crypto_secretstream_xchacha20poly1305_ABYTES, "of each chunk");
_Static_assert(HEADER_STREAM_LEN == crypto_secretstream_xchacha20poly1305_HEADERBYTES, "of a stream");
_Static_assert(PDV_DATA_KEY_LEN == crypto_secretstream_xchacha20poly1305_KEYBYTES, "a data key");

struct stream {
	crypto_secretstream_xchacha20poly1305_state state;
	bool ended; /* the last chunk was sealed, or opened */
	size_t held;
	uint8_t chunk[STREAM_SEALED];
};

/* stream_commit(key, said, len, out): BLAKE2b-256(key = data key, what the header says before it). */
void stream_commit(const uint8_t key[static PDV_DATA_KEY_LEN], const uint8_t *said, size_t len,
    uint8_t out[static HEADER_COMMITMENT_LEN]);

/* stream_seal(s, key, nonce): begin; ${nonce} becomes what the blob's header carries. */
void stream_seal(struct stream *s, const uint8_t key[static PDV_DATA_KEY_LEN],
    uint8_t nonce[static HEADER_STREAM_LEN]);

/* stream_open(s, key, nonce): begin to open; ${key} is what the header commits to. */
void stream_open(struct stream *s, const uint8_t key[static PDV_DATA_KEY_LEN],
    const uint8_t nonce[static HEADER_STREAM_LEN]);

/*
 * stream_seal_more(s, p, len, out), stream_seal_last(s, out):
 * ${out} has room (PDV_BLOB_ROOM).
 */
void stream_seal_more(struct stream *s, const uint8_t *p, size_t len, struct pdv_blob_buffer *out);
void stream_seal_last(struct stream *s, struct pdv_blob_buffer *out);

/*
 * stream_open_more(s, p, len, out), stream_open_last(s, out):
 * NULL, or the reason why not (BLOB_DAMAGED, BLOB_TRUNCATED, BLOB_TRAILING); the stream is over then. What was
 * put into ${out} before it is good.
 */
const char *stream_open_more(struct stream *s, const uint8_t *p, size_t len, struct pdv_blob_buffer *out)
    __attribute__((warn_unused_result));
const char *stream_open_last(struct stream *s, struct pdv_blob_buffer *out) __attribute__((warn_unused_result));

void stream_wipe(struct stream *s);

#endif /* CLIENT_BLOB_STREAM_H */
