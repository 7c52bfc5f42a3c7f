/* What can be done to a person. */
#include <stdio.h>
#include <stdlib.h>

#include "churn.h"

#define DEADLINE_MS 20000u

void
churn_email(const struct person *p, unsigned version, char out[static CHURN_TEXT])
{
	(void)snprintf(out, CHURN_TEXT, "p%06u.v%u@churn.example", p->number, version);
}

void
churn_account(const struct person *p, char out[static CHURN_TEXT])
{
	(void)snprintf(out, CHURN_TEXT, "account-%06u", p->number);
}

void
churn_locale(unsigned version, char out[static CHURN_TEXT])
{
	(void)snprintf(out, CHURN_TEXT, "en-x-v%u", version);
}

void
churn_tax_id(const struct person *p, char out[static CHURN_TEXT])
{
	(void)snprintf(out, CHURN_TEXT, "T%06u", p->number);
}

_Noreturn void
churn_wrong(const struct person *p, const char *what, const struct pdv_result *r)
{
	(void)printf("wrong %s: person %u, life %d, deed %d%s, locale %u, email %u, transactions %u", what,
	    p != NULL ? p->number : 0, p != NULL ? (int)p->now.life : 0, p != NULL ? (int)p->deed : 0,
	    p != NULL && p->unknown ? " unknown" : "", p != NULL ? p->now.locale : 0,
	    p != NULL ? p->now.email : 0, p != NULL ? p->now.transactions : 0);
	if (r != NULL)
		(void)printf("; answer %s %s %s", pdv_code_name(pdv_result_code(r)), pdv_result_reason(r),
		    pdv_result_detail(r));
	(void)printf("\n");
	(void)fflush(stdout);
	_Exit(1);
}

static enum pdv_code
create(struct churn *c, struct person *p, const struct pdv_call_options *o, pdv_callback done,
    void *arg)
{
	char email[CHURN_TEXT], account[CHURN_TEXT], locale[CHURN_TEXT], tax[CHURN_TEXT];
	const char *emails[] = { email }, *accounts[] = { account };
	struct pdv_identity identity = { .emails = emails, .email_count = 1, .account_ids = accounts,
		.account_id_count = 1, .locale = locale };
	struct pdv_billing billing = { .tax_id = tax };
	struct pdv_new_subject q = { &identity, p->billing ? &billing : NULL };

	churn_email(p, p->next.email, email);
	churn_account(p, account);
	churn_locale(p->next.locale, locale);
	churn_tax_id(p, tax);
	return pdv_create_subject_async(c->client, &q, o, done, arg);
}

static enum pdv_code
update(struct churn *c, struct person *p, const struct pdv_call_options *o, pdv_callback done,
    void *arg)
{
	char text[CHURN_TEXT];
	const char *emails[] = { text };
	struct pdv_identity identity = { .locale = NULL };
	struct pdv_identity_update q = { .subject = p->id, .identity = &identity };

	if (p->deed == DO_LOCALE) {
		churn_locale(p->next.locale, text);
		identity.locale = text;
	} else {
		churn_email(p, p->next.email, text);
		identity.emails = emails;
		identity.email_count = 1;
	}
	return pdv_update_identity_async(c->client, &q, o, done, arg);
}

static enum pdv_code
append(struct churn *c, struct person *p, const struct pdv_call_options *o, pdv_callback done,
    void *arg)
{
	char id[CHURN_TEXT];
	struct pdv_time when = { 1700000000 + (int64_t)p->now.transactions, 0 };
	struct pdv_transaction t = { .id = id, .time = &when, .amount_minor = p->number,
		.currency = "EUR" };
	struct pdv_transaction_append q = { p->id, &t, 1 };

	(void)snprintf(id, sizeof(id), "t%u", p->now.transactions);
	return pdv_append_transactions_async(c->client, &q, o, done, arg);
}

static enum pdv_code
erase(struct churn *c, struct person *p, const struct pdv_call_options *o, pdv_callback done,
    void *arg)
{
	static const enum pdv_category identity[] = { PDV_CATEGORY_IDENTITY };
	struct pdv_erase q = { p->id, NULL, 0 };

	if (p->deed == DO_ERASE_IDENTITY) {
		q.categories = identity;
		q.category_count = 1;
	}
	return pdv_erase_subject_async(c->client, &q, o, done, arg);
}

static enum pdv_code
find(struct churn *c, struct person *p, const struct pdv_call_options *o, pdv_callback done,
    void *arg)
{
	char text[CHURN_TEXT];
	struct pdv_lookup q = { PDV_BY_EMAIL, text };

	churn_email(p, p->now.email, text);
	return pdv_find_subject_async(c->client, &q, o, done, arg);
}

enum pdv_code
churn_do(struct churn *c, struct person *p, pdv_callback done, void *arg)
{
	struct pdv_call_options o = { .deadline_ms = DEADLINE_MS, .idempotency_key = p->key };

	switch (p->deed) {
	case DO_CREATE:
		return create(c, p, &o, done, arg);
	case DO_LOCALE:
	case DO_EMAIL:
		return update(c, p, &o, done, arg);
	case DO_TRANSACTION:
		return append(c, p, &o, done, arg);
	case DO_ERASE:
	case DO_ERASE_IDENTITY:
		return erase(c, p, &o, done, arg);
	case DO_FIND:
		o.idempotency_key = NULL;
		return find(c, p, &o, done, arg);
	default:
		o.idempotency_key = NULL;
		return pdv_get_identity_async(c->client, &p->id, &o, done, arg);
	}
}
