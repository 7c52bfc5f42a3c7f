#include "server/store/custody.h"

#include <sodium.h>
#include <unistd.h>

#include "server/keys/secret.h"
#include "server/log.h"
#include "server/store/batch.h"
#include "server/store/overlay.h"
#include "server/store/vault_internal.h"

static void
look_at_file(struct vault *v, size_t i, uint64_t epoch, const struct root *root, struct custody_file *out)
{
	struct key *got = secret_alloc(sizeof(*got));

	out->path = anchor_path(v->anchor, i);
	out->class = anchor_class_of(out->path, &out->why);
	out->readable = anchor_survey(v->anchor, i, out->slot) == STATUS_OK;
	out->opens = got != NULL && out->readable && root != NULL &&
	    anchor_load(v->anchor, i, epoch, got) == STATUS_OK &&
	    sodium_memcmp(got->b, root->self.b, SEAL_KEY_LEN) == 0;
	secret_free(got, sizeof(*got));
}

enum status
custody_verify(const struct vault_options *o, struct custody_report *out)
{
	struct root *root = secret_alloc(sizeof(*root));
	struct recover_facts f;
	struct vault *v = NULL;
	enum status rc = STATUS_NO_MEMORY;

	if (root == NULL)
		return rc;
	if ((rc = vault_open_parts(o, true, &v)) != STATUS_OK)
		goto out;
	if ((rc = recover_look(v, false, &f, root)) != STATUS_OK && rc != STATUS_IO)
		goto out;
	*out = (struct custody_report){ .epoch = f.epoch, .row = recover_decide(&f),
		.files = o->anchor.count };
	for (size_t i = 0; i < out->files; i++) {
		look_at_file(v, i, f.epoch, f.opens ? root : NULL, &out->file[i]);
		out->file[i].path = o->anchor.path[i];
	}
	rc = STATUS_OK;
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

/* A switch that changes nothing but the root, into the files that stay. */
static enum status
switch_once(struct vault *v)
{
	struct overlay *overlay = NULL;
	bool fatal = false;
	enum status rc;

	if ((rc = overlay_new(v, &overlay)) != STATUS_OK)
		return rc;
	if ((rc = overlay_begin(overlay)) == STATUS_OK) {
		overlay_force(overlay);
		rc = batch_commit(v, overlay, true, &fatal);
		overlay_end(overlay);
	}
	overlay_free(overlay);
	return rc;
}

enum status
custody_move(const struct vault_options *o)
{
	struct vault *v = NULL;
	enum status rc;

	if ((rc = vault_classes(o)) != STATUS_OK || (rc = make_files(&o->anchor)) != STATUS_OK ||
	    (rc = vault_open(o, &v)) != STATUS_OK)
		return rc;
	if (vault_read_only(v) != NULL)
		rc = STATUS_READ_ONLY;
	else if ((rc = switch_once(v)) == STATUS_OK)
		rc = anchor_retire(v->anchor);
	for (size_t i = 0; i < o->retiring.count && rc == STATUS_OK; i++)
		log_event(LOG_ANCHOR_RETIRED, LOG_S(PATH, o->retiring.path[i]), LOG_N(EPOCH, vault_epoch(v)));
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
	*row = recover_decide(&f);
	*epoch = f.epoch;
	if ((rc = store_snapshot_begin(s)) != STATUS_OK)
		goto out;
	rc = store_count(s, STORE_ERASURES, erasures);
	store_snapshot_end(s);
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
	enum recover_row row;
	uint64_t epoch, before, after;
	enum status rc;

	/* An earlier run may have been cut off. */
	if ((rc = store_step_forward(o->store_path)) != STATUS_OK ||
	    (rc = look(o, &row, &epoch, &before)) != STATUS_OK)
		return rc;
	if (row != RECOVER_PREVIOUS)
		return refuse(row, epoch, "only from previous_only is there a way back");
	if ((rc = store_step_back(o->store_path)) != STATUS_OK)
		return rc;
	if ((rc = look(o, &row, &epoch, &after)) == STATUS_OK && row != RECOVER_SERVE)
		rc = refuse(row, epoch, "the commit before the newest does not open with the anchor, either");
	if (rc == STATUS_OK) {
		*erasures = before - after;
		return store_step_done(o->store_path);
	}
	if (store_step_forward(o->store_path) != STATUS_OK)
		rc = STATUS_IO;
	return rc;
}
