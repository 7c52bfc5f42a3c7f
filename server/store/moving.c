#include "server/store/moving.h"

#include <stdlib.h>

#include "server/log.h"
#include "server/store/mark.h"

#define NAME "anchor.moving"

enum status
moving_stands(const char *store, bool *out)
{
	return mark_stands(store, NAME, out);
}

static enum status
add(struct mark_list *l, const struct anchor_paths *p)
{
	enum status rc = STATUS_OK;

	for (size_t i = 0; i < p->count && rc == STATUS_OK; i++)
		rc = mark_add(l, p->path[i]);
	return rc;
}

enum status
moving_begin(const char *store, const struct anchor_paths *anchor, const struct anchor_paths *left)
{
	struct mark_list *l = malloc(sizeof(*l));
	enum status rc = STATUS_NO_MEMORY;

	if (l != NULL && (rc = mark_load(store, NAME, l)) == STATUS_OK && (rc = add(l, anchor)) == STATUS_OK &&
	    (rc = add(l, left)) == STATUS_OK)
		rc = mark_save(store, NAME, l);
	free(l);
	return rc;
}

/* Logs what is in ${all} and not in ${these}. */
static bool
differ(const struct mark_list *all, const struct mark_list *these)
{
	bool some = false;

	for (const char *p = mark_next(all, NULL); p != NULL; p = mark_next(all, p)) {
		if (mark_has(these, p))
			continue;
		some = true;
		log_event(LOG_ANCHOR_ERROR, LOG_S(PATH, p), LOG_S(WHAT, "of a move that was cut "
		    "off, and not overwritten: anchor move --from it, or destroy its device"));
	}
	return some;
}

enum status
moving_missed(const char *store, const struct anchor_paths *anchor, const struct anchor_paths *left,
    bool *missed)
{
	struct mark_list *all = malloc(sizeof(*all)), *these = malloc(sizeof(*these));
	enum status rc = STATUS_NO_MEMORY;

	if (all == NULL || these == NULL)
		goto out;
	these->len = 0;
	if ((rc = mark_load(store, NAME, all)) == STATUS_OK && (rc = add(these, anchor)) == STATUS_OK &&
	    (rc = add(these, left)) == STATUS_OK)
		*missed = differ(all, these);
out:
	free(all);
	free(these);
	return rc;
}

enum status
moving_end(const char *store)
{
	return mark_end(store, NAME);
}
