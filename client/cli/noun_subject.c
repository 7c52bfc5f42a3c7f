#include <string.h>
#include <unistd.h>

#include "input.h"
#include "json_out.h"
#include "keep.h"
#include "meant.h"
#include "nouns.h"
#include "session.h"
#include "subject_input.h"
#include "update.h"

enum { CONFIRMATION_LEN = 16 };

enum pdv_code
noun_subject_create(const struct args *a, struct failure *f)
{
	struct subject_input in = {.etag = NULL};
	struct pdv_new_subject request;
	struct session s = {.client = NULL};
	struct pdv_result *r = NULL;
	enum pdv_code rc;

	if ((rc = subject_input_create(a, &in, f)) != PDV_OK ||
	    (rc = session_open(&s, a, 0, f)) != PDV_OK)
		goto out;
	request = (struct pdv_new_subject){.identity = in.identity, .billing = in.billing};
	(void)pdv_create_subject(s.client, &request, &s.options, &r);
	if ((rc = session_failed(r, f)) != PDV_OK)
		goto out;
	rc = json_out_print(json_pack("{s:o}", "subject",
	    json_out_subject(pdv_result_subject(r))), a->values[FLAG_JSON] != NULL,
	    STDOUT_FILENO, f);
out:
	pdv_result_free(r);
	session_close(&s);
	subject_input_drop(&in);
	return rc;
}

static bool
holds(const struct pdv_subject_status *status, enum pdv_category category)
{
	size_t i;

	for (i = 0; i < status->category_count; i++)
		if (status->categories[i].category == category)
			return status->categories[i].state != PDV_STATE_ERASED;
	return false;
}

/* Add what a category holds, if anything, with its etag beside it. */
static enum pdv_code
add_identity(struct session *s, const struct pdv_subject_id *id, json_t *doc, struct failure *f)
{
	struct pdv_result *r = NULL;
	enum pdv_code rc;

	(void)pdv_get_identity(s->client, id, &s->options, &r);
	if ((rc = session_failed(r, f)) == PDV_OK) {
		(void)json_object_set_new(doc, "identity",
		    json_out_message(&schema_identity, pdv_result_identity(r)));
		(void)json_object_set_new(doc, "identity_etag", json_string(pdv_result_etag(r)));
	}
	pdv_result_free(r);
	return rc != PDV_OK && session_no_record(f) ? PDV_OK : rc;
}

static enum pdv_code
add_billing(struct session *s, const struct pdv_subject_id *id, json_t *doc, struct failure *f)
{
	struct pdv_result *r = NULL;
	json_t *billing;
	enum pdv_code rc;

	(void)pdv_get_billing(s->client, id, &s->options, &r);
	if ((rc = session_failed(r, f)) == PDV_OK) {
		billing = json_out_message(&schema_billing, pdv_result_billing(r));
		if (json_object_size(billing) > 0) {
			(void)json_object_set(doc, "billing", billing);
			(void)json_object_set_new(doc, "billing_etag",
			    json_string(pdv_result_etag(r)));
		}
		json_decref(billing);
	}
	pdv_result_free(r);
	return rc != PDV_OK && session_no_record(f) ? PDV_OK : rc;
}

static enum pdv_code
show_subject(struct session *s, const struct pdv_subject_status *status, json_t *doc,
    struct failure *f)
{
	enum pdv_code rc = PDV_OK;

	if (status->state == PDV_STATE_ERASED)
		return failure_set(f, PDV_FAILED_PRECONDITION, "SUBJECT_ERASED",
		    "the subject is erased");
	(void)json_object_set_new(doc, "subject", json_out_subject(&status->subject));
	(void)json_object_set_new(doc, "state", json_string(pdv_state_name(status->state)));
	if (holds(status, PDV_CATEGORY_IDENTITY))
		rc = add_identity(s, &status->subject, doc, f);
	if (rc == PDV_OK && holds(status, PDV_CATEGORY_BILLING))
		rc = add_billing(s, &status->subject, doc, f);
	return rc;
}

enum pdv_code
noun_subject_get(const struct args *a, struct failure *f)
{
	struct session s = {.client = NULL};
	struct pdv_result *r = NULL;
	struct pdv_subject_id id;
	json_t *doc = json_object();
	enum pdv_code rc;

	if ((rc = session_subject(a->operand, &id, f)) != PDV_OK ||
	    (rc = session_open(&s, a, 0, f)) != PDV_OK)
		goto out;
	(void)pdv_get_subject(s.client, &id, &s.options, &r);
	if ((rc = session_failed(r, f)) != PDV_OK ||
	    (rc = show_subject(&s, pdv_result_subject_status(r), doc, f)) != PDV_OK)
		goto out;
	rc = json_out_print(doc, a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
	doc = NULL;
out:
	json_decref(doc);
	pdv_result_free(r);
	session_close(&s);
	return rc;
}

/* Exactly one of the three flags. */
static enum pdv_code
lookup_of(const struct args *a, enum pdv_lookup_by *by, char **value, struct failure *f)
{
	static const struct {
		enum flag flag;
		enum pdv_lookup_by by;
	} ways[] = {{FLAG_EMAIL, PDV_BY_EMAIL}, {FLAG_PHONE, PDV_BY_PHONE},
	    {FLAG_ACCOUNT, PDV_BY_ACCOUNT_ID}};
	const char *given = NULL;
	size_t i, n = 0;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (a->values[ways[i].flag] == NULL)
			continue;
		given = a->values[ways[i].flag];
		*by = ways[i].by;
		n++;
	}
	if (n != 1)
		return failure_usage(f, "one of --email, --phone and --account");
	return input_value(given, value, f);
}

