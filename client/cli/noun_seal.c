/*
 * seal list, add, remove, test.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "input.h"
#include "job_call.h"
#include "json_out.h"
#include "keep.h"
#include "nouns.h"

#define KEYS "/pdvault.v1.Keys/"

enum { TEST_SECONDS = 120 };

static const struct raw_method list_method = { KEYS "ListSeals",
	&pdvault__v1__list_seals_response__descriptor, false };
static const struct raw_method test_method = { KEYS "CheckSeals",
	&pdvault__v1__check_seals_response__descriptor, false };

static json_t *
seal_json(const Pdvault__V1__Seal *m)
{
	json_t *doc = json_pack("{s:s, s:s, s:b, s:b, s:b, s:s, s:s, s:o, s:o}", "name", m->name,
	    "kind", m->kind, "configured", m->configured, "used", m->used, "opens", m->opens,
	    "class", m->class_, "class_reason", m->class_reason, "create_time",
	    job_json_time(m->create_time), "test_time", job_json_time(m->test_time));

	if (doc != NULL && m->version.len > 0)
		(void)json_object_set_new(doc, "version", json_out_hex(m->version.data, m->version.len));
	return doc;
}

static enum pdv_code
list(struct session *s, Pdvault__V1__ListSealsResponse **out, struct failure *f)
{
	Pdvault__V1__ListSealsRequest q = PDVAULT__V1__LIST_SEALS_REQUEST__INIT;

	return raw_call(s, &list_method, &q.base, out, f);
}

static enum pdv_code
print(const struct args *a, const Pdvault__V1__ListSealsResponse *r, struct failure *f)
{
	json_t *seals = json_array();

	for (size_t i = 0; i < r->n_seals; i++)
		(void)json_array_append_new(seals, seal_json(r->seals[i]));
	return json_out_print(
	    json_pack("{s:o}", "seals", seals), a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
}

enum pdv_code
noun_seal_list(const struct args *a, struct failure *f)
{
	Pdvault__V1__ListSealsResponse *r = NULL;
	struct session s = {.client = NULL};
	enum pdv_code rc;

	if ((rc = session_open(&s, a, 0, f)) == PDV_OK && (rc = list(&s, &r, f)) == PDV_OK) {
		rc = print(a, r, f);
		pdvault__v1__list_seals_response__free_unpacked(r, NULL);
	}
	session_close(&s);
	return rc;
}

static int64_t
ms_of(const Pdvault__V1__Timestamp *t)
{
	return t != NULL ? t->seconds * 1000 + t->nanos / 1000000 : 0;
}

/* Every seal that is in use was tested since. */
static bool
all_tested(const Pdvault__V1__ListSealsResponse *r, int64_t since_ms)
{
	for (size_t i = 0; i < r->n_seals; i++)
		if (r->seals[i]->used && r->seals[i]->configured &&
		    strcmp(r->seals[i]->kind, "recovery") != 0 &&
		    ms_of(r->seals[i]->test_time) < since_ms)
			return false;
	return true;
}

static enum pdv_code
judge(const Pdvault__V1__ListSealsResponse *r, struct failure *f)
{
	for (size_t i = 0; i < r->n_seals; i++)
		if (r->seals[i]->used && strcmp(r->seals[i]->kind, "recovery") != 0 &&
		    !r->seals[i]->opens)
			return failure_set(f, PDV_UNAVAILABLE, "SEAL_FAILING",
			    "seal %.31s does not give its key; "
			    "the server's log says more",
			    r->seals[i]->name);
	return PDV_OK;
}

enum pdv_code
noun_seal_test(const struct args *a, struct failure *f)
{
	Pdvault__V1__CheckSealsRequest q = PDVAULT__V1__CHECK_SEALS_REQUEST__INIT;
	const struct timespec pause = {.tv_nsec = 200000000};
	Pdvault__V1__CheckSealsResponse *asked = NULL;
	Pdvault__V1__ListSealsResponse *r = NULL;
	struct session s = {.client = NULL};
	enum pdv_code rc;

	if ((rc = session_open(&s, a, 0, f)) != PDV_OK ||
	    (rc = raw_call(&s, &test_method, &q.base, &asked, f)) != PDV_OK)
		goto out;
	for (unsigned n = 0; n < TEST_SECONDS * 5; n++) {
		if (r != NULL)
			pdvault__v1__list_seals_response__free_unpacked(r, NULL);
		r = NULL;
		if ((rc = list(&s, &r, f)) != PDV_OK || all_tested(r, ms_of(asked->time)))
			break;
		(void)nanosleep(&pause, NULL);
	}
	if (rc == PDV_OK && !all_tested(r, ms_of(asked->time)))
		rc = failure_set(f, PDV_DEADLINE_EXCEEDED, "SEAL_TEST", "the seals were not tested in time");
	if (rc == PDV_OK && (rc = print(a, r, f)) == PDV_OK)
		rc = judge(r, f);
out:
	if (r != NULL)
		pdvault__v1__list_seals_response__free_unpacked(r, NULL);
	if (asked != NULL)
		pdvault__v1__check_seals_response__free_unpacked(asked, NULL);
	session_close(&s);
	return rc;
}

enum pdv_code
noun_seal_add(const struct args *a, struct failure *f)
{
	Pdvault__V1__AddSealRequest q;
	const char *from = a->values[FLAG_SECRET];
	char *secret = NULL;
	size_t len = 0;
	enum pdv_code rc = PDV_OK;

	pdvault__v1__add_seal_request__init(&q);
	q.name = (char *)(uintptr_t)a->operand;
	if (from != NULL && (rc = input_read(from, 512, &secret, &len, f)) != PDV_OK)
		return rc;
	/* Without the end of the line. */
	while (len > 0 && (secret[len - 1] == '\n' || secret[len - 1] == '\r'))
		len--;
	q.secret = (ProtobufCBinaryData){len, (uint8_t *)(void *)secret};
	rc = job_run(a, KEYS "AddSeal", &q.base, f);
	keep_drop(secret);
	return rc;
}

enum pdv_code
noun_seal_remove(const struct args *a, struct failure *f)
{
	Pdvault__V1__RemoveSealRequest q;

	pdvault__v1__remove_seal_request__init(&q);
	q.name = (char *)(uintptr_t)a->operand;
	return job_run(a, KEYS "RemoveSeal", &q.base, f);
}
