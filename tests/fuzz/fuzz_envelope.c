/*
 * What a hostile peer may send: a byte that picks a type of request message, then a
 * Request envelope. What the look at the wire lets through must unpack, and what was
 * unpacked must pass the look again when it is packed.
 */
#include <stdint.h>
#include <stdlib.h>

#include "client/transport/protoscan.h"
#include "pdvault/v1/admin.pb-c.h"
#include "pdvault/v1/health.pb-c.h"
#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"
#include "server/arena.h"
#include "server/rpc/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
	&pdvault__v1__create_subject_request__descriptor,
	&pdvault__v1__get_subject_request__descriptor,
	&pdvault__v1__find_subject_request__descriptor,
	&pdvault__v1__get_identity_request__descriptor,
	&pdvault__v1__batch_get_identity_request__descriptor,
	&pdvault__v1__update_identity_request__descriptor,
	&pdvault__v1__get_billing_request__descriptor,
	&pdvault__v1__update_billing_request__descriptor,
	&pdvault__v1__append_transactions_request__descriptor,
	&pdvault__v1__list_transactions_request__descriptor,
	&pdvault__v1__erase_subject_request__descriptor,
	&pdvault__v1__get_erasure_request__descriptor,
	&pdvault__v1__get_status_request__descriptor,
	&pdvault__v1__check_request__descriptor,
	/* Answers, for their enums and numbers. */
	&pdvault__v1__get_subject_response__descriptor,
	&pdvault__v1__get_erasure_response__descriptor,
	&pdvault__rpc__v1__response__descriptor,
};

static void
scan_again(const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *packed = malloc(len + 1);
	struct protoscan_fault fault;

	must(packed != NULL && protobuf_c_message_pack(m, packed) == len);
	must(protoscan(m->descriptor, packed, len, &fault) == PROTOSCAN_OK);
	free(packed);
}

static void
look(const ProtobufCMessageDescriptor *type, struct bytes message, struct arena *a)
{
	struct protoscan_fault fault = { .rule = NULL };
	ProtobufCMessage *m;

	switch (protoscan(type, message.p, message.len, &fault)) {
	case PROTOSCAN_RULE:
		must(fault.rule != NULL && memchr(fault.path, 0, PROTOSCAN_PATH) != NULL);
		return;
	case PROTOSCAN_BROKEN:
		return;
	default:
		break;
	}
	m = protobuf_c_message_unpack(type, arena_allocator(a), message.len, message.p);
	/* Unpacking takes up to 56 bytes for one. */
	must(m != NULL || message.len > ARENA_BUDGET / 64);
	if (m != NULL)
		scan_again(m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *a;
	const ProtobufCMessageDescriptor *type;
	struct envelope e;

	if (a == NULL)
		must((a = arena_new()) != NULL);
	if (size == 0)
		return 0;
	type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
	if (envelope_decode(bytes_of(data + 1, size - 1), &e) == STATUS_OK)
		look(type, e.message, a);
	look(type, bytes_of(data + 1, size - 1), a);
	arena_reset(a);
	return 0;
}
