/*
 * Subjects and their identity.
 */
#include "pdvault/v1/vault.pb-c.h"
#include "server/service.h"
#include "server/store/subject.h"
#include "server/validate.h"

static enum status
no_duplicate_attributes(struct call *c, const Pdvault__V1__Identity *id)
{
	for (size_t i = 0; i < id->n_attributes; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(id->attributes[i]->key, id->attributes[j]->key) == 0)
				return call_violates(c, "DUPLICATE", "identity.attributes[%zu].key", i);
	return STATUS_OK;
}

enum status
service_validate_identity(struct call *c, const Pdvault__V1__Identity *id)
{
	enum status rc = validate_message(c);

	return rc == STATUS_OK && id != NULL ? no_duplicate_attributes(c, id) : rc;
}

enum status
service_validate_billing(struct call *c, const Pdvault__V1__Billing *b)
{
	for (size_t i = 0; b != NULL && i < b->n_payment_methods; i++) {
		const Pdvault__V1__PaymentMethod *m = b->payment_methods[i];

		if (m->expiry_month > 12)
			return call_violates(c, "OUT_OF_RANGE", "billing.payment_methods[%zu].expiry_month", i);
		if (m->expiry_year != 0 && (m->expiry_year < 2000 || m->expiry_year > 2199))
			return call_violates(c, "OUT_OF_RANGE", "billing.payment_methods[%zu].expiry_year", i);
	}
	return STATUS_OK;
}

static enum status
validate_create(struct call *c)
{
	const Pdvault__V1__CreateSubjectRequest *q = (const void *)c->request;
	enum status rc = service_validate_identity(c, q->identity);

	return rc == STATUS_OK ? service_validate_billing(c, q->billing) : rc;
}

static enum status
validate_update(struct call *c)
{
	const Pdvault__V1__UpdateIdentityRequest *q = (const void *)c->request;

	return service_validate_identity(c, q->identity);
}

static enum status
validate_find(struct call *c)
{
	const Pdvault__V1__FindSubjectRequest *q = (const void *)c->request;
	enum status rc = validate_message(c);

	if (rc == STATUS_OK && q->lookup_case == PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP__NOT_SET)
		return call_violates(c, "REQUIRED", "lookup");
	return rc;
}

static enum status
put_record(struct call *c, struct writeset *ws, struct keyring *k, unsigned category,
    const ProtobufCMessage *m)
{
	struct bytes plain;
	enum status rc;

	subject_use_category(k, category);
	if ((rc = service_close(c, 1, m, &plain)) != STATUS_OK)
		return rc;
	return writeset_put_record(ws, k, category, plain);
}

static enum status
create_subject(struct vault *v, struct call *c, struct writeset *ws)
{
	const Pdvault__V1__CreateSubjectRequest *q = (const void *)c->request;
	struct service_once once = { c, ws, NULL, SUBJECT_IDENTITY,
		q->billing != NULL ? SUBJECT_BILLING : 0, &pdvault__v1__create_subject_response__descriptor };
	const Pdvault__V1__Identity *id = q->identity;
	Pdvault__V1__CreateSubjectResponse *r;
	struct service_lookups l;
	struct keyring *k;
	enum status rc;

	if ((rc = service_replay(&once)) != STATUS_ABSENT)
		return rc;
	if (id == NULL)
		id = service_message(c, &pdvault__v1__identity__descriptor);
	if ((r = service_message(c, once.response)) == NULL || id == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = service_lookups(c, vault_country_code(v), id, &l)) != STATUS_OK)
		return rc;
	if ((rc = writeset_new_subject(ws, &k)) != STATUS_OK)
		return rc;
	for (unsigned i = 0; i < l.count; i++)
		if ((rc = writeset_add_lookup(ws, &l.item[i], SUBJECT_IDENTITY, k->subject)) != STATUS_OK)
			return rc;
	if ((rc = put_record(c, ws, k, SUBJECT_IDENTITY, &id->base)) != STATUS_OK)
		return rc;
	if (q->billing != NULL &&
	    (rc = put_record(c, ws, k, SUBJECT_BILLING, &q->billing->base)) != STATUS_OK)
		return rc;
	r->subject.len = SUBJECT_ID_LEN;
	if ((r->subject.data = arena_alloc(c->arena, SUBJECT_ID_LEN)) == NULL)
		return STATUS_NO_MEMORY;
	memcpy(r->subject.data, k->subject, SUBJECT_ID_LEN);
	c->response = &r->base;
	return service_remember(&once, k);
}

