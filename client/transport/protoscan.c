#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "client/transport/must.h"
#include "client/transport/protoscan.h"
#include "client/transport/protowire.h"

/* One message on the way from the outermost one to where we are. */
struct level {
	const struct level *above;
	const ProtobufCMessageDescriptor *type;
	struct protowire_reader all;		/* its bytes, for counting on a fault */
	const ProtobufCFieldDescriptor *field;	/* at which it stands; NULL: unknown */
	const uint8_t *field_end;
	struct scan *scan;
	unsigned depth;
};

struct scan {
	struct protoscan_fault *fault;
	unsigned unknown;
};

static enum protoscan_result scan_message(struct level *l);

/* How many fields like the present one came before it: its index. */
static unsigned
index_of(const struct level *l)
{
	struct protowire_reader r = l->all;
	struct protowire_field f;
	unsigned count = 0;

	while (r.at < l->field_end && protowire_next(&r, &f) == PROTOWIRE_FIELD) {
		if (f.number == l->field->id && r.at < l->field_end)
			count++;
	}
	return count;
}

/* Appends to the path, which may be full; then it stays cut. */
static size_t
append(char *path, size_t at, const struct level *l)
{
	const char *dot = at > 0 ? "." : "";
	int n;

	if (l->field->label == PROTOBUF_C_LABEL_REPEATED)
		n = snprintf(path + at, PROTOSCAN_PATH - at, "%s%s[%u]", dot, l->field->name,
		    index_of(l));
	else
		n = snprintf(path + at, PROTOSCAN_PATH - at, "%s%s", dot, l->field->name);
	must(n > 0);
	return (size_t)n < PROTOSCAN_PATH - at ? at + (size_t)n : PROTOSCAN_PATH - 1;
}

static enum protoscan_result
break_rule(const struct level *l, const char *rule)
{
	const struct level *chain[PROTOSCAN_DEPTH];
	struct protoscan_fault *fault = l->scan->fault;
	unsigned n = 0;
	size_t at = 0;

	for (; l != NULL; l = l->above)
		chain[n++] = l;
	fault->rule = rule;
	fault->path[0] = '\0';
	while (n > 0) {
		l = chain[--n];
		if (l->field != NULL)
			at = append(fault->path, at, l);
	}
	return PROTOSCAN_RULE;
}

/* The place of ${key} in a table of ranges that protoc-c made, or -1. */
static int
find_in_ranges(const ProtobufCIntRange *ranges, unsigned count, int key)
{
	unsigned i;

	for (i = 0; i < count && ranges[i].start_value <= key; i++) {
		unsigned offset = (unsigned)key - (unsigned)ranges[i].start_value;

		if (offset < ranges[i + 1].orig_index - ranges[i].orig_index)
			return (int)(ranges[i].orig_index + offset);
	}
	return -1;
}

static bool
enum_known(const ProtobufCFieldDescriptor *d, uint64_t value)
{
	const ProtobufCEnumDescriptor *e = d->descriptor;

	return value <= INT32_MAX &&
	    find_in_ranges(e->value_ranges, e->n_value_ranges, (int)value) >= 0;
}

static enum protowire_type
wire_type(ProtobufCType t)
{
	switch (t) {
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return PROTOWIRE_32;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return PROTOWIRE_64;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return PROTOWIRE_LENGTH;
	default:
		return PROTOWIRE_VARINT;
	}
}

/* Many numbers in one field. */
static enum protoscan_result
scan_packed(const struct level *l, const struct protowire_field *f)
{
	struct protowire_reader r = { f->bytes, f->bytes + f->len };
	enum protowire_type each = wire_type(l->field->type);
	uint64_t value;

	if (each == PROTOWIRE_32 || each == PROTOWIRE_64)
		return f->len % (each == PROTOWIRE_32 ? 4 : 8) == 0 ? PROTOSCAN_OK
								     : PROTOSCAN_BROKEN;
	while (r.at < r.end) {
		if (!protowire_varint(&r, &value))
			return PROTOSCAN_BROKEN;
		if (l->field->type == PROTOBUF_C_TYPE_ENUM && !enum_known(l->field, value))
			return break_rule(l, "UNKNOWN_ENUM_VALUE");
	}
	return PROTOSCAN_OK;
}

static enum protoscan_result
scan_inner(const struct level *l, const struct protowire_field *f)
{
	struct level inner = {
		.above = l,
		.type = l->field->descriptor,
		.all = { f->bytes, f->bytes + f->len },
		.scan = l->scan,
		.depth = l->depth + 1,
	};

	return inner.depth > PROTOSCAN_DEPTH ? PROTOSCAN_BROKEN : scan_message(&inner);
}

static enum protoscan_result
scan_value(const struct level *l, const struct protowire_field *f)
{
	const ProtobufCFieldDescriptor *d = l->field;
	enum protowire_type want = wire_type(d->type);
	const char *rule;

	if (f->type == PROTOWIRE_LENGTH && want != PROTOWIRE_LENGTH &&
	    d->label == PROTOBUF_C_LABEL_REPEATED)
		return scan_packed(l, f);
	if (f->type != want)
		return PROTOSCAN_BROKEN;
	switch (d->type) {
	case PROTOBUF_C_TYPE_STRING:
		rule = protowire_text_fault(f->bytes, f->len);
		return rule == NULL ? PROTOSCAN_OK : break_rule(l, rule);
	case PROTOBUF_C_TYPE_MESSAGE:
		return scan_inner(l, f);
	case PROTOBUF_C_TYPE_ENUM:
		return enum_known(d, f->value) ? PROTOSCAN_OK
					       : break_rule(l, "UNKNOWN_ENUM_VALUE");
	default:
		return PROTOSCAN_OK;
	}
}

/* The field's declaration, after the rules that count fields. */
static enum protoscan_result
scan_field(struct level *l, const struct protowire_field *f, uint64_t *seen)
{
	int i = find_in_ranges(l->type->field_ranges, l->type->n_field_ranges, (int)f->number);
	uint64_t bit;

	l->field = NULL;
	if (i < 0) {
		if (l->scan->unknown++ < PROTOSCAN_UNKNOWN)
			return PROTOSCAN_OK;
		return break_rule(l, "TOO_MANY_UNKNOWN_FIELDS");
	}
	l->field = &l->type->fields[i];
	bit = UINT64_C(1) << i;
	if (l->field->label != PROTOBUF_C_LABEL_REPEATED && (*seen & bit) != 0)
		return break_rule(l, "DUPLICATE_FIELD");
	*seen |= bit;
	return scan_value(l, f);
}

static enum protoscan_result
scan_message(struct level *l)
{
	struct protowire_reader r = l->all;
	enum protoscan_result result = PROTOSCAN_OK;
	enum protowire_step step;
	struct protowire_field f;
	uint64_t seen = 0;

	must(l->type->n_fields <= PROTOSCAN_FIELDS);
	while (result == PROTOSCAN_OK) {
		if ((step = protowire_next(&r, &f)) != PROTOWIRE_FIELD)
			return step == PROTOWIRE_END ? PROTOSCAN_OK : PROTOSCAN_BROKEN;
		l->field_end = r.at;
		result = scan_field(l, &f, &seen);
	}
	return result;
}

enum protoscan_result
protoscan(const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t len,
    struct protoscan_fault *fault)
{
	struct scan scan = { .fault = fault };
	struct level top = { .type = type, .scan = &scan, .depth = 1 };

	if (len == 0)
		return PROTOSCAN_OK;	/* p may be NULL then */
	top.all = (struct protowire_reader){ p, p + len };
	return scan_message(&top);
}
