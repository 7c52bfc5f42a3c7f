/*
 * What is asked of jobs: a new one, and that one is paused, goes on, or is given up.
 */
#include <stdio.h>
#include <string.h>

#include "server/clock.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/rotate/rotate_internal.h"
#include "server/store/overlay.h"
#include "server/store/subject.h"
#include "server/store/vault_internal.h"
#include "server/store/writeset_internal.h"

static enum status
fits(const struct job *j)
{
	bool named = j->kind == JOB_SEAL_ADD || j->kind == JOB_SEAL_REMOVE;

	if (j->kind < JOB_SEAL || j->kind >= JOB_KINDS || j->category > CATEGORY_COUNT)
		return STATUS_INVALID;
	if (j->kind != JOB_SUBJECTS &&
	    (j->category != 0 || j->older_s != 0 || j->retire || !subject_id_is_zero(j->subject)))
		return STATUS_INVALID;
	if (j->retire && (!subject_keeps_before(j->category) || j->older_s != 0))
		return STATUS_INVALID;
	if (j->seal[0] == '\0')
		return named ? STATUS_INVALID : STATUS_OK;
	return named || j->kind == JOB_SEAL ? STATUS_OK : STATUS_INVALID;
}

/* About how many units it will go through. */
static enum status
estimate(struct writeset *ws, struct job *j)
{
	struct store_snapshot *s = overlay_snapshot(ws->overlay);
	uint64_t keyrings = 0, buckets = 0, nodes = 0;
	enum status rc;

	j->total = 1;
	if (j->kind != JOB_TREE && j->kind != JOB_SUBJECTS && j->kind != JOB_INDEX)
		return STATUS_OK;
	if ((rc = store_count(s, STORE_KEYRINGS, &keyrings)) != STATUS_OK ||
	    (rc = store_count(s, STORE_BUCKETS, &buckets)) != STATUS_OK ||
	    (rc = store_count(s, STORE_NODES, &nodes)) != STATUS_OK)
		return rc;
	if (j->kind == JOB_TREE)
		j->total = keyrings + buckets + nodes;
	else if (subject_id_is_zero(j->subject))
		j->total = keyrings;
	return STATUS_OK;
}

/* What tidy() finds: ids are in the order of time. */
struct found {
	unsigned rows, open;
	uint64_t newest;		/* time in an id */
	bool some;			/* one may go */
	uint8_t old[JOB_ID_LEN];	/* the oldest of those */
	uint8_t last[JOB_KINDS][JOB_ID_LEN];	/* the newest that is done, of each kind; zero: none */
};

static void
may_go(struct found *f, const uint8_t id[static JOB_ID_LEN])
{
	if (!f->some || memcmp(id, f->old, JOB_ID_LEN) < 0)
		memcpy(f->old, id, JOB_ID_LEN);
	f->some = true;
}

/* The newest that is done of each kind stays: the schedule counts from it, and it proves what it says. */
static void
note(struct found *f, const struct job *j)
{
	static const uint8_t none[JOB_ID_LEN];

	f->rows++;
	f->newest = bytes_get64(j->id);
	f->open += job_is_open(j);
	if (job_is_open(j))
		return;
	if (j->state != JOB_DONE || !job_is_whole(j)) {
		may_go(f, j->id);
		return;
	}
	if (memcmp(f->last[j->kind], none, sizeof(none)) != 0)
		may_go(f, f->last[j->kind]);
	memcpy(f->last[j->kind], j->id, JOB_ID_LEN);
}

