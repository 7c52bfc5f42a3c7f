/*
 * A new look-up key: the present one becomes the one before, and both are looked up; entries move
 * subject by subject; what is left of the one before is swept, and the key goes.
 */

#include "pdvault/v1/subject.pb-c.h"
#include "server/clock.h"
#include "server/mutant.h"
#include "server/rotate/step_internal.h"
#include "server/store/lookup_list.h"
#include "server/store/record.h"
#include "server/store/subject.h"
#include "server/store/vault_internal.h"
#include "server/store/writeset_internal.h"

enum { BEGIN, MOVE, SWEEP, END };

static enum status
change(struct step *s, enum writeset_root what)
{
	enum status rc;

	writeset_change_root(s->ws, what);
	rc = writeset_merge(s->ws);
	writeset_reset(s->ws);
	if (rc == STATUS_OK)
		s->job->step++;
	return rc;
}

/* The clock may have been set back since it was asked for: what is made now is new enough, by today's clock. */
static enum status
begin(struct step *s)
{
	enum status rc = change(s, WRITESET_INDEX_BEGINS);
	int64_t made = overlay_root(s->ws->overlay)->index_ms;

	if (rc == STATUS_OK && made < s->job->floor_ms)
		s->job->floor_ms = made;
	return rc;
}

static enum status
move_all(struct step *s, const struct keyring *k, const Pdvault__V1__Identity *identity)
{
	size_t most = lookup_list_max(identity), len = (most + 1) * sizeof(struct lookup);
	struct lookup *list = arena_alloc(s->arena, len);
	struct lookup_fault bad;
	unsigned count = 0, moves = 0;
	enum status rc;

	if (list == NULL)
		return STATUS_NO_MEMORY;
	rc = lookup_list(identity, s->ws->vault->country_code, list, &count, &bad);
	for (unsigned i = 0; i < count && rc == STATUS_OK; i++) {
		bool moved = false;

		rc = writeset_move_lookup(s->ws, &list[i], k->subject, &moved);
		moves += moved;
		/* One that cannot be moved does not keep back the others. */
		if (step_is_damage(rc)) {
			s->job->damaged++;
			rc = STATUS_OK;
		}
	}
	/* What was taken before the rules for it changed. */
	if (rc == STATUS_INVALID)
		return STATUS_CORRUPT;
	return rc == STATUS_OK && moves == 0 ? STATUS_ABSENT : rc;
}

static enum status
move(struct step *s, const struct keyring *opened, void *arg)
{
	const Pdvault__V1__Identity *identity;
	const struct keyring *k;
	struct bytes plain;
	uint8_t id[SUBJECT_ID_LEN];
	enum status rc;

	(void)arg;
	if (opened->category[SUBJECT_IDENTITY - 1].state != CATEGORY_LIVE)
		return STATUS_ABSENT;
	memcpy(id, opened->subject, sizeof(id));
	if ((rc = writeset_subject(s->ws, id, &k)) != STATUS_OK ||
	    (rc = writeset_record(s->ws, k, SUBJECT_IDENTITY, s->arena, &plain)) != STATUS_OK)
		return rc;
	if (bytes_get64(plain.p) == RECORD_LOST_ETAG)
		return STATUS_LOST;
	identity = (const void *)protobuf_c_message_unpack(&pdvault__v1__identity__descriptor,
	    arena_allocator(s->arena), plain.len - RECORD_HEAD, plain.p + RECORD_HEAD);
	return identity != NULL ? move_all(s, k, identity) : STATUS_CORRUPT;
}

static enum status
sweep(struct step *s)
{
	struct overlay_walker w = { .walk = OVERLAY_SWEEP, .limit = s->units };
	enum status rc;

	step_walker_load(s->job, &w);
	if ((rc = overlay_walk(s->ws->overlay, &w)) != STATUS_OK)
		return rc;
	step_walker_save(&w, s->job);
	s->job->damaged += w.damaged;
	if (w.table == STORE_TABLE_COUNT)
		s->job->step = END;
	return STATUS_OK;
}

enum status
step_index(struct step *s)
{
	enum status rc = STATUS_OK;
	int64_t made;

	switch (s->job->step) {
	case BEGIN:
		/* One that was cut short by a cancelled job is ended by the next. */
		if (!lookup_has_before(overlay_root(s->ws->overlay)) || mutant(index_key_kept))
			return begin(s);
		s->job->step = MOVE;
		return STATUS_OK;
	case MOVE:
		rc = step_each_subject(s, move, NULL);
		if (rc == STATUS_OK && s->ended) {
			s->ended = false;
			s->job->step = SWEEP;
			s->job->cursor_len = 0;
		}
		return rc;
	case SWEEP:
		return sweep(s);
	default:
		if ((rc = change(s, WRITESET_INDEX_ENDS)) != STATUS_OK)
			return rc;
		/* What another job had begun is ended by this one; its own key must be a newer one. */
		made = overlay_root(s->ws->overlay)->index_ms;
		s->ended = made >= s->job->floor_ms && made <= clock_wall_ms();
		if (!s->ended) {
			s->job->step = BEGIN;
			s->job->cursor_len = 0;
		}
		return STATUS_OK;
	}
}
