/*
 * Data keys for what is kept elsewhere. Nothing of them is stored; the keys of their categories are made when
 * they are first asked for.
 */
#include "pdvault/v1/vault.pb-c.h"
#include "server/service.h"
#include "server/store/data_key.h"
#include "server/store/subject.h"
#include "server/validate.h"

#define SHORT 16u	/* data keys, some 2 us each, that nng's own threads make or open */

static enum status
validate_category(struct call *c, Pdvault__V1__Category category)
{
	switch (category) {
	case PDVAULT__V1__CATEGORY__CATEGORY_UNSPECIFIED:
		return call_violates(c, "REQUIRED", "category");
	case PDVAULT__V1__CATEGORY__CONTENT:
	case PDVAULT__V1__CATEGORY__USAGE:
		return STATUS_OK;
	default:
		return call_violates(c, "OUT_OF_RANGE", "category");
	}
}

static enum status
validate_generate(struct call *c)
{
	const Pdvault__V1__GenerateDataKeysRequest *q = (const void *)c->request;
	enum status rc;

	if ((rc = validate_message(c)) != STATUS_OK || (rc = validate_category(c, q->category)) != STATUS_OK)
		return rc;
	if (q->count == 0)
		return call_violates(c, "REQUIRED", "count");
	return q->count <= VALIDATE_DATA_KEYS_MAX ? STATUS_OK : call_violates(c, "OUT_OF_RANGE", "count");
}

static enum status
validate_open(struct call *c)
{
	const Pdvault__V1__OpenDataKeysRequest *q = (const void *)c->request;
	enum status rc = validate_message(c);

	return rc == STATUS_OK ? validate_category(c, q->category) : rc;
}

/* A data key is for new data: whoever was erased in part gets none, as it takes no other writes. */
static enum status
may_generate(const struct keyring *k, unsigned category)
{
	enum status rc = subject_category(k, category);

	if (rc == STATUS_CATEGORY_ERASED)
		return rc;
	return subject_is_retained(k) ? STATUS_RETAINED : rc;
}

/* The answer of ${count} keys with room for them, all in the arena; NULL beyond the budget. */
static Pdvault__V1__GenerateDataKeysResponse *
room_for(struct call *c, size_t count)
{
	Pdvault__V1__GenerateDataKeysResponse *r =
	    service_message(c, &pdvault__v1__generate_data_keys_response__descriptor);
	Pdvault__V1__DataKey *all = arena_alloc(c->arena, count * sizeof(*all));
	struct key *keys = arena_alloc(c->arena, count * sizeof(*keys));
	uint8_t *wrapped = arena_alloc(c->arena, count * DATA_KEY_WRAPPED_LEN);

	if (r == NULL || all == NULL || keys == NULL || wrapped == NULL ||
	    (r->keys = arena_alloc(c->arena, count * sizeof(r->keys[0]))) == NULL)
		return NULL;
	for (; r->n_keys < count; r->n_keys++) {
		Pdvault__V1__DataKey *m = r->keys[r->n_keys] = &all[r->n_keys];

		pdvault__v1__data_key__init(m);
		m->key = (ProtobufCBinaryData){ DATA_KEY_LEN, keys[r->n_keys].b };
		m->wrapped = (ProtobufCBinaryData){ DATA_KEY_WRAPPED_LEN,
			wrapped + r->n_keys * DATA_KEY_WRAPPED_LEN };
	}
	return r;
}

static enum status
make_keys(struct vault *v, struct call *c, const struct keyring *k)
{
	const Pdvault__V1__GenerateDataKeysRequest *q = (const void *)c->request;
	struct data_key_place p = { k, vault_id(v), q->category, bytes_of(q->context.data, q->context.len) };
	Pdvault__V1__GenerateDataKeysResponse *r = room_for(c, q->count);
	struct data_key_wrapper w;
	struct key *keys;
	enum status rc;

	if (r == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = data_key_begin(&p, data_key_present(k, q->category), &w)) != STATUS_OK)
		return rc;
	keys = (struct key *)(void *)r->keys[0]->key.data;
	seal_keys_new(keys, q->count, SEAL_FOR_DATA);
	data_key_wrap(&w, keys, q->count, r->keys[0]->wrapped.data);
	data_key_end(&w);
	c->response = &r->base;
	return STATUS_OK;
}

/* STATUS_NO_RECORD: the category has no key yet; use_category() is next. */
static enum status
generate(struct vault *v, struct call *c)
{
	const Pdvault__V1__GenerateDataKeysRequest *q = (const void *)c->request;
	struct reader_subject s;
	struct reader *rd = NULL;
	enum status rc;

	if ((rc = reader_begin(v, &rd)) != STATUS_OK)
		return rc;
	if ((rc = reader_subject(rd, q->subject.data, &s)) == STATUS_OK &&
	    (rc = may_generate(s.keyring, q->category)) == STATUS_OK)
		rc = make_keys(v, c, s.keyring);
	reader_end(rd);
	return rc;
}

/* Another request may have come first; its key is as good. */
static enum status
use_category(struct vault *v, struct call *c, struct writeset *ws)
{
	const Pdvault__V1__GenerateDataKeysRequest *q = (const void *)c->request;
	const struct keyring *k;
	struct keyring *edit;
	enum status rc;

	if ((rc = writeset_subject(ws, q->subject.data, &k)) != STATUS_OK)
		return rc;
	if ((rc = may_generate(k, q->category)) == STATUS_OK)
		return make_keys(v, c, k);
	if (rc != STATUS_NO_RECORD)
		return rc;
	if ((rc = writeset_edit_subject(ws, q->subject.data, &edit)) != STATUS_OK)
		return rc;
	subject_use_category(edit, q->category);
	return make_keys(v, c, edit);
}