static Pdvault__V1__SubjectState
state_of(const struct keyring_category *c)
{
	if (c->state == CATEGORY_SHREDDED)
		return PDVAULT__V1__SUBJECT_STATE__ERASED;
	return c->restricted ? PDVAULT__V1__SUBJECT_STATE__RESTRICTED :
	    PDVAULT__V1__SUBJECT_STATE__ACTIVE;
}

static enum status
list_categories(struct call *c, const struct keyring *k, Pdvault__V1__GetSubjectResponse *r)
{
	r->categories = arena_alloc(c->arena, CATEGORY_COUNT * sizeof(r->categories[0]));
	if (r->categories == NULL)
		return STATUS_NO_MEMORY;
	for (unsigned i = 0; i < CATEGORY_COUNT; i++) {
		Pdvault__V1__CategoryStatus *s;

		if (k->category[i].state == CATEGORY_UNUSED)
			continue;
		s = service_message(c, &pdvault__v1__category_status__descriptor);
		if (s == NULL)
			return STATUS_NO_MEMORY;
		s->category = (Pdvault__V1__Category)(i + 1);
		s->state = state_of(&k->category[i]);
		r->categories[r->n_categories++] = s;
	}
	return STATUS_OK;
}

static enum status
get_subject(struct vault *v, struct call *c)
{
	const Pdvault__V1__GetSubjectRequest *q = (const void *)c->request;
	Pdvault__V1__GetSubjectResponse *r =
	    service_message(c, &pdvault__v1__get_subject_response__descriptor);
	struct reader_subject s;
	struct reader *rd = NULL;
	enum status rc;

	if (r == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = reader_begin(v, &rd)) != STATUS_OK)
		return rc;
	if ((rc = reader_subject(rd, q->subject.data, &s)) != STATUS_OK)
		goto out;
	r->subject = q->subject;
	r->state = PDVAULT__V1__SUBJECT_STATE__ACTIVE;
	r->create_time = service_time(c, (int64_t)bytes_get64(s.keyring->create_time));
	c->response = &r->base;
	rc = r->create_time == NULL ? STATUS_NO_MEMORY : list_categories(c, s.keyring, r);
out:
	reader_end(rd);
	return rc;
}

static void
asked_lookup(const Pdvault__V1__FindSubjectRequest *q, enum lookup_kind *kind, const char **text)
{
	switch (q->lookup_case) {
	case PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_EMAIL:
		*kind = LOOKUP_EMAIL;
		*text = q->email;
		break;
	case PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_PHONE:
		*kind = LOOKUP_PHONE;
		*text = q->phone;
		break;
	default:
		*kind = LOOKUP_ACCOUNT;
		*text = q->account_id;
	}
}

static enum status
find_subject(struct vault *v, struct call *c)
{
	const Pdvault__V1__FindSubjectRequest *q = (const void *)c->request;
	Pdvault__V1__FindSubjectResponse *r =
	    service_message(c, &pdvault__v1__find_subject_response__descriptor);
	struct lookup *l = arena_alloc(c->arena, sizeof(*l));
	uint8_t (*ids)[SUBJECT_ID_LEN] = arena_alloc(c->arena, LOOKUP_SHARED_MAX * sizeof(*ids));
	struct reader *rd = NULL;
	enum lookup_kind kind;
	const char *text;
	unsigned count;
	enum status rc;

	if (r == NULL || l == NULL || ids == NULL)
		return STATUS_NO_MEMORY;
	asked_lookup(q, &kind, &text);
	/* What cannot be normalised was never stored. */
	if (lookup_normalise(kind, bytes_of(text, strlen(text)), vault_country_code(v), l) !=
	    STATUS_OK)
		return STATUS_NO_SUBJECT;
	if ((rc = reader_begin(v, &rd)) != STATUS_OK)
		return rc;
	if ((rc = reader_find(rd, l, ids, &count)) != STATUS_OK)
		goto out;
	rc = STATUS_NO_MEMORY;
	if ((r->subjects = arena_alloc(c->arena, count * sizeof(r->subjects[0]))) == NULL)
		goto out;
	for (; r->n_subjects < count; r->n_subjects++)
		r->subjects[r->n_subjects] =
		    (ProtobufCBinaryData){ SUBJECT_ID_LEN, ids[r->n_subjects] };
	c->response = &r->base;
	rc = STATUS_OK;
out:
	reader_end(rd);
	return rc;
}

