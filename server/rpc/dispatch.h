/*
 * From the bytes of a request to a call that a handler may see: every check that does not
 * depend on what is stored, in one fixed order (docs/PROTOCOL.md). Knows no service and
 * no socket.
 */
#ifndef SERVER_RPC_DISPATCH_H
#define SERVER_RPC_DISPATCH_H

#include "server/access/access.h"
#include "server/bytes.h"
#include "server/rpc/call.h"
#include "server/status.h"

struct dispatch;

struct dispatch_options {
	const struct method *methods;	/* at most ACCESS_METHODS_MAX - 1 */
	unsigned method_count;
	const struct access *access;
	unsigned default_timeout_ms, max_timeout_ms;
};

/* Everything named is borrowed. STATUS_NO_MEMORY. The caller frees ${out}. */
enum status dispatch_new(const struct dispatch_options *o, struct dispatch **out) MUST_USE;

/*
 * dispatch_request(d, body, principal, c):
 * Fill ${c} from the request ${body} of ${principal} (of access.h); ${c} comes with arena
 * and arrived_ns, and everything that it then points to lies in ${body} or in the arena.
 * On any status the method_index is set, to method_count if there is no such method. Only
 * on STATUS_OK may a handler see the call. In this order:
 *   STATUS_MALFORMED        the envelope
 *   STATUS_NO_METHOD
 *   STATUS_NOT_A_PRINCIPAL
 *   STATUS_DENIED
 *   STATUS_KEY_MISSING      METHOD_WRITER without a key of CALL_KEY_LEN bytes
 *   STATUS_MALFORMED, STATUS_INVALID  the message: its bytes (protoscan.h), then its rules
 *   STATUS_NO_MEMORY        it does not fit into the arena's budget
 * Does not block. Any thread.
 */
enum status dispatch_request(const struct dispatch *d, struct bytes body, int principal,
    struct call *c) MUST_USE;

/* The method of that name, or method_count. Any thread. */
unsigned dispatch_find(const struct dispatch *d, struct bytes name);

/* NULL: nothing. */
void dispatch_free(struct dispatch *d);

#endif /* SERVER_RPC_DISPATCH_H */
