#include "server/store/recover.h"

#include <sodium.h>

#include "server/log.h"
#include "server/mutant.h"
#include "server/store/vault_internal.h"

struct row_text {
	const char *name, *why;
};

static const struct row_text texts[] = {
	[RECOVER_SERVE] = { "serve", "the live slot opens the store" },
	[RECOVER_STORE_ROLLED_BACK] = { "store_rolled_back",
	    "the anchor has seen a later epoch than the store: the store was put back to an older copy" },
	[RECOVER_FOREIGN] = { "wrong_key_or_foreign_anchor",
	    "the anchor's slot for this epoch does not open the store: wrong seal keys, or not its anchor" },
	[RECOVER_STORE_LOST_COMMITS] = { "store_lost_commits",
	    "the anchor is ahead of the store: the store has lost commits, or was put back" },
	[RECOVER_PREVIOUS] = { "previous_only",
	    "the anchor is one epoch behind the store: it was put back, or has lost its last write" },
	[RECOVER_NOTHING] = { "no_slot", "the anchor has no valid slot of this vault" },
	[RECOVER_READ_ONLY] = { "read_only", "the live slot opens the store; the medium is read-only" },
};

#ifdef PDV_TEST_HOOKS
static unsigned reached[RECOVER_READ_ONLY + 1];

unsigned
recover_test_reached(enum recover_row row)
{
	return reached[row];
}
#endif

enum recover_row
recover_decide(const struct recover_facts *f)
{
	bool live = false, ahead = false, next = false, behind = false;

	for (size_t i = 0; i < f->slots; i++) {
		const struct anchor_slot *s = &f->slot[i], *beside = &f->slot[i ^ 1];

		if (!s->valid)
			continue;
		live = live || s->epoch == f->epoch;
		next = next || s->epoch > f->epoch;
		/* K5 of t + 1 was done in this file: t + 1 was decided. */
		ahead = ahead || s->epoch > f->epoch + 1 ||
		    (s->epoch == f->epoch + 1 && !(beside->valid && beside->epoch == f->epoch));
		behind = behind || s->epoch + 1 == f->epoch;
	}
	if (live && !f->opens)
		return RECOVER_FOREIGN;
	if (live && ahead)
		return RECOVER_STORE_ROLLED_BACK;
	if (live)
		return f->read_only ? RECOVER_READ_ONLY : RECOVER_SERVE;
	if (next)
		return RECOVER_STORE_LOST_COMMITS;
	return behind ? RECOVER_PREVIOUS : RECOVER_NOTHING;
}

/* One durable commit that changes nothing but a counter, and is then read back from the medium. */
static enum status
commit_start(struct vault *v, uint64_t starts)
{
	struct store_batch *b = NULL;
	uint8_t value[8];
	enum status rc;

	if ((rc = store_allocate(v->store, 1, 64, true)) != STATUS_OK)
		return rc;
	if ((rc = store_batch_begin(v->store, &b)) != STATUS_OK)
		return rc;
	bytes_put64(value, starts + 1);
	rc = store_batch_put(b, STORE_META, META_KEY(META_START), bytes_of(value, sizeof(value)));
	if (rc != STATUS_OK) {
		store_batch_abort(b);
		return rc;
	}
	if ((rc = store_batch_commit(b)) != STATUS_OK)
		return rc;
	return store_settled_on_medium(v->store);
}

static enum status
get64(struct store_snapshot *s, struct bytes key, uint64_t *out)
{
	struct bytes value;
	enum status rc = store_get(s, STORE_META, key, &value);

	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_CORRUPT : rc;
	if (value.len != 8)
		return STATUS_CORRUPT;
	*out = bytes_get64(value.p);
	return STATUS_OK;
}

struct loaded {
	uint64_t epoch, starts;
	uint8_t commitment[SEAL_DIGEST_LEN], box[ROOT_BOX_LEN];
};

static enum status
load_rows(struct vault *v, struct store_snapshot *s, struct loaded *l)
{
	struct bytes box;
	enum status rc;

	if ((rc = store_snapshot_begin(s)) != STATUS_OK)
		return rc;
	if ((rc = get64(s, META_KEY(META_SEQUENCE), &v->sequence)) != STATUS_OK ||
	    (rc = get64(s, META_KEY(META_START), &l->starts)) != STATUS_OK)
		goto out;
	if ((rc = vault_snapshot_epoch(s, &l->epoch, l->commitment)) != STATUS_OK)
		goto out;
	rc = store_get(s, STORE_META, META_KEY(META_ROOT), &box);
	if (rc != STATUS_OK && rc != STATUS_ABSENT)
		goto out;
	if (rc == STATUS_ABSENT || box.len != ROOT_BOX_LEN)
		rc = STATUS_CORRUPT;
	else
		memcpy(l->box, box.p, ROOT_BOX_LEN);
out:
	store_snapshot_end(s);
	return rc;
}