/* Of jobs that have ended the oldest goes, when there are too many. */
static enum status
tidy(struct writeset *ws, struct found *f)
{
	uint8_t from[JOB_ID_LEN + 1] = { 0 };
	struct bytes key, value, at = bytes_of(from, 0);
	struct job j;
	enum status rc;

	memset(f, 0, sizeof(*f));
	while ((rc = store_seek(overlay_snapshot(ws->overlay), STORE_JOBS, at, &key, &value)) == STATUS_OK) {
		if (key.len != JOB_ID_LEN || job_decode(key.p, value, &j) != STATUS_OK)
			return STATUS_CORRUPT;
		note(f, &j);
		memcpy(from, key.p, JOB_ID_LEN);
		from[JOB_ID_LEN] = 0;
		at = bytes_of(from, JOB_ID_LEN + 1);
	}
	if (rc != STATUS_ABSENT)
		return rc;
	if (f->rows < JOB_KEPT + f->open || !f->some)
		return STATUS_OK;
	return writeset_delete(ws, STORE_JOBS, bytes_of(f->old, JOB_ID_LEN));
}

enum status
rotate_ask(struct writeset *ws, const struct job *ask, struct job *out)
{
	int64_t now = clock_wall_ms();
	struct job j = *ask;
	struct found f;
	enum status rc;

	if ((rc = fits(&j)) != STATUS_OK || (rc = tidy(ws, &f)) != STATUS_OK)
		return rc;
	if (f.open >= JOB_OPEN_MAX)
		return STATUS_BUSY;
	/* They are done in the order of their ids. */
	bytes_put64(j.id, (uint64_t)now > f.newest ? (uint64_t)now : f.newest + 1);
	seal_random(j.id + 8, JOB_ID_LEN - 8);
	j.rate = j.rate == 0 ? ws->vault->rotate_rate : j.rate == ROTATE_FULL ? 0 : j.rate;
	j.state = JOB_WAITING;
	j.created_ms = j.updated_ms = now;
	/* T1: what is made from now on is new enough; what was made in this very second may be not. */
	j.floor_ms = j.retire ? 0 : now - (int64_t)j.older_s * 1000;	/* to retire makes no keys */
	j.floor_epoch = overlay_root(ws->overlay)->epoch + 1;
	if ((rc = estimate(ws, &j)) != STATUS_OK || (rc = job_save(ws, &j)) != STATUS_OK)
		return rc;
	*out = j;
	return STATUS_OK;
}

enum status
rotate_wish(struct writeset *ws, const uint8_t id[static JOB_ID_LEN], enum rotate_wish wish, struct job *out)
{
	struct job j;
	enum status rc = job_load(ws, id, &j);

	if (rc != STATUS_OK)
		return rc;
	/* Of a change of seals that was made only the old version is left to be destroyed. */
	if (!job_is_open(&j) || (wish == ROTATE_CANCEL && job_is_switched(&j)))
		return STATUS_REFUSED;
	j.updated_ms = clock_wall_ms();
	if (wish == ROTATE_PAUSE)
		j.state = JOB_PAUSED;
	else if (wish == ROTATE_RESUME && j.state == JOB_PAUSED)
		j.state = JOB_WAITING;	/* so that no two ever run */
	rc = wish == ROTATE_CANCEL ? rotate_end_job(ws, &j, JOB_CANCELLED, STATUS_OK) : job_save(ws, &j);
	if (rc == STATUS_OK)
		*out = j;
	return rc;
}

enum status
rotate_end_job(struct writeset *ws, struct job *j, enum job_state state, enum status why)
{
	j->state = state;
	(void)snprintf(j->failure, sizeof(j->failure), "%s", state == JOB_FAILED ? status_reason(why) : "");
	j->ended_ms = j->updated_ms = clock_wall_ms();
	/* T3 */
	if (state == JOB_DONE)
		job_sign(j, &(struct ledger_signer){ writeset_root(ws), ws->vault->id });
	log_event(LOG_JOB, LOG_S(NAME, job_kind_name(j->kind)), LOG_S(WHAT, job_state_name(state)),
	    LOG_N(COUNT, j->done), LOG_S(WHY, state == JOB_FAILED ? status_reason(why) : ""));
	if (state == JOB_FAILED)
		metrics_add(METRIC_JOBS_FAILED, 1);
	return job_save(ws, j);
}

void
rotate_check_seals(struct vault *v)
{
	atomic_fetch_add(&v->seals->asked, 1);
}
