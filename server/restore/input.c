#include "server/restore/input.h"

#include <stdlib.h>
#include <string.h>

#include "server/log.h"
#include "server/store/vault_internal.h"

struct input {
	struct backup_chain *chain;	/* or, NULL: */
	struct store_snapshot *snapshot;
};

struct stream {
	struct input *in;
	enum store_table table;
	struct backup_cursor *cursor;	/* of a chain */
	bool loaded, ended;
	struct bytes key, value;
	uint8_t from[STORE_KEY_MAX + 1];	/* of a store: where it goes on */
	size_t from_len;
};

#define TABLE_NAME(name, text, grows) text,
static const char *const names[STORE_TABLE_COUNT] = { STORE_TABLES(TABLE_NAME) };
#undef TABLE_NAME

static enum status
judge(enum backup_result r, const struct backup_fault *f)
{
	if (r == BACKUP_OK)
		return STATUS_OK;
	if (r == BACKUP_NO_MEMORY)
		return STATUS_NO_MEMORY;
	log_event(LOG_FATAL, LOG_S(WHAT, "the backup cannot be used"), LOG_S(WHY, f->text));
	return r == BACKUP_BAD ? STATUS_REFUSED : r == BACKUP_ABSENT ? STATUS_CONFIG : STATUS_IO;
}

enum status
input_backup(const char *const *path, size_t count, Pdvault__V1__BackupKind kind, struct input **out)
{
	struct input *in = calloc(1, sizeof(*in));
	struct backup_fault f;
	enum status rc = STATUS_NO_MEMORY;

	if (in == NULL)
		return rc;
	if ((rc = judge(backup_chain_open(path, count, &in->chain, &f), &f)) != STATUS_OK)
		goto out;
	if (input_head(in)->kind != kind) {
		rc = STATUS_REFUSED;
		log_event(LOG_FATAL, LOG_S(PATH, path[0]), LOG_S(WHAT,
		    kind == PDVAULT__V1__BACKUP_KIND__KEYS ? "not a backup of keys" : "not a backup of data"));
		goto out;
	}
	if ((rc = judge(backup_chain_verify(in->chain, NULL, NULL, &f), &f)) != STATUS_OK)
		goto out;
	*out = in;
	in = NULL;
out:
	input_free(in);
	return rc;
}

enum status
input_vault(struct vault *v, struct input **out)
{
	struct input *in = calloc(1, sizeof(*in));
	enum status rc = STATUS_NO_MEMORY;

	if (in == NULL)
		return rc;
	if ((rc = store_snapshot_new(v->store, &in->snapshot)) != STATUS_OK ||
	    (rc = store_snapshot_begin(in->snapshot)) != STATUS_OK) {
		input_free(in);
		return rc;
	}
	*out = in;
	return STATUS_OK;
}

void
input_free(struct input *in)
{
	if (in == NULL)
		return;
	backup_chain_close(in->chain);
	store_snapshot_free(in->snapshot);
	free(in);
}

const Pdvault__V1__BackupHead *
input_head(const struct input *in)
{
	return in->chain != NULL ? backup_chain_head(in->chain) : NULL;
}

enum status
stream_new(struct input *in, enum store_table t, struct stream **out)
{
	struct stream *s = calloc(1, sizeof(*s));
	struct backup_fault f;
	enum status rc = STATUS_OK;

	if (s == NULL)
		return STATUS_NO_MEMORY;
	s->in = in;
	s->table = t;
	if (in->chain != NULL)
		rc = judge(backup_cursor_new(in->chain, names[t], &s->cursor, &f), &f);
	if (rc != STATUS_OK) {
		stream_free(s);
		return rc;
	}
	*out = s;
	return STATUS_OK;
}

void
stream_free(struct stream *s)
{
	if (s == NULL)
		return;
	backup_cursor_free(s->cursor);
	free(s);
}

static enum status
load_backup(struct stream *s)
{
	struct backup_fault f;
	struct backup_row row;
	enum status rc = judge(backup_cursor_next(s->cursor, &row, &s->ended, &f), &f);

	if (rc == STATUS_OK && !s->ended) {
		s->key = bytes_of(row.key, row.key_len);
		s->value = bytes_of(row.value, row.value_len);
	}
	return rc;
}

static enum status
load_store(struct stream *s)
{
	enum status rc = store_seek(s->in->snapshot, s->table, bytes_of(s->from, s->from_len), &s->key,
	    &s->value);

	s->ended = rc == STATUS_ABSENT;
	if (rc != STATUS_OK)
		return s->ended ? STATUS_OK : rc;
	if (s->key.len > STORE_KEY_MAX)
		return STATUS_CORRUPT;
	memcpy(s->from, s->key.p, s->key.len);
	s->from[s->key.len] = 0;	/* with a zero byte behind it: the next key */
	s->from_len = s->key.len + 1;
	return STATUS_OK;
}

enum status
stream_row(struct stream *s, struct bytes *key, struct bytes *value)
{
	enum status rc;

	if (!s->loaded && !s->ended) {
		if ((rc = s->cursor != NULL ? load_backup(s) : load_store(s)) != STATUS_OK)
			return rc;
		s->loaded = true;
	}
	if (s->ended)
		return STATUS_ABSENT;
	*key = s->key;
	*value = s->value;
	return STATUS_OK;
}

void
stream_step(struct stream *s)
{
	s->loaded = false;
}

enum status
stream_seek(struct stream *s, struct bytes key)
{
	struct backup_fault f;

	s->loaded = s->ended = false;
	if (s->cursor != NULL)
		return judge(backup_cursor_seek(s->cursor, key.p, key.len, &f), &f);
	if (key.len > STORE_KEY_MAX)
		return STATUS_INVALID;
	memcpy(s->from, key.p, key.len);
	s->from_len = key.len;
	return STATUS_OK;
}

enum status
stream_get(struct stream *s, struct bytes key, struct bytes *value)
{
	struct bytes found;
	enum status rc = stream_seek(s, key);

	if (rc != STATUS_OK || (rc = stream_row(s, &found, value)) != STATUS_OK)
		return rc;
	return bytes_compare(found, key) == 0 ? STATUS_OK : STATUS_ABSENT;
}