/* One identity into r, whose memory is in the arena. */
static enum status
read_identity(struct reader *rd, struct call *c, const uint8_t *id, Pdvault__V1__RecordAnswer *r)
{
	struct bytes plain;
	enum status rc = reader_record(rd, id, SUBJECT_IDENTITY, c->arena, &plain);

	return rc == STATUS_OK ? service_pass_on(c, plain, r) : rc;
}

static enum status
get_identity(struct vault *v, struct call *c)
{
	const Pdvault__V1__GetIdentityRequest *q = (const void *)c->request;
	Pdvault__V1__RecordAnswer *r = service_message(c, &pdvault__v1__record_answer__descriptor);
	struct reader *rd = NULL;
	enum status rc;

	if (r == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = reader_begin(v, &rd)) != STATUS_OK)
		return rc;
	rc = read_identity(rd, c, q->subject.data, r);
	reader_end(rd);
	c->response = &r->base;
	return rc;
}

/* One subject of a batch; *left is what the answer has room for. A pin for each: a batch holds up no switch. */
static enum status
read_one(struct vault *v, struct call *c, size_t *left, Pdvault__V1__RecordOutcome *o)
{
	Pdvault__V1__RecordAnswer *r = service_message(c, &pdvault__v1__record_answer__descriptor);
	struct reader *rd = NULL;
	enum status rc;
	size_t len;

	if (r == NULL)
		return STATUS_NO_ROOM;
	if ((rc = reader_begin(v, &rd)) != STATUS_OK)
		return rc;
	rc = read_identity(rd, c, o->subject.data, r);
	reader_end(rd);
	if (rc != STATUS_OK)
		return arena_refused(c->arena) ? STATUS_NO_ROOM : rc;
	len = r->record.len + sizeof(*o);	/* with what stands around it, amply */
	if (len > *left)
		return STATUS_NO_ROOM;
	*left -= len;
	o->result = r;
	return STATUS_OK;
}

static enum status
batch_get_identity(struct vault *v, struct call *c)
{
	const Pdvault__V1__BatchGetIdentityRequest *q = (const void *)c->request;
	Pdvault__V1__RecordOutcomes *r = service_message(c, &pdvault__v1__record_outcomes__descriptor);
	size_t left = CALL_ANSWER_MAX - q->n_subjects * sizeof(Pdvault__V1__RecordOutcome);
	Pdvault__V1__RecordOutcome *all = arena_alloc(c->arena, q->n_subjects * sizeof(*all));

	if (r == NULL || all == NULL)
		return STATUS_NO_MEMORY;
	r->outcomes = arena_alloc(c->arena, q->n_subjects * sizeof(r->outcomes[0]));
	if (r->outcomes == NULL)
		return STATUS_NO_MEMORY;
	for (; r->n_outcomes < q->n_subjects; r->n_outcomes++) {
		Pdvault__V1__RecordOutcome *o = r->outcomes[r->n_outcomes] = &all[r->n_outcomes];
		enum status rc;

		pdvault__v1__record_outcome__init(o);
		o->subject = q->subjects[r->n_outcomes];
		rc = read_one(v, c, &left, o);
		o->code = (uint32_t)status_code(rc);
		/* protobuf-c's strings are not const; this one is never written to. */
		if (rc != STATUS_OK)
			o->reason = (char *)(uintptr_t)status_reason(rc);
	}
	c->response = &r->base;
	return STATUS_OK;
}

