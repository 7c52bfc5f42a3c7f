#include "server/pulse.h"

#include <stddef.h>
#include <string.h>

#include "server/clock.h"
#include "server/metrics.h"

_Static_assert(offsetof(struct pulse, job) == 0, "done gets its pulse from the job");

/* Fails, so that the batch has nothing of it to commit. */
static enum status
apply(struct write_job *job, struct writeset *ws)
{
	(void)job;
	(void)ws;
	return STATUS_ABSENT;
}

static void
done(struct write_job *job, enum status rc, uint64_t epoch)
{
	struct pulse *p = (struct pulse *)(void *)job;

	(void)rc;
	(void)epoch;
	atomic_store(&p->writer_ns, clock_monotonic_ns());
	atomic_store(&p->under_way, false);
}

void
pulse_start(struct pulse *p, uint64_t now)
{
	memset(p, 0, sizeof(*p));
	p->commits = metrics_get(METRIC_COMMITS);
	atomic_store(&p->main_ns, now);
	atomic_store(&p->writer_ns, now);
}

void
pulse_tick(struct pulse *p, struct writer *w, uint64_t now)
{
	uint64_t commits = metrics_get(METRIC_COMMITS);

	atomic_store(&p->main_ns, now);
	/* A full queue keeps the job out; a writer that commits is alive all the same. */
	if (commits != p->commits)
		atomic_store(&p->writer_ns, now);
	p->commits = commits;
	if (atomic_load(&p->under_way) || now < p->next_ns)
		return;
	p->next_ns = now + PULSE_EVERY_NS;
	p->job = (struct write_job){ .apply = apply, .done = done, .deadline_ns = UINT64_MAX };
	atomic_store(&p->under_way, true);
	if (writer_submit(w, &p->job) != STATUS_OK)
		atomic_store(&p->under_way, false);
}

static bool
silent(uint64_t since, uint64_t now)
{
	return now > since && now - since > PULSE_LIMIT_NS;
}

const char *
pulse_stuck(const struct pulse *p, uint64_t now)
{
	if (silent(atomic_load(&p->main_ns), now))
		return "main thread stuck";
	return silent(atomic_load(&p->writer_ns), now) ? "writer stuck" : NULL;
}
