/*
 * Request messages as they reach a method: the first byte picks it from the table, the rest is looked
 * at, unpacked and validated. What is valid stays so when it is packed again, and what a handler does
 * first with it (look-ups, masks) must hold.
 */
#include <stdint.h>
#include <stdlib.h>

#include "client/transport/protoscan.h"
#include "pdvault/v1/vault.pb-c.h"
#include "server/methods.h"
#include "server/service.h"

/* The initialisers that protoc-c makes cast const away, which clang sees through the macro. */
#pragma GCC diagnostic ignored "-Wcast-qual"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct call call;

static enum status
validate(const ProtobufCMessage *m)
{
	enum status rc = STATUS_OK;

	call.request = m;
	call.violation_count = 0;
	if (call.method->validate != NULL)
		rc = call.method->validate(&call);
	must(rc == STATUS_OK || rc == STATUS_INVALID);
	must((call.violation_count > 0) == (rc == STATUS_INVALID));
	must(call.violation_count <= CALL_VIOLATIONS_MAX);
	for (unsigned i = 0; i < call.violation_count; i++) {
		must(memchr(call.violations[i].field, 0, CALL_FIELD_MAX) != NULL);
		must(call.violations[i].field[0] != '\0' && call.violations[i].rule != NULL);
	}
	return rc;
}

static void
again(const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *packed = malloc(len + 1);
	struct protoscan_fault fault;
	ProtobufCMessage *copy;

	must(packed != NULL && protobuf_c_message_pack(m, packed) == len);
	must(protoscan(m->descriptor, packed, len, &fault) == PROTOSCAN_OK);
	copy = protobuf_c_message_unpack(m->descriptor, NULL, len, packed);
	must(copy != NULL && validate(copy) == STATUS_OK);
	protobuf_c_message_free_unpacked(copy, NULL);
	free(packed);
}

/* What the handlers of identities do before they touch the store. */
static void
use_identity(const Pdvault__V1__Identity *id, const Pdvault__V1__FieldMask *mask)
{
	static const uint16_t countries[] = { 0, 49 };
	Pdvault__V1__Identity to = PDVAULT__V1__IDENTITY__INIT;
	struct service_lookups l;
	enum status rc;

	for (unsigned i = 0; i < 2; i++) {
		call.violation_count = 0;
		rc = service_lookups(&call, countries[i], id, &l);
		must(rc == STATUS_OK || rc == STATUS_NO_MEMORY ||
		    (rc == STATUS_INVALID && call.violation_count == 1));
		must(rc != STATUS_OK || l.count <= 24);
	}
	call.violation_count = 0;
	rc = service_merge(&call, mask, &id->base, &to.base);
	must(rc == STATUS_OK || (rc == STATUS_INVALID && call.violation_count == 1));
	must(protobuf_c_message_get_packed_size(&to.base) <=
	    protobuf_c_message_get_packed_size(&id->base));
}

static void
use(const ProtobufCMessage *m)
{
	if (m->descriptor == &pdvault__v1__create_subject_request__descriptor) {
		const Pdvault__V1__CreateSubjectRequest *q = (const void *)m;

		if (q->identity != NULL)
			use_identity(q->identity, NULL);
	} else if (m->descriptor == &pdvault__v1__update_identity_request__descriptor) {
		const Pdvault__V1__UpdateIdentityRequest *q = (const void *)m;

		use_identity(q->identity, q->update_mask);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned count;
	const struct method *m = methods_table(&count);
	struct protoscan_fault fault;
	ProtobufCMessage *request;

	if (call.arena == NULL)
		must((call.arena = arena_new()) != NULL);
	if (len == 0)
		return 0;
	call.method = &m[data[0] % count];
	if (protoscan(call.method->request, data + 1, len - 1, &fault) != PROTOSCAN_OK)
		return 0;
	request = protobuf_c_message_unpack(call.method->request, arena_allocator(call.arena),
	    len - 1, data + 1);
	if (request != NULL && validate(request) == STATUS_OK) {
		again(request);
		use(request);
	}
	arena_reset(call.arena);
	return 0;
}
