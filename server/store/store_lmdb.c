#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "server/keys/own_file.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/mutant.h"
#include "server/store/medium.h"
#include "server/store/store_lmdb_internal.h"

#define READERS_MAX 64u

struct store_snapshot {
	struct store *store;
	MDB_txn *txn;			/* reset between uses */
};

struct store_batch {
	struct store *store;
	MDB_txn *txn;
	MDB_cursor *cursor;		/* of the table written last */
	enum store_table table;
	bool at_end;			/* cursor's table: the last put was its greatest key */
};

struct table_row {
	const char *name;
	bool grows;
};

#define TABLE_ROW(name, text, grows) { text, grows },
static const struct table_row tables[STORE_TABLE_COUNT] = { STORE_TABLES(TABLE_ROW) };
#undef TABLE_ROW

static enum status
failed(int rc, const char *what)
{
	if (rc == MDB_SUCCESS)
		return STATUS_OK;
	if (rc == MDB_NOTFOUND)
		return STATUS_ABSENT;
	log_event(LOG_STORE_ERROR, LOG_S(WHAT, what), LOG_S(ERRNO, mdb_strerror(rc)));
	switch (rc) {
	case MDB_MAP_FULL:
	case ENOSPC:
		return STATUS_FULL;
	case ENOMEM:
		return STATUS_NO_MEMORY;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_BAD_TXN:
		return STATUS_CORRUPT;
	default:
		return STATUS_IO;
	}
}

static MDB_val
val(struct bytes b)
{
	/* LMDB's type is not const; it does not write through it. */
	return (MDB_val){ .mv_size = b.len, .mv_data = (void *)(uintptr_t)b.p };
}

enum status
store_lmdb_lock(const char *path, int *fd)
{
	char name[STORE_PATH_MAX];
	int n = snprintf(name, sizeof(name), "%s/pdvault.lock", path);

	if (n < 0 || (size_t)n >= sizeof(name))
		return STATUS_CONFIG;
	*fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0) {
		log_event(LOG_STORE_ERROR, LOG_S(WHAT, "cannot open the lock file"), LOG_S(PATH, path),
		    LOG_S(ERRNO, strerror(errno)));
		return STATUS_IO;
	}
	if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
		log_event(LOG_STORE_ERROR, LOG_S(WHAT, "another process has this store"),
		    LOG_S(PATH, path));
		return STATUS_REFUSED;
	}
	return STATUS_OK;
}

/* Nobody may commit while a commit is set aside: the pages that it needs would be written over. */
static enum status
check_step(const struct store_options *o)
{
	bool stands;
	enum status rc = store_step_stands(o->path, &stands);

	if (rc != STATUS_OK || o->stepped || !stands)
		return rc;
	log_event(LOG_STORE_ERROR, LOG_S(PATH, o->path),
	    LOG_S(WHAT, "recover --previous was cut off: run it again"));
	return STATUS_REFUSED;
}

static enum status
check_folder(struct store *st, const struct store_options *o)
{
	struct stat sb;
	int n = snprintf(st->data, sizeof(st->data), "%s/data.mdb", o->path);
	bool there;

	if (n < 0 || (size_t)n >= sizeof(st->data))
		return STATUS_CONFIG;
	if (o->create && mkdir(o->path, 0700) != 0 && errno != EEXIST) {
		log_event(LOG_STORE_ERROR, LOG_S(WHAT, "cannot make the folder"), LOG_S(PATH, o->path),
		    LOG_S(ERRNO, strerror(errno)));
		return STATUS_IO;
	}
	there = stat(st->data, &sb) == 0;
	if (there == !o->create)
		return STATUS_OK;
	log_event(LOG_STORE_ERROR, LOG_S(PATH, o->path),
	    LOG_S(WHAT, there ? "there is a store already" : "there is no store here"));
	return there ? STATUS_REFUSED : STATUS_CONFIG;
}

static enum status
open_tables(struct store *st, bool create)
{
	MDB_txn *txn = NULL;
	int rc;

	if ((rc = mdb_txn_begin(st->env, NULL, st->read_only ? MDB_RDONLY : 0, &txn)) != 0)
		return failed(rc, "begin");
	for (int t = 0; t < STORE_TABLE_COUNT && rc == 0; t++)
		rc = mdb_dbi_open(txn, tables[t].name, create ? MDB_CREATE : 0, &st->dbi[t]);
	if (rc == MDB_NOTFOUND) {
		mdb_txn_abort(txn);
		log_event(LOG_STORE_ERROR, LOG_S(WHAT, "a table is missing"));
		return STATUS_CORRUPT;
	}
	if (rc != 0) {
		mdb_txn_abort(txn);
		return failed(rc, "open a table");
	}
	return failed(mdb_txn_commit(txn), "commit");
}

