/*
 * A reply's bytes, which a rogue server may have made: checked, then unpacked into the
 * result's bounded memory. Any thread; the result is the caller's alone.
 */
#ifndef CLIENT_REPLY_H
#define CLIENT_REPLY_H

#include <stdbool.h>

#include "client/method.h"
#include "client/result.h"

#define REPLY_REASON_MAX 64    /* bytes */
#define REPLY_DETAIL_MAX 1024
#define REPLY_VIOLATION_MAX 256 /* bytes of a field's path, of a rule */
#define REPLY_VIOLATIONS 256

/* The method's message in an envelope; in the result's memory. */
struct reply {
	const uint8_t *message;
	size_t length;
};

/*
 * reply_open(r, body, len, out):
 * Read the envelope into ${r}: code, reason, detail, violations, time to retry after, epoch,
 * vault. False: it is none, and ${r} says so (DATA_LOSS with MALFORMED_ANSWER or
 * ANSWER_TOO_LARGE).
 */
bool reply_open(
    struct pdv_result *r, const uint8_t *body, size_t len, struct reply *out);

/*
 * reply_take(r, method, asked, reply):
 * Read the answer of ${method} into ${r}, whose code is OK. What cannot be read makes the
 * code DATA_LOSS (MALFORMED_ANSWER, ANSWER_TOO_LARGE), or UNIMPLEMENTED (ANSWER_TOO_NEW).
 */
void reply_take(struct pdv_result *r, const struct method *method,
    const struct method_asked *asked, const struct reply *reply);

#endif /* CLIENT_REPLY_H */
