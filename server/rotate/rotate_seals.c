/*
 * Jobs that change the seals: what is new is made, one switch wraps for it, what is old is destroyed. A
 * crash before the switch leaves the job as it was; after it, what is old is destroyed at the next
 * start, by seals_settle() or when the job goes on.
 */
#include <string.h>

#include "server/clock.h"
#include "server/rotate/rotate_internal.h"
#include "server/store/vault_internal.h"

#define WAIT_LEAST_NS UINT64_C(1000000000)
#define WAIT_MOST_NS UINT64_C(600000000000)

struct sealing {
	uint8_t id[JOB_ID_LEN];
	struct seals_change *change;
	enum status why;	/* it fails so */
	uint64_t micros;
	bool wanted;		/* out: nobody has paused or cancelled it */
};

static enum status
load(struct writeset *ws, struct sealing *s, struct job *j)
{
	enum status rc = job_load(ws, s->id, j);

	s->wanted = rc == STATUS_OK && (j->state == JOB_WAITING || j->state == JOB_RUNNING);
	return rc;
}

/* S2: the switch, and in the same commit that it was made. */
static enum status
make_switch(struct rotate *r, struct writeset *ws, void *arg)
{
	struct sealing *s = arg;
	struct job j;
	enum status rc;

	(void)r;
	if ((rc = load(ws, s, &j)) != STATUS_OK || !s->wanted)
		return rc;
	if ((rc = writeset_reseal(ws, s->change->next)) != STATUS_OK)
		return rc;
	if (j.started_ms == 0)
		j.started_ms = clock_wall_ms();
	j.state = JOB_RUNNING;
	j.step = JOB_STEP_SWITCHED;
	j.done = s->change->count;
	if (s->change->taken)
		j.floor_ms = 0;
	j.damaged = s->change->left;
	j.total = j.done + j.damaged;
	return job_save(ws, &j);
}

static enum status
finish(struct rotate *r, struct writeset *ws, void *arg)
{
	struct sealing *s = arg;
	struct job j;
	enum status rc = load(ws, s, &j);

	(void)r;
	if (rc != STATUS_OK || !job_is_open(&j))
		return rc;
	if (j.started_ms == 0)
		j.started_ms = clock_wall_ms();
	j.micros = s->micros;
	return rotate_end_job(ws, &j, s->why == STATUS_OK ? JOB_DONE : JOB_FAILED, s->why);
}

static enum status
prepare(struct vault *v, const struct job *j, struct seals_change *c)
{
	if (j->kind == JOB_SEAL_ADD)
		return seals_add(v, j->seal, c);
	if (j->kind == JOB_SEAL_REMOVE)
		return seals_remove(v, j->seal, c);
	return seals_renew(v, j->seal, c);
}

/* A version that was made in vain has worn its device: each time it is longer until the next one. */
static void
make_less_often(struct rotate *r)
{
	r->seals_wait_ns = r->seals_wait_ns == 0 ? WAIT_LEAST_NS : r->seals_wait_ns * 2;
	if (r->seals_wait_ns > WAIT_MOST_NS)
		r->seals_wait_ns = WAIT_MOST_NS;
	r->seals_ns = clock_monotonic_ns() + r->seals_wait_ns;
}

void
rotate_seals(struct rotate *r, const struct job *j)
{
	struct vault *v = r->o.vault;
	uint64_t start = clock_monotonic_ns();
	struct seals_change c;
	struct sealing s = { .change = &c, .why = STATUS_OK };
	enum status rc = STATUS_OK;

	memcpy(s.id, j->id, sizeof(s.id));
	/* T4: the switch was made; a crash, or an old slot that could not be erased, came before the end. */
	if (job_is_switched(j)) {
		rc = seals_finish(v, j->seal, j->kind == JOB_SEAL_REMOVE) ? STATUS_OK : STATUS_SEAL;
	} else if (start < r->seals_ns) {
		return;
	} else if ((rc = prepare(v, j, &c)) == STATUS_OK) {
		rc = rotate_do(r, make_switch, &s);
		if (rc == STATUS_INDETERMINATE) {
			seals_leave(v, &c);
			return;
		}
		if (!seals_conclude(v, &c, rc == STATUS_OK && s.wanted))
			rc = STATUS_SEAL;
		if (rc == STATUS_OK && !s.wanted)
			return;
	}
	/* Full, busy or read only: later. */
	if (rc == STATUS_FULL || rc == STATUS_BUSY || rc == STATUS_READ_ONLY || rc == STATUS_DRAINING) {
		make_less_often(r);
		return;
	}
	r->seals_wait_ns = 0;
	s.why = rc;
	s.micros = (clock_monotonic_ns() - start) / 1000;
	(void)!rotate_do(r, finish, &s);
}
