#include "server/store/lookup_list.h"

#include <string.h>

size_t
lookup_list_max(const Pdvault__V1__Identity *id)
{
	return id->n_emails + id->n_phones + id->n_account_ids;
}

const struct lookup *
lookup_list_in(const struct lookup *item, unsigned count, const struct lookup *l)
{
	for (unsigned i = 0; i < count; i++) {
		const struct lookup *x = &item[i];

		if (x->kind == l->kind && x->len == l->len && memcmp(x->value, l->value, l->len) == 0)
			return x;
	}
	return NULL;
}

enum status
lookup_list(const Pdvault__V1__Identity *id, uint16_t country, struct lookup *item, unsigned *count,
    struct lookup_fault *bad)
{
	const struct {
		enum lookup_kind kind;
		const char *name, *rule;
		size_t count;
		char **text;
	} fields[] = {
		{ LOOKUP_EMAIL, "emails", "NOT_AN_EMAIL", id->n_emails, id->emails },
		{ LOOKUP_PHONE, "phones", "NOT_A_PHONE", id->n_phones, id->phones },
		{ LOOKUP_ACCOUNT, "account_ids", "BLANK", id->n_account_ids, id->account_ids },
	};
	enum status rc;

	*count = 0;
	for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++)
		for (size_t i = 0; i < fields[f].count; i++) {
			struct lookup *l = &item[*count];
			const char *text = fields[f].text[i];

			rc = lookup_normalise(fields[f].kind, bytes_of(text, strlen(text)), country, l);
			if (rc == STATUS_INVALID)
				*bad = (struct lookup_fault){ fields[f].name, fields[f].rule, i };
			if (rc != STATUS_OK)
				return rc;
			*count += lookup_list_in(item, *count, l) == NULL;
		}
	return STATUS_OK;
}