/* One file's slots, and whether the one of the store's epoch opens the root page. STATUS_IO: of the file. */
static enum status
look_at_file(struct vault *v, size_t file, const struct loaded *l, struct recover_facts *f,
    struct root *root)
{
	enum status rc = anchor_survey(v->anchor, file, &f->slot[f->slots]);

	if (rc != STATUS_OK)
		return rc;
	f->slots += 2;
	if (f->opens)
		return STATUS_OK;
	if ((rc = anchor_load(v->anchor, file, l->epoch, &root->self)) == STATUS_OK)
		rc = root_open(&root->self, v->id, l->epoch, bytes_of(l->box, ROOT_BOX_LEN), root);
	f->opens = rc == STATUS_OK && memcmp(root->commitment, l->commitment, SEAL_DIGEST_LEN) == 0;
	return rc == STATUS_IO ? rc : STATUS_OK;
}

enum status
recover_look(struct vault *v, bool read_only, struct recover_facts *f, struct root *root)
{
	struct store_snapshot *s = NULL;
	bool stays = true, leaves = true;	/* all of those can be read */
	struct loaded l;
	enum status rc;

	*f = (struct recover_facts){ .read_only = read_only };
	if ((rc = store_snapshot_new(v->store, &s)) != STATUS_OK)
		return rc;
	rc = load_rows(v, s, &l);
	store_snapshot_free(s);
	if (rc != STATUS_OK)
		return rc;
	f->epoch = l.epoch;
	f->starts = l.starts;
	for (size_t i = 0; i < anchor_files(v->anchor); i++)
		if (look_at_file(v, i, &l, f, root) != STATUS_OK)
			*(anchor_retires(v->anchor, i) ? &leaves : &stays) = false;
	f->unreadable = !stays || (!leaves && !f->opens);
	return STATUS_OK;
}

const char *
recover_name(enum recover_row row)
{
	return texts[row].name;
}

/* Says which row it is, if it refuses or is ${final}. */
static enum status
judge(const struct recover_facts *f, bool final)
{
	enum recover_row row = recover_decide(f);
	bool serves = row == RECOVER_SERVE || row == RECOVER_READ_ONLY;

	/* It may hold what is missing, or what tells of a rollback. */
	if (f->unreadable)
		return STATUS_IO;
	if (serves && !final)
		return STATUS_OK;
#ifdef PDV_TEST_HOOKS
	reached[row]++;
#endif
	log_event(serves ? LOG_RECOVERY : LOG_RECOVERY_REFUSED, LOG_S(WHAT, texts[row].name),
	    LOG_S(WHY, texts[row].why), LOG_N(EPOCH, f->epoch));
	return serves ? STATUS_OK : STATUS_REFUSED;
}

/* Nothing is written before the table has said that it would serve, and no slot before the medium has. */
static enum status
run(struct vault *v, bool read_only, struct recover_facts *f, struct root *root)
{
	enum status rc;

	if ((rc = recover_look(v, read_only, f, root)) != STATUS_OK ||
	    (rc = judge(f, read_only)) != STATUS_OK || read_only)
		return rc;
	if ((!mutant(preamble_skipped) && (rc = commit_start(v, f->starts)) != STATUS_OK) ||
	    (rc = recover_look(v, read_only, f, root)) != STATUS_OK || (rc = judge(f, true)) != STATUS_OK)
		return rc;
	if ((rc = anchor_spread(v->anchor, root)) != STATUS_OK)
		return rc;
	/* K5 of the switch that was interrupted; also when none was. */
	return mutant(settle_skipped) ? STATUS_OK : anchor_settle(v->anchor, f->epoch);
}

enum status
recover_run(struct vault *v, bool read_only, struct root *root, uint64_t *settled)
{
	struct recover_facts f;
	enum status rc = run(v, read_only, &f, root);

	if (rc == STATUS_OK)
		*settled = read_only ? f.epoch - 1 : f.epoch;
	else
		root_wipe(root);
	return rc;
}
