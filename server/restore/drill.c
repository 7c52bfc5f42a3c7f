#include "server/restore/drill.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/arena.h"
#include "server/clock.h"
#include "server/keys/own_file.h"
#include "server/log.h"
#include "server/restore/place.h"
#include "server/store/lookup_list.h"
#include "server/store/mark.h"
#include "server/store/reader.h"
#include "server/store/record.h"
#include "server/store/subject.h"
#include "server/store/vault_internal.h"

#define PREFIX "pdvault-drill."
#define TEMPLATE PREFIX "XXXXXX"

struct drill {
	int place;			/* locked: one drill at a time */
	char folder[PATH_MAX - 16], store[PATH_MAX], anchor[PATH_MAX], key[PATH_MAX];
	struct vault_options vault;
	struct restore_options o;
	struct arena *arena;
	struct drill_report *report;
};

static enum status
wrong(const char *what)
{
	log_event(LOG_RESTORE, LOG_S(WHAT, what), LOG_S(WHY, "the restored vault is not as it should be"));
	return STATUS_CORRUPT;
}

static uint64_t
now_ms(void)
{
	return clock_monotonic_ns() / 1000000;
}

static enum status
refuse(const char *place, const char *what)
{
	log_event(LOG_FATAL, LOG_S(PATH, place), LOG_S(WHAT, what));
	return STATUS_CONFIG;
}

static enum status
name_parts(struct drill *d, const char *place, const char *name)
{
	if (snprintf(d->folder, sizeof(d->folder), "%s/%s", place, name) >= (int)sizeof(d->folder))
		return refuse(place, "is too long a path");
	(void)snprintf(d->store, sizeof(d->store), "%s/store", d->folder);
	(void)snprintf(d->anchor, sizeof(d->anchor), "%s/anchor", d->folder);
	(void)snprintf(d->key, sizeof(d->key), "%s/key", d->folder);
	return STATUS_OK;
}

/* It held keys: what opens them is overwritten where it lies, and then everything goes. */
static enum status
clean(struct drill *d)
{
	char part[PATH_MAX + 16];
	bool ok = true;

	for (unsigned i = 0; i < 2; i++) {
		const char *path = i == 0 ? d->anchor : d->key;

		(void)snprintf(part, sizeof(part), "%s" RESTORE_PART, path);
		ok = own_file_destroy(path) && own_file_destroy(part) && ok;
	}
	store_remove(d->store);
	ok = mark_end(d->store, MARK_RESTORE) == STATUS_OK && ok;
	ok = (rmdir(d->store) == 0 || access(d->store, F_OK) != 0) && ok;
	if (rmdir(d->folder) == 0 && ok)
		return STATUS_OK;
	log_event(LOG_RESTORE, LOG_S(PATH, d->folder),
	    LOG_S(WHAT, "could not be removed: overwrite its anchor"));
	return STATUS_IO;
}

/* A folder of our own, as mkdtemp() makes them; never where a link of somebody else leads. */
static bool
is_drill(int place, const char *name)
{
	struct stat st;

	return strncmp(name, PREFIX, sizeof(PREFIX) - 1) == 0 && strlen(name) == sizeof(TEMPLATE) - 1 &&
	    fstatat(place, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_uid == geteuid() && (st.st_mode & 07777) == 0700;
}

/* What a drill that was killed left: a vault with keys of people, which forgets nobody. */
static enum status
clean_others(struct drill *d, const char *place)
{
	DIR *folder = opendir(place);
	struct dirent *e;
	enum status rc = STATUS_OK;

	if (folder == NULL)
		return refuse(place, "cannot be read");
	while (rc == STATUS_OK && (e = readdir(folder)) != NULL) {
		if (!is_drill(d->place, e->d_name))
			continue;
		log_event(LOG_RESTORE, LOG_S(PATH, place),
		    LOG_S(WHAT, "a drill was cut off here: what it made is removed"));
		if ((rc = name_parts(d, place, e->d_name)) == STATUS_OK)
			rc = clean(d);
	}
	(void)closedir(folder);
	return rc;
}

static enum status
make_folder(struct drill *d, const char *place)
{
	enum status rc;

	d->place = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->place < 0)
		return refuse(place, "is no folder that can be opened");
	if (flock(d->place, LOCK_EX | LOCK_NB) != 0)
		return refuse(place, "another drill is at work here");
	if ((rc = clean_others(d, place)) != STATUS_OK || (rc = name_parts(d, place, TEMPLATE)) != STATUS_OK)
		return rc;
	if (mkdtemp(d->folder) == NULL)
		return refuse(place, "no folder can be made here");
	if ((rc = name_parts(d, place, strrchr(d->folder, '/') + 1)) != STATUS_OK)
		return rc;
	d->vault.store_path = d->store;
	d->vault.anchor = (struct anchor_paths){ { d->anchor }, 1 };
	d->vault.key_path = d->key;
	/* It holds keys for the time of the drill, and is overwritten as well as its place lets it be. */
	d->vault.force_class_d = true;
	return STATUS_OK;
}

