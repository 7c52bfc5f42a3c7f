/*
 * Rotations and seals: docs/PROTOCOL.md, Keys.
 */
#include <string.h>

#include "pdvault/v1/keys.pb-c.h"
#include "server/clock.h"
#include "server/rotate/rotate.h"
#include "server/service.h"
#include "server/store/seals_change.h"
#include "server/store/seals_list.h"
#include "server/store/subject.h"
#include "server/store/vault_internal.h"
#include "server/validate.h"

#define LIST_DEFAULT 50u
#define LIST_MAX 100u

static const ProtobufCMessageDescriptor *const job_type = &pdvault__v1__job__descriptor;

static ProtobufCBinaryData
keep(struct call *c, const void *p, size_t len)
{
	struct bytes b = arena_copy(c->arena, bytes_of(p, len));

	return (ProtobufCBinaryData){ b.p != NULL ? len : 0, (uint8_t *)(uintptr_t)b.p };
}

static char *
keep_text(struct call *c, const char *s)
{
	return (char *)(uintptr_t)arena_copy(c->arena, bytes_of(s, strlen(s) + 1)).p;
}

/* NULL in *out stands for a time that is not known yet. */
static bool
set_time(struct call *c, int64_t ms, Pdvault__V1__Timestamp **out)
{
	*out = ms != 0 ? service_time(c, ms) : NULL;
	return ms == 0 || *out != NULL;
}

static enum status
fill_statement(struct vault *v, struct call *c, const struct job *j, Pdvault__V1__Job *m)
{
	uint8_t said[JOB_STATEMENT_LEN];

	if (j->signer == 0)
		return STATUS_OK;
	job_statement(j, vault_id(v), said);
	m->signer = j->signer;
	m->statement = keep(c, said, sizeof(said));
	m->signature = keep(c, j->signature, sizeof(j->signature));
	return m->statement.data != NULL && m->signature.data != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status
fill(struct vault *v, struct call *c, const struct job *j, Pdvault__V1__Job *m)
{
	m->job = keep(c, j->id, sizeof(j->id));
	m->kind = (Pdvault__V1__JobKind)j->kind;
	m->state = (Pdvault__V1__JobState)j->state;
	m->rate = j->rate;
	m->older_than_seconds = j->older_s;
	m->category = (Pdvault__V1__Category)j->category;
	m->retire = j->retire;
	m->floor_epoch = j->floor_epoch;
	m->done = j->done;
	m->total = j->total;
	m->damaged = j->damaged;
	m->micros = j->micros;
	if (!subject_id_is_zero(j->subject))
		m->subject = keep(c, j->subject, sizeof(j->subject));
	m->failure = keep_text(c, j->failure);
	m->seal = keep_text(c, j->seal);
	m->principal = keep_text(c, j->principal);
	if (m->job.data == NULL || m->failure == NULL || m->seal == NULL || m->principal == NULL ||
	    !set_time(c, j->created_ms, &m->create_time) || !set_time(c, j->started_ms, &m->start_time) ||
	    !set_time(c, j->updated_ms, &m->update_time) || !set_time(c, j->ended_ms, &m->end_time) ||
	    !set_time(c, j->floor_ms, &m->floor_time))
		return STATUS_NO_MEMORY;
	return fill_statement(v, c, j, m);
}

/* The answer of what changes one. */
static enum status
answer(struct vault *v, const struct service_once *once, const struct job *j)
{
	Pdvault__V1__Job *m = service_message(once->c, job_type);
	enum status rc;

	if (m == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = fill(v, once->c, j, m)) != STATUS_OK)
		return rc;
	once->c->response = &m->base;
	return STATUS_OK;
}

