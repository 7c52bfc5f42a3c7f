#include "client/blob/header.h"

#include <string.h>

#include "client/transport/must.h"

_Static_assert(HEADER_MAX ==
	HEADER_CONTEXT_AT + PDV_CONTEXT_MAX + HEADER_COMMITMENT_LEN + 2 + PDV_WRAPPED_KEY_MAX +
	    HEADER_STREAM_LEN, "it fits");

/* Two bytes, big-endian. */
static size_t
number(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

static uint8_t *
put(uint8_t *at, const void *p, size_t len)
{
	if (len > 0)
		memcpy(at, p, len);
	return at + len;
}

static uint8_t *
put_number(uint8_t *at, size_t n)
{
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
	return at + 2;
}

enum header_result
header_read(const uint8_t *p, size_t len, struct header *out)
{
	size_t context, wrapped, at = HEADER_CONTEXT_AT;

	if (len > 0 && memcmp(p, HEADER_MAGIC, len < HEADER_MAGIC_LEN ? len : HEADER_MAGIC_LEN) != 0)
		return HEADER_BAD;
	if (len < at)
		return HEADER_MORE;
	memset(out, 0, sizeof(*out));
	memcpy(out->place.subject.bytes, p + HEADER_MAGIC_LEN, PDV_ID_LEN);
	out->place.category = (enum pdv_category)p[HEADER_MAGIC_LEN + PDV_ID_LEN];
	context = number(p + at - 2);
	if ((out->place.category != PDV_CATEGORY_CONTENT && out->place.category != PDV_CATEGORY_USAGE) ||
	    context > PDV_CONTEXT_MAX)
		return HEADER_BAD;
	if (len < at + context + HEADER_COMMITMENT_LEN + 2)
		return HEADER_MORE;
	out->place.context = p + at;
	out->place.context_length = context;
	out->said = at += context;
	out->commitment = p + at;
	at += HEADER_COMMITMENT_LEN;
	wrapped = number(p + at);
	at += 2;
	if (wrapped == 0 || wrapped > PDV_WRAPPED_KEY_MAX)
		return HEADER_BAD;
	if (len < at + wrapped + HEADER_STREAM_LEN)
		return HEADER_MORE;
	out->wrapped = (struct pdv_wrapped_key){p + at, wrapped};
	out->stream = p + at + wrapped;
	out->length = at + wrapped + HEADER_STREAM_LEN;
	return HEADER_OK;
}

void
header_say(struct header *h, uint8_t out[static HEADER_MAX])
{
	uint8_t *at = out, category = (uint8_t)h->place.category;

	must(h->place.context_length <= PDV_CONTEXT_MAX);
	at = put(at, HEADER_MAGIC, HEADER_MAGIC_LEN);
	at = put(at, h->place.subject.bytes, PDV_ID_LEN);
	at = put(at, &category, 1);
	at = put_number(at, h->place.context_length);
	at = put(at, h->place.context, h->place.context_length);
	h->said = (size_t)(at - out);
}

void
header_write(struct header *h, uint8_t out[static HEADER_MAX])
{
	uint8_t *at;

	must(h->wrapped.length > 0 && h->wrapped.length <= PDV_WRAPPED_KEY_MAX);
	header_say(h, out);
	at = put(out + h->said, h->commitment, HEADER_COMMITMENT_LEN);
	at = put_number(at, h->wrapped.length);
	at = put(at, h->wrapped.bytes, h->wrapped.length);
	at = put(at, h->stream, HEADER_STREAM_LEN);
	h->length = (size_t)(at - out);
}

int
header_same(const struct pdv_blob_place *a, const struct pdv_blob_place *b)
{
	return memcmp(a->subject.bytes, b->subject.bytes, PDV_ID_LEN) == 0 && a->category == b->category &&
	    a->context_length == b->context_length &&
	    (a->context_length == 0 || memcmp(a->context, b->context, a->context_length) == 0);
}
