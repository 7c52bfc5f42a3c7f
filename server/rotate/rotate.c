#include "server/rotate/rotate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/transport/registers.h"
#include "server/clock.h"
#include "server/metrics.h"
#include "server/rotate/rotate_internal.h"
#include "server/rotate/step.h"
#include "server/store/vault_internal.h"

#define IDLE_NS 50000000u		/* between two looks for a job */
#define UNITS_MAX 256u			/* of a step: a batch of so many takes some milliseconds */
#define STEPS_A_SECOND 50u		/* of a job with a rate */
#define TEST_EVERY_NS UINT64_C(86400000000000)
#define SCHEDULE_EVERY_NS UINT64_C(60000000000)
#define DEADLINE_NS UINT64_C(60000000000)
#define RETRY_NS 1000000000u		/* after a step that could not be done now */

/* What waits for the writer. */
struct request {
	struct write_job job;
	struct rotate *r;
	rotate_apply *apply;
	void *arg;
	bool through;
	enum status rc;
};

static struct request *
request_of(struct write_job *job)
{
	return (struct request *)(void *)((char *)job - offsetof(struct request, job));
}

static enum status
apply(struct write_job *job, struct writeset *ws)
{
	struct request *q = request_of(job);

	return q->apply(q->r, ws, q->arg);
}

static void
done(struct write_job *job, enum status rc, uint64_t epoch)
{
	struct request *q = request_of(job);

	(void)epoch;
	must(pthread_mutex_lock(&q->r->lock) == 0);
	q->rc = rc;
	q->through = true;
	must(pthread_cond_broadcast(&q->r->wake) == 0);
	must(pthread_mutex_unlock(&q->r->lock) == 0);
}

enum status
rotate_do(struct rotate *r, rotate_apply *f, void *arg)
{
	struct request q = { .job = { .apply = apply, .done = done,
		.deadline_ns = clock_monotonic_ns() + DEADLINE_NS, .modest = f == rotate_step },
		.r = r, .apply = f, .arg = arg };
	enum status rc;

	if ((rc = writer_submit(r->o.writer, &q.job)) != STATUS_OK)
		return rc;
	must(pthread_mutex_lock(&r->lock) == 0);
	while (!q.through)
		must(pthread_cond_wait(&r->wake, &r->lock) == 0);
	must(pthread_mutex_unlock(&r->lock) == 0);
	return q.rc;
}

