/* Answers about data keys. */
#include "client/answer.h"
#include "client/taker.h"
#include "pdvault/v1/vault.pb-c.h"

static struct pdv_wrapped_key
take_wrapped(struct taker *k, ProtobufCBinaryData from)
{
	if (from.len > PDV_WRAPPED_KEY_MAX)
		k->code = PDV_DATA_LOSS;
	return (struct pdv_wrapped_key){from.data, from.len};
}

enum pdv_code
answer_generate_data_keys(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__GenerateDataKeysResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};
	struct pdv_data_key *list;
	size_t i;

	if (from->n_keys != asked->items)
		return PDV_DATA_LOSS;
	if ((list = taker_room(&k, from->n_keys, sizeof(*list))) == NULL)
		return k.code;
	for (i = 0; i < from->n_keys; i++) {
		taker_bytes(&k, list[i].key, PDV_DATA_KEY_LEN, from->keys[i]->key);
		list[i].wrapped = take_wrapped(&k, from->keys[i]->wrapped);
		if (list[i].wrapped.length == 0)
			k.code = PDV_DATA_LOSS;
	}
	r->data_keys = list;
	r->data_key_count = from->n_keys;
	return k.code;
}

static void
take_outcome(struct taker *k, struct pdv_data_key_outcome *o, const Pdvault__V1__DataKeyOutcome *from)
{
	o->code = from->code <= PDV_UNAUTHENTICATED ? (int)from->code : PDV_UNKNOWN;
	o->reason = taker_token(k, from->reason);
	if (o->code != PDV_OK)
		return;
	if (from->key.len != PDV_DATA_KEY_LEN) {
		k->code = PDV_DATA_LOSS;
		return;
	}
	o->key = from->key.data;
	o->rewrapped = take_wrapped(k, from->rewrapped);
}

enum pdv_code
answer_open_data_keys(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__OpenDataKeysResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};
	struct pdv_data_key_outcome *list;
	size_t i;

	if (from->n_outcomes != asked->items)
		return PDV_DATA_LOSS;
	if ((list = taker_room(&k, from->n_outcomes, sizeof(*list))) == NULL)
		return k.code;
	for (i = 0; i < from->n_outcomes; i++)
		take_outcome(&k, &list[i], from->outcomes[i]);
	r->data_key_outcomes = list;
	r->data_key_outcome_count = from->n_outcomes;
	return k.code;
}
