#include <unistd.h>

#include "json_out.h"
#include "nouns.h"
#include "session.h"

static json_t *
erasure_json(const struct pdv_erasure *e)
{
	json_t *doc, *categories = json_array();
	size_t i;

	doc = json_pack("{s:o, s:s, s:I}", "erasure", json_out_erasure(&e->erasure),
	    "state", pdv_erasure_state_name(e->state), "epoch", (json_int_t)e->epoch);
	if (e->subject != NULL)
		(void)json_object_set_new(doc, "subject", json_out_subject(e->subject));
	if (e->time != NULL)
		(void)json_object_set_new(doc, "time", json_out_time(e->time));
	for (i = 0; i < e->category_count; i++)
		(void)json_array_append_new(categories,
		    json_string(pdv_category_name(e->categories[i])));
	(void)json_object_set_new(doc, "categories", categories);
	if (e->final_time != NULL)
		(void)json_object_set_new(doc, "final_time", json_out_time(e->final_time));
	if (e->key_backup_count > 0)
		(void)json_object_set_new(doc, "key_backups", json_integer((json_int_t)e->key_backup_count));
	if (e->class_ != NULL && e->class_[0] != '\0')
		(void)json_object_set_new(doc, "class", json_string(e->class_));
	if (e->ledger != NULL)
		(void)json_object_set_new(doc, "ledger", json_out_proof(e->ledger));
	return doc;
}

enum pdv_code
noun_erasure_get(const struct args *a, struct failure *f)
{
	struct session s = {.client = NULL};
	struct pdv_result *r = NULL;
	struct pdv_erasure_id id;
	enum pdv_code rc;

	if ((rc = session_erasure(a->operand, &id, f)) != PDV_OK ||
	    (rc = session_open(&s, a, 0, f)) != PDV_OK)
		goto out;
	(void)pdv_get_erasure(s.client, &id, &s.options, &r);
	if ((rc = session_failed(r, f)) == PDV_OK)
		rc = json_out_print(erasure_json(pdv_result_erasure(r)),
		    a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
out:
	pdv_result_free(r);
	session_close(&s);
	return rc;
}
