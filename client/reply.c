#include <string.h>

#include "client/reply.h"
#include "client/transport/protoscan.h"
#include "pdvault/rpc/v1/rpc.pb-c.h"

static void
malformed(struct pdv_result *r)
{
	result_fail(r, PDV_DATA_LOSS, PDV_REASON_MALFORMED,
	    "the server's answer is not what the contract says");
}

static void
too_large(struct pdv_result *r)
{
	result_fail(r, PDV_DATA_LOSS, PDV_REASON_ANSWER_TOO_LARGE,
	    "the server's answer needs more memory than a result may take");
}

/* Check, then unpack; NULL when ${r} says why not. */
static ProtobufCMessage *
unpack(struct pdv_result *r, const ProtobufCMessageDescriptor *type, const uint8_t *p,
    size_t len)
{
	ProtobufCAllocator memory = bump_allocator(&r->memory);
	struct protoscan_fault fault = {.rule = ""};
	ProtobufCMessage *m;

	switch (protoscan(type, p, len, &fault)) {
	case PROTOSCAN_OK:
		break;
	case PROTOSCAN_RULE:
		if (strcmp(fault.rule, "UNKNOWN_ENUM_VALUE") == 0) {
			result_fail(r, PDV_UNIMPLEMENTED, PDV_REASON_TOO_NEW,
			    "the server answered with a value that this library is too old "
			    "to know");
			return NULL;
		}
		malformed(r);
		return NULL;
	default:
		malformed(r);
		return NULL;
	}
	if ((m = protobuf_c_message_unpack(type, &memory, len, p)) == NULL)
		too_large(r); /* it parses, so only memory can be what lacked */
	return m;
}

static bool
reason_ok(const char *s)
{
	size_t i;

	for (i = 0; s[i] != '\0'; i++) {
		if (i == REPLY_REASON_MAX)
			return false;
		if (!(s[i] >= 'A' && s[i] <= 'Z') && !(s[i] >= '0' && s[i] <= '9') &&
		    s[i] != '_')
			return false;
	}
	return true;
}

static bool
fits(const char *s, size_t max)
{
	return strnlen(s, max + 1) <= max;
}

static bool
envelope_ok(const Pdvault__Rpc__V1__Response *m)
{
	size_t i;

	if (!reason_ok(m->reason) || !fits(m->detail, REPLY_DETAIL_MAX) ||
	    m->n_violations > REPLY_VIOLATIONS)
		return false;
	for (i = 0; i < m->n_violations; i++) {
		if (!fits(m->violations[i]->field, REPLY_VIOLATION_MAX) ||
		    !fits(m->violations[i]->rule, REPLY_VIOLATION_MAX))
			return false;
	}
	/* Only a refusal from before the vault looked at a request may lack the vault. */
	if (m->vault.len == 0)
		return m->code != PDV_OK && m->epoch == 0 && m->incarnation == 0 && m->message.len == 0;
	return m->vault.len == PDV_ID_LEN && (m->code == PDV_OK || m->message.len == 0);
}

static bool
take_violations(struct pdv_result *r, const Pdvault__Rpc__V1__Response *m)
{
	struct pdv_violation *list;
	size_t i;

	list = bump_array(&r->memory, m->n_violations, sizeof(*list));
	if (list == NULL)
		return false;
	for (i = 0; i < m->n_violations; i++) {
		list[i].field = m->violations[i]->field;
		list[i].rule = m->violations[i]->rule;
	}
	r->violations = list;
	r->violation_count = m->n_violations;
	return true;
}

bool
reply_open(struct pdv_result *r, const uint8_t *body, size_t len, struct reply *out)
{
	const ProtobufCMessageDescriptor *type = &pdvault__rpc__v1__response__descriptor;
	const Pdvault__Rpc__V1__Response *m;

	if ((m = (const void *)unpack(r, type, body, len)) == NULL)
		return false;
	if (!envelope_ok(m)) {
		malformed(r);
		return false;
	}
	r->code = m->code <= PDV_UNAUTHENTICATED ? (enum pdv_code)m->code : PDV_UNKNOWN;
	r->reason = m->reason;
	r->detail = m->detail;
	r->retry_after_ms = m->retry_after_ms;
	r->at = (struct epochs_at){m->incarnation, m->epoch};
	if ((r->has_vault = m->vault.len == PDV_ID_LEN))
		memcpy(r->vault, m->vault.data, PDV_ID_LEN);
	if (!take_violations(r, m)) {
		too_large(r);
		return false;
	}
	out->message = m->message.len > 0 ? m->message.data : (const uint8_t *)"";
	out->length = m->message.len;
	return true;
}

void
reply_take(struct pdv_result *r, const struct method *method,
    const struct method_asked *asked, const struct reply *reply)
{
	ProtobufCMessage *m;

	if ((m = unpack(r, method->answer, reply->message, reply->length)) == NULL)
		return;
	switch (method->answered(r, m, asked)) {
	case PDV_OK:
		r->method = method;
		break;
	case PDV_RESOURCE_EXHAUSTED:
		too_large(r);
		break;
	default:
		malformed(r);
	}
}
