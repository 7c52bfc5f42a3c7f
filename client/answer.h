/*
 * Answers: from the generated messages to the public structs. One function for each
 * row of the method table (method.h says what they do). Strings are shared with
 * the unpacked message, which lives in the same result.
 */
#ifndef CLIENT_ANSWER_H
#define CLIENT_ANSWER_H

#include "client/method.h"
#include "client/result.h"

#define ANSWER_PROTOTYPE(id, function, service, name, request, mutates)                  \
	enum pdv_code answer_##function(struct pdv_result *r, const ProtobufCMessage *m, \
	    const struct method_asked *asked);
METHODS(ANSWER_PROTOTYPE)
#undef ANSWER_PROTOTYPE

#endif /* CLIENT_ANSWER_H */