static enum status
open_env(struct store *st, const struct store_options *o)
{
	unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (o->read_only ? MDB_RDONLY : 0u) |
	    (mutant(nosync) ? MDB_NOSYNC : 0u);
	int rc;

	/* Never NOSYNC, NOMETASYNC, WRITEMAP, NOMEMINIT: a commit is durable or it is not one. */
	if ((rc = mdb_env_create(&st->env)) != 0)
		return failed(rc, "create");
	if ((rc = mdb_env_set_maxdbs(st->env, STORE_TABLE_COUNT)) != 0 ||
	    (rc = mdb_env_set_maxreaders(st->env, READERS_MAX)) != 0 ||
	    (rc = mdb_env_set_mapsize(st->env, o->map_bytes)) != 0)
		return failed(rc, "configure");
	if ((rc = mdb_env_open(st->env, o->path, flags, 0600)) != 0)
		return failed(rc, "open");
	if ((rc = mdb_env_get_fd(st->env, &st->data_fd)) != 0)
		return failed(rc, "open");
	return STATUS_OK;
}

/* LMDB reads through the map: beyond the end of a file that was cut off there is only SIGBUS. */
static enum status
check_length(struct store *st)
{
	MDB_envinfo info;
	struct stat sb;

	must(mdb_env_info(st->env, &info) == 0);
	if (fstat(st->data_fd, &sb) != 0)
		return STATUS_IO;
	if ((uint64_t)sb.st_size >= ((uint64_t)info.me_last_pgno + 1) * STORE_PAGE)
		return STATUS_OK;
	log_event(LOG_STORE_ERROR, LOG_S(WHAT, "the store's file was cut off"),
	    LOG_N(BYTES, sb.st_size));
	return STATUS_CORRUPT;
}

enum status
store_open(const struct store_options *o, struct store **out)
{
	struct store *st = calloc(1, sizeof(*st));
	enum status rc = STATUS_NO_MEMORY;
	bool made;

	if (st == NULL)
		return rc;
	st->lock_fd = st->data_fd = -1;
	st->map_bytes = o->map_bytes;
	st->reserve_bytes = o->reserve_bytes;
	st->read_only = o->read_only;
	if ((rc = check_folder(st, o)) != STATUS_OK)
		goto out;
	if (!o->read_only && (rc = store_lmdb_lock(o->path, &st->lock_fd)) != STATUS_OK)
		goto out;
	if (!o->create && (rc = check_step(o)) != STATUS_OK)
		goto out;
	st->made = o->create;
	if ((rc = open_env(st, o)) != STATUS_OK || (rc = check_length(st)) != STATUS_OK)
		goto out;
	if ((rc = open_tables(st, o->create)) != STATUS_OK)
		goto out;
	if (o->create && !(own_file_flush_folder(st->data) && own_file_flush_folder(o->path))) {
		rc = STATUS_IO;
		log_event(LOG_STORE_ERROR, LOG_S(WHAT, "cannot flush the folder"), LOG_S(PATH, o->path));
		goto out;
	}
	store_lmdb_count(st);
	*out = st;
	st = NULL;
out:
	made = st != NULL && st->made;
	store_close(st);
	if (made)
		store_remove(o->path);
	return rc;
}

bool
store_is_read_only(const char *path)
{
	struct statvfs sb;

	return statvfs(path, &sb) == 0 && (sb.f_flag & ST_RDONLY) != 0;
}

void
store_close(struct store *st)
{
	if (st == NULL)
		return;
	if (st->env != NULL)
		mdb_env_close(st->env);
	if (st->lock_fd >= 0)
		(void)close(st->lock_fd);
	free(st);
}

bool
store_is_at(const char *path)
{
	char name[STORE_PATH_MAX];
	struct stat sb;

	return snprintf(name, sizeof(name), "%s/data.mdb", path) < (int)sizeof(name) && lstat(name, &sb) == 0;
}

