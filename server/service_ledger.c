/*
 * The ledger of erasures, for who keeps a copy of it.
 */
#include "pdvault/v1/admin.pb-c.h"
#include "server/service.h"
#include "server/store/ledger.h"
#include "server/validate.h"

static enum status
validate_list(struct call *c)
{
	const Pdvault__V1__ListLedgerRequest *q = (const void *)c->request;
	enum status rc = validate_message(c);

	if (rc == STATUS_OK && q->page_size > VALIDATE_PAGE_MAX)
		return call_violates(c, "OUT_OF_RANGE", "page_size");
	return rc;
}

/* The next one, signed, under a pin of its own: a switch waits for one signature, not for a page of them. */
static enum status
next(struct vault *v, uint64_t sequence, struct ledger_proof *out)
{
	struct reader *rd = NULL;
	enum status rc = reader_begin(v, &rd);

	if (rc != STATUS_OK)
		return rc;
	rc = reader_ledger(rd, sequence, out);
	reader_end(rd);
	return rc;
}

static enum status
list_ledger(struct vault *v, struct call *c)
{
	const Pdvault__V1__ListLedgerRequest *q = (const void *)c->request;
	Pdvault__V1__ListLedgerResponse *r =
	    service_message(c, &pdvault__v1__list_ledger_response__descriptor);
	uint32_t limit = q->page_size > 0 ? q->page_size : VALIDATE_PAGE_DEFAULT;
	struct ledger_proof proof;
	enum status rc = STATUS_OK;

	if (r == NULL || (r->entries = arena_alloc(c->arena, limit * sizeof(r->entries[0]))) == NULL)
		return STATUS_NO_MEMORY;
	c->response = &r->base;
	while (q->after < UINT64_MAX - limit && r->n_entries < limit) {
		if ((rc = next(v, q->after + r->n_entries + 1, &proof)) != STATUS_OK)
			break;
		if ((r->entries[r->n_entries] = service_proof(c, &proof)) == NULL)
			return STATUS_NO_MEMORY;
		r->n_entries++;
	}
	r->more = r->n_entries == limit;
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

const struct method service_ledger_methods[] = {
	{ "/pdvault.v1.Admin/ListLedger", &pdvault__v1__list_ledger_request__descriptor, METHOD_POOL,
	    validate_list, list_ledger, NULL, false },
};
const unsigned service_ledger_count = sizeof(service_ledger_methods) / sizeof(service_ledger_methods[0]);
