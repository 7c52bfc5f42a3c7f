#include "client/answer.h"
#include "client/taker.h"
#include "pdvault/v1/admin.pb-c.h"
#include "pdvault/v1/health.pb-c.h"
#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"

enum pdv_code
answer_create_subject(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__CreateSubjectResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};

	r->subjects = taker_subjects(&k, &from->subject, 1);
	r->subject_count = 1;
	return k.code;
}

enum pdv_code
answer_get_subject(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__GetSubjectResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};
	struct pdv_subject_status *s = taker_room(&k, 1, sizeof(*s));
	struct pdv_category_status *list = taker_room(&k, from->n_categories, sizeof(*list));
	size_t i;

	if (s == NULL || list == NULL)
		return k.code;
	taker_id(&k, s->subject.bytes, from->subject);
	taker_same_id(&k, s->subject.bytes, 0);
	s->state = (enum pdv_state)from->state;
	s->create_time = taker_time(&k, from->create_time);
	for (i = 0; i < from->n_categories; i++) {
		list[i].category = (enum pdv_category)from->categories[i]->category;
		list[i].state = (enum pdv_state)from->categories[i]->state;
	}
	s->categories = i > 0 ? list : NULL;
	s->category_count = i;
	r->subject_status = s;
	return k.code;
}

enum pdv_code
answer_find_subject(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__FindSubjectResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};

	if (from->n_subjects == 0)
		return PDV_DATA_LOSS; /* nobody is NOT_FOUND */
	r->subjects = taker_subjects(&k, from->subjects, from->n_subjects);
	r->subject_count = from->n_subjects;
	return k.code;
}

enum pdv_code
answer_get_identity(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__GetIdentityResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};

	r->identity = taker_identity(&k, from->identity);
	r->etag = taker_token(&k, from->etag);
	return k.code;
}

static void
take_outcome(struct taker *k, struct pdv_identity_outcome *o,
    const Pdvault__V1__IdentityOutcome *from)
{
	taker_id(k, o->subject.bytes, from->subject);
	o->code = from->code <= PDV_UNAUTHENTICATED ? (int)from->code : PDV_UNKNOWN;
	o->reason = taker_token(k, from->reason);
	if (o->code != PDV_OK)
		return;
	if (from->result == NULL) {
		k->code = PDV_DATA_LOSS;
		return;
	}
	o->identity = taker_identity(k, from->result->identity);
	o->etag = taker_token(k, from->result->etag);
}

enum pdv_code
answer_batch_get_identity(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__BatchGetIdentityResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};
	struct pdv_identity_outcome *list;
	size_t i;

	if (from->n_outcomes != asked->count)
		return PDV_DATA_LOSS;
	if ((list = taker_room(&k, from->n_outcomes, sizeof(*list))) == NULL)
		return k.code;
	for (i = 0; i < from->n_outcomes; i++) {
		take_outcome(&k, &list[i], from->outcomes[i]);
		taker_same_id(&k, list[i].subject.bytes, i);
	}
	r->outcomes = list;
	r->outcome_count = from->n_outcomes;
	return k.code;
}

enum pdv_code
answer_update_identity(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__UpdateIdentityResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};

	r->etag = taker_token(&k, from->etag);
	return k.code;
}

enum pdv_code
answer_get_billing(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__GetBillingResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};

	r->billing = taker_billing(&k, from->billing);
	r->etag = taker_token(&k, from->etag);
	return k.code;
}

enum pdv_code
answer_update_billing(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__UpdateBillingResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};

	r->etag = taker_token(&k, from->etag);
	return k.code;
}

enum pdv_code
answer_append_transactions(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__AppendTransactionsResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};
	struct pdv_append_outcome *o = taker_room(&k, 1, sizeof(*o));

	if (o == NULL)
		return k.code;
	o->appended = from->appended;
	o->unchanged = from->unchanged;
	r->appended = o;
	return k.code;
}

static void
take_transaction(struct taker *k, struct pdv_transaction *t,
    const Pdvault__V1__Transaction *from)
{
	t->id = taker_text(from->id);
	t->time = taker_time(k, from->time);
	t->amount_minor = from->amount_minor;
	t->currency = taker_text(from->currency);
	t->status = taker_text(from->status);
	t->description = taker_text(from->description);
	t->invoice_reference = taker_text(from->invoice_reference);
}

enum pdv_code
answer_list_transactions(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__ListTransactionsResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};
	struct pdv_transaction *list = taker_room(&k, from->n_transactions, sizeof(*list));
	size_t i;

	for (i = 0; list != NULL && i < from->n_transactions; i++)
		take_transaction(&k, &list[i], from->transactions[i]);
	r->transactions = list;
	r->transaction_count = from->n_transactions;
	r->next_page = taker_token(&k, from->next_page_token);
	return k.code;
}

enum pdv_code
answer_erase_subject(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__EraseSubjectResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};
	struct pdv_erasure *e = taker_room(&k, 1, sizeof(*e));

	if (e == NULL)
		return k.code;
	taker_id(&k, e->erasure.bytes, from->erasure);
	e->state = (enum pdv_erasure_state)from->state;
	e->epoch = from->epoch;
	e->ledger = taker_proof(&k, from->ledger);
	r->erasure = e;
	return k.code;
}

