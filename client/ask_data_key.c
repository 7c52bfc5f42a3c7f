/* Requests for data keys. */
#include "client/ask.h"
#include "client/maker.h"
#include "pdvault/v1/vault.pb-c.h"

static bool
context_ok(const uint8_t *context, size_t len)
{
	return len <= PDV_CONTEXT_MAX && (len == 0 || context != NULL);
}

enum pdv_code
ask_generate_data_keys(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_data_key_request *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__GenerateDataKeysRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__generate_data_keys_request__init(m);
	*out = &m->base;
	if (!context_ok(from->context, from->context_length) || from->count == 0 ||
	    from->count > PDV_DATA_KEYS_MAX)
		return PDV_INVALID_ARGUMENT;
	m->subject = maker_id(from->subject.bytes);
	m->category = (Pdvault__V1__Category)from->category;
	m->context = maker_bytes(from->context, from->context_length);
	m->count = from->count;
	maker_keep(&k, from->subject.bytes, 1);
	asked->items = from->count;
	return k.code;
}

enum pdv_code
ask_open_data_keys(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_data_key_opening *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__OpenDataKeysRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__open_data_keys_request__init(m);
	*out = &m->base;
	if (!context_ok(from->context, from->context_length) || from->wrapped == NULL ||
	    from->count == 0 || from->count > PDV_DATA_KEYS_MAX)
		return PDV_INVALID_ARGUMENT;
	m->subject = maker_id(from->subject.bytes);
	m->category = (Pdvault__V1__Category)from->category;
	m->context = maker_bytes(from->context, from->context_length);
	if ((m->wrapped = maker_room(&k, from->count, sizeof(*m->wrapped))) == NULL)
		return k.code;
	for (; m->n_wrapped < from->count; m->n_wrapped++) {
		const struct pdv_wrapped_key *w = &from->wrapped[m->n_wrapped];

		if (w->length > PDV_WRAPPED_KEY_MAX || (w->length > 0 && w->bytes == NULL))
			return PDV_INVALID_ARGUMENT;
		m->wrapped[m->n_wrapped] = maker_bytes(w->bytes, w->length);
	}
	maker_keep(&k, from->subject.bytes, 1);
	asked->items = from->count;
	return k.code;
}
