#include "server/restore/restore.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/log.h"
#include "server/restore/forget.h"
#include "server/restore/heads.h"
#include "server/restore/keys_in.h"
#include "server/restore/known.h"
#include "server/restore/keyrings.h"
#include "server/restore/place.h"
#include "server/restore/plant.h"
#include "server/restore/resurrections.h"
#include "server/store/key_backup.h"
#include "server/store/subject.h"
#include "server/store/vault_internal.h"

/* Slots and numbers that the lost vault may have given away after what is known of. */
#define GAP (UINT64_C(1) << 20)

struct restore {
	const struct restore_options *o;
	struct keys_in keys;
	struct vault *shelf;		/* data: a store; or NULL, also when it is the living one */
	struct input *data[RECORDS_INPUTS_MAX];
	uint64_t shelf_epoch;
	bool borrowed;			/* data[0] is the living vault's */
	unsigned inputs;
	const Pdvault__V1__BackupHead *head;	/* of the backup of data; NULL: there is none */
	struct forget *forget;
	struct place place;
	struct bulk *bulk;
	struct plant *plant;
	struct entries *entries;
	struct records *records;
	struct root *root;		/* secret memory: of the new vault */
	uint8_t *keyring;		/* secret memory: KEYRING_PADDED bytes */
	uint8_t root_box[ROOT_BOX_LEN];
	struct heads heads;		/* old: also without a ledger */
	struct resurrections resurrections;
	struct restore_report report;
};

static enum status
refuse(const char *path, const char *what)
{
	log_event(LOG_FATAL, LOG_S(PATH, path), LOG_S(WHAT, what));
	return STATUS_REFUSED;
}

