#include <string.h>

#include "client/taker.h"

const char *
taker_text(const char *s)
{
	return s[0] != '\0' ? s : NULL;
}

const char *
taker_token(struct taker *k, const char *s)
{
	if (strnlen(s, TAKER_TOKEN_MAX + 1) > TAKER_TOKEN_MAX)
		k->code = PDV_DATA_LOSS;
	return taker_text(s);
}

void *
taker_room(struct taker *k, size_t count, size_t each)
{
	void *p = bump_array(k->memory, count, each);

	if (p == NULL)
		k->code = PDV_RESOURCE_EXHAUSTED;
	return p;
}

void
taker_bytes(struct taker *k, uint8_t *out, size_t len, ProtobufCBinaryData from)
{
	if (from.len == len)
		memcpy(out, from.data, len);
	else
		k->code = PDV_DATA_LOSS;
}

void
taker_id(struct taker *k, uint8_t out[static PDV_ID_LEN], ProtobufCBinaryData from)
{
	taker_bytes(k, out, PDV_ID_LEN, from);
}

void
taker_fill_proof(struct taker *k, struct pdv_ledger_proof *out, const Pdvault__V1__LedgerProof *from)
{
	taker_bytes(k, out->entry, sizeof(out->entry), from->entry);
	taker_bytes(k, out->signature, sizeof(out->signature), from->signature);
}

const struct pdv_ledger_proof *
taker_proof(struct taker *k, const Pdvault__V1__LedgerProof *from)
{
	struct pdv_ledger_proof *p = from != NULL ? taker_room(k, 1, sizeof(*p)) : NULL;

	if (p != NULL)
		taker_fill_proof(k, p, from);
	return p;
}

void
taker_same_id(struct taker *k, const uint8_t got[static PDV_ID_LEN], size_t i)
{
	if (i >= k->asked->count ||
	    memcmp(got, k->asked->ids + i * PDV_ID_LEN, PDV_ID_LEN) != 0)
		k->code = PDV_DATA_LOSS;
}

const char *const *
taker_texts(struct taker *k, char **from, size_t count)
{
	const char **list;
	size_t i;

	if (count == 0 || (list = taker_room(k, count, sizeof(*list))) == NULL)
		return NULL;
	for (i = 0; i < count; i++)
		list[i] = from[i];
	return list;
}

const struct pdv_time *
taker_time(struct taker *k, const Pdvault__V1__Timestamp *from)
{
	struct pdv_time *t;

	if (from == NULL || (t = taker_room(k, 1, sizeof(*t))) == NULL)
		return NULL;
	if (from->nanos < 0 || from->nanos > TAKER_NANOS_MAX)
		k->code = PDV_DATA_LOSS;
	t->seconds = from->seconds;
	t->nanos = from->nanos;
	return t;
}

static void
take_address(struct taker *k, struct pdv_postal_address *a,
    const Pdvault__V1__PostalAddress *from)
{
	a->label = taker_text(from->label);
	a->recipient = taker_text(from->recipient);
	a->organization = taker_text(from->organization);
	a->lines = taker_texts(k, from->lines, from->n_lines);
	a->line_count = a->lines != NULL ? from->n_lines : 0;
	a->locality = taker_text(from->locality);
	a->region = taker_text(from->region);
	a->postal_code = taker_text(from->postal_code);
	a->country = taker_text(from->country);
}

static const struct pdv_name *
take_name(struct taker *k, const Pdvault__V1__Name *from)
{
	struct pdv_name *n;

	if (from == NULL || (n = taker_room(k, 1, sizeof(*n))) == NULL)
		return NULL;
	n->full = taker_text(from->full);
	n->given = taker_text(from->given);
	n->family = taker_text(from->family);
	return n;
}

static void
take_addresses(struct taker *k, struct pdv_identity *id, const Pdvault__V1__Identity *from)
{
	struct pdv_postal_address *list;
	size_t i;

	if (from->n_postal_addresses == 0 ||
	    (list = taker_room(k, from->n_postal_addresses, sizeof(*list))) == NULL)
		return;
	for (i = 0; i < from->n_postal_addresses; i++)
		take_address(k, &list[i], from->postal_addresses[i]);
	id->postal_addresses = list;
	id->postal_address_count = from->n_postal_addresses;
}

