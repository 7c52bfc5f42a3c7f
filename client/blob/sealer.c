/*
 * Blobs made. The contract of its pdv_* functions is in pdvault/blob.h.
 */
#include <stdlib.h>

#include "client/blob/blobs.h"
#include "client/blob/stream.h"
#include "client/transport/must.h"
#include "client/transport/registers.h"

struct pdv_blob_sealer {
	struct blobs_part part;
	bool begun; /* the header is out */
	struct stream stream;
};

enum pdv_code
pdv_blob_sealer_new(struct pdv_blobs *b, const struct pdv_blob_place *place,
    const struct pdv_call_options *options, struct pdv_blob_sealer **out)
{
	struct pdv_blob_sealer *s = place != NULL ? calloc(1, sizeof(*s)) : NULL;
	enum pdv_code code;

	if (s == NULL)
		return place == NULL ? PDV_INVALID_ARGUMENT : PDV_RESOURCE_EXHAUSTED;
	if ((code = blobs_begin(&s->part, b, place, options)) == PDV_OK)
		*out = s;
	else
		free(s);
	return code;
}

void
pdv_blob_sealer_free(struct pdv_blob_sealer *s)
{
	if (s == NULL)
		return;
	sodium_memzero(s, sizeof(*s));
	free(s);
	registers_wipe();
}

const char *
pdv_blob_sealer_reason(const struct pdv_blob_sealer *s)
{
	return s->part.reason;
}

/* A data key, and the header. */
static enum pdv_code
begin(struct pdv_blob_sealer *s, struct pdv_blob_buffer *out)
{
	uint8_t key[PDV_DATA_KEY_LEN], room[PDV_WRAPPED_KEY_MAX], nonce[HEADER_STREAM_LEN];
	uint8_t commitment[HEADER_COMMITMENT_LEN], *to = out->data + out->length;
	struct header h = {.place = s->part.place, .commitment = commitment, .stream = nonce};
	enum pdv_code code = blobs_generate(&s->part, key, &h.wrapped, room);

	if (code != PDV_OK)
		return code;
	must(out->size - out->length >= HEADER_MAX);
	header_say(&h, to);
	stream_commit(key, to, h.said, commitment);
	stream_seal(&s->stream, key, nonce);
	sodium_memzero(key, sizeof(key));
	header_write(&h, to);
	out->length += h.length;
	s->begun = true;
	return PDV_OK;
}

static enum pdv_code
more(struct pdv_blob_sealer *s, const void *data, size_t length, struct pdv_blob_buffer *out)
{
	enum pdv_code code = s->begun ? PDV_OK : begin(s, out);

	if (code == PDV_OK)
		stream_seal_more(&s->stream, data, length, out);
	return code;
}

static enum pdv_code
last(struct pdv_blob_sealer *s, struct pdv_blob_buffer *out)
{
	enum pdv_code code = s->begun ? PDV_OK : begin(s, out);

	if (code != PDV_OK)
		return code;
	stream_seal_last(&s->stream, out);
	stream_wipe(&s->stream);
	s->part.over = true;
	return PDV_OK;
}

enum pdv_code
pdv_blob_sealer_update(struct pdv_blob_sealer *s, const void *data, size_t length, struct pdv_blob_buffer *out)
{
	enum pdv_code code = blobs_ready(&s->part, out, length);

	if (code == PDV_OK)
		code = more(s, data, length, out);
	registers_wipe();
	return code;
}

enum pdv_code
pdv_blob_sealer_final(struct pdv_blob_sealer *s, struct pdv_blob_buffer *out)
{
	enum pdv_code code = blobs_ready(&s->part, out, 0);

	if (code == PDV_OK)
		code = last(s, out);
	registers_wipe();
	return code;
}

enum pdv_code
pdv_blob_seal(struct pdv_blobs *b, const struct pdv_blob_place *place, const void *data, size_t length,
    struct pdv_blob_buffer *out)
{
	struct pdv_blob_sealer *s;
	enum pdv_code code = pdv_blob_sealer_new(b, place, NULL, &s);

	if (code != PDV_OK)
		return code;
	if ((code = blobs_ready(&s->part, out, length)) == PDV_OK &&
	    (code = more(s, data, length, out)) == PDV_OK)
		code = last(s, out);
	pdv_blob_sealer_free(s);
	return code;
}
