#include <unistd.h>

#include "json_out.h"
#include "nouns.h"
#include "session.h"
#include "update.h"

enum pdv_code
noun_billing_get(const struct args *a, struct failure *f)
{
	struct session s = {.client = NULL};
	struct pdv_result *r = NULL;
	struct pdv_subject_id id;
	enum pdv_code rc;

	if ((rc = session_subject(a->operand, &id, f)) != PDV_OK ||
	    (rc = session_open(&s, a, 0, f)) != PDV_OK)
		goto out;
	(void)pdv_get_billing(s.client, &id, &s.options, &r);
	if ((rc = session_failed(r, f)) == PDV_OK)
		rc = json_out_print(json_pack("{s:o, s:o, s:s?}", "subject", json_out_subject(&id),
		    "billing", json_out_message(&schema_billing, pdv_result_billing(r)),
		    "etag", pdv_result_etag(r)), a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
out:
	pdv_result_free(r);
	session_close(&s);
	return rc;
}

enum pdv_code
noun_billing_update(const struct args *a, struct failure *f)
{
	return update_run(a, subject_input_billing, f);
}
