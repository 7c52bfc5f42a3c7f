#include "server/rotate/step_internal.h"

#include "server/store/writeset_internal.h"

bool
step_is_damage(enum status rc)
{
	return rc == STATUS_FORGED || rc == STATUS_CORRUPT || rc == STATUS_CROWDED || rc == STATUS_LOST;
}

/* One slot. STATUS_BUSY, STATUS_NO_MEMORY: it is left for the next step. */
static enum status
visit(struct step *s, uint64_t slot, step_unit *unit, void *arg)
{
	struct overlay_item *it = NULL;
	enum status rc = overlay_keyring(s->ws->overlay, slot, &it);

	/* A row that is left of a subject who is gone. */
	if (rc == STATUS_ABSENT)
		return STATUS_OK;
	writeset_reset(s->ws);
	if (rc == STATUS_OK)
		rc = unit(s, (const struct keyring *)(const void *)it->now, arg);
	if (rc == STATUS_OK) {
		rc = writeset_merge(s->ws);
		s->job->done += rc == STATUS_OK;
	}
	writeset_reset(s->ws);
	arena_reset(s->arena);
	s->job->damaged += step_is_damage(rc);
	return step_is_damage(rc) || rc == STATUS_ABSENT ? STATUS_OK : rc;
}

enum status
step_each_subject(struct step *s, step_unit *unit, void *arg)
{
	struct store_snapshot *snapshot = overlay_snapshot(s->ws->overlay);
	struct job *j = s->job;
	unsigned n = 0;
	enum status rc = STATUS_OK;

	for (; n < s->units; n++) {
		struct bytes key, value;

		rc = store_seek(snapshot, STORE_KEYRINGS, bytes_of(j->cursor, j->cursor_len), &key, &value);
		if (rc == STATUS_ABSENT) {
			s->ended = true;
			return STATUS_OK;
		}
		if (rc == STATUS_OK && key.len != 8)
			rc = STATUS_CORRUPT;
		if (rc != STATUS_OK || (rc = visit(s, bytes_get64(key.p), unit, arg)) != STATUS_OK)
			break;
		bytes_put64(j->cursor, bytes_get64(key.p) + 1);
		j->cursor_len = 8;
	}
	/* What was done so far stands by itself. */
	return rc == STATUS_BUSY || n > 0 ? STATUS_OK : rc;
}
