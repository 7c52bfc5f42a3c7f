/*
 * Making a vault: the rows of table meta, and a first one in places that do not exist yet.
 */
#include <sodium.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/log.h"
#include "server/store/ledger.h"
#include "server/store/mark.h"
#include "server/store/moving.h"
#include "server/store/vault_internal.h"

enum status
vault_meta_rows(const struct vault_meta *m, enum status (*put)(void *arg, struct bytes key, struct bytes value),
    void *arg)
{
	uint8_t format[4], vault[META_VAULT_LEN], epoch[META_EPOCH_LEN], zero[8] = { 0 };
	uint8_t sequence[8], incarnation[8], ledger[LEDGER_HEAD_LEN];
	const struct { struct bytes key, value; } rows[] = {
		{ META_KEY(META_FORMAT), bytes_of(format, sizeof(format)) },
		{ META_KEY(META_VAULT), bytes_of(vault, sizeof(vault)) },
		{ META_KEY(META_EPOCH), bytes_of(epoch, sizeof(epoch)) },
		{ META_KEY(META_ROOT), bytes_of(m->root_box, ROOT_BOX_LEN) },
		{ META_KEY(META_START), bytes_of(zero, sizeof(zero)) },
		{ META_KEY(META_SEQUENCE), bytes_of(sequence, sizeof(sequence)) },
		{ META_KEY(META_LEDGER), bytes_of(ledger, sizeof(ledger)) },
		{ META_KEY(META_INCARNATION), bytes_of(incarnation, sizeof(incarnation)) },
	};
	enum status rc = STATUS_OK;

	bytes_put32(format, VAULT_FORMAT);
	memcpy(vault, m->id, VAULT_ID_LEN);
	bytes_put16(vault + VAULT_OFF_NUMBER, m->number);
	bytes_put64(vault + VAULT_OFF_CREATED, (uint64_t)clock_wall_ms());
	bytes_put16(vault + VAULT_OFF_COUNTRY, m->country_code);
	bytes_put64(epoch, m->root->epoch);
	memcpy(epoch + 8, m->root->commitment, SEAL_DIGEST_LEN);
	bytes_put64(sequence, m->sequence);
	bytes_put64(incarnation, m->incarnation);
	bytes_put64(ledger, m->ledger_entries);
	memcpy(ledger + 8, m->ledger_hash, SEAL_DIGEST_LEN);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && rc == STATUS_OK; i++)
		rc = put(arg, rows[i].key, rows[i].value);
	return rc;
}

static enum status
put_meta(void *arg, struct bytes key, struct bytes value)
{
	return store_batch_put(arg, STORE_META, key, value);
}

/* The rows of a vault that has nothing in it yet. */
static enum status
write_first_rows(struct vault *v, const struct root *root, const uint8_t *root_box)
{
	uint8_t ledger[LEDGER_HEAD_LEN];
	struct vault_meta m = { .id = v->id, .number = v->number, .country_code = v->country_code, .root = root,
		.root_box = root_box, .sequence = 1, .incarnation = 1, .ledger_hash = ledger + 8 };
	struct store_batch *b = NULL;
	enum status rc;

	ledger_first_head(v->id, ledger);
	if ((rc = store_allocate(v->store, 16, 4096, false)) != STATUS_OK ||
	    (rc = store_batch_begin(v->store, &b)) != STATUS_OK)
		return rc;
	if ((rc = vault_meta_rows(&m, put_meta, b)) != STATUS_OK) {
		store_batch_abort(b);
		return rc;
	}
	return store_batch_commit(b);
}

/* How far vault_init() has come: from MADE_KEY on, so many files of the anchor more. */
enum made { MADE_NOTHING, MADE_STORE, MADE_KEY };

/* What this run made goes, so that the next one finds the places empty. Nothing rests on it yet. */
static void
unmake(const struct vault_options *o, unsigned made)
{
	for (; made > MADE_KEY; made--)
		(void)unlink(o->anchor.path[made - MADE_KEY - 1]);
	if (made == MADE_KEY)
		seals_uncreate(o);
	if (made >= MADE_STORE)
		store_remove(o->store_path);
}

/* Of a vault that was given up: the new one would not start. */
static enum status
check_remains(const struct vault_options *o)
{
	bool move = false, step = false, restore = false;
	enum status rc = moving_stands(o->store_path, &move);

	if (rc == STATUS_OK)
		rc = store_step_stands(o->store_path, &step);
	if (rc == STATUS_OK)
		rc = mark_stands(o->store_path, MARK_RESTORE, &restore);
	if (rc != STATUS_OK || (!move && !step && !restore))
		return rc;
	log_event(LOG_FATAL, LOG_S(PATH, o->store_path), LOG_S(WHAT, "the folder is not empty"));
	return STATUS_REFUSED;
}

enum status
vault_init(const struct vault_options *o)
{
	struct store_options so = { o->store_path, o->map_bytes, o->reserve_bytes, true, false, false };
	struct root *root = secret_alloc(sizeof(*root));
	struct anchor_seals *seals = secret_alloc(sizeof(*seals));
	struct vault *v = vault_alloc(o);
	uint8_t box[ROOT_BOX_LEN];
	unsigned made = MADE_NOTHING;
	enum status rc = STATUS_NO_MEMORY;

	if (v == NULL || root == NULL || seals == NULL)
		goto out;
	v->number = o->number;
	randombytes_buf(v->id, sizeof(v->id));
	if ((rc = vault_classes(o)) != STATUS_OK || (rc = check_remains(o)) != STATUS_OK ||
	    (rc = store_open(&so, &v->store)) != STATUS_OK)
		goto out;
	made = MADE_STORE;
	if ((rc = seals_create(o, "", 1, seals)) != STATUS_OK)
		goto out;
	made = MADE_KEY;
	for (; made - MADE_KEY < o->anchor.count; made++)
		if ((rc = anchor_create(o->anchor.path[made - MADE_KEY])) != STATUS_OK)
			goto out;
	if ((rc = vault_open_anchor(v, o, false)) != STATUS_OK)
		goto out;
	root_new(root);
	root->epoch = 1;
	root_seal(root, v->id, box);
	anchor_reseal(v->anchor, seals);
	if ((rc = anchor_prepare(v->anchor, root)) != STATUS_OK)
		goto out;
	rc = write_first_rows(v, root, box);
out:
	secret_free(root, sizeof(*root));
	secret_free(seals, sizeof(*seals));
	vault_close(v);
	if (rc != STATUS_OK)
		unmake(o, made);
	return rc;
}
