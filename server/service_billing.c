/*
 * Billing metadata.
 */
#include "pdvault/v1/vault.pb-c.h"
#include "server/service.h"
#include "server/store/subject.h"
#include "server/validate.h"

static enum status
validate_update(struct call *c)
{
	const Pdvault__V1__UpdateBillingRequest *q = (const void *)c->request;
	enum status rc = validate_message(c);

	return rc == STATUS_OK ? service_validate_billing(c, q->billing) : rc;
}

static enum status
get_billing(struct vault *v, struct call *c)
{
	const Pdvault__V1__GetBillingRequest *q = (const void *)c->request;
	Pdvault__V1__RecordAnswer *r = service_message(c, &pdvault__v1__record_answer__descriptor);
	struct reader *rd = NULL;
	struct bytes plain;
	enum status rc;

	if (r == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = reader_begin(v, &rd)) != STATUS_OK)
		return rc;
	rc = reader_record(rd, q->subject.data, SUBJECT_BILLING, c->arena, &plain);
	reader_end(rd);
	c->response = &r->base;
	return rc == STATUS_OK ? service_pass_on(c, plain, r) : rc;
}

/* The present billing, or an empty one with etag 0 when nothing was written yet. */
static enum status
present(struct call *c, struct writeset *ws, const struct keyring *k, uint64_t *etag,
    Pdvault__V1__Billing **out)
{
	struct bytes plain;
	enum status rc = writeset_record(ws, k, SUBJECT_BILLING, c->arena, &plain);

	if (rc == STATUS_OK)
		return service_open(c, &pdvault__v1__billing__descriptor, plain, etag, out);
	if (rc != STATUS_NO_RECORD)
		return rc;
	*etag = 0;
	*out = service_message(c, &pdvault__v1__billing__descriptor);
	return *out != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status
change_billing(struct call *c, struct writeset *ws, const struct keyring **k, uint64_t *etag)
{
	const Pdvault__V1__UpdateBillingRequest *q = (const void *)c->request;
	Pdvault__V1__Billing *b;
	struct keyring *edit;
	struct bytes plain;
	enum status rc;

	if ((rc = present(c, ws, *k, etag, &b)) != STATUS_OK)
		return rc;
	if ((rc = service_check_etag(q->etag, *etag)) != STATUS_OK)
		return rc;
	if (subject_category(*k, SUBJECT_BILLING) == STATUS_NO_RECORD) {
		if ((rc = writeset_edit_subject(ws, q->subject.data, &edit)) != STATUS_OK)
			return rc;
		subject_use_category(edit, SUBJECT_BILLING);
		*k = edit;
	}
	if ((rc = service_merge(c, q->update_mask, &q->billing->base, &b->base)) != STATUS_OK)
		return rc;
	if ((rc = service_close(c, ++*etag, &b->base, &plain)) != STATUS_OK)
		return rc;
	return writeset_put_record(ws, *k, SUBJECT_BILLING, plain);
}

static enum status
update_billing(struct vault *v, struct call *c, struct writeset *ws)
{
	const Pdvault__V1__UpdateBillingRequest *q = (const void *)c->request;
	struct service_once once = { c, ws, q->subject.data, SUBJECT_BILLING, 0,
		&pdvault__v1__update_billing_response__descriptor };
	Pdvault__V1__UpdateBillingResponse *r;
	const struct keyring *k;
	uint64_t etag;
	enum status rc;

	(void)v;
	if ((rc = service_begin(&once, &r, &k)) != STATUS_ABSENT)
		return rc;
	if (subject_category(k, SUBJECT_BILLING) == STATUS_CATEGORY_ERASED)
		return STATUS_CATEGORY_ERASED;
	if (subject_is_retained(k))
		return STATUS_RETAINED;
	if ((rc = change_billing(c, ws, &k, &etag)) != STATUS_OK)
		return rc;
	if ((r->etag = service_etag(c, etag)) == NULL)
		return STATUS_NO_MEMORY;
	c->response = &r->base;
	return service_remember(&once, k);
}

#define VAULT(name) "/pdvault.v1.Vault/" name

const struct method service_billing_methods[] = {
	{ VAULT("GetBilling"), &pdvault__v1__get_billing_request__descriptor, METHOD_INLINE,
	    validate_message, get_billing, NULL, false },
	{ VAULT("UpdateBilling"), &pdvault__v1__update_billing_request__descriptor, METHOD_WRITER,
	    validate_update, NULL, update_billing, false },
};
const unsigned service_billing_count =
    sizeof(service_billing_methods) / sizeof(service_billing_methods[0]);
