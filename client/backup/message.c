#include "client/backup/message.h"

#include <string.h>

#include "client/transport/protoscan.h"

enum backup_result
backup_message_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t len,
    ProtobufCMessage **out)
{
	struct protoscan_fault fault;
	ProtobufCMessage *m;

	if (protoscan(type, p, len, &fault) != PROTOSCAN_OK)
		return BACKUP_BAD;
	/* It parses, so only memory can be what lacked. */
	if ((m = protobuf_c_message_unpack(type, NULL, len, p)) == NULL)
		return BACKUP_NO_MEMORY;
	*out = m;
	return BACKUP_OK;
}

ProtobufCBinaryData
backup_message_bytes(const uint8_t *p, size_t len)
{
	ProtobufCBinaryData out = {.len = len};

	memcpy(&out.data, &p, sizeof(p));
	return out;
}
