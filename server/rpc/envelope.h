/*
 * The envelope: the bytes of one Request in, of one Response out
 * (proto/pdvault/rpc/v1/rpc.proto). Requests are decoded in place and answers packed in
 * place, so that personal data have no more copies than they need.
 */
#ifndef SERVER_RPC_ENVELOPE_H
#define SERVER_RPC_ENVELOPE_H

#include "pdvault/rpc/v1/rpc.pb-c.h"
#include "server/bytes.h"
#include "server/rpc/call.h"
#include "server/status.h"

#define ENVELOPE_METHOD_MAX 128u
#define ENVELOPE_PURPOSE_MAX 64u
#define ENVELOPE_TRACEPARENT_MAX 55u
#define ENVELOPE_KEY_MAX 64u		/* so long may be what is no key of CALL_KEY_LEN */
#define ENVELOPE_UNKNOWN_MAX 16u

/* All point into the bytes that were decoded. */
struct envelope {
	struct bytes method, message, key, purpose, traceparent;
	uint32_t timeout_ms;
};

/*
 * envelope_decode(body, out):
 * STATUS_MALFORMED: not a Request; a field came twice; a text that is too long, not
 * UTF-8 or holds control characters; a key of more than ENVELOPE_KEY_MAX bytes; more than
 * ENVELOPE_UNKNOWN_MAX unknown fields. Pure.
 */
enum status envelope_decode(struct bytes body, struct envelope *out) MUST_USE;

/* What an answer says. */
struct envelope_answer {
	enum status status;
	const struct call *call;	/* its violations, and on STATUS_OK its response */
	uint64_t epoch, incarnation;
	struct bytes vault;
};

/* An answer on its way; between measure and pack nothing of the answer may change. */
struct envelope_packing {
	Pdvault__Rpc__V1__Response head;	/* all but the message */
	Pdvault__Rpc__V1__Violation violation[CALL_VIOLATIONS_MAX];
	Pdvault__Rpc__V1__Violation *violations[CALL_VIOLATIONS_MAX];
	const ProtobufCMessage *message;
	size_t head_len, message_len;
};

/* How many bytes envelope_pack will write. Pure. */
size_t envelope_measure(const struct envelope_answer *a, struct envelope_packing *p);

/* Writes exactly that many to ${to}. Pure. */
void envelope_pack(const struct envelope_packing *p, uint8_t *to);

#endif /* SERVER_RPC_ENVELOPE_H */
