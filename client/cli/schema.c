#include "schema.h"

#include <string.h>

#include "pdvault/types.h"

#define ONE(type, kind_, name_) {.name = #name_, .kind = (kind_), .offset = offsetof(type, name_)}
#define NESTED(type, name_, message_) \
	{.name = #name_, .kind = SCHEMA_MESSAGE, .offset = offsetof(type, name_), \
	 .message = (message_)}
#define MANY(type, kind_, name_, count_, message_) \
	{.name = #name_, .kind = (kind_), .list = true, .offset = offsetof(type, name_), \
	 .count_offset = offsetof(type, count_), .message = (message_)}
#define FIELDS(table) .fields_n = sizeof(table) / sizeof((table)[0]), .fields = (table)

static const struct schema_field name_fields[] = {
	ONE(struct pdv_name, SCHEMA_TEXT, full),
	ONE(struct pdv_name, SCHEMA_TEXT, given),
	ONE(struct pdv_name, SCHEMA_TEXT, family),
};
static const struct schema name = {"name", sizeof(struct pdv_name), FIELDS(name_fields)};

static const struct schema_field address_fields[] = {
	ONE(struct pdv_postal_address, SCHEMA_TEXT, label),
	ONE(struct pdv_postal_address, SCHEMA_TEXT, recipient),
	ONE(struct pdv_postal_address, SCHEMA_TEXT, organization),
	MANY(struct pdv_postal_address, SCHEMA_TEXT, lines, line_count, NULL),
	ONE(struct pdv_postal_address, SCHEMA_TEXT, locality),
	ONE(struct pdv_postal_address, SCHEMA_TEXT, region),
	ONE(struct pdv_postal_address, SCHEMA_TEXT, postal_code),
	ONE(struct pdv_postal_address, SCHEMA_TEXT, country),
};
static const struct schema address = {
	"address", sizeof(struct pdv_postal_address), FIELDS(address_fields)};

static const struct schema_field identity_fields[] = {
	NESTED(struct pdv_identity, name, &name),
	MANY(struct pdv_identity, SCHEMA_TEXT, emails, email_count, NULL),
	MANY(struct pdv_identity, SCHEMA_TEXT, phones, phone_count, NULL),
	ONE(struct pdv_identity, SCHEMA_TEXT, locale),
	ONE(struct pdv_identity, SCHEMA_DATE, date_of_birth),
	MANY(struct pdv_identity, SCHEMA_MESSAGE, postal_addresses, postal_address_count, &address),
	MANY(struct pdv_identity, SCHEMA_TEXT, account_ids, account_id_count, NULL),
	MANY(struct pdv_identity, SCHEMA_ATTRIBUTES, attributes, attribute_count, NULL),
};
const struct schema schema_identity = {
	"identity", sizeof(struct pdv_identity), FIELDS(identity_fields)};

static const struct schema_field payment_method_fields[] = {
	ONE(struct pdv_payment_method, SCHEMA_TEXT, brand),
	ONE(struct pdv_payment_method, SCHEMA_TEXT, last_four),
	ONE(struct pdv_payment_method, SCHEMA_UINT32, expiry_month),
	ONE(struct pdv_payment_method, SCHEMA_UINT32, expiry_year),
	ONE(struct pdv_payment_method, SCHEMA_TEXT, token),
};
static const struct schema payment_method = {
	"payment_method", sizeof(struct pdv_payment_method), FIELDS(payment_method_fields)};

static const struct schema_field billing_fields[] = {
	ONE(struct pdv_billing, SCHEMA_TEXT, legal_name),
	NESTED(struct pdv_billing, billing_address, &address),
	ONE(struct pdv_billing, SCHEMA_TEXT, tax_id),
	ONE(struct pdv_billing, SCHEMA_TEXT, processor),
	ONE(struct pdv_billing, SCHEMA_TEXT, customer_reference),
	MANY(struct pdv_billing, SCHEMA_MESSAGE, payment_methods, payment_method_count,
	    &payment_method),
};
const struct schema schema_billing = {
	"billing", sizeof(struct pdv_billing), FIELDS(billing_fields)};

static const struct schema_field transaction_fields[] = {
	ONE(struct pdv_transaction, SCHEMA_TEXT, id),
	ONE(struct pdv_transaction, SCHEMA_TIME, time),
	ONE(struct pdv_transaction, SCHEMA_INT64, amount_minor),
	ONE(struct pdv_transaction, SCHEMA_TEXT, currency),
	ONE(struct pdv_transaction, SCHEMA_TEXT, status),
	ONE(struct pdv_transaction, SCHEMA_TEXT, description),
	ONE(struct pdv_transaction, SCHEMA_TEXT, invoice_reference),
};
const struct schema schema_transaction = {
	"transaction", sizeof(struct pdv_transaction), FIELDS(transaction_fields)};

const struct schema_field *
schema_find(const struct schema *s, const char *name_of_field, size_t len)
{
	size_t i;

	for (i = 0; i < s->fields_n; i++)
		if (strlen(s->fields[i].name) == len &&
		    memcmp(s->fields[i].name, name_of_field, len) == 0)
			return &s->fields[i];
	return NULL;
}
