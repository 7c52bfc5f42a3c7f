/*
 * Billing transactions: appended, listed in pages.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "pdvault/v1/vault.pb-c.h"
#include "server/service.h"
#include "server/store/damage.h"
#include "server/store/record.h"
#include "server/store/subject.h"
#include "server/validate.h"

#define SECONDS_MIN (-62135596800)	/* 0001-01-01T00:00:00Z */
#define SECONDS_MAX 253402300799	/* 9999-12-31T23:59:59Z */

static enum status
validate_append(struct call *c)
{
	const Pdvault__V1__AppendTransactionsRequest *q = (const void *)c->request;
	enum status rc = validate_message(c);

	for (size_t i = 0; rc == STATUS_OK && i < q->n_transactions; i++) {
		const Pdvault__V1__Transaction *t = q->transactions[i];

		if (t->time->seconds < SECONDS_MIN || t->time->seconds > SECONDS_MAX ||
		    t->time->nanos < 0 || t->time->nanos > 999999999)
			rc = call_violates(c, "OUT_OF_RANGE", "transactions[%zu].time", i);
		for (size_t j = 0; j < i; j++)
			if (strcmp(t->id, q->transactions[j]->id) == 0)
				rc = call_violates(c, "DUPLICATE", "transactions[%zu].id", i);
	}
	return rc;
}

static enum status
validate_list(struct call *c)
{
	const Pdvault__V1__ListTransactionsRequest *q = (const void *)c->request;
	enum status rc = validate_message(c);

	if (rc == STATUS_OK && q->page_size > VALIDATE_PAGE_MAX)
		return call_violates(c, "OUT_OF_RANGE", "page_size");
	return rc;
}

/* STATUS_ABSENT: new; STATUS_OK: there already, the same; STATUS_TRANSACTION_TAKEN. */
static enum status
compare(struct call *c, struct writeset *ws, const struct keyring *k,
    const Pdvault__V1__Transaction *t, struct bytes packed)
{
	struct bytes plain;
	enum status rc = writeset_transaction(ws, k, bytes_of(t->id, strlen(t->id)), c->arena, &plain);

	if (rc != STATUS_OK)
		return rc;
	/* protobuf-c packs the same message to the same bytes. */
	plain = bytes_of(plain.p + RECORD_HEAD, plain.len - RECORD_HEAD);
	packed = bytes_of(packed.p + RECORD_HEAD, packed.len - RECORD_HEAD);
	return bytes_compare(plain, packed) == 0 ? STATUS_OK : STATUS_TRANSACTION_TAKEN;
}

static enum status
append_one(struct call *c, struct writeset *ws, const struct keyring *k,
    const Pdvault__V1__Transaction *t, Pdvault__V1__AppendTransactionsResponse *r)
{
	struct bytes plain;
	enum status rc;

	if ((rc = service_close(c, 1, &t->base, &plain)) != STATUS_OK)
		return rc;
	rc = compare(c, ws, k, t, plain);
	if (rc == STATUS_OK)
		r->unchanged++;
	if (rc != STATUS_ABSENT)
		return rc;
	r->appended++;
	return writeset_put_transaction(ws, k, bytes_of(t->id, strlen(t->id)), plain);
}

static enum status
append_transactions(struct vault *v, struct call *c, struct writeset *ws)
{
	const Pdvault__V1__AppendTransactionsRequest *q = (const void *)c->request;
	struct service_once once = { c, ws, q->subject.data, SUBJECT_BILLING, 0,
		&pdvault__v1__append_transactions_response__descriptor };
	Pdvault__V1__AppendTransactionsResponse *r;
	const struct keyring *k;
	struct keyring *edit;
	enum status rc;

	(void)v;
	if ((rc = service_begin(&once, &r, &k)) != STATUS_ABSENT)
		return rc;
	if ((rc = subject_category(k, SUBJECT_BILLING)) == STATUS_CATEGORY_ERASED)
		return rc;
	if (subject_is_retained(k))
		return STATUS_RETAINED;
	if (rc == STATUS_NO_RECORD) {
		if ((rc = writeset_edit_subject(ws, q->subject.data, &edit)) != STATUS_OK)
			return rc;
		subject_use_category(edit, SUBJECT_BILLING);
		k = edit;
	}
	for (size_t i = 0; i < q->n_transactions; i++)
		if ((rc = append_one(c, ws, k, q->transactions[i], r)) != STATUS_OK)
			return rc;
	c->response = &r->base;
	return service_remember(&once, k);
}

/* A page token is the number of the last row of the page before. */
static enum status
parse_token(struct call *c, const char *s, uint64_t *after)
{
	char *end;

	*after = 0;
	if (s[0] == '\0')
		return STATUS_OK;
	if (strspn(s, "0123456789") != strlen(s) || strlen(s) > 19)
		return call_violates(c, "NOT_A_PAGE_TOKEN", "page_token");
	*after = strtoull(s, &end, 10);
	return STATUS_OK;
}

static enum status
answer_list(struct call *c, const struct reader_page *pg, Pdvault__V1__RecordPage *r)
{
	r->records = arena_alloc(c->arena, (pg->count + 1) * sizeof(r->records[0]));
	if (r->records == NULL)
		return STATUS_NO_MEMORY;
	for (; r->n_records < pg->count; r->n_records++) {
		struct bytes plain = pg->item[r->n_records].plain;

		if (plain.len < RECORD_HEAD)
			return damage_judged(STATUS_CORRUPT, "a transaction without a head");
		r->records[r->n_records] = (ProtobufCBinaryData){ plain.len - RECORD_HEAD,
			(uint8_t *)(uintptr_t)plain.p + RECORD_HEAD };
	}
	if (!pg->more)
		return STATUS_OK;
	r->next_page_token = service_etag(c, pg->item[pg->count - 1].number);
	return r->next_page_token != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status
list_transactions(struct vault *v, struct call *c)
{
	const Pdvault__V1__ListTransactionsRequest *q = (const void *)c->request;
	Pdvault__V1__RecordPage *r = service_message(c, &pdvault__v1__record_page__descriptor);
	struct reader_page pg = { .limit = q->page_size > 0 ? q->page_size : VALIDATE_PAGE_DEFAULT };
	struct reader *rd = NULL;
	enum status rc;

	pg.item = arena_alloc(c->arena, (pg.limit + 1) * sizeof(pg.item[0]));
	if (r == NULL || pg.item == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = parse_token(c, q->page_token, &pg.after)) != STATUS_OK)
		return rc;
	if ((rc = reader_begin(v, &rd)) != STATUS_OK)
		return rc;
	rc = reader_transactions(rd, q->subject.data, c->arena, &pg);
	reader_end(rd);
	if (rc != STATUS_OK)
		return rc;
	c->response = &r->base;
	return answer_list(c, &pg, r);
}

#define VAULT(name) "/pdvault.v1.Vault/" name

const struct method service_transaction_methods[] = {
	{ VAULT("AppendTransactions"), &pdvault__v1__append_transactions_request__descriptor,
	    METHOD_WRITER, validate_append, NULL, append_transactions, false },
	{ VAULT("ListTransactions"), &pdvault__v1__list_transactions_request__descriptor,
	    METHOD_POOL, validate_list, list_transactions, NULL, false },
};
const unsigned service_transaction_count =
    sizeof(service_transaction_methods) / sizeof(service_transaction_methods[0]);
