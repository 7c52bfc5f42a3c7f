/*
 * The right to be forgotten: shredding a subject, or some categories of one.
 */
#include "pdvault/v1/rights.pb-c.h"
#include "server/clock.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/mutant.h"
#include "server/service.h"
#include "server/store/seals.h"
#include "server/store/erasure.h"
#include "server/store/ledger.h"
#include "server/store/subject.h"
#include "server/validate.h"

#define ALL_CATEGORIES ((1u << CATEGORY_COUNT) - 1)

static enum status
validate_erase(struct call *c)
{
	const Pdvault__V1__EraseSubjectRequest *q = (const void *)c->request;
	enum status rc = validate_message(c);

	for (size_t i = 0; rc == STATUS_OK && i < q->n_categories; i++)
		if (q->categories[i] < 1 || (unsigned)q->categories[i] > CATEGORY_COUNT)
			rc = call_violates(c, "UNKNOWN_ENUM_VALUE", "categories[%zu]", i);
	return rc;
}

static uint16_t
wanted(const Pdvault__V1__EraseSubjectRequest *q)
{
	uint16_t mask = 0;

	for (size_t i = 0; i < q->n_categories; i++)
		mask |= (uint16_t)(1u << ((unsigned)q->categories[i] - 1));
	return mask != 0 ? mask : ALL_CATEGORIES;
}

static bool
is_damaged(enum status rc)
{
	return rc == STATUS_FORGED || rc == STATUS_CORRUPT;
}

/*
 * The look-ups die with the identity. One that cannot be opened, or whose bucket cannot, keeps its
 * entries, and is shredded all the same.
 */
static enum status
remove_lookups(struct call *c, struct writeset *ws, const struct keyring *k)
{
	const Pdvault__V1__EraseSubjectRequest *q = (const void *)c->request;
	Pdvault__V1__Identity *id;
	struct service_lookups l;
	struct bytes plain;
	uint64_t etag;
	enum status rc;

	if (mutant(lookup_left))
		return STATUS_OK;
	rc = writeset_record(ws, k, SUBJECT_IDENTITY, c->arena, &plain);
	if (rc == STATUS_OK)
		rc = service_open(c, &pdvault__v1__identity__descriptor, plain, &etag, &id);
	if (rc == STATUS_OK)
		rc = service_lookups(c, vault_country_code(writeset_vault(ws)), id, &l);
	if (rc != STATUS_OK)
		return is_damaged(rc) || rc == STATUS_INVALID ? STATUS_OK : rc;
	for (unsigned i = 0; i < l.count; i++) {
		rc = writeset_remove_lookup(ws, &l.item[i], q->subject.data);
		if (rc != STATUS_OK && !is_damaged(rc))
			return rc;
	}
	return STATUS_OK;
}

