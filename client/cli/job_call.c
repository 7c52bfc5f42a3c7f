#include "job_call.h"

#include <sodium.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "json_out.h"
#include "progress.h"

#define KEYS "/pdvault.v1.Keys/"

enum { POLL_MS = 50, POLL_SLOW_MS = 250, ID_LEN = 16 };

static const char *const kinds[] = { "?", "seal", "tree", "subjects", "index", "signing",
	"seal-add", "seal-remove" };
static const char *const states[] = {"?", "waiting", "running", "paused", "done", "cancelled", "failed"};

static const char *
name_of(const char *const *names, size_t count, int i)
{
	return i > 0 && (size_t)i < count ? names[i] : names[0];
}

enum pdv_code
job_call(struct session *s, const char *method, const ProtobufCMessage *request, Pdvault__V1__Job **out,
    struct failure *f)
{
	const struct raw_method m = {method, &pdvault__v1__job__descriptor, strcmp(method, KEYS "GetJob") != 0};

	return raw_call(s, &m, request, out, f);
}

json_t *
job_json_time(const Pdvault__V1__Timestamp *t)
{
	struct pdv_time at;

	if (t == NULL)
		return json_null();
	at = (struct pdv_time){.seconds = t->seconds, .nanos = t->nanos};
	return json_out_time(&at);
}

/* Only where there is something to tell. */
static void
add_scope(json_t *doc, const Pdvault__V1__Job *j)
{
	struct pdv_subject_id subject;

	if (j->older_than_seconds > 0)
		(void)json_object_set_new(doc, "older_than_seconds", json_integer(j->older_than_seconds));
	if (j->category != 0)
		(void)json_object_set_new(doc, "category",
		    json_string(pdv_category_name((enum pdv_category)j->category)));
	if (j->subject.len == sizeof(subject.bytes)) {
		memcpy(subject.bytes, j->subject.data, sizeof(subject.bytes));
		(void)json_object_set_new(doc, "subject", json_out_subject(&subject));
	}
	if (j->seal[0] != '\0')
		(void)json_object_set_new(doc, "seal", json_string(j->seal));
	if (j->retire)
		(void)json_object_set_new(doc, "retire", json_true());
	if (j->rate > 0)
		(void)json_object_set_new(doc, "rate", json_integer(j->rate));
}

json_t *
job_json(const Pdvault__V1__Job *j, bool whole)
{
	json_t *doc = json_pack("{s:o, s:s, s:s, s:I, s:I, s:I, s:s, s:o, s:o, s:o}",
	    "job", json_out_hex(j->job.data, j->job.len),
	    "kind", name_of(kinds, sizeof(kinds) / sizeof(kinds[0]), (int)j->kind),
	    "state", name_of(states, sizeof(states) / sizeof(states[0]), (int)j->state),
	    "done", (json_int_t)j->done, "total", (json_int_t)j->total, "damaged", (json_int_t)j->damaged,
	    "principal", j->principal, "create_time", job_json_time(j->create_time),
	    "start_time", job_json_time(j->start_time), "end_time", job_json_time(j->end_time));

	if (doc == NULL)
		return NULL;
	add_scope(doc, j);
	if (j->failure[0] != '\0')
		(void)json_object_set_new(doc, "failure", json_string(j->failure));
	if (j->micros > 0)
		(void)json_object_set_new(doc, "micros", json_integer((json_int_t)j->micros));
	if (j->signature.len == 0)
		return doc;
	if (j->floor_time != NULL)
		(void)json_object_set_new(doc, "no_key_older_than", job_json_time(j->floor_time));
	if (!whole)
		return doc;
	(void)json_object_set_new(doc, "signer", json_integer((json_int_t)j->signer));
	(void)json_object_set_new(doc, "statement", json_out_hex_long(j->statement.data, j->statement.len));
	(void)json_object_set_new(doc, "signature", json_out_hex(j->signature.data, j->signature.len));
	return doc;
}

