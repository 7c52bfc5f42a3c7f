/*
 * Jobs that are made by themselves: when the last of a kind that was done is older than the
 * configuration wants.
 */
#include <stdlib.h>

#include "server/clock.h"
#include "server/rotate/rotate_internal.h"
#include "server/store/seals_list.h"
#include "server/store/vault_internal.h"

#define AGAIN_MS 3600000	/* after one that failed, was cancelled or did not renew all */

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
			return job_is_open(&all[i]) || ((all[i].state != JOB_DONE || all[i].damaged > 0) &&
			    now - all[i].ended_ms < AGAIN_MS);
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

/* When the oldest key of that kind was made, as far as it can have another one; 0: it cannot. */
static int64_t
made_ms(struct vault *v, const struct job *all, unsigned count, enum job_kind kind)
{
	int64_t last;

	if (kind == JOB_SEAL)	/* one of them may have been away then */
		return seals_oldest_ms(v);
	last = last_of(all, count, kind);
	return last != 0 ? last : vault_created_ms(v);
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
	int64_t now = clock_wall_ms();
	unsigned count = 0;

	if (all == NULL || job_list(r->o.vault, NULL, all, JOB_ROWS_MAX, &count) != STATUS_OK)
		goto out;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		int64_t made = made_ms(r->o.vault, all, count, wanted[i].kind);

		if (wanted[i].every != 0 && made != 0 && now - made >= (int64_t)wanted[i].every &&
		    !is_to_wait(all, count, wanted[i].kind, now))
			(void)!rotate_do(r, ask, &wanted[i]);
	}
out:
	free(all);
}
