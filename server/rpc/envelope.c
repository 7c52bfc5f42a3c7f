#include "server/rpc/envelope.h"

#include "client/transport/protowire.h"

#define MESSAGE_TAG 0x3au	/* Response.message: field 7, with its length */
#define RETRY_MS 20u		/* queues empty within some batches */

enum { METHOD = 1, MESSAGE, TIMEOUT, KEY, PURPOSE, TRACEPARENT, FIELDS };

static const struct field_row {
	enum protowire_type type;
	size_t offset;		/* of a struct bytes in struct envelope */
	size_t max;
	bool text;
} fields[FIELDS] = {
	[METHOD] = { PROTOWIRE_LENGTH, offsetof(struct envelope, method), ENVELOPE_METHOD_MAX,
	    true },
	[MESSAGE] = { PROTOWIRE_LENGTH, offsetof(struct envelope, message), SIZE_MAX, false },
	[TIMEOUT] = { PROTOWIRE_VARINT, 0, 0, false },
	[KEY] = { PROTOWIRE_LENGTH, offsetof(struct envelope, key), ENVELOPE_KEY_MAX, false },
	[PURPOSE] = { PROTOWIRE_LENGTH, offsetof(struct envelope, purpose),
	    ENVELOPE_PURPOSE_MAX, true },
	[TRACEPARENT] = { PROTOWIRE_LENGTH, offsetof(struct envelope, traceparent),
	    ENVELOPE_TRACEPARENT_MAX, true },
};

static bool
take_field(const struct protowire_field *f, struct envelope *out)
{
	const struct field_row *row = &fields[f->number];

	if (f->type != row->type)
		return false;
	if (f->number == TIMEOUT) {
		out->timeout_ms = f->value > UINT32_MAX ? UINT32_MAX : (uint32_t)f->value;
		return true;
	}
	if (f->len > row->max || (row->text && protowire_text_fault(f->bytes, f->len) != NULL))
		return false;
	*(struct bytes *)((char *)out + row->offset) = bytes_of(f->bytes, f->len);
	return true;
}

enum status
envelope_decode(struct bytes body, struct envelope *out)
{
	struct protowire_reader r = { body.p, body.p + body.len };
	struct envelope e = { .timeout_ms = 0 };
	unsigned seen = 0, unknown = 0;
	enum protowire_step step;
	struct protowire_field f;

	while ((step = protowire_next(&r, &f)) == PROTOWIRE_FIELD) {
		if (f.number >= FIELDS) {
			if (++unknown > ENVELOPE_UNKNOWN_MAX)
				return STATUS_MALFORMED;
			continue;
		}
		if ((seen & 1u << f.number) != 0 || !take_field(&f, &e))
			return STATUS_MALFORMED;
		seen |= 1u << f.number;
	}
	if (step == PROTOWIRE_BROKEN)
		return STATUS_MALFORMED;
	*out = e;
	return STATUS_OK;
}

/* protobuf-c takes char * for what it only reads. */
static char *
text(const char *s)
{
	union {
		const char *from;
		char *to;
	} u = { s };

	return u.to;
}

static ProtobufCBinaryData
binary(struct bytes b)
{
	union {
		const uint8_t *from;
		uint8_t *to;
	} u = { b.p };

	return (ProtobufCBinaryData){ .len = b.len, .data = u.to };
}

static uint32_t
retry_after(enum status s)
{
	return s == STATUS_BUSY || s == STATUS_TOO_MANY ? RETRY_MS : 0;
}

static void
fill_violations(const struct call *c, struct envelope_packing *p)
{
	unsigned i;

	for (i = 0; i < c->violation_count; i++) {
		pdvault__rpc__v1__violation__init(&p->violation[i]);
		p->violation[i].field = text(c->violations[i].field);
		p->violation[i].rule = text(c->violations[i].rule);
		p->violations[i] = &p->violation[i];
	}
	p->head.n_violations = c->violation_count;
	p->head.violations = p->violations;
}

static size_t
varint_len(size_t n)
{
	size_t len = 1;

	for (; n >= 0x80; n >>= 7)
		len++;
	return len;
}

size_t
envelope_measure(const struct envelope_answer *a, struct envelope_packing *p)
{
	bool ok = a->status == STATUS_OK;

	pdvault__rpc__v1__response__init(&p->head);
	p->head.code = (uint32_t)status_code(a->status);
	if (!ok) {
		p->head.reason = text(status_reason(a->status));
		p->head.detail = text(status_text(a->status));
		p->head.retry_after_ms = retry_after(a->status);
		fill_violations(a->call, p);
	}
	p->head.epoch = a->epoch;
	p->head.incarnation = a->incarnation;
	p->head.vault = binary(a->vault);
	p->head_len = pdvault__rpc__v1__response__get_packed_size(&p->head);
	p->message = ok ? a->call->response : NULL;
	p->message_len = 0;
	if (p->message == NULL)
		return p->head_len;
	p->message_len = protobuf_c_message_get_packed_size(p->message);
	return p->head_len + 1 + varint_len(p->message_len) + p->message_len;
}

void
envelope_pack(const struct envelope_packing *p, uint8_t *to)
{
	size_t len = p->message_len;

	to += pdvault__rpc__v1__response__pack(&p->head, to);
	if (p->message == NULL)
		return;
	/* Fields may come in any order: the message is appended, packed where it stays. */
	*to++ = MESSAGE_TAG;
	for (; len >= 0x80; len >>= 7)
		*to++ = (uint8_t)(len | 0x80);
	*to++ = (uint8_t)len;
	must(protobuf_c_message_pack(p->message, to) == p->message_len);
}
