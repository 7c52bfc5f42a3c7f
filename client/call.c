#include <string.h>

#include <sodium.h>

#include "client/call.h"
#include "client/transport/must.h"

#define METHOD_MAX 128 /* bytes of a method's name */

static enum pdv_code
refuse(struct pdv_result *r, enum pdv_code code, const char *reason, const char *detail)
{
	result_fail(r, code, reason, detail);
	return code;
}

static enum pdv_code
no_memory(struct pdv_result *r)
{
	return refuse(r, PDV_RESOURCE_EXHAUSTED, PDV_REASON_MEMORY,
	    "the client has no memory for the request");
}

static char *
copy_text(struct bump *memory, const char *s, size_t len)
{
	char *p = bump_alloc(memory, len + 1);

	if (p != NULL) {
		memcpy(p, s, len);
		p[len] = '\0';
	}
	return p;
}

/* Copy option ${s}, at most ${max} bytes, to ${field}. */
static enum pdv_code
put_option(struct pdv_result *r, char **field, const char *s, size_t max)
{
	size_t len;

	if (s == NULL)
		return PDV_OK;
	if ((len = strnlen(s, max + 1)) > max)
		return refuse(r, PDV_INVALID_ARGUMENT, PDV_REASON_INVALID,
		    "a purpose or traceparent is too long");
	if ((*field = copy_text(&r->memory, s, len)) == NULL)
		return no_memory(r);
	return PDV_OK;
}

static void
put_key(struct call *c, const struct pdv_call_options *o)
{
	struct pdv_result *r = c->result;

	if (!c->mutates)
		return;
	if (o->idempotency_key != NULL)
		memcpy(r->key, o->idempotency_key, PDV_KEY_LEN);
	else
		pdv_idempotency_key(r->key);
	r->has_key = true;
	c->envelope.idempotency_key = (ProtobufCBinaryData){PDV_KEY_LEN, r->key};
}

static enum pdv_code
put_options(struct call *c, const struct call_request *q)
{
	static const struct pdv_call_options none;
	const struct pdv_call_options *o = q->options != NULL ? q->options : &none;
	uint32_t ms = o->deadline_ms > 0 ? o->deadline_ms : q->deadline_ms;
	enum pdv_code code;

	if (ms > PDV_DEADLINE_MAX_MS)
		ms = PDV_DEADLINE_MAX_MS;
	c->deadline = nng_clock() + ms;
	code = put_option(c->result, &c->envelope.purpose, o->purpose, PDV_PURPOSE_MAX);
	if (code != PDV_OK)
		return code;
	code = put_option(
	    c->result, &c->envelope.traceparent, o->traceparent, PDV_TRACEPARENT_MAX);
	if (code == PDV_OK)
		put_key(c, o);
	return code;
}

/* Room for the request's ${len} bytes. */
static enum pdv_code
put_message(struct call *c, size_t len)
{
	ProtobufCBinaryData *m = &c->envelope.message;

	if (len > PDV_REQUEST_MAX)
		return refuse(c->result, PDV_INVALID_ARGUMENT, PDV_REASON_TOO_LARGE,
		    "the request is larger than a message may be");
	if ((m->data = bump_alloc(&c->result->memory, len)) == NULL)
		return no_memory(c->result);
	m->len = len;
	return PDV_OK;
}

static enum pdv_code
ask(struct call *c, const void *request)
{
	ProtobufCMessage *m = NULL;
	enum pdv_code code;

	code = c->method->ask(&c->result->memory, request, &m, &c->asked);
	if (code == PDV_RESOURCE_EXHAUSTED)
		return no_memory(c->result);
	if (code != PDV_OK)
		return refuse(c->result, code, PDV_REASON_INVALID,
		    "the request breaks the contract of its struct");
	if ((code = put_message(c, protobuf_c_message_get_packed_size(m))) == PDV_OK)
		must(protobuf_c_message_pack(m, c->envelope.message.data) ==
		    c->envelope.message.len);
	c->envelope.method = (char *)(uintptr_t)c->method->name;
	return code;
}

