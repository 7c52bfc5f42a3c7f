#include <string.h>

#include "client/maker.h"

char *
maker_lend(const char *s)
{
	return (char *)(uintptr_t)s;
}

ProtobufCBinaryData
maker_bytes(const uint8_t *p, size_t len)
{
	return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)(uintptr_t)p};
}

void
maker_put(char **field, const char *s)
{
	if (s != NULL)
		*field = maker_lend(s);
}

void *
maker_room(struct maker *k, size_t count, size_t each)
{
	void *p;

	if (count > MAKER_LIST_MAX) {
		k->code = PDV_INVALID_ARGUMENT;
		return NULL;
	}
	if ((p = bump_array(k->memory, count, each)) == NULL)
		k->code = PDV_RESOURCE_EXHAUSTED;
	return p;
}

bool
maker_list_ok(struct maker *k, const void *list, size_t count)
{
	if (count > 0 && list == NULL)
		k->code = PDV_INVALID_ARGUMENT;
	return count > 0 && list != NULL;
}

void
maker_texts(struct maker *k, char ***field, size_t *n, const char *const *from, size_t count)
{
	size_t i;

	if (!maker_list_ok(k, from, count) || (*field = maker_room(k, count, sizeof(**field))) == NULL)
		return;
	for (i = 0; i < count; i++) {
		if (from[i] == NULL)
			k->code = PDV_INVALID_ARGUMENT;
		else
			(*field)[(*n)++] = maker_lend(from[i]);
	}
}

void *
maker_messages(struct maker *k, void ***field, size_t count, size_t each)
{
	unsigned char *items = maker_room(k, count, each);
	size_t i;

	if (items == NULL || (*field = maker_room(k, count, sizeof(**field))) == NULL)
		return NULL;
	for (i = 0; i < count; i++)
		(*field)[i] = items + i * each;
	return items;
}

ProtobufCBinaryData
maker_id(const uint8_t id[static PDV_ID_LEN])
{
	return (ProtobufCBinaryData){
	    .len = PDV_ID_LEN, .data = (uint8_t *)(uintptr_t)(const void *)id};
}

static Pdvault__V1__Name *
make_name(struct maker *k, const struct pdv_name *from)
{
	Pdvault__V1__Name *m = maker_room(k, 1, sizeof(*m));

	if (m == NULL)
		return NULL;
	pdvault__v1__name__init(m);
	maker_put(&m->full, from->full);
	maker_put(&m->given, from->given);
	maker_put(&m->family, from->family);
	return m;
}

static void
fill_address(struct maker *k, Pdvault__V1__PostalAddress *m,
    const struct pdv_postal_address *from)
{
	pdvault__v1__postal_address__init(m);
	maker_put(&m->label, from->label);
	maker_put(&m->recipient, from->recipient);
	maker_put(&m->organization, from->organization);
	maker_texts(k, &m->lines, &m->n_lines, from->lines, from->line_count);
	maker_put(&m->locality, from->locality);
	maker_put(&m->region, from->region);
	maker_put(&m->postal_code, from->postal_code);
	maker_put(&m->country, from->country);
}

static void
fill_addresses(struct maker *k, Pdvault__V1__Identity *m, const struct pdv_identity *from)
{
	Pdvault__V1__PostalAddress *items;
	void **list = NULL;
	size_t i;

	if (!maker_list_ok(k, from->postal_addresses, from->postal_address_count))
		return;
	items = maker_messages(k, &list, from->postal_address_count, sizeof(*items));
	if (items == NULL)
		return;
	for (i = 0; i < from->postal_address_count; i++)
		fill_address(k, &items[i], &from->postal_addresses[i]);
	m->postal_addresses = (Pdvault__V1__PostalAddress **)list;
	m->n_postal_addresses = from->postal_address_count;
}

