#include "client/transport/protowire.h"

#define VARINT_MAX 10		/* bytes */
#define SHORT_MAX 5		/* of a tag or a length: protobuf-c takes no more */
#define NUMBER_MAX ((UINT32_C(1) << 29) - 1)

static bool
varint(struct protowire_reader *r, unsigned max, uint64_t *out)
{
	uint64_t value = 0;
	unsigned i;

	for (i = 0; i < max && r->at < r->end; i++) {
		uint8_t byte = *r->at++;

		if (i == VARINT_MAX - 1 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if ((byte & 0x80) == 0) {
			*out = value;
			return true;
		}
	}
	return false;
}

bool
protowire_varint(struct protowire_reader *r, uint64_t *out)
{
	return varint(r, VARINT_MAX, out);
}

static bool
take(struct protowire_reader *r, uint64_t len, struct protowire_field *out)
{
	if (len > (uint64_t)(r->end - r->at))
		return false;
	out->bytes = r->at;
	out->len = (size_t)len;
	r->at += out->len;
	return true;
}

static bool
take_value(struct protowire_reader *r, struct protowire_field *out)
{
	uint64_t len;

	switch (out->type) {
	case PROTOWIRE_VARINT:
		return protowire_varint(r, &out->value);
	case PROTOWIRE_64:
		return take(r, 8, out);
	case PROTOWIRE_LENGTH:
		return varint(r, SHORT_MAX, &len) && take(r, len, out);
	case PROTOWIRE_32:
		return take(r, 4, out);
	default:
		return false;		/* groups, and what does not exist */
	}
}

enum protowire_step
protowire_next(struct protowire_reader *r, struct protowire_field *out)
{
	uint64_t tag;

	if (r->at == r->end)
		return PROTOWIRE_END;
	if (!varint(r, SHORT_MAX, &tag) || tag >> 3 == 0 || tag >> 3 > NUMBER_MAX)
		return PROTOWIRE_BROKEN;
	*out = (struct protowire_field){ .number = (uint32_t)(tag >> 3),
		.type = (enum protowire_type)(tag & 7) };
	return take_value(r, out) ? PROTOWIRE_FIELD : PROTOWIRE_BROKEN;
}

/* The code point at ${p} and how many bytes it took; 0: not UTF-8. */
static size_t
decode(const uint8_t *p, size_t left, uint32_t *point)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t value;
	size_t i;

	if (p[0] < 0xc2 || p[0] > 0xf4 || len > left)
		return 0;
	value = p[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (p[i] & 0x3fu);
	}
	if (value < least[len] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*point = value;
	return len;
}

const char *
protowire_text_fault(const uint8_t *p, size_t len)
{
	uint32_t point;
	size_t taken;
	size_t i = 0;

	while (i < len) {
		if (p[i] >= 0x20 && p[i] < 0x7f) {
			i++;
			continue;
		}
		if (p[i] < 0x80)
			return p[i] == 0 ? "EMBEDDED_NUL" : "CONTROL_CHARACTER";
		if ((taken = decode(p + i, len - i, &point)) == 0)
			return "NOT_UTF8";
		if (point < 0xa0)
			return "CONTROL_CHARACTER";
		i += taken;
	}
	return NULL;
}
