/*
 * key rotate: a new version of keys, while the vault serves.
 */
#include <string.h>
#include <unistd.h>

#include "job_call.h"
#include "json_out.h"
#include "nouns.h"

#define START "/pdvault.v1.Keys/StartRotation"

enum { AGE_MAX = 3650u * 86400u, RATE_MAX = 10000000 };

static const struct {
	const char *name;
	Pdvault__V1__JobKind kind;
} kinds[] = {
	/*
	 * In the order of "all": who knew the keys opens nothing that is written from now on (seal), no
	 * record that was (subjects), no look-up (index), no page that nobody has touched (tree); and
	 * signs nothing (signing).
	 */
	{"seal", PDVAULT__V1__JOB_KIND__SEAL}, {"subjects", PDVAULT__V1__JOB_KIND__SUBJECTS},
	{"index", PDVAULT__V1__JOB_KIND__INDEX}, {"tree", PDVAULT__V1__JOB_KIND__TREE},
	{"signing", PDVAULT__V1__JOB_KIND__SIGNING},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static enum pdv_code
scope(const struct args *a, Pdvault__V1__StartRotationRequest *q, struct pdv_subject_id *subject,
    struct failure *f)
{
	enum pdv_category category;
	enum pdv_code rc;

	if ((rc = args_time(a, FLAG_OLDER_THAN, AGE_MAX, &q->older_than_seconds, f)) != PDV_OK)
		return rc;
	if (a->repeated_n > 1)
		return failure_usage(f, "--category: one, or none for all");
	if (a->repeated_n == 1) {
		if (pdv_category_parse(a->repeated[0], &category) != PDV_OK)
			return failure_usage(f, "unknown category %.64s", a->repeated[0]);
		q->category = (Pdvault__V1__Category)category;
	}
	if (a->values[FLAG_SUBJECT] != NULL) {
		if ((rc = session_subject(a->values[FLAG_SUBJECT], subject, f)) != PDV_OK)
			return rc;
		q->subject = (ProtobufCBinaryData){sizeof(subject->bytes), subject->bytes};
	}
	if (a->values[FLAG_SEAL] != NULL)
		q->seal = (char *)(uintptr_t)a->values[FLAG_SEAL];
	q->retire = a->values[FLAG_RETIRE] != NULL;
	return PDV_OK;
}

static bool
is_scoped(const Pdvault__V1__StartRotationRequest *q)
{
	return q->older_than_seconds != 0 || q->category != PDVAULT__V1__CATEGORY__CATEGORY_UNSPECIFIED ||
	    q->subject.len != 0 || q->seal[0] != '\0' || q->retire;
}

/* "full" or a number; without it the server's own. */
static enum pdv_code
rate(const struct args *a, uint32_t *out, struct failure *f)
{
	unsigned long n = 0;
	enum pdv_code rc;

	*out = 0;
	if (a->values[FLAG_RATE] != NULL && strcmp(a->values[FLAG_RATE], "full") == 0) {
		*out = UINT32_MAX;
		return PDV_OK;
	}
	if ((rc = args_number(a, FLAG_RATE, RATE_MAX, &n, f)) == PDV_OK)
		*out = (uint32_t)n;
	return rc;
}

/* One after the other; what one of them could not do does not keep back the others. */
static enum pdv_code
rotate_all(const struct args *a, uint32_t units, struct failure *f)
{
	struct session s = {.client = NULL};
	json_t *list = json_array();
	enum pdv_code rc = session_open(&s, a, 0, f), worst = PDV_OK;

	for (size_t i = 0; i < KINDS && rc == PDV_OK; i++) {
		Pdvault__V1__StartRotationRequest q;
		Pdvault__V1__Job *job = NULL;

		pdvault__v1__start_rotation_request__init(&q);
		q.kind = kinds[i].kind;
		q.rate = units;
		if ((rc = job_call(&s, START, &q.base, &job, f)) != PDV_OK)
			break;
		if (a->values[FLAG_DETACH] == NULL && job_follow(&s, &job, f) != PDV_OK)
			worst = f->code;
		(void)json_array_append_new(list, job_json(job, a->values[FLAG_JSON] != NULL));
		pdvault__v1__job__free_unpacked(job, NULL);
	}
	session_close(&s);
	if (rc != PDV_OK) {
		json_decref(list);
		return rc;
	}
	rc = json_out_print(json_pack("{s:o}", "jobs", list), a->values[FLAG_JSON] != NULL, STDOUT_FILENO, f);
	return rc == PDV_OK ? worst : rc;
}

enum pdv_code
noun_key_rotate(const struct args *a, struct failure *f)
{
	Pdvault__V1__StartRotationRequest q;
	struct pdv_subject_id subject;
	size_t i = 0;
	enum pdv_code rc;

	pdvault__v1__start_rotation_request__init(&q);
	if ((rc = rate(a, &q.rate, f)) != PDV_OK || (rc = scope(a, &q, &subject, f)) != PDV_OK)
		return rc;
	if (strcmp(a->operand, "all") == 0)
		return is_scoped(&q) ? failure_usage(f, "key rotate all: takes no kind's own options") :
		    rotate_all(a, q.rate, f);
	while (i < KINDS && strcmp(a->operand, kinds[i].name) != 0)
		i++;
	if (i == KINDS)
		return failure_usage(f, "key rotate: seal, tree, subjects, index, signing or all was expected");
	q.kind = kinds[i].kind;
	return job_run(a, START, &q.base, f);
}
