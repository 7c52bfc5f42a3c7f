#include "update.h"

#include <unistd.h>

#include "json_out.h"
#include "session.h"

static enum pdv_code
update_identity(struct session *s, const struct pdv_subject_id *id,
    const struct subject_input *in, json_t *doc, struct failure *f)
{
	struct pdv_identity_update request = {.subject = *id, .identity = in->identity,
	    .mask = in->identity_mask, .mask_count = in->identity_mask_n, .etag = in->etag};
	struct pdv_result *r = NULL;
	enum pdv_code rc;

	if (in->identity == NULL)
		return PDV_OK;
	(void)pdv_update_identity(s->client, &request, &s->options, &r);
	if ((rc = session_failed(r, f)) == PDV_OK)
		(void)json_object_set_new(doc, "etag", json_string(pdv_result_etag(r)));
	pdv_result_free(r);
	return rc;
}

static enum pdv_code
update_billing(struct session *s, const struct pdv_subject_id *id,
    const struct subject_input *in, json_t *doc, struct failure *f)
{
	struct pdv_billing_update request = {.subject = *id, .billing = in->billing,
	    .mask = in->billing_mask, .mask_count = in->billing_mask_n, .etag = in->etag};
	struct pdv_result *r = NULL;
	enum pdv_code rc;

	if (in->billing == NULL)
		return PDV_OK;
	(void)pdv_update_billing(s->client, &request, &s->options, &r);
	if ((rc = session_failed(r, f)) == PDV_OK)
		(void)json_object_set_new(doc, in->identity == NULL ? "etag" : "billing_etag",
		    json_string(pdv_result_etag(r)));
	pdv_result_free(r);
	return rc;
}

enum pdv_code
update_run(const struct args *a, update_reader read, struct failure *f)
{
	struct session s = {.client = NULL};
	struct subject_input in = {.etag = NULL};
	struct pdv_subject_id id;
	json_t *doc = NULL;
	enum pdv_code rc;

	if ((rc = session_subject(a->operand, &id, f)) != PDV_OK ||
	    (rc = read(a, &in, f)) != PDV_OK)
		goto out;
	if (a->values[FLAG_IDEMPOTENCY_KEY] != NULL && in.identity != NULL && in.billing != NULL) {
		rc = failure_usage(f, "--idempotency-key: identity and billing are two calls");
		goto out;
	}
	if ((rc = session_open(&s, a, 0, f)) != PDV_OK)
		goto out;
	doc = json_pack("{s:o}", "subject", json_out_subject(&id));
	if ((rc = update_identity(&s, &id, &in, doc, f)) != PDV_OK ||
	    (rc = update_billing(&s, &id, &in, doc, f)) != PDV_OK) {
		if (in.identity != NULL && in.billing != NULL)
			session_repeatable(f);
		goto out;
	}
	rc = json_out_print(doc, a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
	doc = NULL;
out:
	json_decref(doc);
	session_close(&s);
	subject_input_drop(&in);
	return rc;
}