static bool
same_folder(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Data out of a store: of the living vault, or of one whose anchor is lost. */
static enum status
open_shelf(struct restore *r, const char *folder)
{
	struct vault_options vo = *r->o->vault;
	enum status rc;

	if (r->o->living != NULL && same_folder(folder, r->o->living)) {
		r->data[r->inputs++] = r->keys.input;
		r->borrowed = true;
		return STATUS_OK;
	}
	vo.store_path = folder;
	if ((rc = vault_open_store(&vo, &r->shelf)) != STATUS_OK)
		return rc;
	if (memcmp(r->shelf->id, r->keys.vault, VAULT_ID_LEN) != 0)
		return refuse(folder, "is the store of another vault");
	if ((rc = input_vault(r->shelf, &r->data[r->inputs])) == STATUS_OK)
		r->inputs++;
	return rc;
}

/* What was made before an earlier restore may have had later epochs. */
static bool
is_newer(const struct restore *r)
{
	return r->head->incarnation > r->keys.incarnation ||
	    (r->head->incarnation == r->keys.incarnation && r->head->epoch > r->keys.root->epoch);
}

static enum status
open_data(struct restore *r)
{
	const struct restore_paths *d = &r->o->data;
	size_t first = d->count > 0 && store_is_at(d->path[0]);
	const char *path = d->path[first];
	enum status rc;

	if (first > 0 && (rc = open_shelf(r, d->path[0])) != STATUS_OK)
		return rc;
	if (d->count == first)
		return STATUS_OK;
	rc = input_backup(d->path + first, d->count - first, PDVAULT__V1__BACKUP_KIND__DATA,
	    &r->data[r->inputs]);
	if (rc != STATUS_OK)
		return rc;
	r->head = input_head(r->data[r->inputs++]);
	if (memcmp(r->head->vault.data, r->keys.vault, VAULT_ID_LEN) != 0)
		return refuse(path, "is a backup of another vault");
	if (r->head->store_format != VAULT_FORMAT)
		return refuse(path, "has another format of records than this program reads");
	if (r->keys.living != NULL && is_newer(r))
		return refuse(path, "is newer than the vault whose keys are to open it: an old copy?");
	return STATUS_OK;
}

static void
judge(struct restore *r, uint64_t count, const uint8_t *hash)
{
	struct ledger_head head = { .count = count };

	memcpy(head.hash, hash, sizeof(head.hash));
	heads_judge(&r->heads, &head);
}

/* The ledger must know every head that anything here knows of. */
static enum status
judge_ledger(struct restore *r)
{
	const struct forget_owner owner = { r->keys.vault, r->keys.public, NULL };
	struct heads *h = &r->heads;
	struct ledger_head own;
	enum status rc = STATUS_OK;

	h->ledger = r->forget;
	forget_head(r->forget, &own);
	heads_judge(h, &r->keys.ledger);
	if (r->head != NULL)
		judge(r, r->head->ledger_entries, r->head->ledger_head.data);
	if (r->shelf != NULL)
		rc = heads_store(h, r->data[0], &r->shelf_epoch);
	for (size_t i = 0; i < r->o->copies.count && rc == STATUS_OK; i++)
		rc = heads_copy(h, r->o->copies.path[i], &owner, &r->resurrections);
	if (rc != STATUS_OK)
		return rc;
	if (r->o->head != NULL)
		judge(r, 0, r->o->head);
	if (!h->old) {
		h->wanted = own;
		h->old = (r->o->ledger == NULL && r->keys.living == NULL) || !forget_is_proven(r->forget);
	}
	r->report.ledger_entries = own.count;
	heads_say("the ledger that is taken: entries and newest hash", &own);
	if (!h->old)
		return STATUS_OK;
	heads_say("a newer ledger is known of: entries (0: not known) and newest hash", &h->wanted);
	if (r->o->accept == NULL)
		return refuse(r->o->ledger != NULL ? r->o->ledger : "--ledger", r->o->ledger != NULL ?
		    "the ledger is older than what is known of it, or another: the erased would come back" :
		    "is not given, so there is no ledger: the erased would come back");
	if (memcmp(r->o->accept, own.hash, SEAL_DIGEST_LEN) != 0)
		return refuse("", "the hash typed is not that of the newest entry of the ledger that is taken");
	r->report.resurrection = true;
	return STATUS_OK;
}

/* All that any input knows of. */
static enum status
know_resurrections(struct restore *r)
{
	struct resurrections *all = &r->resurrections;
	enum status rc = resurrections_add(all, bytes_of(r->keys.resurrection, r->keys.resurrection_len));

	if (rc == STATUS_OK && r->head != NULL && r->head->resurrections.len > 0)
		rc = resurrections_add(
		    all, bytes_of(r->head->resurrections.data, r->head->resurrections.len));
	return rc == STATUS_OK && r->shelf != NULL ? resurrections_of_store(all, r->data[0]) : rc;
}

/* A living vault has its own; a copy may not be ahead of it, for then the vault is an old copy itself. */
static enum status
open_ledger(struct restore *r)
{
	const struct forget_owner owner = { r->keys.vault, r->keys.public, NULL };
	const struct forget_owner typed = { r->keys.vault, r->keys.public, r->o->accept };
	struct forget *copy = NULL;
	struct ledger_head h;
	enum status rc;

	if (r->keys.living == NULL)
		return forget_file(r->o->ledger, &typed, r->shelf != NULL ? r->data[0] : NULL, &r->forget);
	if ((rc = forget_store(r->keys.input, &owner, &r->forget)) != STATUS_OK || r->o->ledger == NULL)
		return rc;
	if ((rc = forget_file(r->o->ledger, &owner, NULL, &copy)) != STATUS_OK)
		return rc;
	forget_head(copy, &h);
	if (!forget_knows(r->forget, &h))
		rc = refuse(r->o->ledger,
		    "has erasures that the vault with the keys has not: that is an old copy");
	forget_free(copy);
	return rc;
}

/* R1: everything that is read is looked at before anything is written. */
static enum status
read_inputs(struct restore *r)
{
	enum status rc;

	if ((rc = keys_in_open(r->o, &r->keys)) != STATUS_OK || (rc = open_data(r)) != STATUS_OK ||
	    (rc = know_resurrections(r)) != STATUS_OK || (rc = open_ledger(r)) != STATUS_OK ||
	    (rc = judge_ledger(r)) != STATUS_OK)
		return rc;
	if (r->head != NULL && !forget_signer(r->forget, r->head->signing_key.data))
		return refuse(r->o->data.path[r->o->data.count - 1],
		    "is signed with a key that is not the vault's");
	if (r->keys.country_code != r->o->vault->country_code || r->keys.number != r->o->vault->number) {
		log_event(LOG_FATAL, LOG_S(WHAT, "number or default_country_code are not those of the vault"),
		    LOG_N(COUNT, r->keys.number), LOG_N(OTHER, r->keys.country_code));
		return STATUS_CONFIG;
	}
	return STATUS_OK;
}

/* The epoch is above all that may have been seen; a living anchor goes on by one, since its slots alternate. */
static void
begin_root(struct restore *r)
{
	uint64_t epoch = r->keys.root->epoch, seen = r->keys.incarnation;
	uint64_t now = (uint64_t)clock_wall_ms();

	if (r->keys.living == NULL) {
		epoch = forget_epoch(r->forget) > epoch ? forget_epoch(r->forget) : epoch;
		epoch = r->shelf_epoch > epoch ? r->shelf_epoch : epoch;
		epoch = r->head != NULL && r->head->epoch > epoch ? r->head->epoch : epoch;
	}
	if (r->head != NULL && r->head->incarnation > seen)
		seen = r->head->incarnation;
	r->report.incarnation = seen >= now ? seen + 1 : now;
	root_new(r->root);
	r->root->signing = r->keys.root->signing;
	r->root->signing_ms = r->keys.root->signing_ms;
	r->root->signer = r->keys.root->signer;
	r->report.epoch = r->root->epoch = epoch + 1;
}

/* The successor of its signing key came after this backup of keys, and is lost. */
static enum status
turn_signer(struct restore *r)
{
	struct ledger_head own;
	enum status rc = STATUS_OK;

	if (forget_succeeded(r->forget))
		rc = forget_turn(r->forget, r->keys.root, r->root);
	forget_head(r->forget, &own);
	r->report.ledger_entries = own.count;
	return rc;
}

static enum status
prepare(struct restore *r)
{
	struct records_options ro = { .inputs = r->inputs, .vault = r->keys.vault, .lost = r->o->lost,
		.arg = r->o->arg };
	enum status rc;

	if ((r->root = secret_alloc(sizeof(*r->root))) == NULL ||
	    (r->keyring = secret_alloc(KEYRING_PADDED)) == NULL)
		return STATUS_NO_MEMORY;
	begin_root(r);
	if ((rc = turn_signer(r)) != STATUS_OK)
		return rc;
	for (unsigned i = 0; i < r->inputs; i++)
		ro.input[i] = r->data[i];
	if ((rc = bulk_new(r->place.store, &r->bulk)) != STATUS_OK ||
	    (rc = plant_new(r->bulk, r->root, r->keys.vault, &r->plant)) != STATUS_OK ||
	    (rc = entries_new(r->root, r->keys.country_code, &r->entries)) != STATUS_OK)
		return rc;
	ro.bulk = r->bulk;
	ro.entries = r->entries;
	return records_new(&ro, &r->records);
}

static enum status
put_subject(struct restore *r, struct keyring *k)
{
	uint8_t row[SUBJECT_ROW_LEN];
	enum status rc;

	subject_row_live(bytes_get64(k->slot), row);
	if ((rc = plant_keyring(r->plant, k)) != STATUS_OK ||
	    (rc = bulk_put(r->bulk, STORE_SUBJECTS, bytes_of(k->subject, SUBJECT_ID_LEN),
	    bytes_of(row, sizeof(row)))) != STATUS_OK)
		return rc;
	r->report.subjects++;
	return records_restore(r->records, k);
}

/* R3: one subject after the other; whom the ledger names is not written. */
static enum status
restore_subjects(struct restore *r)
{
	struct keyring *k = (struct keyring *)(void *)r->keyring;
	struct keyrings *all = NULL;
	enum forgotten gone;
	enum status rc;

	if ((rc = keyrings_new(r->keys.input, r->keys.root, r->keys.vault, &all)) != STATUS_OK)
		return rc;
	while ((rc = keyrings_next(all, k)) == STATUS_OK) {
		if (r->o->stop != NULL && *r->o->stop) {
			rc = refuse(r->o->vault->store_path, "stopped: what was made is removed again");
			goto out;
		}
		if ((rc = forget_apply(r->forget, k, &gone)) != STATUS_OK)
			goto out;
		r->report.forgotten += gone == FORGOTTEN_ALL;
		r->report.shredded += gone == FORGOTTEN_SOME;
		if (gone != FORGOTTEN_ALL && (rc = put_subject(r, k)) != STATUS_OK)
			goto out;
	}
	if (rc == STATUS_ABSENT && (rc = plant_end(r->plant)) == STATUS_OK)
		rc = records_end(r->records);
out:
	r->report.damaged_keyrings = keyrings_damaged(all);
	keyrings_free(all);
	return rc;
}

/* Of whom there are records alone. */
static void
count_strangers(struct restore *r)
{
	size_t count;
	const uint64_t *slot = records_strangers(r->records, &count);

	for (size_t i = 0; i < count; i++)
		r->report.strangers += !forget_has_slot(r->forget, slot[i]);
}

static int64_t
ms_of(const Pdvault__V1__Timestamp *t)
{
	return t->seconds * 1000 + t->nanos / 1000000;
}

/* All that is known of key backups: of the ledger, of the rows of all inputs, and of the one that is used. */
static enum status
write_key_backups(struct restore *r)
{
	struct known k = { NULL, 0, 0 };
	const Pdvault__V1__BackupHead *used = input_head(r->keys.input);
	struct key_backup b;
	size_t at = 0;
	enum status rc = known_rows(&k, r->keys.input);

	for (unsigned i = r->borrowed; i < r->inputs && rc == STATUS_OK; i++)
		rc = known_rows(&k, r->data[i]);
	while (rc == STATUS_OK && forget_key_backup(r->forget, &at, &b))
		rc = known_add(&k, &b);
	if (rc == STATUS_OK && used != NULL) {
		b = (struct key_backup){ .created_ms = ms_of(used->time), .epoch = used->epoch,
			.expires_ms = ms_of(used->expire_time), .slots = KEY_BACKUP_ALL_SLOTS };
		memcpy(b.id, used->backup.data, sizeof(b.id));
		memcpy(b.recovery_key, used->recovery_key.data, sizeof(b.recovery_key));
		rc = known_add(&k, &b);
	}
	if (rc == STATUS_OK)
		rc = known_write(&k, r->root->epoch, r->bulk);
	known_free(&k);
	return rc;
}

/* R4: the ledger, the look-ups, and a fresh root over everything. */
static enum status
close_trees(struct restore *r)
{
	const struct records_tally *t = records_tally(r->records);
	uint64_t gap = r->keys.living != NULL ? 0 : GAP, next = r->keys.root->next_slot;
	struct bucket_entry *entry;
	size_t count;
	enum status rc;

	entry = entries_all(r->entries, &count);
	if ((rc = plant_entries(r->plant, entry, count)) != STATUS_OK ||
	    (rc = forget_write(r->forget, r->bulk)) != STATUS_OK ||
	    (rc = write_key_backups(r)) != STATUS_OK || (rc = bulk_commit(r->bulk)) != STATUS_OK)
		return rc;
	r->report.rows = *t;
	count_strangers(r);
	r->report.lookups_taken = entries_taken(r->entries);
	next = forget_slots(r->forget) > next ? forget_slots(r->forget) : next;
	next = t->slots > next ? t->slots : next;
	r->root->next_slot = next + gap;
	root_seal(r->root, r->keys.vault, r->root_box);
	/* K3. */
	return place_prepare(&r->place, r->root);
}

static enum status
put_meta(void *arg, struct bytes key, struct bytes value)
{
	return bulk_put(arg, STORE_META, key, value);
}

/* Whatever any input knows of, and this one. */
static enum status
put_resurrections(struct restore *r)
{
	struct resurrections *all = &r->resurrections;
	struct ledger_head taken;
	enum status rc = STATUS_OK;

	forget_head(r->forget, &taken);
	if (r->report.resurrection)
		rc = resurrections_new(all, clock_wall_ms(), &taken, &r->heads.wanted);
	return rc == STATUS_OK && all->len > 0 ?
	    put_meta(r->bulk, META_KEY(META_RESURRECTED), bytes_of(all->row, all->len)) : rc;
}

/* R5: with this commit there is a vault (K4). */
static enum status
decide(struct restore *r)
{
	uint64_t sequence = r->keys.next_transaction, gap = r->keys.living != NULL ? 0 : GAP;
	struct ledger_head own;
	struct vault_meta m = { .id = r->keys.vault, .number = r->keys.number, .root = r->root,
		.country_code = r->keys.country_code, .root_box = r->root_box,
		.incarnation = r->report.incarnation, .ledger_hash = own.hash };
	enum status rc;

	forget_head(r->forget, &own);
	m.ledger_entries = own.count;
	if (r->head != NULL && r->head->next_transaction > sequence)
		sequence = r->head->next_transaction;
	if (r->report.rows.next_transaction > sequence)
		sequence = r->report.rows.next_transaction;
	m.sequence = sequence + gap;
	if ((rc = vault_meta_rows(&m, put_meta, r->bulk)) != STATUS_OK ||
	    (rc = put_resurrections(r)) != STATUS_OK)
		return rc;
	return bulk_commit(r->bulk);
}

static void
free_all(struct restore *r)
{
	records_free(r->records);
	entries_free(r->entries);
	plant_free(r->plant);
	bulk_free(r->bulk);
	forget_free(r->forget);
	secret_free(r->root, sizeof(*r->root));
	secret_free(r->keyring, KEYRING_PADDED);
	for (unsigned i = r->borrowed; i < r->inputs; i++)
		input_free(r->data[i]);
	vault_close(r->shelf);
	keys_in_close(&r->keys);
	free(r);
}

enum status
restore_run(const struct restore_options *o, struct restore_report *out)
{
	struct restore *r = calloc(1, sizeof(*r));
	enum status rc, ended;

	if (r == NULL)
		return STATUS_NO_MEMORY;
	r->o = o;
	if ((rc = read_inputs(r)) != STATUS_OK)
		goto out;
	/* R2: a mark, and an empty store. */
	if ((rc = place_make(&r->place, o->vault, r->keys.living, r->keys.vault)) == STATUS_OK &&
	    (rc = prepare(r)) == STATUS_OK && (rc = restore_subjects(r)) == STATUS_OK &&
	    (rc = close_trees(r)) == STATUS_OK)
		rc = decide(r);
	bulk_free(r->bulk);
	r->bulk = NULL;
	ended = place_end(&r->place, rc == STATUS_OK);
	rc = rc == STATUS_OK ? ended : rc;
out:
	*out = r->report;
	free_all(r);
	return rc;
}