enum pdv_code
answer_get_erasure(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__GetErasureResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};
	struct pdv_erasure *e = taker_room(&k, 1, sizeof(*e));

	if (e == NULL)
		return k.code;
	taker_id(&k, e->erasure.bytes, from->erasure);
	taker_same_id(&k, e->erasure.bytes, 0);
	e->subject = taker_subjects(&k, &from->subject, 1);
	e->state = (enum pdv_erasure_state)from->state;
	e->epoch = from->epoch;
	e->time = taker_time(&k, from->time);
	e->categories = taker_categories(&k, from->categories, from->n_categories);
	e->category_count = e->categories != NULL ? from->n_categories : 0;
	e->ledger = taker_proof(&k, from->ledger);
	e->key_backup_count = from->n_backups;
	e->final_time = taker_time(&k, from->final_time);
	e->class_ = taker_token(&k, from->class_);
	r->erasure = e;
	return k.code;
}

enum pdv_code
answer_list_ledger(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__ListLedgerResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};
	struct pdv_ledger_proof *list = taker_room(&k, from->n_entries, sizeof(*list));
	size_t i;

	for (i = 0; list != NULL && i < from->n_entries; i++)
		taker_fill_proof(&k, &list[i], from->entries[i]);
	r->ledger = list;
	r->ledger_count = from->n_entries;
	r->ledger_more = from->more != 0;
	return k.code;
}

static const struct pdv_resurrection *
take_resurrections(struct taker *k, const Pdvault__V1__GetStatusResponse *from)
{
	struct pdv_resurrection *all = taker_room(k, from->n_resurrections, sizeof(*all));

	for (size_t i = 0; all != NULL && i < from->n_resurrections; i++) {
		const Pdvault__V1__Resurrection *m = from->resurrections[i];

		all[i].time = taker_time(k, m->time);
		all[i].entries = m->entries;
		all[i].wanted_entries = m->wanted_entries;
		taker_bytes(k, all[i].head, sizeof(all[i].head), m->head);
		taker_bytes(k, all[i].wanted_head, sizeof(all[i].wanted_head), m->wanted_head);
	}
	return all;
}

enum pdv_code
answer_get_status(struct pdv_result *r, const ProtobufCMessage *m,
    const struct method_asked *asked)
{
	const Pdvault__V1__GetStatusResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};
	struct pdv_status *s = taker_room(&k, 1, sizeof(*s));
	size_t i;

	if (s == NULL)
		return k.code;
	s->version = taker_token(&k, from->version);
	taker_id(&k, s->vault, from->vault);
	s->vault_number = from->vault_number;
	s->epoch = from->epoch;
	s->settled_epoch = from->settled_epoch;
	s->subjects = from->subjects;
	s->erased = from->erased;
	s->anchor_class = taker_token(&k, from->anchor_class);
	s->anchor_class_reason = taker_token(&k, from->anchor_class_reason);
	s->class_ = taker_token(&k, from->class_);
	s->class_reason = taker_token(&k, from->class_reason);
	s->seals_failing = from->seals_failing;
	s->open_jobs = from->open_jobs;
	s->job_update_time = taker_time(&k, from->job_update_time);
	s->uptime_seconds = from->uptime_seconds;
	s->read_only = from->read_only != 0;
	s->read_only_reason = taker_token(&k, from->read_only_reason);
	s->store_bytes = from->store_bytes;
	s->store_limit_bytes = from->store_limit_bytes;
	s->requests_in_flight = from->requests_in_flight;
	s->connections = from->connections;
	s->seals = taker_texts(&k, from->seals, from->n_seals);
	s->seal_count = s->seals != NULL ? from->n_seals : 0;
	for (i = 0; i < s->seal_count; i++)
		(void)taker_token(&k, s->seals[i]);
	s->secret_memory = taker_token(&k, from->secret_memory);
	taker_bytes(&k, s->signing_key, sizeof(s->signing_key), from->signing_key);
	s->ledger_entries = from->ledger_entries;
	s->incarnation = from->incarnation;
	s->key_backups = from->key_backups;
	s->data_backup_time = taker_time(&k, from->data_backup_time);
	s->key_backup_time = taker_time(&k, from->key_backup_time);
	s->backup_verify_time = taker_time(&k, from->backup_verify_time);
	s->backup_drill_time = taker_time(&k, from->backup_drill_time);
	s->resurrections = take_resurrections(&k, from);
	s->resurrection_count = s->resurrections != NULL ? from->n_resurrections : 0;
	s->warnings = taker_texts(&k, from->warnings, from->n_warnings);
	s->warning_count = s->warnings != NULL ? from->n_warnings : 0;
	for (i = 0; i < s->warning_count; i++)
		(void)taker_token(&k, s->warnings[i]);
	r->status = s;
	return k.code;
}

enum pdv_code
answer_check(struct pdv_result *r, const ProtobufCMessage *m, const struct method_asked *asked)
{
	const Pdvault__V1__CheckResponse *from = (const void *)m;
	struct taker k = {&r->memory, asked, PDV_OK};

	r->serving = (enum pdv_serving_state)from->status;
	return k.code;
}