/* The outcome that is kept of a request names the job alone: a retry gets it as it is now. */
static enum status
remember(const struct service_once *once, const struct job *j)
{
	const ProtobufCMessage *whole = once->c->response;
	Pdvault__V1__Job *m = service_message(once->c, job_type);
	enum status rc;

	if (m == NULL || (m->job = keep(once->c, j->id, sizeof(j->id))).data == NULL)
		return STATUS_NO_MEMORY;
	once->c->response = &m->base;
	rc = service_remember(once, NULL);
	once->c->response = whole;
	return rc;
}

static enum status
replay(struct vault *v, const struct service_once *once)
{
	const Pdvault__V1__Job *m;
	struct job j;
	enum status rc = service_replay(once);

	if (rc != STATUS_OK)
		return rc;
	m = (const void *)once->c->response;
	if (m->job.len != JOB_ID_LEN || (rc = job_load(once->ws, m->job.data, &j)) != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_NO_JOB : rc == STATUS_OK ? STATUS_CORRUPT : rc;
	return answer(v, once, &j);
}

static enum status
ask(struct vault *v, const struct service_once *once, struct job *j)
{
	struct job made;
	enum status rc;

	(void)snprintf(j->principal, sizeof(j->principal), "%s", once->c->principal);
	if ((rc = rotate_ask(once->ws, j, &made)) != STATUS_OK)
		return rc == STATUS_BUSY ? STATUS_JOBS : rc;
	rc = answer(v, once, &made);
	return rc == STATUS_OK ? remember(once, &made) : rc;
}

static enum status
validate_start(struct call *c)
{
	const Pdvault__V1__StartRotationRequest *q = (const void *)c->request;
	bool subjects = q->kind == PDVAULT__V1__JOB_KIND__SUBJECTS;
	bool elsewhere = q->category == PDVAULT__V1__CATEGORY__CONTENT ||
			 q->category == PDVAULT__V1__CATEGORY__USAGE;

	if (q->kind < PDVAULT__V1__JOB_KIND__SEAL || q->kind > PDVAULT__V1__JOB_KIND__SIGNING)
		return call_violates(c, "OUT_OF_RANGE", "kind");
	if (!subjects && q->older_than_seconds != 0)
		return call_violates(c, "NOT_FOR_THIS_KIND", "older_than_seconds");
	if (!subjects && q->category != 0)
		return call_violates(c, "NOT_FOR_THIS_KIND", "category");
	if (!subjects && q->subject.len > 0)
		return call_violates(c, "NOT_FOR_THIS_KIND", "subject");
	if (q->retire && (!elsewhere || q->older_than_seconds != 0))
		return call_violates(c, "NOT_FOR_THIS_KIND", "retire");
	if (q->kind != PDVAULT__V1__JOB_KIND__SEAL && q->seal[0] != '\0')
		return call_violates(c, "NOT_FOR_THIS_KIND", "seal");
	return validate_message(c);
}

static enum status
start_rotation(struct vault *v, struct call *c, struct writeset *ws)
{
	const Pdvault__V1__StartRotationRequest *q = (const void *)c->request;
	const struct service_once once = { c, ws, NULL, 0, 0, job_type };
	struct job j = { .kind = (enum job_kind)q->kind, .rate = q->rate, .older_s = q->older_than_seconds,
		.category = (uint8_t)q->category, .retire = q->retire };
	enum status rc = replay(v, &once);

	if (rc != STATUS_ABSENT)
		return rc;
	if (q->subject.len > 0)
		memcpy(j.subject, q->subject.data, sizeof(j.subject));
	(void)snprintf(j.seal, sizeof(j.seal), "%s", q->seal);
	return ask(v, &once, &j);
}

static enum status
add_seal(struct vault *v, struct call *c, struct writeset *ws)
{
	const Pdvault__V1__AddSealRequest *q = (const void *)c->request;
	const struct service_once once = { c, ws, NULL, 0, 0, job_type };
	struct job j = { .kind = JOB_SEAL_ADD };
	enum status rc = replay(v, &once);

	if (rc != STATUS_ABSENT)
		return rc;
	if ((rc = seals_offer(v, q->name, bytes_of(q->secret.data, q->secret.len))) != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_NO_SEAL : rc;
	(void)snprintf(j.seal, sizeof(j.seal), "%s", q->name);
	return ask(v, &once, &j);
}

static enum status
remove_seal(struct vault *v, struct call *c, struct writeset *ws)
{
	const Pdvault__V1__RemoveSealRequest *q = (const void *)c->request;
	const struct service_once once = { c, ws, NULL, 0, 0, job_type };
	struct job j = { .kind = JOB_SEAL_REMOVE };
	enum status rc = replay(v, &once);

	if (rc != STATUS_ABSENT)
		return rc;
	(void)snprintf(j.seal, sizeof(j.seal), "%s", q->name);
	return ask(v, &once, &j);
}

static enum status
validate_control(struct call *c)
{
	const Pdvault__V1__ControlJobRequest *q = (const void *)c->request;

	return q->wish < PDVAULT__V1__JOB_WISH__PAUSE || q->wish > PDVAULT__V1__JOB_WISH__CANCEL ?
	    call_violates(c, "OUT_OF_RANGE", "wish") : validate_message(c);
}

static enum status
control_job(struct vault *v, struct call *c, struct writeset *ws)
{
	static const enum rotate_wish wishes[] = { [PDVAULT__V1__JOB_WISH__PAUSE] = ROTATE_PAUSE,
		[PDVAULT__V1__JOB_WISH__RESUME] = ROTATE_RESUME,
		[PDVAULT__V1__JOB_WISH__CANCEL] = ROTATE_CANCEL };
	const Pdvault__V1__ControlJobRequest *q = (const void *)c->request;
	const struct service_once once = { c, ws, NULL, 0, 0, job_type };
	struct job j;
	enum status rc = replay(v, &once);

	if (rc != STATUS_ABSENT)
		return rc;
	if ((rc = rotate_wish(ws, q->job.data, wishes[q->wish], &j)) != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_NO_JOB : rc == STATUS_REFUSED ? STATUS_JOB_ENDED : rc;
	rc = answer(v, &once, &j);
	return rc == STATUS_OK ? remember(&once, &j) : rc;
}

static enum status
get_job(struct vault *v, struct call *c)
{
	const Pdvault__V1__GetJobRequest *q = (const void *)c->request;
	const struct service_once once = { c, NULL, NULL, 0, 0, job_type };
	struct job j;
	enum status rc = job_get(v, q->job.data, &j);

	return rc == STATUS_OK ? answer(v, &once, &j) : rc == STATUS_ABSENT ? STATUS_NO_JOB : rc;
}

static enum status
validate_list(struct call *c)
{
	const Pdvault__V1__ListJobsRequest *q = (const void *)c->request;

	return q->page_size > LIST_MAX ? call_violates(c, "OUT_OF_RANGE", "page_size") : validate_message(c);
}

static enum status
list_jobs(struct vault *v, struct call *c)
{
	const Pdvault__V1__ListJobsRequest *q = (const void *)c->request;
	Pdvault__V1__ListJobsResponse *r = service_message(c, &pdvault__v1__list_jobs_response__descriptor);
	unsigned limit = q->page_size > 0 ? q->page_size : LIST_DEFAULT, count = 0;
	struct job *jobs = arena_alloc(c->arena, limit * sizeof(*jobs));
	enum status rc;

	if (r == NULL || jobs == NULL || (r->jobs = arena_alloc(c->arena, limit * sizeof(r->jobs[0]))) == NULL)
		return STATUS_NO_MEMORY;
	if ((rc = job_list(v, q->before.len > 0 ? q->before.data : NULL, jobs, limit, &count)) != STATUS_OK)
		return rc;
	for (; r->n_jobs < count; r->n_jobs++) {
		if ((r->jobs[r->n_jobs] = service_message(c, job_type)) == NULL)
			return STATUS_NO_MEMORY;
		if ((rc = fill(v, c, &jobs[r->n_jobs], r->jobs[r->n_jobs])) != STATUS_OK)
			return rc;
	}
	c->response = &r->base;
	return STATUS_OK;
}

static enum status
fill_seal(struct call *c, const struct seals_info *s, Pdvault__V1__Seal *m)
{
	char class[2] = { s->class, '\0' };

	m->name = keep_text(c, s->name);
	m->kind = (char *)(uintptr_t)s->kind;
	m->configured = s->configured;
	m->used = s->used;
	m->opens = s->used && s->opens;
	m->class_ = keep_text(c, class);
	m->class_reason = (char *)(uintptr_t)s->class_why;
	m->since_epoch = s->since;
	m->interval_seconds = s->interval_s;
	if (s->used)
		m->version = keep(c, s->id, sizeof(s->id));
	return m->name != NULL && m->class_ != NULL && set_time(c, s->tested_ms, &m->test_time) &&
	    set_time(c, s->made_ms, &m->create_time) ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status
list_seals(struct vault *v, struct call *c)
{
	Pdvault__V1__ListSealsResponse *r = service_message(c, &pdvault__v1__list_seals_response__descriptor);
	struct seals_info all[2 * PROVIDER_MAX];
	unsigned count = seals_list(v, all);
	enum status rc;

	if (r == NULL || (r->seals = arena_alloc(c->arena, (count + 1) * sizeof(r->seals[0]))) == NULL)
		return STATUS_NO_MEMORY;
	for (; r->n_seals < count; r->n_seals++) {
		if ((r->seals[r->n_seals] = service_message(c, &pdvault__v1__seal__descriptor)) == NULL)
			return STATUS_NO_MEMORY;
		if ((rc = fill_seal(c, &all[r->n_seals], r->seals[r->n_seals])) != STATUS_OK)
			return rc;
	}
	c->response = &r->base;
	return STATUS_OK;
}

static enum status
check_seals(struct vault *v, struct call *c)
{
	Pdvault__V1__CheckSealsResponse *r = service_message(c, &pdvault__v1__check_seals_response__descriptor);

	if (r == NULL || (r->time = service_time(c, clock_wall_ms())) == NULL)
		return STATUS_NO_MEMORY;
	rotate_check_seals(v);
	c->response = &r->base;
	return STATUS_OK;
}

#define KEYS(name) "/pdvault.v1.Keys/" name

const struct method service_keys_methods[] = {
	{ KEYS("StartRotation"), &pdvault__v1__start_rotation_request__descriptor, METHOD_WRITER,
	    validate_start, NULL, start_rotation, false },
	{ KEYS("GetJob"), &pdvault__v1__get_job_request__descriptor, METHOD_POOL, validate_message,
	    get_job, NULL, false },
	{ KEYS("ListJobs"), &pdvault__v1__list_jobs_request__descriptor, METHOD_POOL, validate_list,
	    list_jobs, NULL, false },
	{ KEYS("ControlJob"), &pdvault__v1__control_job_request__descriptor, METHOD_WRITER,
	    validate_control, NULL, control_job, false },
	{ KEYS("ListSeals"), &pdvault__v1__list_seals_request__descriptor, METHOD_POOL, NULL,
	    list_seals, NULL, false },
	{ KEYS("AddSeal"), &pdvault__v1__add_seal_request__descriptor, METHOD_WRITER,
	    validate_message, NULL, add_seal, false },
	{ KEYS("RemoveSeal"), &pdvault__v1__remove_seal_request__descriptor, METHOD_WRITER,
	    validate_message, NULL, remove_seal, false },
	{ KEYS("CheckSeals"), &pdvault__v1__check_seals_request__descriptor, METHOD_POOL, NULL,
	    check_seals, NULL, false },
};
const unsigned service_keys_count = sizeof(service_keys_methods) / sizeof(service_keys_methods[0]);
