/*
 * New keys for the categories of subjects: each subject's in one batch with its records, which are
 * sealed again (T2). The old keys die with that batch (K5, K6).
 */
#include "server/clock.h"
#include "server/rotate/step_internal.h"
#include "server/store/subject.h"
#include "server/store/writeset_internal.h"

/*
 * Those that have records in the vault; content and usage have data keys elsewhere, and are asked for
 * by name.
 */
static bool
in_scope(const struct job *j, unsigned category)
{
	if (j->category != 0)
		return category == j->category;
	return !subject_keeps_before(category);
}

static bool
has_before(const struct keyring *k, unsigned category)
{
	return subject_keeps_before(category) &&
	    k->before[category - CATEGORY_CONTENT].state != CATEGORY_UNUSED;
}

static bool
is_due(const struct job *j, const struct keyring *k, unsigned category)
{
	const struct keyring_category *c = &k->category[category - 1];

	int64_t made = (int64_t)bytes_get32(c->made) * 1000;

	if (c->state != CATEGORY_LIVE || !in_scope(j, category))
		return false;
	/* One from the future was made while the clock was wrong: it may be as old as any. */
	return j->retire ? has_before(k, category) : made < j->floor_ms || made > clock_wall_ms();
}

static enum status
rotate(struct step *s, const struct keyring *k, void *arg)
{
	bool due[CATEGORY_COUNT + 1] = { false }, any = false;
	struct overlay_row *others = arg;
	struct keyring *edited = NULL;
	uint8_t id[SUBJECT_ID_LEN];
	enum status rc;

	for (unsigned c = 1; c <= CATEGORY_COUNT; c++)
		any |= due[c] = is_due(s->job, k, c);
	if (!any)
		return STATUS_ABSENT;
	if (writeset_has_transactions(others, bytes_get64(k->slot)))
		return STATUS_BUSY;
	memcpy(id, k->subject, sizeof(id));
	if ((rc = writeset_edit_subject(s->ws, id, &edited)) != STATUS_OK)
		return rc;
	for (unsigned c = 1; c <= CATEGORY_COUNT && rc == STATUS_OK; c++) {
		if (due[c] && s->job->retire)
			writeset_retire(s->ws, c);
		else if (due[c])
			rc = writeset_rekey(s->ws, c, s->arena);
	}
	return rc;
}

/* The one whom the job names. */
static enum status
rotate_one(struct step *s, struct overlay_row *others)
{
	const struct keyring *k;
	enum status rc = writeset_subject(s->ws, s->job->subject, &k);

	if (rc == STATUS_OK)
		rc = rotate(s, k, others);
	if (rc == STATUS_BUSY)
		return STATUS_OK;
	if (rc == STATUS_OK)
		rc = writeset_merge(s->ws);
	writeset_reset(s->ws);
	arena_reset(s->arena);
	if (rc == STATUS_OK || rc == STATUS_ABSENT) {
		s->job->done += rc == STATUS_OK;
		s->ended = true;
		return STATUS_OK;
	}
	return rc;
}

enum status
step_subjects(struct step *s)
{
	struct overlay_row *others = overlay_rows(s->ws->overlay);

	if (!subject_id_is_zero(s->job->subject))
		return rotate_one(s, others);
	return step_each_subject(s, rotate, others);
}