/* At most so long, or until it is to end. */
static void
pause_for(struct rotate *r, uint64_t ns)
{
	struct timespec until;

	must(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
	ns += (uint64_t)until.tv_nsec;
	until.tv_sec += (time_t)(ns / 1000000000u);
	until.tv_nsec = (long)(ns % 1000000000u);
	must(pthread_mutex_lock(&r->lock) == 0);
	while (!r->stopping && pthread_cond_timedwait(&r->wake, &r->lock, &until) != ETIMEDOUT)
		;
	must(pthread_mutex_unlock(&r->lock) == 0);
}

static bool
is_stopping(struct rotate *r)
{
	bool is;

	must(pthread_mutex_lock(&r->lock) == 0);
	is = r->stopping;
	must(pthread_mutex_unlock(&r->lock) == 0);
	return is;
}

typedef enum status step_of_kind(struct step *s);

/* NULL: of seals, which rotate_seals() does. */
static step_of_kind *const step_of[JOB_KINDS] = { [JOB_TREE] = step_tree, [JOB_SUBJECTS] = step_subjects,
	[JOB_INDEX] = step_index, [JOB_SIGNING] = step_signing };

/* Also when it was paused: meanwhile another job of its kind may have done part of it, or begun anew. */
static void
begin(struct job *j)
{
	if (j->started_ms == 0)
		j->started_ms = clock_wall_ms();
	if (j->kind == JOB_INDEX) {
		j->step = 0;
		j->cursor_len = 0;
	}
}

enum status
rotate_step(struct rotate *r, struct writeset *ws, void *arg)
{
	struct rotate_going *g = arg;
	struct job j;
	struct step s = { .ws = ws, .arena = r->arena, .job = &j, .units = g->units };
	uint64_t before;
	enum status rc;

	g->runs = false;
	g->looked = 0;
	if ((rc = job_load(ws, g->id, &j)) != STATUS_OK)
		return rc;
	if (j.state != JOB_WAITING && j.state != JOB_RUNNING)
		return STATUS_OK;
	if (j.state == JOB_WAITING)
		begin(&j);
	j.state = JOB_RUNNING;
	before = j.done + j.damaged;
	rc = step_of[j.kind](&s);
	arena_reset(r->arena);
	if (rc == STATUS_BUSY || rc == STATUS_NO_MEMORY || rc == STATUS_IO)
		return rc;		/* it is tried again */
	j.updated_ms = clock_wall_ms();
	g->looked = j.done + j.damaged - before;
	if (rc != STATUS_OK)
		return rotate_end_job(ws, &j, JOB_FAILED, rc);
	g->runs = !s.ended;
	return s.ended ? rotate_end_job(ws, &j, JOB_DONE, STATUS_OK) : job_save(ws, &j);
}

/* How many units the next step may take, after a pause where there is a rate. */
static unsigned
admit(struct rotate *r, const struct job *j)
{
	uint64_t now = clock_monotonic_ns();
	unsigned units;

	if (j->rate == 0)
		return UNITS_MAX;
	units = j->rate / STEPS_A_SECOND;
	units = units == 0 ? 1 : units > UNITS_MAX ? UNITS_MAX : units;
	if (r->credit_ns > now)
		pause_for(r, r->credit_ns - now);
	now = clock_monotonic_ns();
	/* What was lost to a pause is not made up for. */
	r->credit_ns = (r->credit_ns > now - 1000000000u ? r->credit_ns : now) +
	    (uint64_t)units * 1000000000u / j->rate;
	return units;
}

/* Until it has ended, somebody wants it to wait, or the process ends. */
static void
run_steps(struct rotate *r, const struct job *j)
{
	struct rotate_going g = { .runs = true };
	unsigned most = UNITS_MAX;	/* that there was room for */
	enum status rc;

	memcpy(g.id, j->id, sizeof(g.id));
	r->credit_ns = clock_monotonic_ns();
	while (g.runs && !is_stopping(r)) {
		g.units = admit(r, j);
		g.units = g.units < most ? g.units : most;
		rc = rotate_do(r, rotate_step, &g);
		metrics_add(METRIC_JOB_UNITS, g.looked);
		metrics_set(METRIC_JOB_UPDATED, (uint64_t)clock_wall_ms() / 1000);
		if (rc == STATUS_DRAINING)
			return;
		if (rc == STATUS_OK) {
			most = most < UNITS_MAX ? most + 1 : most;
			continue;
		}
		/* Read only, full, busy: it stays where it was. */
		g.runs = true;
		if (rc == STATUS_FULL && g.units > 1)
			most = g.units / 2;
		else
			pause_for(r, RETRY_NS);
	}
}

/* T4: the job that is next is the one that runs, else the first that waits. */
static bool
choose(struct rotate *r, struct job *out)
{
	struct job *all = calloc(JOB_ROWS_MAX, sizeof(*all));
	unsigned count = 0, open = 0;
	bool found = false;

	if (all == NULL || job_list(r->o.vault, NULL, all, JOB_ROWS_MAX, &count) != STATUS_OK)
		count = 0;
	/* Newest first. */
	for (unsigned i = 0; i < count; i++) {
		open += job_is_open(&all[i]);
		if (all[i].state != JOB_RUNNING && all[i].state != JOB_WAITING)
			continue;
		if (found && out->state == JOB_RUNNING)
			continue;
		*out = all[i];
		found = true;
	}
	metrics_set(METRIC_JOBS_OPEN, open);
	free(all);
	return found;
}

static void
check_seals(struct rotate *r)
{
	uint32_t asked = atomic_load(&r->o.vault->seals->asked);
	uint64_t now = clock_monotonic_ns();

	if (asked == r->asked && now - r->tested_ns < TEST_EVERY_NS)
		return;
	r->asked = asked;
	r->tested_ns = now;
	(void)seals_test(r->o.vault);
}

static void
look_after(struct rotate *r)
{
	uint64_t now = clock_monotonic_ns();

	check_seals(r);
	if (now - r->looked_ns < SCHEDULE_EVERY_NS)
		return;
	r->looked_ns = now;
	rotate_schedule(r);
}

static void *
run(void *arg)
{
	struct rotate *r = arg;
	struct job j;

	while (!is_stopping(r)) {
		look_after(r);
		if (vault_read_only(r->o.vault) == NULL && choose(r, &j)) {
			if (step_of[j.kind] != NULL)
				run_steps(r, &j);
			else
				rotate_seals(r, &j);
			metrics_set(METRIC_JOB_UPDATED, 0);
		}
		registers_wipe();
		pause_for(r, IDLE_NS);
	}
	must(pthread_mutex_lock(&r->lock) == 0);
	r->ended = true;
	must(pthread_cond_broadcast(&r->wake) == 0);
	must(pthread_mutex_unlock(&r->lock) == 0);
	return NULL;
}

static void
rotate_free(struct rotate *r)
{
	arena_free(r->arena);
	(void)pthread_cond_destroy(&r->wake);
	(void)pthread_mutex_destroy(&r->lock);
	free(r);
}

enum status
rotate_start(const struct rotate_options *o, struct rotate **out)
{
	struct rotate *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;

	if (r == NULL)
		return STATUS_NO_MEMORY;
	r->o = *o;
	o->vault->rotate_rate = o->rate;
	r->tested_ns = clock_monotonic_ns();	/* all were just opened */
	must(pthread_mutex_init(&r->lock, NULL) == 0);
	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&r->wake, &attr) == 0);
	must(pthread_condattr_destroy(&attr) == 0);
	if ((r->arena = arena_new()) == NULL || pthread_create(&r->thread, NULL, run, r) != 0) {
		rotate_free(r);
		return STATUS_NO_MEMORY;
	}
	*out = r;
	return STATUS_OK;
}

bool
rotate_stop(struct rotate *r, uint64_t patience_ms)
{
	uint64_t until = clock_monotonic_ns() + patience_ms * 1000000u;
	const struct timespec at = { (time_t)(until / 1000000000u), (long)(until % 1000000000u) };
	bool ended;

	if (r == NULL)
		return true;
	must(pthread_mutex_lock(&r->lock) == 0);
	r->stopping = true;
	must(pthread_cond_broadcast(&r->wake) == 0);
	while (!r->ended && pthread_cond_timedwait(&r->wake, &r->lock, &at) != ETIMEDOUT)
		;
	ended = r->ended;
	must(pthread_mutex_unlock(&r->lock) == 0);
	if (!ended)
		return false;
	must(pthread_join(r->thread, NULL) == 0);
	rotate_free(r);
	return true;
}