static json_t *
subjects_json(const struct pdv_result *r)
{
	json_t *list = json_array();
	const struct pdv_subject_id *ids;
	size_t i, n = 0;

	ids = pdv_result_subjects(r, &n);
	for (i = 0; i < n; i++)
		(void)json_array_append_new(list, json_out_subject(&ids[i]));
	return n == 0 ? list : json_pack("{s:O, s:o}", "subject", json_array_get(list, 0),
	    "subjects", list);
}

enum pdv_code
noun_subject_find(const struct args *a, struct failure *f)
{
	struct session s = {.client = NULL};
	struct pdv_lookup request = {.value = NULL};
	struct pdv_result *r = NULL;
	char *value = NULL;
	enum pdv_code rc;

	if ((rc = lookup_of(a, &request.by, &value, f)) != PDV_OK ||
	    (rc = session_open(&s, a, 0, f)) != PDV_OK)
		goto out;
	request.value = value;
	(void)pdv_find_subject(s.client, &request, &s.options, &r);
	if ((rc = session_failed(r, f)) == PDV_OK)
		rc = json_out_print(subjects_json(r), a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
out:
	pdv_result_free(r);
	session_close(&s);
	keep_drop(value);
	return rc;
}

enum pdv_code
noun_subject_update(const struct args *a, struct failure *f)
{
	return update_run(a, subject_input_update, f);
}

static const char *const warning = "This destroys keys: what they sealed cannot be opened afterwards.\n"
    "Type yes to erase: ";

/* Asked of a person only: a script that calls this has decided. */
static bool
confirmed(const struct args *a)
{
	char answer[CONFIRMATION_LEN] = "";

	if (a->values[FLAG_YES] != NULL || !isatty(STDIN_FILENO))
		return true;
	(void)fputs(warning, stderr);
	(void)fflush(stderr);
	return fgets(answer, sizeof(answer), stdin) != NULL && strcmp(answer, "yes\n") == 0;
}

/* The categories of the flags. */
static enum pdv_code
categories_of(const struct args *a, enum pdv_category list[static ARGS_REPEAT_MAX],
    struct failure *f)
{
	static const char *const names[] = {"identity", "credential", "billing", "content", "usage",
	    "device", "preferences", "consent"};
	char hint[FAILURE_FIELD_LEN];
	struct meant n;
	size_t i, c;

	for (i = 0; i < a->repeated_n; i++) {
		if (pdv_category_parse(a->repeated[i], &list[i]) == PDV_OK)
			continue;
		n = (struct meant)MEANT_START(a->repeated[i]);
		for (c = 0; c < sizeof(names) / sizeof(names[0]); c++)
			meant_offer(&n, names[c]);
		return failure_usage(f, "unknown category %.64s%s", a->repeated[i],
		    meant_hint(&n, hint, sizeof(hint)));
	}
	return PDV_OK;
}

static json_t *
erasure_json(const struct pdv_erasure *e)
{
	json_t *doc = json_pack("{s:o, s:s, s:I}", "erasure", json_out_erasure(&e->erasure),
	    "state", pdv_erasure_state_name(e->state), "epoch", (json_int_t)e->epoch);

	if (e->ledger != NULL)
		(void)json_object_set_new(doc, "ledger", json_out_proof(e->ledger));
	return doc;
}

enum pdv_code
noun_subject_erase(const struct args *a, struct failure *f)
{
	enum pdv_category list[ARGS_REPEAT_MAX];
	struct pdv_erase request = {.categories = list, .category_count = a->repeated_n};
	struct session s = {.client = NULL};
	struct pdv_result *r = NULL;
	enum pdv_code rc;

	if ((rc = session_subject(a->operand, &request.subject, f)) != PDV_OK ||
	    (rc = categories_of(a, list, f)) != PDV_OK ||
	    (rc = session_open(&s, a, 0, f)) != PDV_OK)
		goto out;
	if (!confirmed(a)) {
		rc = failure_set(f, PDV_CANCELLED, "NOT_CONFIRMED", "nothing was erased");
		goto out;
	}
	(void)pdv_erase_subject(s.client, &request, &s.options, &r);
	if ((rc = session_failed(r, f)) == PDV_OK)
		rc = json_out_print(erasure_json(pdv_result_erasure(r)),
		    a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
out:
	pdv_result_free(r);
	session_close(&s);
	return rc;
}
