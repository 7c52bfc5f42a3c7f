/*
 * Messages of protobuf in files, which anybody may have written. Any thread.
 */
#ifndef CLIENT_BACKUP_MESSAGE_H
#define CLIENT_BACKUP_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "client/backup/fault.h"

/*
 * backup_message_unpack(type, p, len, out):
 * For protobuf_c_message_free_unpacked(). BACKUP_BAD: it is none of that type, or breaks a rule of
 * client/transport/protoscan.h; BACKUP_NO_MEMORY. No line is written.
 */
enum backup_result backup_message_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t len,
    ProtobufCMessage **out);

/* ${p} as protobuf-c wants it, which lacks the const; it is only read. */
ProtobufCBinaryData backup_message_bytes(const uint8_t *p, size_t len);

#endif /* CLIENT_BACKUP_MESSAGE_H */
