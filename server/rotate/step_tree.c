/*
 * Fresh keys for every page of both trees: what was sealed before the job began is sealed anew, from
 * the leaves up. What ordinary work has sealed since is left as it is.
 */
#include "server/rotate/step_internal.h"
#include "server/store/overlay.h"
#include "server/store/writeset_internal.h"

void
step_walker_load(const struct job *j, struct overlay_walker *w)
{
	w->table = STORE_KEYRINGS;
	if (j->cursor_len == 0)
		return;
	w->table = (enum store_table)j->cursor[0];
	w->from_len = (uint8_t)(j->cursor_len - 1);
	memcpy(w->from, j->cursor + 1, w->from_len);
}

void
step_walker_save(const struct overlay_walker *w, struct job *j)
{
	j->cursor[0] = (uint8_t)w->table;
	memcpy(j->cursor + 1, w->from, w->from_len);
	j->cursor_len = (uint8_t)(w->from_len + 1);
}

enum status
step_tree(struct step *s)
{
	struct overlay_walker w = { .walk = OVERLAY_RENEW, .floor = s->job->floor_epoch, .limit = s->units };
	enum status rc;

	_Static_assert(sizeof(w.from) + 1 <= JOB_CURSOR_MAX, "a cursor holds it");
	step_walker_load(s->job, &w);
	if ((rc = overlay_walk(s->ws->overlay, &w)) != STATUS_OK)
		return rc;
	s->job->done += w.looked;
	s->job->damaged += w.damaged;
	step_walker_save(&w, s->job);
	s->ended = w.table == STORE_TABLE_COUNT;
	return STATUS_OK;
}
