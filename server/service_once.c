/*
 * A mutation that is sent twice is executed once.
 */
#include "server/service.h"

#include <sodium.h>

#include "pdvault/v1/vault.pb-c.h"
#include "server/mutant.h"
#include "server/store/idempotency.h"
#include "server/store/subject.h"

static struct idempotency_request
asked(const struct call *c)
{
	return (struct idempotency_request){ .key = c->idempotency_key, .principal = c->principal,
		.method = c->method->name, .message = c->message };
}

/* Whose key the fingerprint is under: the request's subject, or the one it created. */
static const uint8_t *
subject_of(const struct service_once *o)
{
	const Pdvault__V1__CreateSubjectResponse *r = (const void *)o->c->response;

	if (o->subject != NULL)
		return o->subject;
	must(o->response == &pdvault__v1__create_subject_response__descriptor);
	return r->subject.len == SUBJECT_ID_LEN ? r->subject.data : NULL;
}

static void
fingerprint(const struct service_once *o, const struct keyring *k, struct idempotency_row *out)
{
	const struct keyring_category *first, *also;
	struct idempotency_request q = asked(o->c);

	must(k != NULL);
	first = &k->category[o->category - 1];
	also = o->also != 0 ? &k->category[o->also - 1] : NULL;
	idempotency_fingerprint(&first->key, also != NULL ? &also->key : NULL, &q, out->fingerprint);
	out->versions[0] = first->version[1];
	out->versions[1] = also != NULL ? also->version[1] : 0;
}

/* After a shred or a rotation the key is gone, and only who asked and with which key is compared. */
static enum status
compare(const struct service_once *o, const struct idempotency_row *row)
{
	struct idempotency_row now = { .epoch = 0 };
	const struct keyring *k;
	const uint8_t *id;
	enum status rc;

	if (sodium_is_zero(row->fingerprint, sizeof(row->fingerprint)))
		return STATUS_OK;
	if ((id = subject_of(o)) == NULL)
		return STATUS_CORRUPT;
	rc = writeset_subject(o->ws, id, &k);
	if (rc == STATUS_ERASED)
		return STATUS_OK;
	/* Another subject than the first time is another request. */
	if (rc == STATUS_NO_SUBJECT || rc == STATUS_OTHER_VAULT)
		return STATUS_KEY_REUSED;
	if (rc != STATUS_OK)
		return rc;
	for (unsigned i = 0; i < 2; i++) {
		unsigned category = i == 0 ? o->category : o->also;

		rc = category != 0 ? subject_category(k, category) : STATUS_OK;
		if (rc == STATUS_CATEGORY_ERASED)
			return STATUS_OK;
		if (rc != STATUS_OK)
			return STATUS_KEY_REUSED;
	}
	fingerprint(o, k, &now);
	if (memcmp(now.versions, row->versions, sizeof(now.versions)) != 0)
		return STATUS_OK;
	return sodium_memcmp(now.fingerprint, row->fingerprint, sizeof(now.fingerprint)) == 0 ? STATUS_OK :
	    STATUS_KEY_REUSED;
}

enum status
service_replay(const struct service_once *o)
{
	struct idempotency_request q = asked(o->c);
	struct vault *v = writeset_vault(o->ws);
	struct idempotency_row row;
	enum status rc;

	if ((rc = idempotency_find(o->ws, &q, &row)) != STATUS_OK)
		return rc;
	/*
	 * K7: nobody is told "done" of what is not settled. A row of the next epoch is of this very
	 * batch, and so will be answered with it.
	 */
	if (!mutant(retry_before_settled) && row.epoch > vault_settled(v) && row.epoch <= vault_epoch(v))
		return STATUS_INDETERMINATE;
	if ((rc = service_unpack(o->c, o->response, row.response, &o->c->response)) != STATUS_OK)
		return rc;
	return compare(o, &row);
}

enum status
service_begin(const struct service_once *o, void *response, const struct keyring **k)
{
	enum status rc = service_replay(o);

	if (rc != STATUS_ABSENT)
		return rc;
	if ((*(void **)response = service_message(o->c, o->response)) == NULL)
		return STATUS_NO_MEMORY;
	rc = writeset_subject(o->ws, o->subject, k);
	return rc == STATUS_OK ? STATUS_ABSENT : rc;
}

enum status
service_remember(const struct service_once *o, const struct keyring *k)
{
	struct idempotency_request q = asked(o->c);
	struct idempotency_row row = { .epoch = writeset_epoch(o->ws) };
	enum status rc;

	if (o->category != 0)
		fingerprint(o, k, &row);
	if ((rc = service_pack(o->c, o->c->response, &row.response)) != STATUS_OK)
		return rc;
	return idempotency_put(o->ws, &q, &row);
}
