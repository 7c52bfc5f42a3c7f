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

static enum status
fill(struct reader *rd, struct call *c, Pdvault__V1__ListLedgerResponse *r)
{
	const Pdvault__V1__ListLedgerRequest *q = (const void *)c->request;
	uint32_t limit = q->page_size > 0 ? q->page_size : VALIDATE_PAGE_DEFAULT;
	struct ledger_proof proof;
	enum status rc = STATUS_OK;

	if ((r->entries = arena_alloc(c->arena, limit * sizeof(r->entries[0]))) == NULL)
		return STATUS_NO_MEMORY;
	while (q->after < UINT64_MAX - limit) {
		if ((rc = reader_ledger(rd, q->after + r->n_entries + 1, &proof)) != STATUS_OK)
			break;
		if ((r->more = r->n_entries == limit))
			break;
		if ((r->entries[r->n_entries] = service_proof(c, &proof)) == NULL)
			return STATUS_NO_MEMORY;
		r->n_entries++;
	}
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

static enum status
list_ledger(struct vault *v, struct call *c)
{
	Pdvault__V1__ListLedgerResponse *r =
	    service_message(c, &pdvault__v1__list_ledger_response__descriptor);
	struct reader *rd = NULL;
	enum status rc;

	if (r == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = reader_begin(v, &rd)) != STATUS_OK)
		return rc;
	rc = fill(rd, c, r);
	reader_end(rd);
	c->response = &r->base;
	return rc;
}

const struct method service_ledger_methods[] = {
	{ "/pdvault.v1.Admin/ListLedger", &pdvault__v1__list_ledger_request__descriptor, METHOD_POOL,
	    validate_list, list_ledger, NULL, false },
};
const unsigned service_ledger_count = sizeof(service_ledger_methods) / sizeof(service_ledger_methods[0]);
