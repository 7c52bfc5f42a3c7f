/*
 * Jobs that are made by themselves: when the last of a kind that was done is older than the
 * configuration wants.
 */
#include <stdlib.h>

#include "server/clock.h"
#include "server/rotate/rotate_internal.h"
#include "server/store/seals_list.h"
#include "server/store/vault_internal.h"

#define AGAIN_MS 3600000	/* after one that failed or was cancelled */

struct wanted {
	enum job_kind kind;
	uint64_t every;
};

/* Of ${all}, the newest first. */
static bool
is_to_wait(const struct job *all, unsigned count, enum job_kind kind, int64_t now)
{
	for (unsigned i = 0; i < count; i++)
		if (all[i].kind == kind && job_is_whole(&all[i]))
			return job_is_open(&all[i]) ||
			    (all[i].state != JOB_DONE && now - all[i].ended_ms < AGAIN_MS);
	return false;
}

/* The row's time of the last that is done; 0: there is none. */
static int64_t
last_of(const struct job *all, unsigned count, enum job_kind kind)
{
	int64_t last = 0;

	for (unsigned i = 0; i < count; i++)
		if (all[i].kind == kind && job_is_whole(&all[i]) && all[i].state == JOB_DONE &&
		    all[i].floor_ms > last)
			last = all[i].floor_ms;
	return last;
}

static bool
is_due(struct vault *v, const struct job *all, unsigned count, const struct wanted *w)
{
	int64_t now = clock_wall_ms(), last;

	if (w->every == 0 || is_to_wait(all, count, w->kind, now))
		return false;
	if (w->kind == JOB_SEAL)	/* one of them may have been away when the last was done */
		return seals_due(v, now, (int64_t)w->every);
	/* The keys of a new vault are as old as it is. */
	last = last_of(all, count, w->kind);
	return now - (last != 0 ? last : vault_created_ms(v)) >= (int64_t)w->every;
}

static enum status
ask(struct rotate *r, struct writeset *ws, void *arg)
{
	const struct wanted *w = arg;
	struct job j = { .kind = w->kind, .principal = "schedule" }, made;

	(void)r;
	return rotate_ask(ws, &j, &made);
}

void
rotate_schedule(struct rotate *r)
{
	const struct rotate_schedule *e = &r->o.every;
	struct wanted wanted[] = { { JOB_SEAL, e->seal }, { JOB_SUBJECTS, e->subjects },
		{ JOB_INDEX, e->index }, { JOB_TREE, e->tree }, { JOB_SIGNING, e->signing } };
	struct job *all = calloc(JOB_ROWS_MAX, sizeof(*all));
	unsigned count = 0;

	if (all == NULL || job_list(r->o.vault, NULL, all, JOB_ROWS_MAX, &count) != STATUS_OK)
		goto out;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (is_due(r->o.vault, all, count, &wanted[i]))
			(void)!rotate_do(r, ask, &wanted[i]);
out:
	free(all);
}
