#include "server/validate.h"

#include <string.h>

#include "pdvault/v1/admin.pb-c.h"
#include "pdvault/v1/backup.pb-c.h"
#include "pdvault/v1/keys.pb-c.h"
#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"
#include "server/keys/page.h"
#include "server/store/store.h"
#include "server/validate_form.h"

#define DEPTH_MAX 4

/*
 * Of a string or bytes field: len is its greatest length in bytes (for bytes: the exact one, unless count is
 * 0; 0: the method looks at it itself); of a repeated one, count is how many. least 1: it must be there.
 */
struct rule {
	const ProtobufCMessageDescriptor *message;
	const char *field;
	unsigned least, count, len;
	bool (*form)(const char *s);
	const char *form_name;
};

#define M(name) &pdvault__v1__##name##__descriptor

static const struct rule rules[] = {
	{ M(name), "full", 0, 1, 256, validate_form_text, "BLANK" },
	{ M(name), "given", 0, 1, 128, validate_form_text, "BLANK" },
	{ M(name), "family", 0, 1, 128, validate_form_text, "BLANK" },
	{ M(postal_address), "label", 0, 1, 64, NULL, NULL },
	{ M(postal_address), "recipient", 0, 1, 256, NULL, NULL },
	{ M(postal_address), "organization", 0, 1, 256, NULL, NULL },
	{ M(postal_address), "lines", 0, 6, 256, NULL, NULL },
	{ M(postal_address), "locality", 0, 1, 128, NULL, NULL },
	{ M(postal_address), "region", 0, 1, 128, NULL, NULL },
	{ M(postal_address), "postal_code", 0, 1, 32, NULL, NULL },
	{ M(postal_address), "country", 0, 1, 64, NULL, NULL },
	{ M(attribute), "key", 1, 1, 64, validate_form_key, "NOT_A_KEY" },
	{ M(attribute), "value", 0, 1, 1024, NULL, NULL },
	{ M(identity), "emails", 0, 8, 254, validate_form_email, "NOT_AN_EMAIL" },
	{ M(identity), "phones", 0, 8, 40, validate_form_phone, "NOT_A_PHONE" },
	{ M(identity), "locale", 0, 1, 35, validate_form_locale, "NOT_A_LOCALE" },
	{ M(identity), "date_of_birth", 0, 1, 10, validate_form_date, "NOT_A_DATE" },
	{ M(identity), "postal_addresses", 0, 8, 0, NULL, NULL },
	{ M(identity), "account_ids", 0, 8, 128, validate_form_text, "BLANK" },
	{ M(identity), "attributes", 0, 32, 0, NULL, NULL },
	{ M(payment_method), "brand", 0, 1, 32, NULL, NULL },
	{ M(payment_method), "last_four", 0, 1, 4, validate_form_last_four, "NOT_FOUR_DIGITS" },
	{ M(payment_method), "token", 0, 1, 256, NULL, NULL },
	{ M(billing), "legal_name", 0, 1, 256, NULL, NULL },
	{ M(billing), "tax_id", 0, 1, 64, NULL, NULL },
	{ M(billing), "processor", 0, 1, 64, NULL, NULL },
	{ M(billing), "customer_reference", 0, 1, 128, NULL, NULL },
	{ M(billing), "payment_methods", 0, 16, 0, NULL, NULL },
	{ M(transaction), "id", 1, 1, 128, validate_form_text, "BLANK" },
	{ M(transaction), "currency", 1, 1, 3, validate_form_currency, "NOT_A_CURRENCY" },
	{ M(transaction), "status", 0, 1, 32, NULL, NULL },
	{ M(transaction), "description", 0, 1, 512, NULL, NULL },
	{ M(transaction), "invoice_reference", 0, 1, 128, NULL, NULL },
	{ M(transaction), "time", 1, 1, 0, NULL, NULL },
	{ M(field_mask), "paths", 0, 16, 64, NULL, NULL },
	{ M(get_subject_request), "subject", 1, 1, SUBJECT_ID_LEN, NULL, NULL },
	{ M(find_subject_request), "email", 0, 1, 512, validate_form_text, "BLANK" },
	{ M(find_subject_request), "phone", 0, 1, 512, validate_form_text, "BLANK" },
	{ M(find_subject_request), "account_id", 0, 1, 512, validate_form_text, "BLANK" },
	{ M(get_identity_request), "subject", 1, 1, SUBJECT_ID_LEN, NULL, NULL },
	{ M(batch_get_identity_request), "subjects", 1, VALIDATE_BATCH_MAX, SUBJECT_ID_LEN, NULL, NULL },
	{ M(update_identity_request), "subject", 1, 1, SUBJECT_ID_LEN, NULL, NULL },
	{ M(update_identity_request), "identity", 1, 1, 0, NULL, NULL },
	{ M(update_identity_request), "etag", 0, 1, 20, NULL, NULL },
	{ M(get_billing_request), "subject", 1, 1, SUBJECT_ID_LEN, NULL, NULL },
	{ M(update_billing_request), "subject", 1, 1, SUBJECT_ID_LEN, NULL, NULL },
	{ M(update_billing_request), "billing", 1, 1, 0, NULL, NULL },
	{ M(update_billing_request), "etag", 0, 1, 20, NULL, NULL },
	{ M(append_transactions_request), "subject", 1, 1, SUBJECT_ID_LEN, NULL, NULL },
	{ M(append_transactions_request), "transactions", 1, VALIDATE_TRANSACTIONS_MAX, 0, NULL, NULL },
	{ M(list_transactions_request), "subject", 1, 1, SUBJECT_ID_LEN, NULL, NULL },
	{ M(list_transactions_request), "page_token", 0, 1, 64, NULL, NULL },
	{ M(generate_data_keys_request), "subject", 1, 1, SUBJECT_ID_LEN, NULL, NULL },
	{ M(generate_data_keys_request), "context", 0, 0, VALIDATE_CONTEXT_MAX, NULL, NULL },
	{ M(open_data_keys_request), "subject", 1, 1, SUBJECT_ID_LEN, NULL, NULL },
	{ M(open_data_keys_request), "context", 0, 0, VALIDATE_CONTEXT_MAX, NULL, NULL },
	{ M(open_data_keys_request), "wrapped", 1, VALIDATE_DATA_KEYS_MAX, 0, NULL, NULL },
	{ M(erase_subject_request), "subject", 1, 1, SUBJECT_ID_LEN, NULL, NULL },
	{ M(erase_subject_request), "categories", 0, 8, 0, NULL, NULL },
	{ M(get_erasure_request), "erasure", 1, 1, 16, NULL, NULL },
	{ M(begin_backup_request), "key_backup", 0, 1, 16, NULL, NULL },
	{ M(read_backup_request), "session", 1, 1, 16, NULL, NULL },
	{ M(read_backup_request), "table", 1, 1, 16, NULL, NULL },
	{ M(read_backup_request), "from", 0, 0, STORE_KEY_MAX, NULL, NULL },
	{ M(read_backup_request), "to", 0, 0, STORE_KEY_MAX, NULL, NULL },
	{ M(read_backup_request), "digest", 0, 1, 32, NULL, NULL },
	{ M(finish_backup_request), "session", 1, 1, 16, NULL, NULL },
	{ M(finish_backup_request), "digest", 1, 1, 32, NULL, NULL },
	{ M(start_rotation_request), "subject", 0, 1, SUBJECT_ID_LEN, NULL, NULL },
	{ M(start_rotation_request), "seal", 0, 1, 31, NULL, NULL },
	{ M(get_job_request), "job", 1, 1, 16, NULL, NULL },
	{ M(list_jobs_request), "before", 0, 1, 16, NULL, NULL },
	{ M(control_job_request), "job", 1, 1, 16, NULL, NULL },
	{ M(add_seal_request), "name", 1, 1, 31, NULL, NULL },
	{ M(add_seal_request), "secret", 0, 0, 511, NULL, NULL },
	{ M(remove_seal_request), "name", 1, 1, 31, NULL, NULL },
	{ M(destroy_key_backup_request), "backup", 1, 1, 16, NULL, NULL },
};

