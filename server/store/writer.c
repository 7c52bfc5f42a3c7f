#include "server/store/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "client/transport/registers.h"
#include "server/clock.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/mutant.h"
#include "server/store/backup.h"
#include "server/store/batch.h"
#include "server/store/idempotency.h"
#include "server/store/litter.h"
#include "server/store/switch.h"
#include "server/store/vault_internal.h"
#include "server/store/writeset.h"

#define IDLE_SECONDS 1
#define SWEEP_IDLE 256u		/* idempotency rows looked at each idle second */
#define SWEEP_PER_JOB 2u
#define LITTER_IDLE 4096u	/* rows without a key that are deleted at once while nobody waits, */
#define LITTER_BUSY 256u	/* and beside a batch */
#define FLUSH_NS 200000000	/* for the last answers to leave the process */
#define VERIFY_EVERY_NS UINT64_C(3600000000000)	/* the live slot of the anchor is read again each hour */
#define MEND_EVERY_NS 1000000000u	/* how often it is tried to get out of a trouble */
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
	bool littered;			/* as far as the last sweep saw */
	unsigned batch_max;		/* smaller when the last did not fit together */
	bool tight;			/* there was no room for the last with those that are modest */
	uint64_t mended_ns, verified_ns;
};

#ifdef PDV_TEST_HOOKS
static _Atomic uint64_t verify_every_ns = VERIFY_EVERY_NS;

void
writer_test_verify_every(uint64_t ns)
{
	verify_every_ns = ns;
}
#else
static const uint64_t verify_every_ns = VERIFY_EVERY_NS;
#endif

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
	while (w->queued == 0 && !w->draining && !w->littered)
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

static bool
is_full(const struct writer *w)
{
	return (atomic_load(&w->vault->trouble) & VAULT_FULL) != 0;
}

