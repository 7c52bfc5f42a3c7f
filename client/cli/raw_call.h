/*
 * Calls of methods that the client library passes on as they are.
 */
#ifndef CLI_RAW_CALL_H
#define CLI_RAW_CALL_H

#include <protobuf-c/protobuf-c.h>

#include "session.h"

struct raw_method {
	const char *name;		/* "/pdvault.v1.Backups/ReadBackup" */
	const ProtobufCMessageDescriptor *answer;
	bool mutates;
};

/*
 * raw_call(s, m, request, out, f):
 * Make it and wait. ${out} is the answer, for protobuf_c_message_free_unpacked().
 */
enum pdv_code raw_call(struct session *s, const struct raw_method *m, const ProtobufCMessage *request,
    void *out, struct failure *f);

#endif /* CLI_RAW_CALL_H */