#undef M

static const struct rule *
rule_of(const ProtobufCMessageDescriptor *d, const char *field)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].message == d && strcmp(rules[i].field, field) == 0)
			return &rules[i];
	return NULL;
}

/* Where we are in the message, and what is told about it. */
struct walk {
	struct call *c;
	char path[CALL_FIELD_MAX];
	unsigned depth;
};

static void
check_string(struct walk *w, const struct rule *r, const char *s)
{
	size_t len = strlen(s);

	if (len > r->len)
		(void)call_violates(w->c, "TOO_LONG", "%s", w->path);
	else if (r->form != NULL && !r->form(s))
		(void)call_violates(w->c, r->form_name, "%s", w->path);
}

static bool
length_ok(const struct rule *r, size_t len)
{
	if (r->len == 0)
		return true;
	return r->count > 0 ? len == r->len : len <= r->len;
}

static void walk_message(struct walk *w, const ProtobufCMessage *m);

static void
check_value(struct walk *w, const struct rule *r, const ProtobufCFieldDescriptor *f,
    const void *member)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		must(r != NULL);
		check_string(w, r, *(char *const *)member);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		must(r != NULL);
		if (!length_ok(r, ((const ProtobufCBinaryData *)member)->len))
			(void)call_violates(w->c, "WRONG_LENGTH", "%s", w->path);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		walk_message(w, *(ProtobufCMessage *const *)member);
		break;
	default:
		break;
	}
}

