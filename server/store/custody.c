#include "server/store/custody.h"

#include <sodium.h>
#include <unistd.h>

#include "server/keys/secret.h"
#include "server/log.h"
#include "server/store/batch.h"
#include "server/store/moving.h"
#include "server/store/overlay.h"
#include "server/store/seals_change.h"
#include "server/store/vault_internal.h"

/* root: what opens the store; NULL when nothing does. */
static enum status
examine(struct vault *v, size_t i, uint64_t epoch, const struct root *root, struct custody_file *out)
{
	struct key *got = secret_alloc(sizeof(*got));

	if (got == NULL)
		return STATUS_NO_MEMORY;
	out->class = anchor_class_at(v->anchor, i, &out->why);
	out->readable = anchor_survey(v->anchor, i, out->slot) == STATUS_OK;
	out->opens = out->readable && root != NULL &&
	    anchor_load(v->anchor, i, epoch, got) == STATUS_OK &&
	    sodium_memcmp(got->b, root->self.b, SEAL_KEY_LEN) == 0;
	secret_free(got, sizeof(*got));
	return STATUS_OK;
}

enum status
custody_verify(const struct vault_options *o, struct custody_report *out)
{
	struct root *root = secret_alloc(sizeof(*root));
	struct recover_facts f;
	struct vault *v = NULL;
	enum status rc = STATUS_NO_MEMORY;
	bool moving;

	if (root == NULL)
		return rc;
	if ((rc = vault_open_parts(o, true, &v)) != STATUS_OK ||
	    (rc = recover_look(v, false, &f, root)) != STATUS_OK ||
	    (rc = moving_stands(o->store_path, &moving)) != STATUS_OK)
		goto out;
	*out = (struct custody_report){ .epoch = f.epoch, .row = recover_decide(&f),
		.unknown = f.unreadable, .moving = moving, .files = o->anchor.count };
	for (size_t i = 0; i < out->files && rc == STATUS_OK; i++) {
		out->file[i].path = o->anchor.path[i];
		rc = examine(v, i, f.epoch, f.opens ? root : NULL, &out->file[i]);
	}
out:
	secret_free(root, sizeof(*root));
	vault_close(v);
	return rc;
}

/* Files of the new anchor that are not there yet. What they are is judged when the vault is opened. */
static enum status
make_files(const struct anchor_paths *p)
{
	enum status rc = STATUS_OK;

	for (size_t i = 0; i < p->count && rc == STATUS_OK; i++)
		if (access(p->path[i], F_OK) != 0)
			rc = anchor_create(p->path[i]);
	return rc;
}

/* A new root key, into the files that stay. */
static enum status
renew(struct vault *v)
{
	struct overlay *overlay = NULL;
	bool fatal = false;
	enum status rc;

	if ((rc = overlay_new(v, &overlay)) != STATUS_OK)
		return rc;
	rc = batch_renew(v, overlay, &fatal);
	overlay_free(overlay);
	return rc;
}

/*
 * Whether a place that is left keeps what is overwritten there. Before that, an extent may be seen to be
 * shared, which afterwards is not; after it, blocks may be seen to have moved.
 */
static bool
place_remembers(struct vault *v, size_t file)
{
	const char *why;

	if (anchor_class_at(v->anchor, file, &why) != ANCHOR_CLASS_D)
		return false;
	log_event(LOG_ANCHOR_ERROR, LOG_S(PATH, anchor_path(v->anchor, file)), LOG_S(WHY, why),
	    LOG_S(WHAT, "class D: what was overwritten may still be found; destroy the device"));
	return true;
}

/* Both slots of each file that is left. *remember: a place keeps them. */
static enum status
leave(struct vault *v, bool *remember)
{
	bool known[ANCHOR_SLOTS_MAX] = { false };
	size_t files = anchor_files(v->anchor);
	enum status rc;

	for (size_t i = 0; i < files; i++)
		known[i] = anchor_retires(v->anchor, i) && place_remembers(v, i);
	rc = anchor_retire(v->anchor);
	for (size_t i = 0; i < files; i++)
		*remember |= known[i] || (anchor_retires(v->anchor, i) && place_remembers(v, i));
	return rc;
}

