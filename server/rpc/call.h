/*
 * One request from its arrival to its answer, and the table of methods that every
 * service fills a row of. Handlers live in service_*.c; server/methods.c puts the table
 * together and hands it to dispatch, which therefore knows no service.
 */
#ifndef SERVER_RPC_CALL_H
#define SERVER_RPC_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "server/arena.h"
#include "server/bytes.h"
#include "server/status.h"

struct vault;
struct writeset;
struct call;

#define CALL_ANSWER_MAX 1047552u	/* bytes of a response message: 1 MiB without its envelope */
#define CALL_KEY_LEN 16u		/* idempotency key */
#define CALL_VIOLATIONS_MAX 16u
#define CALL_FIELD_MAX 64u

struct call_violation {
	char field[CALL_FIELD_MAX];	/* path in the request message: "identity.emails[1]" */
	const char *rule;		/* static, UPPER_SNAKE */
};

enum method_room {
	METHOD_INLINE,			/* on nng's callback: some microseconds, never blocks */
	METHOD_POOL,			/* on the pool of workers: reads of many records */
	METHOD_WRITER,			/* mutates: K1 on the writer's thread */
};

struct method {
	const char *name;		/* "/pdvault.v1.Vault/GetIdentity" */
	const ProtobufCMessageDescriptor *request;
	enum method_room room;
	/* Rules of the request message; fills c->violations and answers STATUS_INVALID. May be NULL. */
	enum status (*validate)(struct call *c);
	/* METHOD_INLINE and METHOD_POOL: sets c->response. */
	enum status (*read)(struct vault *v, struct call *c);
	/*
	 * METHOD_WRITER: on the writer's thread; sets c->response. A method that reads may have it, too: it is
	 * called when read answered STATUS_NO_RECORD, to make what is not there yet. That needs no idempotency
	 * key: to do it again must do no harm.
	 */
	enum status (*write)(struct vault *v, struct call *c, struct writeset *ws);
	bool erasure;			/* may use the reserve of a full store */
	/* METHOD_POOL: this request is short enough for METHOD_INLINE. NULL: none is. */
	bool (*is_short)(const struct call *c);
};

struct call {
	const struct method *method;
	unsigned method_index;		/* its place in the table */
	const char *principal;		/* name from the configuration */
	struct arena *arena;		/* wiped after the answer was handed over */
	struct bytes message;		/* the packed request message */
	const ProtobufCMessage *request;	/* unpacked, of type method->request */
	uint8_t idempotency_key[CALL_KEY_LEN];	/* on methods that mutate */
	uint64_t arrived_ns, deadline_ns;	/* CLOCK_MONOTONIC */

	/* What the handler answers. */
	const ProtobufCMessage *response;	/* in the arena; used on STATUS_OK only */
	struct call_violation violations[CALL_VIOLATIONS_MAX];
	unsigned violation_count;
};

/*
 * Adds a violation (the first CALL_VIOLATIONS_MAX are kept) and returns STATUS_INVALID. field is
 * a printf format for the path, made of field names and indexes only.
 */
enum status call_violates(struct call *c, const char *rule, const char *field, ...)
    __attribute__((format(printf, 3, 4)));

#endif /* SERVER_RPC_CALL_H */