static size_t
size_of(const ProtobufCFieldDescriptor *f)
{
	return f->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData) : sizeof(void *);
}

static bool
is_walked(const ProtobufCFieldDescriptor *f)
{
	return f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_BYTES ||
	    f->type == PROTOBUF_C_TYPE_MESSAGE;
}

static void
walk_repeated(struct walk *w, const struct rule *r, const ProtobufCFieldDescriptor *f,
    const ProtobufCMessage *m)
{
	const uint8_t *at = (const uint8_t *)m;
	size_t count = *(const size_t *)(const void *)(at + f->quantifier_offset);
	const uint8_t *values = *(const uint8_t *const *)(const void *)(at + f->offset);
	size_t len = strlen(w->path);

	must(r != NULL);
	if (count < r->least)
		(void)call_violates(w->c, "REQUIRED", "%s", w->path);
	if (count > r->count) {
		(void)call_violates(w->c, "TOO_MANY", "%s", w->path);
		return;
	}
	for (size_t i = 0; i < count && is_walked(f); i++) {
		(void)snprintf(w->path + len, sizeof(w->path) - len, "[%zu]", i);
		check_value(w, r, f, values + i * size_of(f));
	}
	w->path[len] = '\0';
}

static bool
is_there(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *m)
{
	const uint8_t *at = (const uint8_t *)m, *member = at + f->offset;

	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
	    *(const uint32_t *)(const void *)(at + f->quantifier_offset) != f->id)
		return false;
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		return (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 ||
		    (*(char *const *)(const void *)member)[0] != '\0';
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)(const void *)member)->len > 0;
	case PROTOBUF_C_TYPE_MESSAGE:
		return *(ProtobufCMessage *const *)(const void *)member != NULL;
	default:
		return false;
	}
}

static void
walk_field(struct walk *w, const ProtobufCFieldDescriptor *f, const ProtobufCMessage *m)
{
	const struct rule *r = rule_of(m->descriptor, f->name);

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		walk_repeated(w, r, f, m);
	else if (is_there(f, m))
		check_value(w, r, f, (const uint8_t *)m + f->offset);
	else if (r != NULL && r->least > 0)
		(void)call_violates(w->c, "REQUIRED", "%s", w->path);
}

static void
walk_message(struct walk *w, const ProtobufCMessage *m)
{
	size_t len = strlen(w->path);

	must(++w->depth <= DEPTH_MAX);
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];

		(void)snprintf(w->path + len, sizeof(w->path) - len, "%s%s", len > 0 ? "." : "",
		    f->name);
		walk_field(w, f, m);
		w->path[len] = '\0';
	}
	w->depth--;
}

enum status
validate_message(struct call *c)
{
	struct walk w = { .c = c };

	walk_message(&w, c->request);
	return c->violation_count == 0 ? STATUS_OK : STATUS_INVALID;
}