static enum status
admit(struct writer *w, const struct write_job *job, uint64_t now)
{
	if (now > job->deadline_ns)
		return STATUS_EXPIRED;
	if ((atomic_load(&w->vault->trouble) & ~(unsigned)VAULT_FULL) != 0)
		return STATUS_READ_ONLY;
	return (is_full(w) && !job->erasure) || (w->tight && job->modest) ? STATUS_FULL : STATUS_OK;
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

/* A batch in the making: the jobs up to ${rest}. */
struct take {
	uint64_t begun_ns;
	unsigned taken, applied;
	struct write_job *rest;
	bool modest;		/* one that is was applied */
};

/*
 * K1 for as many jobs as the batch has room for. What has none beside others is left to the next batch,
 * for it may fit alone. The overlay may be spoiled then (overlay.h).
 */
static struct take
collect(struct writer *w, struct write_job *jobs)
{
	struct take t = { .begun_ns = clock_monotonic_ns(), .rest = jobs };

	while (t.rest != NULL && t.taken < w->batch_max && !overlay_is_spoiled(w->overlay)) {
		struct write_job *job = t.rest;

		if ((job->rc = admit(w, job, t.begun_ns)) == STATUS_OK)
			job->rc = apply(w, job);
		if (t.taken > 0 && (job->rc == STATUS_NO_MEMORY || overlay_is_spoiled(w->overlay)))
			break;
		t.applied += job->rc == STATUS_OK;
		t.modest |= job->rc == STATUS_OK && job->modest;
		t.taken++;
		t.rest = job->next;
	}
	return t;
}

/* Rows that are of no use any more, as a part of the batch. True: some were deleted. */
static bool
sweep(struct writer *w, unsigned outcomes, unsigned litter)
{
	bool some = false;

	writeset_reset(w->ws);
	if (idempotency_sweep(w->ws, &w->sweep, outcomes) == STATUS_OK && w->sweep.deleted > 0)
		some = writeset_merge(w->ws) == STATUS_OK;
	writeset_reset(w->ws);
	if (litter_sweep(w->ws, litter, &w->littered) != STATUS_OK)
		w->littered = false;	/* again in a second */
	if (w->littered)
		some = writeset_merge(w->ws) == STATUS_OK || some;
	writeset_reset(w->ws);
	return some;
}

/* Everybody who asked must hear of it before the process ends. */
static _Noreturn void
stop_indeterminate(struct writer *w)
{
	const struct timespec flush = { .tv_nsec = FLUSH_NS };

	log_event(LOG_INDETERMINATE, LOG_N(EPOCH, epoch_current(w->vault->epochs)),
	    LOG_S(WHY, "a storage error whose outcome is unknown; recovery at the next start decides"));
	registers_wipe();
	(void)nanosleep(&flush, NULL);
	_exit(WRITER_EXIT_INDETERMINATE);
}

static void
note_waits(const struct write_job *jobs, const struct take *t)
{
	for (; jobs != t->rest; jobs = jobs->next)
		metrics_time(METRIC_TIME_QUEUE_WAIT, t->begun_ns - jobs->queued_ns);
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
	w->mended_ns = clock_monotonic_ns();
	vault_trouble(w->vault, VAULT_FULL, true);
	log_event(LOG_STORE_FULL, LOG_S(WHAT, "only erasures are taken"));
}

/* Out of trouble, if the world has changed: also under load, when no second is idle. */
static void
mend(struct writer *w)
{
	uint64_t now = clock_monotonic_ns();

	if (atomic_load(&w->vault->trouble) == 0 || now - w->mended_ns < MEND_EVERY_NS)
		return;
	w->mended_ns = now;
	switch_retry(w->vault);
	vault_look_at_class(w->vault);
	if (is_full(w) && store_allocate(w->vault->store, ROOM_ROWS, ROOM_BYTES, false) == STATUS_OK)
		vault_trouble(w->vault, VAULT_FULL, false);
}

/* K2 to K6 for what was collected, if there is anything to be written. */
static enum status
commit(struct writer *w, const struct take *t, bool *fatal)
{
	if (overlay_is_spoiled(w->overlay))
		return STATUS_NO_MEMORY;
	if (t->applied == 0)
		return STATUS_OK;
	(void)sweep(w, t->applied * SWEEP_PER_JOB, LITTER_BUSY);
	return batch_commit(w->vault, w->overlay, is_full(w), fatal);
}

/*
 * What does not fit together, in the store or in the batch's memory, may fit in smaller batches. True: do it
 * all again; nothing was changed, and nobody was answered.
 */
static bool
again(struct writer *w, const struct take *t, enum status rc)
{
	bool spoiled = overlay_is_spoiled(w->overlay);

	w->batch_max = WRITER_BATCH_MAX;
	if (rc == STATUS_FULL && t->modest) {
		w->tight = true;
		return true;
	}
	w->tight = false;
	if (rc == STATUS_FULL && !is_full(w)) {
		enter_full(w);
		return true;
	}
	if ((rc != STATUS_FULL && rc != STATUS_NO_MEMORY) || t->taken < 2)
		return false;
	/* The one that spoiled it is not among those taken. */
	w->batch_max = spoiled ? t->taken : t->taken / 2;
	return true;
}

/* Read past the cache; if it does not give the root any more, memory still has it. */
static void
verify(struct writer *w)
{
	uint64_t now = clock_monotonic_ns(), epoch = epoch_current(w->vault->epochs);
	const struct root *root = epoch_root(w->vault->epochs, epoch);
	struct anchor *a = w->vault->anchor;
	bool fatal = false;
	enum status rc;

	if (now - w->verified_ns < verify_every_ns ||
	    (atomic_load(&w->vault->trouble) & ~(unsigned)VAULT_FULL) != 0)
		return;
	w->verified_ns = now;
	rc = anchor_verify(a, root);
	/* Of several files first the bad one: a switch cut off must not look as if it was done there. */
	if (rc != STATUS_OK && anchor_files(a) > 1)
		rc = anchor_spread(a, root);
	if (rc != STATUS_OK) {
		log_event(LOG_ANCHOR_ERROR, LOG_N(EPOCH, epoch),
		    LOG_S(WHAT, "the live slot is bad: it is replaced"));
		rc = batch_renew(w->vault, w->overlay, &fatal);
	}
	/* What was written has been read back. */
	if (rc == STATUS_OK)
		metrics_set(METRIC_ANCHOR_VERIFIED, (uint64_t)clock_wall_ms() / 1000);
	if (fatal)
		stop_indeterminate(w);
}

/* One batch: the jobs that it did not take are returned. */
static struct write_job *
run_batch(struct writer *w, struct write_job *jobs)
{
	struct take t;
	bool fatal = false, repeat;
	enum status rc;

	mend(w);
	verify(w);
	if ((rc = overlay_begin(w->overlay)) != STATUS_OK) {
		for (struct write_job *j = jobs; j != NULL; j = j->next)
			j->rc = rc;
		answer(w, jobs, NULL, rc);
		return NULL;
	}
	t = collect(w, jobs);
	if (mutant(receipt_first))
		answer(w, jobs, t.rest, STATUS_OK);
	rc = commit(w, &t, &fatal);
	repeat = again(w, &t, rc);
	overlay_end(w->overlay);
	if (repeat)
		return jobs;
	if (rc == STATUS_OK)
		metrics_add(METRIC_MUTATIONS, t.applied);
	if (!mutant(receipt_first)) {
		note_waits(jobs, &t);
		answer(w, jobs, t.rest, rc);
	}
	if (fatal)
		stop_indeterminate(w);
	return t.rest;
}

/* No work: old outcomes and litter go, which may be what a full store waits for. */
static void
idle(struct writer *w)
{
	bool fatal = false;

	mend(w);
	verify(w);
	if ((atomic_load(&w->vault->trouble) & ~(unsigned)VAULT_FULL) != 0 ||
	    overlay_begin(w->overlay) != STATUS_OK)
		return;
	if (sweep(w, SWEEP_IDLE, LITTER_IDLE) &&
	    batch_commit(w->vault, w->overlay, is_full(w), &fatal) != STATUS_OK)
		w->littered = false;
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

		backup_sweep(w->vault);
		if (jobs == NULL && !ended)
			idle(w);
		while (jobs != NULL)
			jobs = run_batch(w, jobs);
		registers_wipe();
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
	w->verified_ns = clock_monotonic_ns();	/* recovery has just read it */
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