void
store_remove(const char *path)
{
	static const char *const names[] = { "data.mdb", "lock.mdb", "pdvault.lock" };
	char name[STORE_PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (snprintf(name, sizeof(name), "%s/%s", path, names[i]) < (int)sizeof(name))
			(void)unlink(name);
}

enum status
store_snapshot_new(struct store *st, struct store_snapshot **out)
{
	struct store_snapshot *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return STATUS_NO_MEMORY;
	s->store = st;
	if ((rc = mdb_txn_begin(st->env, NULL, MDB_RDONLY, &s->txn)) != 0) {
		free(s);
		return failed(rc, "begin a snapshot");
	}
	mdb_txn_reset(s->txn);
	*out = s;
	return STATUS_OK;
}

enum status
store_snapshot_begin(struct store_snapshot *s)
{
	return failed(mdb_txn_renew(s->txn), "renew a snapshot");
}

void
store_snapshot_end(struct store_snapshot *s)
{
	mdb_txn_reset(s->txn);
}

void
store_snapshot_free(struct store_snapshot *s)
{
	if (s == NULL)
		return;
	mdb_txn_abort(s->txn);
	free(s);
}

enum status
store_get(struct store_snapshot *s, enum store_table t, struct bytes key, struct bytes *value)
{
	MDB_val k = val(key), v;
	int rc = mdb_get(s->txn, s->store->dbi[t], &k, &v);

	if (rc != 0)
		return failed(rc, tables[t].name);
	*value = bytes_of(v.mv_data, v.mv_size);
	return STATUS_OK;
}

enum status
store_seek(struct store_snapshot *s, enum store_table t, struct bytes from, struct bytes *key,
    struct bytes *value)
{
	MDB_cursor *c = NULL;
	MDB_val k = val(from), v;
	int rc;

	if ((rc = mdb_cursor_open(s->txn, s->store->dbi[t], &c)) != 0)
		return failed(rc, tables[t].name);
	rc = mdb_cursor_get(c, &k, &v, from.len > 0 ? MDB_SET_RANGE : MDB_FIRST);
	mdb_cursor_close(c);
	if (rc != 0)
		return failed(rc, tables[t].name);
	*key = bytes_of(k.mv_data, k.mv_size);
	*value = bytes_of(v.mv_data, v.mv_size);
	return STATUS_OK;
}

enum status
store_count(struct store_snapshot *s, enum store_table t, uint64_t *rows)
{
	MDB_stat stat;
	int rc = mdb_stat(s->txn, s->store->dbi[t], &stat);

	if (rc != 0)
		return failed(rc, tables[t].name);
	*rows = stat.ms_entries;
	return STATUS_OK;
}

enum status
store_batch_begin(struct store *st, struct store_batch **out)
{
	struct store_batch *b = calloc(1, sizeof(*b));
	int rc;

	if (b == NULL)
		return STATUS_NO_MEMORY;
	b->store = st;
	b->table = STORE_TABLE_COUNT;
	if ((rc = mdb_txn_begin(st->env, NULL, 0, &b->txn)) != 0) {
		free(b);
		return failed(rc, "begin a batch");
	}
	*out = b;
	return STATUS_OK;
}

/* Keys that grow are appended: a page is filled before the next one is begun. */
static int
choose_table(struct store_batch *b, enum store_table t, struct bytes key)
{
	MDB_val k, v;
	int rc;

	if (b->table != t) {
		mdb_cursor_close(b->cursor);
		b->cursor = NULL;
		if ((rc = mdb_cursor_open(b->txn, b->store->dbi[t], &b->cursor)) != 0)
			return rc;
		b->table = t;
		b->at_end = false;
	}
	if (!tables[t].grows)
		return 0;
	rc = mdb_cursor_get(b->cursor, &k, &v, MDB_LAST);
	b->at_end = rc == MDB_NOTFOUND ||
	    (rc == 0 && bytes_compare(key, bytes_of(k.mv_data, k.mv_size)) > 0);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

enum status
store_batch_put(struct store_batch *b, enum store_table t, struct bytes key, struct bytes value)
{
	MDB_val k = val(key), v = val(value);
	int rc;

	must(key.len > 0 && key.len <= STORE_KEY_MAX && value.len <= STORE_VALUE_MAX);
	if ((rc = choose_table(b, t, key)) != 0)
		return failed(rc, tables[t].name);
	return failed(mdb_cursor_put(b->cursor, &k, &v, b->at_end ? MDB_APPEND : 0),
	    tables[t].name);
}

enum status
store_batch_delete(struct store_batch *b, enum store_table t, struct bytes key)
{
	MDB_val k = val(key);
	int rc = mdb_del(b->txn, b->store->dbi[t], &k, NULL);

	return rc == MDB_NOTFOUND ? STATUS_OK : failed(rc, tables[t].name);
}

enum status
store_batch_commit(struct store_batch *b)
{
	int rc;

	mdb_cursor_close(b->cursor);
	rc = mdb_txn_commit(b->txn);
	store_lmdb_count(b->store);
	free(b);
	return failed(rc, "commit");
}

void
store_batch_abort(struct store_batch *b)
{
	if (b == NULL)
		return;
	mdb_cursor_close(b->cursor);
	mdb_txn_abort(b->txn);
	free(b);
}

enum status
store_settled_on_medium(struct store *st)
{
	MDB_envinfo info;
	uint64_t commit;
	enum status rc;

	must(mdb_env_info(st->env, &info) == 0);
	if ((rc = medium_newest_commit(st->data, &commit)) != STATUS_OK)
		return rc;
	if (commit == info.me_last_txnid)
		return STATUS_OK;
	log_event(LOG_STORE_ERROR, LOG_S(WHAT, "the disk holds another commit than the page cache"),
	    LOG_N(COUNT, commit), LOG_N(OTHER, info.me_last_txnid));
	return STATUS_CORRUPT;
}
