#include "server/service.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#include "server/clock.h"
#include "server/log.h"
#include "server/mutant.h"
#include "server/store/damage.h"
#include "server/store/record.h"
#include "server/store/subject.h"

void *
service_message(struct call *c, const ProtobufCMessageDescriptor *type)
{
	void *m = arena_alloc(c->arena, type->sizeof_message);

	if (m != NULL)
		protobuf_c_message_init(type, m);
	return m;
}

enum status
service_pack(struct call *c, const ProtobufCMessage *m, struct bytes *out)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *p;

	if (len > RECORD_MESSAGE_MAX)
		return STATUS_TOO_LARGE;
	if ((p = arena_alloc(c->arena, len + 1)) == NULL)
		return STATUS_NO_MEMORY;
	must(protobuf_c_message_pack(m, p) == len);
	*out = bytes_of(p, len);
	return STATUS_OK;
}

enum status
service_unpack(struct call *c, const ProtobufCMessageDescriptor *type, struct bytes b, void *out)
{
	ProtobufCMessage *m = protobuf_c_message_unpack(type, arena_allocator(c->arena), b.len, b.p);

	if (m == NULL)
		return arena_refused(c->arena) ? STATUS_NO_MEMORY :
		    damage_judged(STATUS_CORRUPT, "a message that does not unpack");
	*(void **)out = m;
	return STATUS_OK;
}

enum status
service_pass_on(struct call *c, struct bytes plain, Pdvault__V1__RecordAnswer *out)
{
	if (plain.len < RECORD_HEAD)
		return damage_judged(STATUS_CORRUPT, "a record without a head");
	out->presence_case = PDVAULT__V1__RECORD_ANSWER__PRESENCE_RECORD;
	out->record.len = plain.len - RECORD_HEAD;
	out->record.data = (uint8_t *)(uintptr_t)plain.p + RECORD_HEAD;
	return (out->etag = service_etag(c, bytes_get64(plain.p))) != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status
service_open(struct call *c, const ProtobufCMessageDescriptor *type, struct bytes plain,
    uint64_t *etag, void *out)
{
	if (plain.len < RECORD_HEAD)
		return STATUS_CORRUPT;
	*etag = bytes_get64(plain.p);
	return service_unpack(c, type, bytes_of(plain.p + RECORD_HEAD, plain.len - RECORD_HEAD), out);
}

enum status
service_close(struct call *c, uint64_t etag, const ProtobufCMessage *m, struct bytes *plain)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *p;

	if (len > RECORD_MESSAGE_MAX)
		return STATUS_TOO_LARGE;
	if ((p = arena_alloc(c->arena, RECORD_HEAD + len)) == NULL)
		return STATUS_NO_MEMORY;
	bytes_put64(p, etag);
	bytes_put64(p + 8, (uint64_t)clock_wall_ms());
	must(protobuf_c_message_pack(m, p + RECORD_HEAD) == len);
	*plain = bytes_of(p, RECORD_HEAD + len);
	return STATUS_OK;
}

char *
service_etag(struct call *c, uint64_t etag)
{
	char *s = arena_alloc(c->arena, 21);

	if (s != NULL)
		(void)snprintf(s, 21, "%" PRIu64, etag);
	return s;
}

enum status
service_check_etag(const char *given, uint64_t present)
{
	char text[21];

	if (given[0] == '\0')
		return STATUS_OK;
	(void)snprintf(text, sizeof(text), "%" PRIu64, present);
	return strcmp(text, given) == 0 ? STATUS_OK : STATUS_ETAG;
}

Pdvault__V1__Timestamp *
service_time(struct call *c, int64_t ms)
{
	Pdvault__V1__Timestamp *t = service_message(c, &pdvault__v1__timestamp__descriptor);

	if (t != NULL) {
		t->seconds = ms / 1000;
		t->nanos = (int32_t)(ms % 1000) * 1000000;
	}
	return t;
}

/* A field's storage: a pointer, and for a repeated one its count. */
static void
copy_field(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *from, ProtobufCMessage *to)
{
	const uint8_t *a = (const uint8_t *)from;
	uint8_t *b = (uint8_t *)to;

	must(f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE);
	memcpy(b + f->offset, a + f->offset, sizeof(void *));
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		memcpy(b + f->quantifier_offset, a + f->quantifier_offset, sizeof(size_t));
}

static bool
is_set(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *m)
{
	const uint8_t *at = (const uint8_t *)m;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(const void *)(at + f->quantifier_offset) > 0;
	if (f->type == PROTOBUF_C_TYPE_STRING)
		return (*(char *const *)(const void *)(at + f->offset))[0] != '\0';
	return *(void *const *)(const void *)(at + f->offset) != NULL;
}

static bool
is_all(const Pdvault__V1__FieldMask *mask)
{
	for (size_t i = 0; mask != NULL && i < mask->n_paths; i++)
		if (strcmp(mask->paths[i], "*") == 0)
			return true;
	return false;
}

enum status
service_merge(struct call *c, const Pdvault__V1__FieldMask *mask, const ProtobufCMessage *from,
    ProtobufCMessage *to)
{
	const ProtobufCMessageDescriptor *d = from->descriptor;
	bool all = is_all(mask), named = mask != NULL && mask->n_paths > 0;

	for (unsigned i = 0; i < d->n_fields; i++)
		if (all || (!named && is_set(&d->fields[i], from)))
			copy_field(&d->fields[i], from, to);
	for (size_t i = 0; named && !all && i < mask->n_paths; i++) {
		const ProtobufCFieldDescriptor *f =
		    protobuf_c_message_descriptor_get_field_by_name(d, mask->paths[i]);

		if (f == NULL)
			return call_violates(c, "NO_SUCH_FIELD", "update_mask.paths[%zu]", i);
		copy_field(f, from, to);
	}
	return STATUS_OK;
}

const struct lookup *
service_lookup_in(const struct service_lookups *s, const struct lookup *l)
{
	return lookup_list_in(s->item, s->count, l);
}

enum status
service_lookups(struct call *c, uint16_t country, const Pdvault__V1__Identity *id,
    struct service_lookups *out)
{
	struct lookup_fault bad;
	enum status rc;

	out->count = 0;
	if ((out->item = arena_alloc(c->arena, (lookup_list_max(id) + 1) * sizeof(*out->item))) == NULL)
		return STATUS_NO_MEMORY;
	if (mutant(logged_field) && id->n_emails > 0)
		log_event(LOG_INTEGRITY, LOG_S(WHAT, id->emails[0]));
	rc = lookup_list(id, country, out->item, &out->count, &bad);
	/* validate.c cannot see all of it: a phone may be too long with its country code only. */
	return rc == STATUS_INVALID ? call_violates(c, bad.rule, "identity.%s[%zu]", bad.field, bad.index) : rc;
}

Pdvault__V1__LedgerProof *
service_proof(struct call *c, const struct ledger_proof *p)
{
	Pdvault__V1__LedgerProof *m = service_message(c, &pdvault__v1__ledger_proof__descriptor);
	const uint8_t *entry = arena_copy(c->arena, bytes_of(p->entry, sizeof(p->entry))).p;
	const uint8_t *signature = arena_copy(c->arena, bytes_of(p->signature, sizeof(p->signature))).p;

	if (m == NULL || entry == NULL || signature == NULL)
		return NULL;
	m->entry = (ProtobufCBinaryData){ sizeof(p->entry), (uint8_t *)(uintptr_t)entry };
	m->signature = (ProtobufCBinaryData){ sizeof(p->signature), (uint8_t *)(uintptr_t)signature };
	return m;
}
