#include "raw_store.h"

#include <string.h>

#include "server/must.h"

#define MAP ((size_t)1 << 30)

void
raw_store_open(struct raw_store *r, const char *folder)
{
	must(mdb_env_create(&r->env) == 0);
	must(mdb_env_set_maxdbs(r->env, 16) == 0 && mdb_env_set_mapsize(r->env, MAP) == 0);
	must(mdb_env_open(r->env, folder, 0, 0600) == 0);
	must(mdb_txn_begin(r->env, NULL, 0, &r->txn) == 0);
}

void
raw_store_close(struct raw_store *r)
{
	must(mdb_txn_commit(r->txn) == 0);
	mdb_env_close(r->env);
}

static MDB_dbi
dbi_of(struct raw_store *r, const char *table)
{
	MDB_dbi dbi;

	must(mdb_dbi_open(r->txn, table, 0, &dbi) == 0);
	return dbi;
}

static MDB_val
val(struct bytes b)
{
	return (MDB_val){ b.len, (void *)(uintptr_t)b.p };
}

static void
copy(const MDB_val *k, const MDB_val *v, struct raw_row *out)
{
	must(k->mv_size <= sizeof(out->key) && v->mv_size <= sizeof(out->value));
	memcpy(out->key, k->mv_data, out->key_len = k->mv_size);
	memcpy(out->value, v->mv_data, out->value_len = v->mv_size);
}

size_t
raw_store_count(struct raw_store *r, const char *table)
{
	MDB_stat st;

	must(mdb_stat(r->txn, dbi_of(r, table), &st) == 0);
	return st.ms_entries;
}

void
raw_store_nth(struct raw_store *r, const char *table, size_t n, struct raw_row *out)
{
	MDB_cursor *c;
	MDB_val k, v;

	must(mdb_cursor_open(r->txn, dbi_of(r, table), &c) == 0);
	must(mdb_cursor_get(c, &k, &v, MDB_FIRST) == 0);
	while (n-- > 0)
		must(mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0);
	copy(&k, &v, out);
	mdb_cursor_close(c);
}

bool
raw_store_get(struct raw_store *r, const char *table, struct bytes key, struct raw_row *out)
{
	MDB_val k = val(key), v;
	int rc = mdb_get(r->txn, dbi_of(r, table), &k, &v);

	must(rc == 0 || rc == MDB_NOTFOUND);
	if (rc == 0)
		copy(&k, &v, out);
	return rc == 0;
}

void
raw_store_put(struct raw_store *r, const char *table, struct bytes key, struct bytes value)
{
	MDB_val k = val(key), v = val(value);

	must(mdb_put(r->txn, dbi_of(r, table), &k, &v, 0) == 0);
}

void
raw_store_delete(struct raw_store *r, const char *table, struct bytes key)
{
	MDB_val k = val(key);

	must(mdb_del(r->txn, dbi_of(r, table), &k, NULL) == 0);
}

void
raw_store_write(struct raw_store *r, const char *table, const struct raw_row *row)
{
	raw_store_put(r, table, bytes_of(row->key, row->key_len), bytes_of(row->value, row->value_len));
}

void
raw_store_flip(const char *folder, const char *table, struct bytes key)
{
	struct raw_store r;
	struct raw_row row;

	raw_store_open(&r, folder);
	must(raw_store_get(&r, table, key, &row));
	row.value[row.value_len / 2] ^= 1;
	raw_store_write(&r, table, &row);
	raw_store_close(&r);
}
