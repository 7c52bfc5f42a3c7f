/*
 * Blobs opened. The contract of its pdv_* functions is in pdvault/blob.h.
 */
#include <stdlib.h>
#include <string.h>

#include "client/blob/blobs.h"
#include "client/blob/stream.h"
#include "client/transport/registers.h"

struct pdv_blob_opener {
	struct blobs_part part;
	bool expects; /* the part's place is what the caller wants; else it is the blob's */
	bool begun;   /* the header was read, and the key is here */
	bool placed;
	uint8_t head[HEADER_MAX];
	size_t head_length;
	uint8_t rewrapped_bytes[PDV_WRAPPED_KEY_MAX];
	struct pdv_wrapped_key rewrapped;
	struct stream stream;
};

enum pdv_code
pdv_blob_opener_new(struct pdv_blobs *b, const struct pdv_blob_place *place,
    const struct pdv_call_options *options, struct pdv_blob_opener **out)
{
	struct pdv_blob_opener *o = calloc(1, sizeof(*o));
	enum pdv_code code;

	if (o == NULL)
		return PDV_RESOURCE_EXHAUSTED;
	o->expects = place != NULL;
	if ((code = blobs_begin(&o->part, b, place, options)) == PDV_OK)
		*out = o;
	else
		free(o);
	return code;
}

void
pdv_blob_opener_free(struct pdv_blob_opener *o)
{
	if (o == NULL)
		return;
	sodium_memzero(o, sizeof(*o));
	free(o);
	registers_wipe();
}

const char *
pdv_blob_opener_reason(const struct pdv_blob_opener *o)
{
	return o->part.reason;
}

const struct pdv_blob_place *
pdv_blob_opener_place(const struct pdv_blob_opener *o)
{
	return o->placed ? &o->part.place : NULL;
}

const struct pdv_wrapped_key *
pdv_blob_opener_rewrapped(const struct pdv_blob_opener *o)
{
	return o->rewrapped.length > 0 ? &o->rewrapped : NULL;
}

static void
keep_rewrapped(struct pdv_blob_opener *o, const struct header *h, const struct keycache_answer *a)
{
	if (a->rewrapped_length != h->wrapped.length)
		return;
	memcpy(o->rewrapped_bytes, a->rewrapped, a->rewrapped_length);
	o->rewrapped = (struct pdv_wrapped_key){o->rewrapped_bytes, a->rewrapped_length};
}

/* The header is whole: is it of the right place, does its key open, and was it made with that key? */
static enum pdv_code
begin(struct pdv_blob_opener *o, const struct header *h)
{
	struct keycache_answer a = {.code = PDV_UNKNOWN};
	uint8_t commitment[HEADER_COMMITMENT_LEN];
	enum pdv_code code;

	if (o->expects && !header_same(&o->part.place, &h->place))
		return blobs_fail(&o->part, PDV_FAILED_PRECONDITION, PDV_REASON_BLOB_OF_ANOTHER);
	blobs_place(&o->part, &h->place);
	o->placed = true;
	if ((code = blobs_open_key(&o->part, h->wrapped, &a)) != PDV_OK)
		goto out;
	stream_commit(a.key, o->head, h->said, commitment);
	if (crypto_verify_32(commitment, h->commitment) != 0) {
		code = blobs_fail(&o->part, PDV_DATA_LOSS, PDV_REASON_BLOB_DAMAGED);
		goto out;
	}
	stream_open(&o->stream, a.key, h->stream);
	keep_rewrapped(o, h, &a);
	o->begun = true;
out:
	sodium_memzero(&a, sizeof(a));
	return code;
}

/* As much as the header still may need; what of it was too much stays with the caller. */
static enum pdv_code
read_header(struct pdv_blob_opener *o, const uint8_t **p, size_t *length)
{
	size_t before = o->head_length, n = HEADER_MAX - before < *length ? HEADER_MAX - before : *length;
	struct header h;

	if (n > 0)
		memcpy(o->head + before, *p, n);
	o->head_length += n;
	switch (header_read(o->head, o->head_length, &h)) {
	case HEADER_BAD:
		return blobs_fail(&o->part, PDV_INVALID_ARGUMENT, PDV_REASON_BLOB_NOT_ONE);
	case HEADER_MORE:
		*p += n;
		*length -= n;
		return PDV_OK;
	default:
		*p += h.length - before;
		*length -= h.length - before;
		return begin(o, &h);
	}
}

static enum pdv_code
judge(struct pdv_blob_opener *o, const char *why)
{
	if (why == NULL)
		return PDV_OK;
	stream_wipe(&o->stream);
	return blobs_fail(&o->part, PDV_DATA_LOSS, why);
}

static enum pdv_code
more(struct pdv_blob_opener *o, const uint8_t *p, size_t length, struct pdv_blob_buffer *out)
{
	enum pdv_code code = o->begun ? PDV_OK : read_header(o, &p, &length);

	return code == PDV_OK && o->begun ? judge(o, stream_open_more(&o->stream, p, length, out)) : code;
}

static enum pdv_code
last(struct pdv_blob_opener *o, struct pdv_blob_buffer *out)
{
	enum pdv_code code = judge(o, o->begun ? stream_open_last(&o->stream, out) : PDV_REASON_BLOB_TRUNCATED);

	if (code != PDV_OK)
		return code;
	stream_wipe(&o->stream);
	o->part.over = true;
	return PDV_OK;
}

enum pdv_code
pdv_blob_opener_update(struct pdv_blob_opener *o, const void *data, size_t length, struct pdv_blob_buffer *out)
{
	enum pdv_code code = blobs_ready(&o->part, out, length);

	if (code == PDV_OK)
		code = more(o, data, length, out);
	registers_wipe();
	return code;
}

enum pdv_code
pdv_blob_opener_final(struct pdv_blob_opener *o, struct pdv_blob_buffer *out)
{
	enum pdv_code code = blobs_ready(&o->part, out, 0);

	if (code == PDV_OK)
		code = last(o, out);
	registers_wipe();
	return code;
}

enum pdv_code
pdv_blob_open(struct pdv_blobs *b, const struct pdv_blob_place *place, const void *data, size_t length,
    struct pdv_blob_buffer *out)
{
	size_t before = out->length;
	struct pdv_blob_opener *o;
	enum pdv_code code = pdv_blob_opener_new(b, place, NULL, &o);

	if (code != PDV_OK)
		return code;
	if ((code = blobs_ready(&o->part, out, length)) == PDV_OK &&
	    (code = more(o, data, length, out)) == PDV_OK)
		code = last(o, out);
	if (code != PDV_OK && out->length > before) {
		sodium_memzero(out->data + before, out->length - before);
		out->length = before;
	}
	pdv_blob_opener_free(o);
	return code;
}