enum status
custody_move(const struct vault_options *o, struct custody_moved *out)
{
	struct vault_options moving = *o;
	struct vault *v = NULL;
	enum status rc, ended;

	*out = (struct custody_moved){ .done = false };
	moving.moving = true;
	/* Before files are made there; vault_open() asks again. */
	if ((rc = vault_classes(o)) != STATUS_OK || (rc = make_files(&o->anchor)) != STATUS_OK ||
	    (rc = vault_open(&moving, &v)) != STATUS_OK)
		return rc;
	if (vault_read_only(v) != NULL) {
		rc = STATUS_READ_ONLY;
		log_event(LOG_FATAL, LOG_S(WHAT, "the vault takes no writes"),
		    LOG_S(WHY, vault_read_only(v)));
	} else if ((rc = renew(v)) == STATUS_OK) {
		rc = leave(v, &out->remembered);
		/* From here on it is the operator who knows what is left to do. */
		ended = moving_missed(o->store_path, &o->anchor, &o->retiring, &out->missed);
		if (ended != STATUS_OK || (ended = moving_end(o->store_path)) != STATUS_OK)
			rc = ended;
		out->done = ended == STATUS_OK;
	}
	if (rc == STATUS_OK && (out->missed || (out->remembered && !o->force_class_d)))
		rc = STATUS_ANCHOR;
	vault_close(v);
	return rc;
}

/* The switch that wraps for other seals. */
static enum status
switch_seals(struct vault *v, struct anchor_seals *next)
{
	struct overlay *overlay = NULL;
	bool fatal = false;
	enum status rc;

	if ((rc = overlay_new(v, &overlay)) != STATUS_OK)
		return rc;
	if ((rc = overlay_begin(overlay)) == STATUS_OK) {
		overlay_force(overlay);
		overlay_reseal(overlay, next);
		rc = batch_commit(v, overlay, true, &fatal);
		overlay_end(overlay);
	}
	overlay_free(overlay);
	return rc;
}

enum status
custody_reseal(const struct vault_options *o, unsigned *count)
{
	struct seals_change c;
	struct vault *v = NULL;
	enum status rc;

	must(o->recovery != NULL);
	if ((rc = vault_open(o, &v)) != STATUS_OK)
		return rc;
	if ((rc = seals_replace(v, &c)) == STATUS_OK) {
		*count = c.count;
		rc = c.count > 0 ? switch_seals(v, c.next) : STATUS_OK;
		if (!seals_conclude(v, &c, rc == STATUS_OK) && rc == STATUS_OK)
			rc = STATUS_SEAL;
	}
	vault_close(v);
	return rc;
}

/* What the table says, and how many erasures the store has. */
static enum status
look(const struct vault_options *o, enum recover_row *row, uint64_t *epoch, uint64_t *erasures)
{
	struct root *root = secret_alloc(sizeof(*root));
	struct store_snapshot *s = NULL;
	struct recover_facts f;
	struct vault *v = NULL;
	enum status rc = STATUS_NO_MEMORY;

	if (root == NULL)
		return rc;
	if ((rc = vault_open_parts(o, false, &v)) != STATUS_OK ||
	    (rc = recover_look(v, false, &f, root)) != STATUS_OK ||
	    (rc = store_snapshot_new(v->store, &s)) != STATUS_OK)
		goto out;
	if (f.unreadable) {
		rc = STATUS_IO;
		goto out;
	}
	if ((rc = store_snapshot_begin(s)) != STATUS_OK)
		goto out;
	rc = store_count(s, STORE_ERASURES, erasures);
	store_snapshot_end(s);
	*row = recover_decide(&f);
	*epoch = f.epoch;
out:
	store_snapshot_free(s);
	secret_free(root, sizeof(*root));
	vault_close(v);
	return rc;
}

static enum status
refuse(enum recover_row row, uint64_t epoch, const char *why)
{
	log_event(LOG_RECOVERY_REFUSED, LOG_S(WHAT, recover_name(row)), LOG_S(WHY, why), LOG_N(EPOCH, epoch));
	return STATUS_REFUSED;
}

enum status
custody_previous(const struct vault_options *o, uint64_t *erasures)
{
	struct vault_options stepped = *o;
	enum recover_row row;
	uint64_t epoch, before, after;
	enum status rc;

	stepped.stepped = true;
	/* An earlier run may have been cut off. */
	if ((rc = store_step_forward(o->store_path)) != STATUS_OK ||
	    (rc = look(o, &row, &epoch, &before)) != STATUS_OK)
		return rc;
	if (row != RECOVER_PREVIOUS)
		return refuse(row, epoch, "only from previous_only is there a way back");
	if ((rc = store_step_back(o->store_path)) != STATUS_OK)
		return rc;
	if ((rc = look(&stepped, &row, &epoch, &after)) == STATUS_OK && row != RECOVER_SERVE)
		rc = refuse(row, epoch, "the commit before the newest does not open with the anchor, either");
	if (rc == STATUS_OK && (rc = store_step_done(o->store_path)) == STATUS_OK) {
		*erasures = before - after;
		log_event(LOG_RECOVERY, LOG_S(WHAT, "previous"), LOG_N(EPOCH, epoch), LOG_N(COUNT, *erasures),
		    LOG_S(WHY, "gone back by one commit; count: the erasures that are undone"));
		return rc;
	}
	if (store_step_forward(o->store_path) != STATUS_OK)
		rc = STATUS_IO;
	return rc;
}