/* What the update takes away is free for others, what it adds must be free. */
static enum status
change_lookups(struct call *c, struct writeset *ws, const Pdvault__V1__Identity *was,
    const Pdvault__V1__Identity *now)
{
	const Pdvault__V1__UpdateIdentityRequest *q = (const void *)c->request;
	uint16_t country = vault_country_code(writeset_vault(ws));
	struct service_lookups old, new;
	enum status rc;

	if ((rc = service_lookups(c, country, was, &old)) != STATUS_OK ||
	    (rc = service_lookups(c, country, now, &new)) != STATUS_OK)
		return rc;
	for (unsigned i = 0; i < old.count; i++)
		if (service_lookup_in(&new, &old.item[i]) == NULL &&
		    (rc = writeset_remove_lookup(ws, &old.item[i], q->subject.data)) != STATUS_OK)
			return rc;
	for (unsigned i = 0; i < new.count; i++)
		if (service_lookup_in(&old, &new.item[i]) == NULL &&
		    (rc = writeset_add_lookup(ws, &new.item[i], SUBJECT_IDENTITY, q->subject.data)) !=
		    STATUS_OK)
			return rc;
	return STATUS_OK;
}

static enum status
change_identity(struct call *c, struct writeset *ws, const struct keyring *k, uint64_t *etag)
{
	const Pdvault__V1__UpdateIdentityRequest *q = (const void *)c->request;
	Pdvault__V1__Identity *was, now;
	struct bytes plain;
	enum status rc;

	if ((rc = writeset_record(ws, k, SUBJECT_IDENTITY, c->arena, &plain)) != STATUS_OK)
		return rc;
	rc = service_open(c, &pdvault__v1__identity__descriptor, plain, etag, &was);
	if (rc != STATUS_OK)
		return rc;
	if ((rc = service_check_etag(q->etag, *etag)) != STATUS_OK)
		return rc;
	now = *was;
	if ((rc = service_merge(c, q->update_mask, &q->identity->base, &now.base)) != STATUS_OK)
		return rc;
	if ((rc = change_lookups(c, ws, was, &now)) != STATUS_OK)
		return rc;
	if ((rc = service_close(c, ++*etag, &now.base, &plain)) != STATUS_OK)
		return rc;
	return writeset_put_record(ws, k, SUBJECT_IDENTITY, plain);
}

static enum status
update_identity(struct vault *v, struct call *c, struct writeset *ws)
{
	const Pdvault__V1__UpdateIdentityRequest *q = (const void *)c->request;
	struct service_once once = { c, ws, q->subject.data, SUBJECT_IDENTITY, 0,
		&pdvault__v1__update_identity_response__descriptor };
	Pdvault__V1__UpdateIdentityResponse *r;
	const struct keyring *k;
	uint64_t etag;
	enum status rc;

	(void)v;
	if ((rc = service_begin(&once, &r, &k)) != STATUS_ABSENT)
		return rc;
	if ((rc = subject_category(k, SUBJECT_IDENTITY)) != STATUS_OK)
		return rc;
	if (subject_is_retained(k))
		return STATUS_RETAINED;
	if ((rc = change_identity(c, ws, k, &etag)) != STATUS_OK)
		return rc;
	if ((r->etag = service_etag(c, etag)) == NULL)
		return STATUS_NO_MEMORY;
	c->response = &r->base;
	return service_remember(&once, k);
}

#define VAULT(name) "/pdvault.v1.Vault/" name

const struct method service_subject_methods[] = {
	{ VAULT("CreateSubject"), &pdvault__v1__create_subject_request__descriptor, METHOD_WRITER,
	    validate_create, NULL, create_subject, false },
	{ VAULT("GetSubject"), &pdvault__v1__get_subject_request__descriptor, METHOD_INLINE,
	    validate_message, get_subject, NULL, false },
	{ VAULT("FindSubject"), &pdvault__v1__find_subject_request__descriptor, METHOD_INLINE,
	    validate_find, find_subject, NULL, false },
	{ VAULT("GetIdentity"), &pdvault__v1__get_identity_request__descriptor, METHOD_INLINE,
	    validate_message, get_identity, NULL, false },
	{ VAULT("BatchGetIdentity"), &pdvault__v1__batch_get_identity_request__descriptor,
	    METHOD_POOL, validate_message, batch_get_identity, NULL, false },
	{ VAULT("UpdateIdentity"), &pdvault__v1__update_identity_request__descriptor, METHOD_WRITER,
	    validate_update, NULL, update_identity, false },
};
const unsigned service_subject_count =
    sizeof(service_subject_methods) / sizeof(service_subject_methods[0]);
