#include "client/blob/stream.h"

#include <string.h>

#include "client/transport/must.h"

void
stream_commit(const uint8_t key[static PDV_DATA_KEY_LEN], const uint8_t *said, size_t len,
    uint8_t out[static HEADER_COMMITMENT_LEN])
{
	must(crypto_generichash(out, HEADER_COMMITMENT_LEN, said, len, key, PDV_DATA_KEY_LEN) == 0);
}

void
stream_seal(struct stream *s, const uint8_t key[static PDV_DATA_KEY_LEN],
    uint8_t nonce[static HEADER_STREAM_LEN])
{
	s->held = 0;
	s->ended = false;
	must(crypto_secretstream_xchacha20poly1305_init_push(&s->state, nonce, key) == 0);
}

void
stream_open(struct stream *s, const uint8_t key[static PDV_DATA_KEY_LEN],
    const uint8_t nonce[static HEADER_STREAM_LEN])
{
	s->held = 0;
	s->ended = false;
	must(crypto_secretstream_xchacha20poly1305_init_pull(&s->state, nonce, key) == 0);
}

static void
seal_chunk(struct stream *s, const uint8_t *p, size_t len, unsigned char tag, struct pdv_blob_buffer *out)
{
	must(out->size - out->length >= len + PDV_BLOB_CHUNK_EXTRA);
	must(crypto_secretstream_xchacha20poly1305_push(&s->state, out->data + out->length, NULL, p, len, NULL,
	    0, tag) == 0);
	out->length += len + PDV_BLOB_CHUNK_EXTRA;
}

/* As much of *p as ${room} takes behind what is held. */
static void
hold(struct stream *s, const uint8_t **p, size_t *len, size_t room)
{
	size_t n = room - s->held < *len ? room - s->held : *len;

	if (n == 0)
		return;
	memcpy(s->chunk + s->held, *p, n);
	s->held += n;
	*p += n;
	*len -= n;
}

void
stream_seal_more(struct stream *s, const uint8_t *p, size_t len, struct pdv_blob_buffer *out)
{
	must(!s->ended);
	if (s->held > 0)
		hold(s, &p, &len, PDV_BLOB_CHUNK);
	if (s->held == PDV_BLOB_CHUNK && len > 0) {
		seal_chunk(s, s->chunk, PDV_BLOB_CHUNK, crypto_secretstream_xchacha20poly1305_TAG_MESSAGE, out);
		s->held = 0;
	}
	for (; len > PDV_BLOB_CHUNK; p += PDV_BLOB_CHUNK, len -= PDV_BLOB_CHUNK)
		seal_chunk(s, p, PDV_BLOB_CHUNK, crypto_secretstream_xchacha20poly1305_TAG_MESSAGE, out);
	hold(s, &p, &len, PDV_BLOB_CHUNK);
	must(len == 0);
}

void
stream_seal_last(struct stream *s, struct pdv_blob_buffer *out)
{
	must(!s->ended);
	seal_chunk(s, s->chunk, s->held, crypto_secretstream_xchacha20poly1305_TAG_FINAL, out);
	s->ended = true;
}

/* NULL, or BLOB_DAMAGED. Only the last may be shorter than the others. */
static const char *
open_chunk(struct stream *s, const uint8_t *p, size_t len, struct pdv_blob_buffer *out)
{
	uint8_t *to = out->data + out->length;
	unsigned char tag = 0;

	must(len >= PDV_BLOB_CHUNK_EXTRA && out->size - out->length >= len - PDV_BLOB_CHUNK_EXTRA);
	if (crypto_secretstream_xchacha20poly1305_pull(&s->state, to, NULL, &tag, p, len, NULL, 0) != 0) {
		s->ended = true;
		return PDV_REASON_BLOB_DAMAGED;
	}
	s->ended = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
	if (!s->ended && (tag != crypto_secretstream_xchacha20poly1305_TAG_MESSAGE || len != STREAM_SEALED)) {
		s->ended = true;
		sodium_memzero(to, len - PDV_BLOB_CHUNK_EXTRA);
		return PDV_REASON_BLOB_DAMAGED;
	}
	out->length += len - PDV_BLOB_CHUNK_EXTRA;
	return NULL;
}

const char *
stream_open_more(struct stream *s, const uint8_t *p, size_t len, struct pdv_blob_buffer *out)
{
	const char *why = NULL;

	while (len > 0 && why == NULL) {
		if (s->ended)
			return PDV_REASON_BLOB_TRAILING;
		if (s->held == 0 && len >= STREAM_SEALED) {
			why = open_chunk(s, p, STREAM_SEALED, out);
			p += STREAM_SEALED;
			len -= STREAM_SEALED;
			continue;
		}
		hold(s, &p, &len, STREAM_SEALED);
		if (s->held == STREAM_SEALED) {
			why = open_chunk(s, s->chunk, STREAM_SEALED, out);
			s->held = 0;
		}
	}
	return why;
}

const char *
stream_open_last(struct stream *s, struct pdv_blob_buffer *out)
{
	size_t len = s->held;

	if (s->ended)
		return NULL;
	if (len < PDV_BLOB_CHUNK_EXTRA)
		return PDV_REASON_BLOB_TRUNCATED;
	/* It may be cut off in this one: that cannot be told from damage. */
	s->held = 0;
	return open_chunk(s, s->chunk, len, out);
}

void
stream_wipe(struct stream *s)
{
	sodium_memzero(s, sizeof(*s));
}