/* The key in ${key}, wrapped anew; NULL beyond the budget. */
static uint8_t *
rewrap(struct call *c, const struct data_key_place *p, const struct key *key)
{
	uint8_t *out = arena_alloc(c->arena, DATA_KEY_WRAPPED_LEN);
	struct data_key_wrapper w;

	if (out == NULL || data_key_begin(p, data_key_present(p->keyring, p->category), &w) != STATUS_OK)
		return NULL;
	data_key_wrap(&w, key, 1, out);
	data_key_end(&w);
	return out;
}

/* ${w} is kept from one to the next, since most have the same version; its version 0: there is none yet. */
static enum status
open_one(struct call *c, const struct data_key_place *p, struct data_key_wrapper *w, struct bytes wrapped,
    Pdvault__V1__DataKeyOutcome *o)
{
	unsigned version = data_key_version(wrapped);
	struct key *key = arena_alloc(c->arena, sizeof(*key));
	enum status rc;

	if (key == NULL)
		return STATUS_NO_MEMORY;
	if (version != w->context.version || version == 0) {
		w->context.version = 0;
		if ((rc = data_key_begin(p, version, w)) != STATUS_OK)
			return rc;
	}
	if ((rc = data_key_unwrap(w, wrapped, key)) != STATUS_OK)
		return rc;
	if (version != data_key_present(p->keyring, p->category)) {
		if ((o->rewrapped.data = rewrap(c, p, key)) == NULL)
			return STATUS_NO_MEMORY;
		o->rewrapped.len = DATA_KEY_WRAPPED_LEN;
	}
	o->key = (ProtobufCBinaryData){ DATA_KEY_LEN, key->b };
	return STATUS_OK;
}

static void
open_all(struct call *c, const struct data_key_place *p, Pdvault__V1__OpenDataKeysResponse *r)
{
	const Pdvault__V1__OpenDataKeysRequest *q = (const void *)c->request;
	struct data_key_wrapper w = { .context.version = 0 };

	for (size_t i = 0; i < q->n_wrapped; i++) {
		Pdvault__V1__DataKeyOutcome *o = r->outcomes[i];
		enum status rc = open_one(c, p, &w, bytes_of(q->wrapped[i].data, q->wrapped[i].len), o);

		o->code = (uint32_t)status_code(rc);
		/* protobuf-c's strings are not const; this one is never written to. */
		if (rc != STATUS_OK)
			o->reason = (char *)(uintptr_t)status_reason(rc);
	}
	data_key_end(&w);
}

static enum status
open_keys(struct vault *v, struct call *c)
{
	const Pdvault__V1__OpenDataKeysRequest *q = (const void *)c->request;
	Pdvault__V1__OpenDataKeysResponse *r =
	    service_message(c, &pdvault__v1__open_data_keys_response__descriptor);
	Pdvault__V1__DataKeyOutcome *all = arena_alloc(c->arena, q->n_wrapped * sizeof(*all));
	struct data_key_place p = { NULL, vault_id(v), q->category, bytes_of(q->context.data, q->context.len) };
	struct reader_subject s;
	struct reader *rd = NULL;
	enum status rc;

	if (r == NULL || all == NULL ||
	    (r->outcomes = arena_alloc(c->arena, q->n_wrapped * sizeof(r->outcomes[0]))) == NULL)
		return STATUS_NO_MEMORY;
	for (; r->n_outcomes < q->n_wrapped; r->n_outcomes++) {
		r->outcomes[r->n_outcomes] = &all[r->n_outcomes];
		pdvault__v1__data_key_outcome__init(&all[r->n_outcomes]);
	}
	if ((rc = reader_begin(v, &rd)) != STATUS_OK)
		return rc;
	if ((rc = reader_subject(rd, q->subject.data, &s)) == STATUS_OK &&
	    (rc = subject_category(s.keyring, q->category)) == STATUS_OK) {
		p.keyring = s.keyring;
		open_all(c, &p, r);
		c->response = &r->base;
	}
	reader_end(rd);
	return rc;
}

static bool
is_short_generate(const struct call *c)
{
	return ((const Pdvault__V1__GenerateDataKeysRequest *)(const void *)c->request)->count <= SHORT;
}

static bool
is_short_open(const struct call *c)
{
	return ((const Pdvault__V1__OpenDataKeysRequest *)(const void *)c->request)->n_wrapped <= SHORT;
}

#define VAULT(name) "/pdvault.v1.Vault/" name

const struct method service_data_key_methods[] = {
	{ VAULT("GenerateDataKeys"), &pdvault__v1__generate_data_keys_request__descriptor, METHOD_POOL,
	    validate_generate, generate, use_category, false, is_short_generate },
	{ VAULT("OpenDataKeys"), &pdvault__v1__open_data_keys_request__descriptor, METHOD_POOL,
	    validate_open, open_keys, NULL, false, is_short_open },
};
const unsigned service_data_key_count =
    sizeof(service_data_key_methods) / sizeof(service_data_key_methods[0]);