enum pdv_code
job_id(const char *text, uint8_t out[ID_LEN], struct failure *f)
{
	size_t len;

	if (sodium_hex2bin(out, ID_LEN, text, strlen(text), NULL, &len, NULL) != 0 ||
	    len != ID_LEN || strlen(text) != 2 * ID_LEN)
		return failure_set(f, PDV_INVALID_ARGUMENT, "MALFORMED_ID",
		    "the id of a job is 32 hexadecimal digits");
	return PDV_OK;
}

static void
pause_ms(unsigned ms)
{
	const struct timespec t = {.tv_sec = 0, .tv_nsec = (long)ms * 1000000};

	(void)nanosleep(&t, NULL);
}

static bool
goes_on(const Pdvault__V1__Job *j)
{
	return j->state == PDVAULT__V1__JOB_STATE__WAITING || j->state == PDVAULT__V1__JOB_STATE__RUNNING;
}

static enum pdv_code
end_of(const Pdvault__V1__Job *j, struct failure *f)
{
	if (j->state == PDVAULT__V1__JOB_STATE__DONE)
		return PDV_OK;
	if (j->state == PDVAULT__V1__JOB_STATE__FAILED)
		return failure_set(f, PDV_FAILED_PRECONDITION, "JOB_FAILED",
		    "the job failed: %.64s; the server's log "
		    "says more",
		    j->failure);
	return failure_set(f, PDV_ABORTED, "JOB_STOPPED", "somebody has %s the job",
	    name_of(states, sizeof(states) / sizeof(states[0]), (int)j->state));
}

enum pdv_code
job_follow(struct session *s, Pdvault__V1__Job **job, struct failure *f)
{
	Pdvault__V1__GetJobRequest q = PDVAULT__V1__GET_JOB_REQUEST__INIT;
	struct progress p;
	uint8_t id[ID_LEN];
	enum pdv_code rc = PDV_OK;

	if ((*job)->job.len != sizeof(id))
		return failure_set(f, PDV_DATA_LOSS, PDV_REASON_MALFORMED, "the answer names no job");
	memcpy(id, (*job)->job.data, sizeof(id));
	q.job = (ProtobufCBinaryData){sizeof(id), id};
	progress_start(&p, STDERR_FILENO, stderr, (*job)->total);
	p.what = "units";
	for (unsigned n = 0; goes_on(*job) && rc == PDV_OK; n++) {
		Pdvault__V1__Job *next = NULL;

		progress_show(&p, (*job)->done, (*job)->done, (*job)->damaged);
		pause_ms(n < 20 ? POLL_MS : POLL_SLOW_MS);
		if ((rc = job_call(s, KEYS "GetJob", &q.base, &next, f)) != PDV_OK)
			break;
		pdvault__v1__job__free_unpacked(*job, NULL);
		*job = next;
	}
	progress_clear(&p);
	return rc == PDV_OK ? end_of(*job, f) : rc;
}

enum pdv_code
job_run(const struct args *a, const char *method, const ProtobufCMessage *request, struct failure *f)
{
	struct session s = {.client = NULL};
	Pdvault__V1__Job *job = NULL;
	struct failure print = {.code = PDV_OK};
	enum pdv_code rc;

	if ((rc = session_open(&s, a, 0, f)) != PDV_OK ||
	    (rc = job_call(&s, method, request, &job, f)) != PDV_OK)
		goto out;
	if (a->values[FLAG_DETACH] == NULL)
		rc = job_follow(&s, &job, f);
	if (json_out_print(job_json(job, a->values[FLAG_JSON] != NULL),
		a->values[FLAG_JSON] != NULL, STDOUT_FILENO, &print) != PDV_OK &&
	    rc == PDV_OK) {
		*f = print;
		rc = print.code;
	}
out:
	if (job != NULL)
		pdvault__v1__job__free_unpacked(job, NULL);
	session_close(&s);
	return rc;
}