static void
take_attributes(struct taker *k, struct pdv_identity *id, const Pdvault__V1__Identity *from)
{
	struct pdv_attribute *list;
	size_t i;

	if (from->n_attributes == 0 ||
	    (list = taker_room(k, from->n_attributes, sizeof(*list))) == NULL)
		return;
	for (i = 0; i < from->n_attributes; i++) {
		list[i].key = taker_text(from->attributes[i]->key);
		list[i].value = taker_text(from->attributes[i]->value);
	}
	id->attributes = list;
	id->attribute_count = from->n_attributes;
}

const struct pdv_identity *
taker_identity(struct taker *k, const Pdvault__V1__Identity *from)
{
	struct pdv_identity *id = taker_room(k, 1, sizeof(*id));

	if (id == NULL || from == NULL)
		return id;
	id->name = take_name(k, from->name);
	id->emails = taker_texts(k, from->emails, from->n_emails);
	id->email_count = id->emails != NULL ? from->n_emails : 0;
	id->phones = taker_texts(k, from->phones, from->n_phones);
	id->phone_count = id->phones != NULL ? from->n_phones : 0;
	id->locale = taker_text(from->locale);
	id->date_of_birth = taker_text(from->date_of_birth);
	take_addresses(k, id, from);
	id->account_ids = taker_texts(k, from->account_ids, from->n_account_ids);
	id->account_id_count = id->account_ids != NULL ? from->n_account_ids : 0;
	take_attributes(k, id, from);
	return id;
}

static void
take_payments(struct taker *k, struct pdv_billing *b, const Pdvault__V1__Billing *from)
{
	struct pdv_payment_method *list;
	size_t i;

	if (from->n_payment_methods == 0 ||
	    (list = taker_room(k, from->n_payment_methods, sizeof(*list))) == NULL)
		return;
	for (i = 0; i < from->n_payment_methods; i++) {
		list[i].brand = taker_text(from->payment_methods[i]->brand);
		list[i].last_four = taker_text(from->payment_methods[i]->last_four);
		list[i].expiry_month = from->payment_methods[i]->expiry_month;
		list[i].expiry_year = from->payment_methods[i]->expiry_year;
		list[i].token = taker_text(from->payment_methods[i]->token);
	}
	b->payment_methods = list;
	b->payment_method_count = from->n_payment_methods;
}

const struct pdv_billing *
taker_billing(struct taker *k, const Pdvault__V1__Billing *from)
{
	struct pdv_billing *b = taker_room(k, 1, sizeof(*b));
	struct pdv_postal_address *address;

	if (b == NULL || from == NULL)
		return b;
	b->legal_name = taker_text(from->legal_name);
	if (from->billing_address != NULL &&
	    (address = taker_room(k, 1, sizeof(*address))) != NULL) {
		take_address(k, address, from->billing_address);
		b->billing_address = address;
	}
	b->tax_id = taker_text(from->tax_id);
	b->processor = taker_text(from->processor);
	b->customer_reference = taker_text(from->customer_reference);
	take_payments(k, b, from);
	return b;
}

const enum pdv_category *
taker_categories(struct taker *k, const Pdvault__V1__Category *from, size_t count)
{
	enum pdv_category *list;
	size_t i;

	if (count == 0 || (list = taker_room(k, count, sizeof(*list))) == NULL)
		return NULL;
	for (i = 0; i < count; i++)
		list[i] = (enum pdv_category)from[i];
	return list;
}

const struct pdv_subject_id *
taker_subjects(struct taker *k, const ProtobufCBinaryData *from, size_t count)
{
	struct pdv_subject_id *list = taker_room(k, count, sizeof(*list));
	size_t i;

	for (i = 0; list != NULL && i < count; i++)
		taker_id(k, list[i].bytes, from[i]);
	return list;
}
