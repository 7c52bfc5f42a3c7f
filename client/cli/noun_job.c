/*
 * job list, show, pause, resume, cancel.
 */
#include <unistd.h>

#include "job_call.h"
#include "json_out.h"
#include "nouns.h"

#define KEYS "/pdvault.v1.Keys/"

static enum pdv_code
print(const struct args *a, json_t *doc, struct failure *f)
{
	return json_out_print(doc, a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
}

enum pdv_code
noun_job_list(const struct args *a, struct failure *f)
{
	static const struct raw_method method = { KEYS "ListJobs",
		&pdvault__v1__list_jobs_response__descriptor, false };
	Pdvault__V1__ListJobsRequest q = PDVAULT__V1__LIST_JOBS_REQUEST__INIT;
	Pdvault__V1__ListJobsResponse *r = NULL;
	struct session s = {.client = NULL};
	json_t *list = json_array();
	enum pdv_code rc;

	if ((rc = session_open(&s, a, 0, f)) != PDV_OK ||
	    (rc = raw_call(&s, &method, &q.base, &r, f)) != PDV_OK)
		goto out;
	for (size_t i = 0; i < r->n_jobs; i++)
		(void)json_array_append_new(list, job_json(r->jobs[i], a->values[FLAG_JSON] != NULL));
	rc = print(a, json_pack("{s:O}", "jobs", list), f);
	pdvault__v1__list_jobs_response__free_unpacked(r, NULL);
out:
	json_decref(list);
	session_close(&s);
	return rc;
}

static enum pdv_code
one(const struct args *a, const char *method, const ProtobufCMessage *q, struct failure *f)
{
	struct session s = {.client = NULL};
	Pdvault__V1__Job *job = NULL;
	enum pdv_code rc;

	if ((rc = session_open(&s, a, 0, f)) == PDV_OK && (rc = job_call(&s, method, q, &job, f)) == PDV_OK) {
		rc = print(a, job_json(job, true), f);
		pdvault__v1__job__free_unpacked(job, NULL);
	}
	session_close(&s);
	return rc;
}

enum pdv_code
noun_job_show(const struct args *a, struct failure *f)
{
	Pdvault__V1__GetJobRequest q = PDVAULT__V1__GET_JOB_REQUEST__INIT;
	uint8_t id[16];
	enum pdv_code rc = job_id(a->operand, id, f);

	q.job = (ProtobufCBinaryData){sizeof(id), id};
	return rc == PDV_OK ? one(a, KEYS "GetJob", &q.base, f) : rc;
}

static enum pdv_code
wish(const struct args *a, Pdvault__V1__JobWish what, struct failure *f)
{
	Pdvault__V1__ControlJobRequest q = PDVAULT__V1__CONTROL_JOB_REQUEST__INIT;
	uint8_t id[16];
	enum pdv_code rc = job_id(a->operand, id, f);

	q.job = (ProtobufCBinaryData){sizeof(id), id};
	q.wish = what;
	return rc == PDV_OK ? one(a, KEYS "ControlJob", &q.base, f) : rc;
}

enum pdv_code
noun_job_pause(const struct args *a, struct failure *f)
{
	return wish(a, PDVAULT__V1__JOB_WISH__PAUSE, f);
}

enum pdv_code
noun_job_resume(const struct args *a, struct failure *f)
{
	return wish(a, PDVAULT__V1__JOB_WISH__RESUME, f);
}

enum pdv_code
noun_job_cancel(const struct args *a, struct failure *f)
{
	return wish(a, PDVAULT__V1__JOB_WISH__CANCEL, f);
}