static enum pdv_code
ask_raw(struct call *c, const struct pdv_raw_request *q)
{
	enum pdv_code code;

	if ((q->message == NULL && q->length > 0) ||
	    (q->method != NULL && strnlen(q->method, METHOD_MAX + 1) > METHOD_MAX))
		return refuse(c->result, PDV_INVALID_ARGUMENT, PDV_REASON_INVALID,
		    "the raw request has no bytes, or too long a method");
	if ((code = put_message(c, q->length)) != PDV_OK)
		return code;
	if (q->length > 0)
		memcpy(c->envelope.message.data, q->message, q->length);
	if (q->method == NULL)
		return PDV_OK;
	c->envelope.method = copy_text(&c->result->memory, q->method, strlen(q->method));
	return c->envelope.method != NULL ? PDV_OK : no_memory(c->result);
}

enum pdv_code
call_new(const struct call_request *q, struct pdv_result **result, struct call **out)
{
	const struct pdv_raw_request *raw = q->method == NULL ? q->request : NULL;
	struct pdv_result *r = result_new();
	enum pdv_code code;
	struct call *c;

	if ((*result = r) == NULL) {
		*result = result_out_of_memory();
		return PDV_RESOURCE_EXHAUSTED;
	}
	if (q->request == NULL)
		return refuse(r, PDV_INVALID_ARGUMENT, PDV_REASON_INVALID,
		    "there is no request");
	if ((c = bump_array(&r->memory, 1, sizeof(*c))) == NULL)
		return no_memory(r);
	c->result = r;
	c->method = q->method;
	c->enveloped = raw == NULL || raw->method != NULL;
	c->mutates = raw == NULL ? q->method->mutates : c->enveloped && raw->mutates != 0;
	pdvault__rpc__v1__request__init(&c->envelope);
	if ((code = put_options(c, q)) != PDV_OK)
		return code;
	if ((code = raw == NULL ? ask(c, q->request) : ask_raw(c, raw)) != PDV_OK)
		return code;
	*out = c;
	return PDV_OK;
}

nng_msg *
call_message(struct call *c, nng_duration left)
{
	const ProtobufCBinaryData *body = &c->envelope.message;
	nng_msg *m = NULL;
	size_t len;

	must(left > 0);
	c->envelope.timeout_ms = (uint32_t)left;
	len = c->enveloped ? pdvault__rpc__v1__request__get_packed_size(&c->envelope)
			   : body->len;
	if (nng_msg_alloc(&m, len) != 0)
		return NULL;
	if (c->enveloped)
		must(pdvault__rpc__v1__request__pack(&c->envelope, nng_msg_body(m)) == len);
	else if (len > 0)
		memcpy(nng_msg_body(m), body->data, len);
	return m;
}

void
call_message_free(nng_msg *m)
{
	if (m == NULL)
		return;
	sodium_memzero(nng_msg_body(m), nng_msg_len(m));
	nng_msg_free(m);
}

nng_duration
call_left(const struct call *c)
{
	nng_time now = nng_clock();

	return now < c->deadline ? (nng_duration)(c->deadline - now) : 0;
}

/*
 * Does this code tell what became of a request that an earlier try had sent? Not what the vault says before
 * it looks for an earlier outcome, and not what was made here of an answer that cannot be used.
 */
static bool
tells(enum pdv_code code)
{
	switch (code) {
	case PDV_CANCELLED:
	case PDV_UNKNOWN:
	case PDV_DEADLINE_EXCEEDED:
	case PDV_RESOURCE_EXHAUSTED:
	case PDV_INTERNAL:
	case PDV_UNAVAILABLE:
	case PDV_DATA_LOSS:
	case PDV_PERMISSION_DENIED:
	case PDV_UNAUTHENTICATED:
	case PDV_UNIMPLEMENTED:
		return false;
	default:
		return true;
	}
}

void
call_settle(struct call *c)
{
	struct pdv_result *r = c->result;
	ProtobufCBinaryData *body = &c->envelope.message;

	r->attempts = c->tries;
	if (c->mutates && c->lost && !tells(r->code))
		result_fail(r,
		    r->code == PDV_DEADLINE_EXCEEDED ? PDV_DEADLINE_EXCEEDED : PDV_UNKNOWN,
		    PDV_REASON_INDETERMINATE,
		    "the request was sent and no answer told what became of it; "
		    "call again with the same idempotency key");
	if (body->len > 0)
		sodium_memzero(body->data, body->len);
}
