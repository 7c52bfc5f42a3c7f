/*
 * A packed message checked against its type before protobuf-c unpacks it. protobuf-c cuts a
 * string at a NUL, takes any bytes as text and any number as an enum value, and lets
 * unknown fields cost memory; none of that is visible any more after unpacking.
 */
#ifndef TRANSPORT_PROTOSCAN_H
#define TRANSPORT_PROTOSCAN_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#define PROTOSCAN_DEPTH 8	/* messages inside messages, the outermost included */
#define PROTOSCAN_UNKNOWN 16	/* unknown fields of a whole message */
#define PROTOSCAN_FIELDS 64	/* fields that a message type may have */
#define PROTOSCAN_PATH 64	/* bytes of a path, with its NUL; longer ones are cut */

enum protoscan_result {
	PROTOSCAN_OK,
	PROTOSCAN_BROKEN,	/* not a message of this type at all */
	PROTOSCAN_RULE,		/* it is, but breaks a rule */
};

/* On PROTOSCAN_RULE: where, and which rule. */
struct protoscan_fault {
	char path[PROTOSCAN_PATH];	/* "identity.emails[1]"; made of our own names only */
	const char *rule;		/* static */
};

/*
 * protoscan(type, p, len, fault):
 * Check the ${len} bytes at ${p} as a message of ${type}, and stop at the first fault.
 *   - every field has the wire type of its declaration (numbers that repeat may come
 *     packed or not), else PROTOSCAN_BROKEN, and so are more than PROTOSCAN_DEPTH levels;
 *   - "EMBEDDED_NUL", "CONTROL_CHARACTER", "NOT_UTF8": of strings (protowire.h);
 *   - "UNKNOWN_ENUM_VALUE";
 *   - "DUPLICATE_FIELD": a field that does not repeat came twice;
 *   - "TOO_MANY_UNKNOWN_FIELDS": the path is that of the message with the last straw.
 * ${type} has at most PROTOSCAN_FIELDS fields in each message. Pure; does not allocate.
 */
enum protoscan_result protoscan(const ProtobufCMessageDescriptor *type, const uint8_t *p,
    size_t len, struct protoscan_fault *fault);

#endif /* TRANSPORT_PROTOSCAN_H */