static void
fill_attributes(struct maker *k, Pdvault__V1__Identity *m, const struct pdv_identity *from)
{
	Pdvault__V1__Attribute *items;
	void **list = NULL;
	size_t i;

	if (!maker_list_ok(k, from->attributes, from->attribute_count))
		return;
	if ((items = maker_messages(k, &list, from->attribute_count, sizeof(*items))) == NULL)
		return;
	for (i = 0; i < from->attribute_count; i++) {
		pdvault__v1__attribute__init(&items[i]);
		maker_put(&items[i].key, from->attributes[i].key);
		maker_put(&items[i].value, from->attributes[i].value);
	}
	m->attributes = (Pdvault__V1__Attribute **)list;
	m->n_attributes = from->attribute_count;
}

Pdvault__V1__Identity *
maker_identity(struct maker *k, const struct pdv_identity *from)
{
	Pdvault__V1__Identity *m;

	if (from == NULL || (m = maker_room(k, 1, sizeof(*m))) == NULL)
		return NULL;
	pdvault__v1__identity__init(m);
	if (from->name != NULL)
		m->name = make_name(k, from->name);
	maker_texts(k, &m->emails, &m->n_emails, from->emails, from->email_count);
	maker_texts(k, &m->phones, &m->n_phones, from->phones, from->phone_count);
	maker_put(&m->locale, from->locale);
	maker_put(&m->date_of_birth, from->date_of_birth);
	fill_addresses(k, m, from);
	maker_texts(
	    k, &m->account_ids, &m->n_account_ids, from->account_ids, from->account_id_count);
	fill_attributes(k, m, from);
	return m;
}

static void
fill_payments(struct maker *k, Pdvault__V1__Billing *m, const struct pdv_billing *from)
{
	const struct pdv_payment_method *p = from->payment_methods;
	Pdvault__V1__PaymentMethod *items;
	void **list = NULL;
	size_t i;

	if (!maker_list_ok(k, p, from->payment_method_count))
		return;
	items = maker_messages(k, &list, from->payment_method_count, sizeof(*items));
	if (items == NULL)
		return;
	for (i = 0; i < from->payment_method_count; i++) {
		pdvault__v1__payment_method__init(&items[i]);
		maker_put(&items[i].brand, p[i].brand);
		maker_put(&items[i].last_four, p[i].last_four);
		items[i].expiry_month = p[i].expiry_month;
		items[i].expiry_year = p[i].expiry_year;
		maker_put(&items[i].token, p[i].token);
	}
	m->payment_methods = (Pdvault__V1__PaymentMethod **)list;
	m->n_payment_methods = from->payment_method_count;
}

Pdvault__V1__Billing *
maker_billing(struct maker *k, const struct pdv_billing *from)
{
	Pdvault__V1__Billing *m;

	if (from == NULL || (m = maker_room(k, 1, sizeof(*m))) == NULL)
		return NULL;
	pdvault__v1__billing__init(m);
	maker_put(&m->legal_name, from->legal_name);
	if (from->billing_address != NULL) {
		m->billing_address = maker_room(k, 1, sizeof(*m->billing_address));
		if (m->billing_address != NULL)
			fill_address(k, m->billing_address, from->billing_address);
	}
	maker_put(&m->tax_id, from->tax_id);
	maker_put(&m->processor, from->processor);
	maker_put(&m->customer_reference, from->customer_reference);
	fill_payments(k, m, from);
	return m;
}

Pdvault__V1__FieldMask *
maker_mask(struct maker *k, const char *const *mask, size_t count)
{
	Pdvault__V1__FieldMask *m;

	if (!maker_list_ok(k, mask, count) || (m = maker_room(k, 1, sizeof(*m))) == NULL)
		return NULL;
	pdvault__v1__field_mask__init(m);
	maker_texts(k, &m->paths, &m->n_paths, mask, count);
	return m;
}

void
maker_keep(struct maker *k, const uint8_t *ids, size_t count)
{
	uint8_t *copy = maker_room(k, count, PDV_ID_LEN);

	if (copy == NULL)
		return;
	memcpy(copy, ids, count * PDV_ID_LEN);
	k->asked->ids = copy;
	k->asked->count = count;
}
