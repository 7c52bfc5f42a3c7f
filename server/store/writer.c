#include "server/store/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/store/batch.h"
#include "server/store/idempotency.h"
#include "server/store/switch.h"
#include "server/store/vault_internal.h"
#include "server/store/writeset.h"

#define IDLE_SECONDS 1
#define SWEEP_IDLE 256u		/* idempotency rows looked at each idle second */
#define SWEEP_PER_JOB 2u
#define FLUSH_NS 200000000	/* for the last answers to leave the process */
#define ROOM_EVERY_NS 1000000000u	/* a full store is asked this often whether it has room again */
#define ROOM_ROWS 64u
#define ROOM_BYTES 65536u

struct writer {
	struct vault *vault;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct write_job *head, **tail;		/* first come, first served */
	struct write_job *erase_head, **erase_tail;	/* but erasures before all others */
	unsigned queued;
	bool draining;

	/* The thread's own. */
	struct overlay *overlay;
	struct writeset *ws;
	struct idempotency_sweep sweep;
	bool full;			/* only erasures are taken */
	unsigned batch_max;		/* smaller while even those do not fit together */
	uint64_t room_asked_ns;
};

static void
empty(struct writer *w)
{
	w->head = w->erase_head = NULL;
	w->tail = &w->head;
	w->erase_tail = &w->erase_head;
	w->queued = 0;
}

