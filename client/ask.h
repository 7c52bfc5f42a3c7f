/*
 * Requests: from the public structs to the generated messages. One function for each
 * row of the method table (method.h says what they do).
 */
#ifndef CLIENT_ASK_H
#define CLIENT_ASK_H

#include "client/bump.h"
#include "client/method.h"
#include "pdvault/types.h"

#define ASK_PROTOTYPE(id, function, service, name, request, mutates)                  \
	enum pdv_code ask_##function(struct bump *memory, const void *request_struct, \
	    ProtobufCMessage **out, struct method_asked *asked);
METHODS(ASK_PROTOTYPE)
#undef ASK_PROTOTYPE

#endif /* CLIENT_ASK_H */
