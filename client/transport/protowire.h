/*
 * The bytes of a protobuf message, field by field, without copying and without trust:
 * for looking before protobuf-c unpacks, which it does less strictly.
 * Source: Protocol Buffers, "Encoding".
 */
#ifndef TRANSPORT_PROTOWIRE_H
#define TRANSPORT_PROTOWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum protowire_type {
	PROTOWIRE_VARINT = 0,
	PROTOWIRE_64 = 1,
	PROTOWIRE_LENGTH = 2,
	PROTOWIRE_32 = 5,
};

struct protowire_reader {
	const uint8_t *at, *end;
};

struct protowire_field {
	uint32_t number;		/* 1 to 2^29 - 1 */
	enum protowire_type type;
	uint64_t value;			/* of PROTOWIRE_VARINT */
	const uint8_t *bytes;		/* of every other type, in the reader's buffer */
	size_t len;
};

enum protowire_step { PROTOWIRE_END, PROTOWIRE_FIELD, PROTOWIRE_BROKEN };

/*
 * protowire_next(r, out):
 * Take the next field of ${r}. PROTOWIRE_FIELD: it is in ${out}. PROTOWIRE_END: there is
 * none. PROTOWIRE_BROKEN: it ends early, its number is 0 or too large, its varint is
 * longer than 10 bytes or 64 bits, its tag or length than 5 bytes, or it is a group; ${r}
 * is of no further use. Pure.
 */
enum protowire_step protowire_next(struct protowire_reader *r, struct protowire_field *out);

/*
 * protowire_varint(r, out):
 * Take one varint of ${r}: an element of a packed field. False: broken. Pure.
 */
bool protowire_varint(struct protowire_reader *r, uint64_t *out);

/*
 * protowire_text_fault(p, len):
 * NULL if the bytes are UTF-8 (RFC 3629: shortest form, no surrogates, at most U+10FFFF)
 * without control characters (C0, DEL, C1); else the rule that the first bad one breaks:
 * "EMBEDDED_NUL", "CONTROL_CHARACTER" or "NOT_UTF8", static. Pure; its time depends on
 * the content.
 */
const char *protowire_text_fault(const uint8_t *p, size_t len);

#endif /* TRANSPORT_PROTOWIRE_H */