/* Waits for work; NULL: a second went by, or (with *ended) there will be none any more. */
static struct write_job *
take(struct writer *w, bool *ended)
{
	struct write_job *jobs;
	struct timespec until;

	must(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
	until.tv_sec += IDLE_SECONDS;
	must(pthread_mutex_lock(&w->lock) == 0);
	while (w->queued == 0 && !w->draining)
		if (pthread_cond_timedwait(&w->wake, &w->lock, &until) == ETIMEDOUT)
			break;
	*w->erase_tail = w->head;
	jobs = w->erase_head;
	empty(w);
	*ended = jobs == NULL && w->draining;
	must(pthread_mutex_unlock(&w->lock) == 0);
	metrics_set(METRIC_QUEUE, 0);
	return jobs;
}

static enum status
admit(struct writer *w, const struct write_job *job, uint64_t now)
{
	if (now > job->deadline_ns)
		return STATUS_EXPIRED;
	if (atomic_load(&w->vault->read_only) != NULL)
		return STATUS_READ_ONLY;
	if (w->full && !job->erasure)
		return STATUS_FULL;
	return STATUS_OK;
}

/* K1 for one job. */
static enum status
apply(struct writer *w, struct write_job *job)
{
	enum status rc;

	writeset_reset(w->ws);
	if ((rc = job->apply(job, w->ws)) == STATUS_OK)
		rc = writeset_merge(w->ws);
	writeset_reset(w->ws);
	return rc;
}

/*
 * K1 for as many jobs as the batch has room for; *rest is the first that it has none for. STATUS_IO: half
 * of a job is in the overlay, so this batch must not be written.
 */
static enum status
collect(struct writer *w, struct write_job *jobs, struct write_job **rest, unsigned *applied)
{
	uint64_t now = clock_monotonic_ns();
	struct write_job *job;
	unsigned taken = 0;

	*applied = 0;
	for (job = jobs; job != NULL && taken < w->batch_max; job = job->next, taken++) {
		metrics_time(METRIC_TIME_QUEUE_WAIT, now - job->queued_ns);
		if ((job->rc = admit(w, job, now)) != STATUS_OK)
			continue;
		job->rc = apply(w, job);
		if (job->rc == STATUS_NO_MEMORY && *applied > 0)
			break;
		if (job->rc == STATUS_INDETERMINATE) {
			job->rc = STATUS_IO;
			log_event(LOG_STORE_ERROR, LOG_S(WHAT, "half a request: its batch is dropped"));
			*rest = job->next;
			return STATUS_IO;
		}
		*applied += job->rc == STATUS_OK;
	}
	*rest = job;
	return STATUS_OK;
}

static void
sweep(struct writer *w, unsigned limit)
{
	writeset_reset(w->ws);
	if (idempotency_sweep(w->ws, &w->sweep, limit) == STATUS_OK && w->sweep.deleted > 0)
		(void)!writeset_merge(w->ws);
	writeset_reset(w->ws);
}

/* Everybody who asked must hear of it before the process ends. */
static _Noreturn void
stop_indeterminate(struct writer *w)
{
	const struct timespec flush = { .tv_nsec = FLUSH_NS };

	log_event(LOG_INDETERMINATE, LOG_N(EPOCH, epoch_current(w->vault->epochs)),
	    LOG_S(WHY, "a storage error whose outcome is unknown; recovery at the next start decides"));
	(void)nanosleep(&flush, NULL);
	_exit(WRITER_EXIT_INDETERMINATE);
}

/*
 * K7 for the jobs up to ${end}. When the batch failed, what came after its first success was judged by
 * a state that never was: "erased", "taken" or "changed" would be false.
 */
static void
answer(struct writer *w, struct write_job *jobs, const struct write_job *end, enum status batch)
{
	uint64_t epoch = epoch_current(w->vault->epochs);
	bool moot = false;

	while (jobs != end) {
		struct write_job *next = jobs->next;

		moot = moot || (batch != STATUS_OK && jobs->rc == STATUS_OK);
		jobs->done(jobs, moot || jobs->rc == STATUS_OK ? batch : jobs->rc, epoch);
		jobs = next;
	}
}

/* The store is full: from now on erasures alone, out of the reserve. */
static void
enter_full(struct writer *w)
{
	w->full = true;
	w->room_asked_ns = clock_monotonic_ns();
	metrics_set(METRIC_READ_ONLY, 1);
	log_event(LOG_STORE_FULL, LOG_S(WHAT, "only erasures are taken"));
}

static void
look_for_room(struct writer *w)
{
	uint64_t now = clock_monotonic_ns();

	if (!w->full || now - w->room_asked_ns < ROOM_EVERY_NS)
		return;
	w->room_asked_ns = now;
	if (store_allocate(w->vault->store, ROOM_ROWS, ROOM_BYTES, false) != STATUS_OK)
		return;
	w->full = false;
	metrics_set(METRIC_READ_ONLY, atomic_load(&w->vault->read_only) != NULL);
}

/* One batch: the jobs that it did not take are returned. */
static struct write_job *
run_batch(struct writer *w, struct write_job *jobs)
{
	struct write_job *rest;
	unsigned applied;
	bool fatal = false;
	enum status rc;

	look_for_room(w);
	if ((rc = overlay_begin(w->overlay)) != STATUS_OK) {
		for (struct write_job *j = jobs; j != NULL; j = j->next)
			j->rc = rc;
		answer(w, jobs, NULL, rc);
		return NULL;
	}
	rc = collect(w, jobs, &rest, &applied);
	if (rc == STATUS_OK && applied > 0) {
		sweep(w, applied * SWEEP_PER_JOB);
		rc = batch_commit(w->vault, w->overlay, w->full, &fatal);
	}
	overlay_end(w->overlay);
	if (rc == STATUS_FULL && !w->full) {
		enter_full(w);
		return jobs;
	}
	/* What does not fit together may fit one by one. */
	if (rc == STATUS_FULL && applied > 1) {
		w->batch_max = applied / 2;
		return jobs;
	}
	w->batch_max = WRITER_BATCH_MAX;
	if (rc == STATUS_OK && applied > 0)
		metrics_add(METRIC_MUTATIONS, applied);
	answer(w, jobs, rest, rc);
	if (fatal)
		stop_indeterminate(w);
	return rest;
}

/* A second without work: old outcomes go, which may be what a full store waits for. */
static void
idle(struct writer *w)
{
	bool fatal = false;

	look_for_room(w);
	switch_retry(w->vault);
	if (atomic_load(&w->vault->read_only) != NULL || overlay_begin(w->overlay) != STATUS_OK)
		return;
	sweep(w, SWEEP_IDLE);
	if (w->sweep.deleted > 0)
		(void)!batch_commit(w->vault, w->overlay, w->full, &fatal);
	overlay_end(w->overlay);
	if (fatal)
		stop_indeterminate(w);
}

static void *
run(void *arg)
{
	struct writer *w = arg;
	bool ended = false;

	while (!ended) {
		struct write_job *jobs = take(w, &ended);

		if (jobs == NULL && !ended)
			idle(w);
		while (jobs != NULL)
			jobs = run_batch(w, jobs);
	}
	return NULL;
}

static void
writer_free(struct writer *w)
{
	if (w == NULL)
		return;
	writeset_free(w->ws);
	overlay_free(w->overlay);
	(void)pthread_cond_destroy(&w->wake);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

enum status
writer_start(struct vault *v, struct writer **out)
{
	struct writer *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;
	enum status rc;

	if (w == NULL)
		return STATUS_NO_MEMORY;
	w->vault = v;
	w->batch_max = WRITER_BATCH_MAX;
	empty(w);
	must(pthread_mutex_init(&w->lock, NULL) == 0);
	must(pthread_condattr_init(&attr) == 0);
	must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	must(pthread_cond_init(&w->wake, &attr) == 0);
	must(pthread_condattr_destroy(&attr) == 0);
	if ((rc = overlay_new(v, &w->overlay)) != STATUS_OK ||
	    (rc = writeset_new(v, w->overlay, &w->ws)) != STATUS_OK)
		goto out;
	if (pthread_create(&w->thread, NULL, run, w) != 0) {
		rc = STATUS_NO_MEMORY;
		goto out;
	}
	*out = w;
	w = NULL;
out:
	writer_free(w);
	return rc;
}

static void
append(struct write_job ***tail, struct write_job *job)
{
	**tail = job;
	*tail = &job->next;
}

enum status
writer_submit(struct writer *w, struct write_job *job)
{
	enum status rc = STATUS_OK;

	must(pthread_mutex_lock(&w->lock) == 0);
	if (w->draining) {
		rc = STATUS_DRAINING;
	} else if (w->queued == WRITER_QUEUE_MAX) {
		rc = STATUS_BUSY;
	} else {
		job->next = NULL;
		job->queued_ns = clock_monotonic_ns();
		append(job->erasure ? &w->erase_tail : &w->tail, job);
		w->queued++;
		metrics_set(METRIC_QUEUE, w->queued);
		must(pthread_cond_signal(&w->wake) == 0);
	}
	must(pthread_mutex_unlock(&w->lock) == 0);
	return rc;
}

void
writer_stop(struct writer *w)
{
	if (w == NULL)
		return;
	must(pthread_mutex_lock(&w->lock) == 0);
	w->draining = true;
	must(pthread_cond_signal(&w->wake) == 0);
	must(pthread_mutex_unlock(&w->lock) == 0);
	must(pthread_join(w->thread, NULL) == 0);
	writer_free(w);
}