/* Each look-up of an identity leads back to it. */
static enum status
find(struct drill *d, struct vault *v, const uint8_t *subject, const Pdvault__V1__Identity *id)
{
	uint8_t ids[LOOKUP_SHARED_MAX][SUBJECT_ID_LEN];
	struct lookup *item = arena_alloc(d->arena, (lookup_list_max(id) + 1) * sizeof(*item));
	struct lookup_fault bad;
	struct reader *rd = NULL;
	unsigned count = 0, found;
	enum status rc = STATUS_NO_MEMORY;

	if (item == NULL || (rc = lookup_list(id, vault_country_code(v), item, &count, &bad)) != STATUS_OK ||
	    (rc = reader_begin(v, &rd)) != STATUS_OK)
		return rc;
	for (unsigned i = 0; i < count && rc == STATUS_OK; i++) {
		bool mine = false;

		if ((rc = reader_find(rd, &item[i], ids, &found)) != STATUS_OK)
			break;
		for (unsigned j = 0; j < found; j++)
			mine = mine || memcmp(ids[j], subject, SUBJECT_ID_LEN) == 0;
		/* One that another has was left out, and the report says how many those were. */
		if (!mine && d->report->restored.lookups_taken == 0)
			rc = wrong("a look-up");
		d->report->found += mine;
	}
	reader_end(rd);
	return rc;
}

/* Everything of one who is there. */
static enum status
read_one(struct drill *d, struct vault *v, const uint8_t *subject)
{
	struct reader_item item[8];
	struct reader_page page = { .limit = 8, .item = item };
	const Pdvault__V1__Identity *id = NULL;
	struct reader *rd = NULL;
	struct bytes plain;
	enum status rc, billing;

	if ((rc = reader_begin(v, &rd)) != STATUS_OK)
		return rc;
	rc = reader_record(rd, subject, SUBJECT_IDENTITY, d->arena, &plain);
	if (rc == STATUS_OK)
		id = (const void *)protobuf_c_message_unpack(&pdvault__v1__identity__descriptor,
		    arena_allocator(d->arena), plain.len - RECORD_HEAD, plain.p + RECORD_HEAD);
	billing = reader_record(rd, subject, SUBJECT_BILLING, d->arena, &plain);
	if (billing == STATUS_OK || billing == STATUS_NO_RECORD)
		billing = reader_transactions(rd, subject, d->arena, &page);
	reader_end(rd);
	if (billing != STATUS_OK && billing != STATUS_CATEGORY_ERASED && billing != STATUS_NO_RECORD)
		return wrong("billing");
	if (rc == STATUS_OK)
		return id != NULL ? find(d, v, subject, id) : wrong("an identity");
	/* What was lost is in the report of the restore; what was erased in part says so. */
	if (rc != STATUS_LOST && rc != STATUS_CATEGORY_ERASED)
		return wrong("an identity");
	return STATUS_OK;
}

static enum status
sample_one(struct drill *d, struct vault *v, struct bytes subject, struct bytes row)
{
	uint64_t slot;
	enum status rc = subject_parse(row, &slot, NULL);

	if (subject.len != SUBJECT_ID_LEN || (rc != STATUS_OK && rc != STATUS_ERASED))
		return wrong("a row of subjects");
	if (rc == STATUS_ERASED) {
		d->report->erased_sampled++;
		return STATUS_OK;
	}
	d->report->sampled++;
	rc = read_one(d, v, subject.p);
	arena_reset(d->arena);
	return rc;
}

/* Ids are random, so every so-and-so-many-th is a fair sample. */
static enum status
sample(struct drill *d, struct vault *v)
{
	struct vault_status st;
	struct input *in = NULL;
	struct stream *s = NULL;
	struct bytes key, row;
	uint64_t every, at = 0;
	enum status rc;

	if ((rc = vault_status(v, &st)) != STATUS_OK)
		return rc;
	if (st.subjects != d->report->restored.subjects ||
	    st.ledger_entries != d->report->restored.ledger_entries)
		return wrong("the number of subjects, or of entries of the ledger");
	every = (st.subjects + st.erased) / DRILL_SAMPLES + 1;
	if ((rc = input_vault(v, &in)) != STATUS_OK || (rc = stream_new(in, STORE_SUBJECTS, &s)) != STATUS_OK)
		goto out;
	for (; (rc = stream_row(s, &key, &row)) == STATUS_OK && (d->o.stop == NULL || !*d->o.stop);
	    stream_step(s), at++)
		if (at % every == 0 && (rc = sample_one(d, v, key, row)) != STATUS_OK)
			goto out;
	rc = rc == STATUS_ABSENT ? STATUS_OK : rc == STATUS_OK ? refuse(d->folder, "stopped") : rc;
out:
	stream_free(s);
	input_free(in);
	return rc;
}

static enum status
try(struct drill *d)
{
	uint64_t start = now_ms(), restored, opened;
	struct vault *v = NULL;
	enum status rc;

	if ((rc = restore_run(&d->o, &d->report->restored)) != STATUS_OK)
		return rc;
	restored = now_ms();
	if ((rc = vault_open(&d->vault, &v)) == STATUS_OK) {
		opened = now_ms();
		rc = sample(d, v);
		d->report->restore_ms = restored - start;
		d->report->open_ms = opened - restored;
		d->report->sample_ms = now_ms() - opened;
	}
	vault_close(v);
	return rc;
}

enum status
drill_run(const struct restore_options *o, const char *place, struct drill_report *out)
{
	struct drill *d = calloc(1, sizeof(*d));
	enum status rc = STATUS_NO_MEMORY, cleaned;

	if (d == NULL)
		return rc;
	memset(out, 0, sizeof(*out));
	d->report = out;
	d->vault = *o->vault;
	d->o = *o;
	d->o.vault = &d->vault;
	d->place = -1;
	if ((d->arena = arena_new()) == NULL || (rc = make_folder(d, place)) != STATUS_OK)
		goto out;
	rc = try(d);
	cleaned = clean(d);
	rc = rc == STATUS_OK ? cleaned : rc;
out:
	if (d->place >= 0)
		(void)close(d->place);
	arena_free(d->arena);
	free(d);
	return rc;
}