/* Not in the outcome that is kept: it is made anew for each answer. K7 holds it back until it is true. */
static enum status
prove(struct call *c, struct writeset *ws, const struct erasure *e)
{
	Pdvault__V1__EraseSubjectResponse *r =
	    service_message(c, &pdvault__v1__erase_subject_response__descriptor);
	struct ledger_proof proof;
	enum status rc = ledger_prove(ws, e->sequence, &proof);

	if (r == NULL)
		return STATUS_NO_MEMORY;
	if (rc != STATUS_OK)
		return rc;
	*r = *(const Pdvault__V1__EraseSubjectResponse *)(const void *)c->response;
	c->response = &r->base;
	return (r->ledger = service_proof(c, &proof)) != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status
answer(struct call *c, const struct erasure *e)
{
	Pdvault__V1__EraseSubjectResponse *r =
	    service_message(c, &pdvault__v1__erase_subject_response__descriptor);

	if (r == NULL)
		return STATUS_NO_MEMORY;
	r->erasure.len = ERASURE_ID_LEN;
	if ((r->erasure.data = arena_alloc(c->arena, ERASURE_ID_LEN)) == NULL)
		return STATUS_NO_MEMORY;
	memcpy(r->erasure.data, e->id, ERASURE_ID_LEN);
	/* K7: it is sent when the epoch is settled, not before. */
	r->state = PDVAULT__V1__ERASURE_STATE__SHREDDED;
	r->epoch = e->epoch;
	c->response = &r->base;
	return STATUS_OK;
}

/* The subject is erased already: the first erasure is the answer. */
static enum status
answer_first(struct call *c, struct writeset *ws)
{
	const Pdvault__V1__EraseSubjectRequest *q = (const void *)c->request;
	struct erasure e;
	struct bytes row;
	uint64_t slot;
	enum status rc;

	rc = writeset_get(ws, STORE_SUBJECTS, bytes_of(q->subject.data, SUBJECT_ID_LEN), &row);
	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_NO_SUBJECT : rc;
	if (subject_parse(row, &slot, e.id) != STATUS_ERASED)
		return STATUS_CORRUPT;
	rc = writeset_get(ws, STORE_ERASURES, bytes_of(e.id, sizeof(e.id)), &row);
	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_CORRUPT : rc;
	if ((rc = erasure_decode(row, &e)) != STATUS_OK || (rc = answer(c, &e)) != STATUS_OK)
		return rc;
	return prove(c, ws, &e);
}

/*
 * The key of a shredded category can keep no fingerprint; the row of the erasure says whose it was
 * and of what.
 */
static enum status
check_replayed(struct call *c, struct writeset *ws)
{
	const Pdvault__V1__EraseSubjectRequest *q = (const void *)c->request;
	const Pdvault__V1__EraseSubjectResponse *r = (const void *)c->response;
	struct erasure e;
	struct bytes row;
	enum status rc;

	rc = writeset_get(ws, STORE_ERASURES, bytes_of(r->erasure.data, r->erasure.len), &row);
	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_CORRUPT : rc;
	if ((rc = erasure_decode(row, &e)) != STATUS_OK)
		return rc;
	if (memcmp(e.subject, q->subject.data, SUBJECT_ID_LEN) != 0 ||
	    (e.categories & ~wanted(q)) != 0)
		return STATUS_KEY_REUSED;
	return prove(c, ws, &e);
}

/* What the request asks for, done to a subject that is there. */
static enum status
erase(struct call *c, struct writeset *ws, const struct keyring *k, struct erasure *e)
{
	enum status rc;

	if ((e->categories & (1u << (SUBJECT_IDENTITY - 1))) != 0 &&
	    subject_category(k, SUBJECT_IDENTITY) == STATUS_OK &&
	    (rc = remove_lookups(c, ws, k)) != STATUS_OK)
		return rc;
	return erasure_apply(ws, e);
}

static enum status
erase_subject(struct vault *v, struct call *c, struct writeset *ws)
{
	const Pdvault__V1__EraseSubjectRequest *q = (const void *)c->request;
	struct service_once once = { c, ws, q->subject.data, 0, 0,
		&pdvault__v1__erase_subject_response__descriptor };
	struct erasure e = { .categories = wanted(q) };
	const struct keyring *k;
	enum status rc;

	(void)v;
	if ((rc = service_replay(&once)) == STATUS_OK)
		return check_replayed(c, ws);
	if (rc != STATUS_ABSENT)
		return rc;
	memcpy(e.subject, q->subject.data, SUBJECT_ID_LEN);
	rc = writeset_subject(ws, q->subject.data, &k);
	if (rc == STATUS_ERASED)
		return answer_first(c, ws);
	if (is_damaged(rc) && e.categories == ALL_CATEGORIES)
		rc = erasure_apply_damaged(ws, &e);
	else if (rc == STATUS_OK)
		rc = erase(c, ws, k, &e);
	if (rc != STATUS_OK)
		return rc;
	if ((rc = answer(c, &e)) != STATUS_OK || (rc = service_remember(&once, NULL)) != STATUS_OK)
		return rc;
	return prove(c, ws, &e);
}

static enum status
list_categories(struct call *c, const struct erasure *e, Pdvault__V1__GetErasureResponse *r)
{
	r->categories = arena_alloc(c->arena, CATEGORY_COUNT * sizeof(r->categories[0]));
	if (r->categories == NULL)
		return STATUS_NO_MEMORY;
	for (unsigned i = 0; i < CATEGORY_COUNT; i++)
		if ((e->categories & (1u << i)) != 0)
			r->categories[r->n_categories++] = (Pdvault__V1__Category)(i + 1);
	return STATUS_OK;
}

static enum status
read_erasure(struct call *c, struct reader *rd, struct erasure *e, struct ledger_proof *proof, bool *settled)
{
	const Pdvault__V1__GetErasureRequest *q = (const void *)c->request;
	struct bytes row;
	enum status rc;

	rc = reader_row(rd, STORE_ERASURES, bytes_of(q->erasure.data, q->erasure.len), c->arena, &row);
	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_NO_ERASURE : rc;
	if ((rc = erasure_decode(row, e)) != STATUS_OK)
		return rc;
	rc = reader_ledger(rd, e->sequence, proof);
	*settled = rc == STATUS_OK;
	return rc == STATUS_ABSENT ? STATUS_OK : rc;
}

/* Which key backups may still open what was erased, and until when. */
static enum status
judge_final(struct vault *v, struct call *c, const struct erasure *e, const struct ledger_proof *proof,
    Pdvault__V1__GetErasureResponse *r)
{
	struct service_key_backups all;
	struct ledger_entry entry;
	int64_t now = clock_wall_ms(), end = e->time_ms;
	enum status rc;

	if ((rc = ledger_decode(bytes_of(proof->entry, sizeof(proof->entry)), &entry)) != STATUS_OK ||
	    (rc = service_list_key_backups(v, c, &all)) != STATUS_OK)
		return rc;
	if ((r->backups = arena_alloc(c->arena, (all.count + 1) * sizeof(r->backups[0]))) == NULL)
		return STATUS_NO_MEMORY;
	/* Of what the other ledger knew nobody here can say whether it is gone, until it must have expired. */
	if (vault_resurrected_ms(v) > 0)
		end = vault_resurrected_ms(v) + KEY_BACKUP_LIFETIME_MAX_MS;
	for (size_t i = 0; i < all.count; i++) {
		const struct key_backup *b = &all.item[i];

		if (!key_backup_may_have(b, entry.slot, e->epoch))
			continue;
		end = key_backup_end(b) > end ? key_backup_end(b) : end;
		if (!key_backup_is_open(b, now))
			continue;
		if ((r->backups[r->n_backups++] = service_key_backup(c, b)) == NULL)
			return STATUS_NO_MEMORY;
	}
	if (r->n_backups > 0 || (vault_resurrected_ms(v) > 0 && end > now))
		r->state = PDVAULT__V1__ERASURE_STATE__SHREDDED;
	else
		r->state = PDVAULT__V1__ERASURE_STATE__FINAL;
	return (r->final_time = service_time(c, end)) != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

/* "": a restore brought it, and nobody here knows. NULL: no memory. */
static char *
class_of(struct vault *v, struct call *c, const struct erasure *e)
{
	char class = 0;

	if (e->class != 0)
		class = seals_class(v, e->epoch, e->class);
	return (char *)(uintptr_t)arena_copy(c->arena, bytes_of(&class, 1)).p;
}

static enum status
get_erasure(struct vault *v, struct call *c)
{
	const Pdvault__V1__GetErasureRequest *q = (const void *)c->request;
	Pdvault__V1__GetErasureResponse *r =
	    service_message(c, &pdvault__v1__get_erasure_response__descriptor);
	struct reader *rd = NULL;
	struct erasure *e = arena_alloc(c->arena, sizeof(*e));
	struct ledger_proof proof;
	bool settled = false;
	enum status rc;

	if (r == NULL || e == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = reader_begin(v, &rd)) != STATUS_OK)
		return rc;
	rc = read_erasure(c, rd, e, &proof, &settled);
	reader_end(rd);
	if (rc != STATUS_OK)
		return rc;
	if ((r->class_ = class_of(v, c, e)) == NULL)
		return STATUS_NO_MEMORY;
	r->erasure = q->erasure;
	r->subject = (ProtobufCBinaryData){ SUBJECT_ID_LEN, e->subject };
	r->epoch = e->epoch;
	/* K7: until the epoch is settled the old keys may still be somewhere. */
	r->state = PDVAULT__V1__ERASURE_STATE__PENDING;
	if (settled && (rc = judge_final(v, c, e, &proof, r)) != STATUS_OK)
		return rc;
	if ((r->time = service_time(c, e->time_ms)) == NULL)
		return STATUS_NO_MEMORY;
	if (settled &&
	    (r->ledger = service_proof(c, &proof)) == NULL)
		return STATUS_NO_MEMORY;
	c->response = &r->base;
	return list_categories(c, e, r);
}

#define RIGHTS(name) "/pdvault.v1.Rights/" name

const struct method service_erasure_methods[] = {
	{ RIGHTS("EraseSubject"), &pdvault__v1__erase_subject_request__descriptor, METHOD_WRITER,
	    validate_erase, NULL, erase_subject, true },
	{ RIGHTS("GetErasure"), &pdvault__v1__get_erasure_request__descriptor, METHOD_INLINE,
	    validate_message, get_erasure, NULL, false },
};
const unsigned service_erasure_count =
    sizeof(service_erasure_methods) / sizeof(service_erasure_methods[0]);
