#include "client/ask.h"
#include "client/maker.h"
#include "pdvault/v1/admin.pb-c.h"
#include "pdvault/v1/health.pb-c.h"
#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"

enum pdv_code
ask_create_subject(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_new_subject *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__CreateSubjectRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__create_subject_request__init(m);
	*out = &m->base;
	m->identity = maker_identity(&k, from->identity);
	m->billing = maker_billing(&k, from->billing);
	return k.code;
}

enum pdv_code
ask_get_subject(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_subject_id *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__GetSubjectRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__get_subject_request__init(m);
	*out = &m->base;
	m->subject = maker_id(from->bytes);
	maker_keep(&k, from->bytes, 1);
	return k.code;
}

enum pdv_code
ask_find_subject(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_lookup *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__FindSubjectRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__find_subject_request__init(m);
	*out = &m->base;
	if (from->value == NULL)
		return PDV_INVALID_ARGUMENT;
	switch (from->by) {
	case PDV_BY_EMAIL:
		m->lookup_case = PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_EMAIL;
		m->email = maker_lend(from->value);
		break;
	case PDV_BY_PHONE:
		m->lookup_case = PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_PHONE;
		m->phone = maker_lend(from->value);
		break;
	case PDV_BY_ACCOUNT_ID:
		m->lookup_case = PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_ACCOUNT_ID;
		m->account_id = maker_lend(from->value);
		break;
	default:
		return PDV_INVALID_ARGUMENT;
	}
	return k.code;
}

enum pdv_code
ask_get_identity(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_subject_id *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__GetIdentityRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__get_identity_request__init(m);
	*out = &m->base;
	m->subject = maker_id(from->bytes);
	maker_keep(&k, from->bytes, 1);
	return k.code;
}

enum pdv_code
ask_batch_get_identity(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_subject_list *from = request;
	size_t i;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__BatchGetIdentityRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__batch_get_identity_request__init(m);
	*out = &m->base;
	if (from->subjects == NULL || from->count == 0 || from->count > PDV_BATCH_MAX)
		return PDV_INVALID_ARGUMENT;
	if ((m->subjects = maker_room(&k, from->count, sizeof(*m->subjects))) == NULL)
		return k.code;
	for (i = 0; i < from->count; i++)
		m->subjects[m->n_subjects++] = maker_id(from->subjects[i].bytes);
	maker_keep(&k, from->subjects[0].bytes, from->count);
	return k.code;
}

enum pdv_code
ask_update_identity(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_identity_update *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__UpdateIdentityRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__update_identity_request__init(m);
	*out = &m->base;
	m->subject = maker_id(from->subject.bytes);
	maker_keep(&k, from->subject.bytes, 1);
	m->identity = maker_identity(&k, from->identity);
	m->update_mask = maker_mask(&k, from->mask, from->mask_count);
	maker_put(&m->etag, from->etag);
	return k.code;
}

enum pdv_code
ask_get_billing(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_subject_id *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__GetBillingRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__get_billing_request__init(m);
	*out = &m->base;
	m->subject = maker_id(from->bytes);
	maker_keep(&k, from->bytes, 1);
	return k.code;
}

enum pdv_code
ask_update_billing(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_billing_update *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__UpdateBillingRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__update_billing_request__init(m);
	*out = &m->base;
	m->subject = maker_id(from->subject.bytes);
	maker_keep(&k, from->subject.bytes, 1);
	m->billing = maker_billing(&k, from->billing);
	m->update_mask = maker_mask(&k, from->mask, from->mask_count);
	maker_put(&m->etag, from->etag);
	return k.code;
}

static void
fill_transaction(struct maker *k, Pdvault__V1__Transaction *m,
    const struct pdv_transaction *from)
{
	pdvault__v1__transaction__init(m);
	maker_put(&m->id, from->id);
	if (from->time != NULL && (m->time = maker_room(k, 1, sizeof(*m->time))) != NULL) {
		pdvault__v1__timestamp__init(m->time);
		m->time->seconds = from->time->seconds;
		m->time->nanos = from->time->nanos;
	}
	m->amount_minor = from->amount_minor;
	maker_put(&m->currency, from->currency);
	maker_put(&m->status, from->status);
	maker_put(&m->description, from->description);
	maker_put(&m->invoice_reference, from->invoice_reference);
}

enum pdv_code
ask_append_transactions(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_transaction_append *from = request;
	Pdvault__V1__Transaction *items;
	void **list = NULL;
	size_t i;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__AppendTransactionsRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__append_transactions_request__init(m);
	*out = &m->base;
	if (from->transactions == NULL || from->count == 0 || from->count > PDV_APPEND_MAX)
		return PDV_INVALID_ARGUMENT;
	m->subject = maker_id(from->subject.bytes);
	maker_keep(&k, from->subject.bytes, 1);
	if ((items = maker_messages(&k, &list, from->count, sizeof(*items))) == NULL)
		return k.code;
	for (i = 0; i < from->count; i++)
		fill_transaction(&k, &items[i], &from->transactions[i]);
	m->transactions = (Pdvault__V1__Transaction **)list;
	m->n_transactions = from->count;
	return k.code;
}

enum pdv_code
ask_list_ledger(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_ledger_page *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__ListLedgerRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__list_ledger_request__init(m);
	*out = &m->base;
	m->after = from->after;
	m->page_size = from->page_size;
	return k.code;
}

enum pdv_code
ask_list_transactions(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_transaction_page *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__ListTransactionsRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__list_transactions_request__init(m);
	*out = &m->base;
	m->subject = maker_id(from->subject.bytes);
	maker_keep(&k, from->subject.bytes, 1);
	m->page_size = from->page_size;
	maker_put(&m->page_token, from->page_token);
	return k.code;
}

enum pdv_code
ask_erase_subject(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_erase *from = request;
	size_t i;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__EraseSubjectRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__erase_subject_request__init(m);
	*out = &m->base;
	m->subject = maker_id(from->subject.bytes);
	maker_keep(&k, from->subject.bytes, 1);
	if (!maker_list_ok(&k, from->categories, from->category_count) ||
	    (m->categories = maker_room(&k, from->category_count, sizeof(*m->categories))) == NULL)
		return k.code;
	for (i = 0; i < from->category_count; i++)
		m->categories[m->n_categories++] = (Pdvault__V1__Category)from->categories[i];
	return k.code;
}

enum pdv_code
ask_get_erasure(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	const struct pdv_erasure_id *from = request;
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__GetErasureRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__get_erasure_request__init(m);
	*out = &m->base;
	m->erasure = maker_id(from->bytes);
	maker_keep(&k, from->bytes, 1);
	return k.code;
}

enum pdv_code
ask_get_status(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__GetStatusRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__get_status_request__init(m);
	(void)request; /* there is nothing in it */
	*out = &m->base;
	return k.code;
}

enum pdv_code
ask_check(struct bump *memory, const void *request, ProtobufCMessage **out,
    struct method_asked *asked)
{
	struct maker k = {memory, asked, PDV_OK};
	Pdvault__V1__CheckRequest *m = maker_room(&k, 1, sizeof(*m));

	if (m == NULL)
		return k.code;
	pdvault__v1__check_request__init(m);
	(void)request; /* there is nothing in it */
	*out = &m->base;
	return k.code;
}
