/* The seam to the engine, and what the engine's file holds on the medium. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "scratch.h"
#include "server/store/medium.h"
#include "server/store/store.h"

#define MIB (UINT64_C(1) << 20)

static char folder[256], path[300];
static struct store_options options;
static struct store *st;

static int
setup(void **state)
{
	(void)state;
	scratch_make(folder);
	(void)snprintf(path, sizeof(path), "%s/store", folder);
	options = (struct store_options){ path, 64 * MIB, 1 * MIB, true, false };
	scratch_log_begin();
	if (store_open(&options, &st) != STATUS_OK)
		return -1;
	options.create = false;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	store_close(st);
	st = NULL;
	free(scratch_log_end(NULL));
	scratch_remove(folder);
	return 0;
}

static struct bytes
text(const char *s)
{
	return bytes_of(s, strlen(s));
}

static void
put(enum store_table t, const char *key, const char *value)
{
	struct store_batch *b;

	assert_int_equal(store_allocate(st, 1, 4096, false), STATUS_OK);
	assert_int_equal(store_batch_begin(st, &b), STATUS_OK);
	if (value != NULL)
		assert_int_equal(store_batch_put(b, t, text(key), text(value)), STATUS_OK);
	else
		assert_int_equal(store_batch_delete(b, t, text(key)), STATUS_OK);
	assert_int_equal(store_batch_commit(b), STATUS_OK);
}

/* NULL: it is not there. */
static void
assert_row(struct store_snapshot *s, enum store_table t, const char *key, const char *want)
{
	struct bytes v;
	enum status rc = store_get(s, t, text(key), &v);

	assert_int_equal(rc, want != NULL ? STATUS_OK : STATUS_ABSENT);
	if (want != NULL)
		assert_int_equal(bytes_compare(v, text(want)), 0);
}

static void
opening(void **state)
{
	struct store_options again = options;
	struct store *other = NULL;

	(void)state;
	/* Two servers on one store. */
	assert_int_equal(store_open(&again, &other), STATUS_REFUSED);
	store_close(st);
	st = NULL;
	again.create = true;
	assert_int_equal(store_open(&again, &other), STATUS_REFUSED);
	again.create = false;
	again.path = scratch_path(folder, "nothing");
	assert_int_equal(store_open(&again, &other), STATUS_CONFIG);
	assert_int_not_equal(access(again.path, F_OK), 0);
	assert_null(other);
	assert_int_equal(store_open(&options, &st), STATUS_OK);
	assert_false(store_is_read_only(path));
}

/* Not the file of a store, or cut off. */
static void
broken_file(void **state)
{
	struct store *other = NULL;
	char data[340];

	(void)state;
	store_close(st);
	st = NULL;
	(void)snprintf(data, sizeof(data), "%s/data.mdb", path);
	assert_int_equal(truncate(data, 100), 0);
	assert_int_not_equal(store_open(&options, &other), STATUS_OK);
	scratch_write(data, "this is not a store, but it is a file", 37);
	assert_int_not_equal(store_open(&options, &other), STATUS_OK);
	assert_null(other);
}

static void
snapshots(void **state)
{
	struct store_snapshot *a, *b;
	uint64_t rows;

	(void)state;
	put(STORE_RECORDS, "k1", "old");
	assert_int_equal(store_snapshot_new(st, &a), STATUS_OK);
	assert_int_equal(store_snapshot_new(st, &b), STATUS_OK);
	assert_int_equal(store_snapshot_begin(a), STATUS_OK);
	put(STORE_RECORDS, "k1", "new");
	put(STORE_RECORDS, "k2", "two");
	put(STORE_SUBJECTS, "k1", "other table");
	assert_int_equal(store_snapshot_begin(b), STATUS_OK);
	assert_row(a, STORE_RECORDS, "k1", "old");
	assert_row(a, STORE_RECORDS, "k2", NULL);
	assert_row(b, STORE_RECORDS, "k1", "new");
	assert_row(b, STORE_SUBJECTS, "k1", "other table");
	store_snapshot_end(a);
	assert_int_equal(store_snapshot_begin(a), STATUS_OK);
	assert_row(a, STORE_RECORDS, "k2", "two");
	assert_int_equal(store_count(a, STORE_RECORDS, &rows), STATUS_OK);
	assert_int_equal(rows, 2);
	put(STORE_RECORDS, "k2", NULL);
	put(STORE_RECORDS, "never there", NULL);
	assert_row(a, STORE_RECORDS, "k2", "two");
	store_snapshot_end(a);
	store_snapshot_end(b);
	store_snapshot_free(a);
	store_snapshot_free(b);
}

static void
seeking(void **state)
{
	static const char *const keys[] = { "b", "bb", "d" };
	struct bytes k, v;
	struct store_snapshot *s;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		put(STORE_TRANSACTIONS, keys[i], keys[i]);
	assert_int_equal(store_snapshot_new(st, &s), STATUS_OK);
	assert_int_equal(store_snapshot_begin(s), STATUS_OK);
	assert_int_equal(store_seek(s, STORE_TRANSACTIONS, text(""), &k, &v), STATUS_OK);
	assert_int_equal(bytes_compare(k, text("b")), 0);
	assert_int_equal(store_seek(s, STORE_TRANSACTIONS, text("b"), &k, &v), STATUS_OK);
	assert_int_equal(bytes_compare(k, text("b")), 0);
	assert_int_equal(store_seek(s, STORE_TRANSACTIONS, text("ba"), &k, &v), STATUS_OK);
	assert_int_equal(bytes_compare(k, text("bb")), 0);
	assert_int_equal(store_seek(s, STORE_TRANSACTIONS, text("c"), &k, &v), STATUS_OK);
	assert_int_equal(bytes_compare(v, text("d")), 0);
	assert_int_equal(store_seek(s, STORE_TRANSACTIONS, text("e"), &k, &v), STATUS_ABSENT);
	assert_int_equal(store_seek(s, STORE_ERASURES, text(""), &k, &v), STATUS_ABSENT);
	store_snapshot_end(s);
	store_snapshot_free(s);
}

static void
all_or_nothing(void **state)
{
	struct store_snapshot *s;
	struct store_batch *b;

	(void)state;
	assert_int_equal(store_batch_begin(st, &b), STATUS_OK);
	assert_int_equal(store_batch_put(b, STORE_META, text("a"), text("1")), STATUS_OK);
	assert_int_equal(store_batch_put(b, STORE_NODES, text("b"), text("2")), STATUS_OK);
	store_batch_abort(b);
	assert_int_equal(store_snapshot_new(st, &s), STATUS_OK);
	assert_int_equal(store_snapshot_begin(s), STATUS_OK);
	assert_row(s, STORE_META, "a", NULL);
	assert_row(s, STORE_NODES, "b", NULL);
	store_snapshot_end(s);
	store_snapshot_free(s);
	store_batch_abort(NULL);
	store_snapshot_free(NULL);
}

/* K4: when a commit has returned, nothing of it waits in the page cache. */
static void
flushed(void **state)
{
	struct store_batch *b;

	(void)state;
	fault_set(FAULT_STORE, FAULT_FOR_EVER, FAULT_FOR_EVER, EIO);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(store_batch_begin(st, &b), STATUS_OK);
		assert_int_equal(store_batch_put(b, STORE_META, text("a"), text("1")), STATUS_OK);
		assert_int_equal(store_batch_commit(b), STATUS_OK);
		assert_int_equal(fault_unflushed(), 0);
		assert_true(fault_count() >= 3 * (i + 1));
	}
	fault_none();
}

/* In tables whose keys mostly grow, any order must do, and rows may be written twice. */
static void
any_order(void **state)
{
	static const char *const order[] = { "m", "n", "a", "z", "z", "b", "zz", "n" };
	struct store_snapshot *s;
	struct store_batch *b;
	char key[4], value[8];

	(void)state;
	assert_int_equal(store_batch_begin(st, &b), STATUS_OK);
	for (unsigned i = 0; i < 8; i++) {
		(void)snprintf(value, sizeof(value), "%u", i);
		assert_int_equal(store_batch_put(b, STORE_NODES, text(order[i]), text(value)), STATUS_OK);
		assert_int_equal(store_batch_put(b, STORE_META, text(order[i]), text(value)), STATUS_OK);
		if (i == 5)
			assert_int_equal(store_batch_delete(b, STORE_NODES, text("a")), STATUS_OK);
	}
	assert_int_equal(store_batch_commit(b), STATUS_OK);
	assert_int_equal(store_snapshot_new(st, &s), STATUS_OK);
	assert_int_equal(store_snapshot_begin(s), STATUS_OK);
	assert_row(s, STORE_NODES, "a", NULL);
	assert_row(s, STORE_META, "a", "2");
	assert_row(s, STORE_NODES, "z", "4");
	assert_row(s, STORE_NODES, "n", "7");
	(void)snprintf(key, sizeof(key), "zz");
	assert_row(s, STORE_NODES, key, "6");
	store_snapshot_end(s);
	store_snapshot_free(s);
}

static void
persists(void **state)
{
	struct store_snapshot *s;

	(void)state;
	put(STORE_KEYRINGS, "k", "v");
	store_close(st);
	assert_int_equal(store_open(&options, &st), STATUS_OK);
	assert_int_equal(store_snapshot_new(st, &s), STATUS_OK);
	assert_int_equal(store_snapshot_begin(s), STATUS_OK);
	assert_row(s, STORE_KEYRINGS, "k", "v");
	store_snapshot_end(s);
	store_snapshot_free(s);
}

/* K3: what was allowed fits; the last tenth is for erasures; what is given back can be used again. */
#define ROWS 16u

static uint64_t
fill(uint64_t first, enum status *end)
{
	static uint8_t value[1000];
	uint8_t key[8];
	struct store_batch *b;
	uint64_t n = first;

	while ((*end = store_allocate(st, ROWS, ROWS * sizeof(value), false)) == STATUS_OK) {
		assert_int_equal(store_batch_begin(st, &b), STATUS_OK);
		for (unsigned i = 0; i < ROWS; i++) {
			bytes_put64(key, n++);
			assert_int_equal(store_batch_put(b, STORE_RECORDS, bytes_of(key, 8),
			    bytes_of(value, sizeof(value))), STATUS_OK);
		}
		assert_int_equal(store_batch_commit(b), STATUS_OK);
	}
	return n;
}

static void
empty(uint64_t first, uint64_t last)
{
	struct store_batch *b;
	uint8_t key[8];

	while (first < last) {
		assert_int_equal(store_allocate(st, ROWS, ROWS * 8, true), STATUS_OK);
		assert_int_equal(store_batch_begin(st, &b), STATUS_OK);
		for (unsigned i = 0; i < ROWS && first < last; i++) {
			bytes_put64(key, first++);
			assert_int_equal(store_batch_delete(b, STORE_RECORDS, bytes_of(key, 8)),
			    STATUS_OK);
		}
		assert_int_equal(store_batch_commit(b), STATUS_OK);
	}
}

static void
full_and_room_again(void **state)
{
	uint64_t used, limit, first, second;
	enum status rc;

	(void)state;
	store_close(st);
	options.map_bytes = 4 * MIB;
	options.reserve_bytes = MIB / 4;
	assert_int_equal(store_open(&options, &st), STATUS_OK);
	first = fill(0, &rc);
	assert_int_equal(rc, STATUS_FULL);
	store_usage(st, &used, &limit);
	assert_int_equal(limit, 4 * MIB);
	assert_true(used <= limit / 10 * 9);
	assert_true(first > 1000);
	assert_int_equal(store_allocate(st, 1, 100, true), STATUS_OK);
	/* Taking away a quarter makes room for a good part of it. */
	empty(0, first / 4);
	second = fill(first, &rc);
	assert_int_equal(rc, STATUS_FULL);
	assert_true(second - first > first / 8);
	/* Many times over: it does not leak away. */
	for (int i = 0; i < 4; i++) {
		empty(second - first / 8, second);
		second = fill(second, &rc);
		assert_true(store_allocate(st, 1, 100, true) == STATUS_OK);
	}
	assert_int_equal(store_allocate(st, 1000000, 100, true), STATUS_FULL);
}

/* The file has what was asked for before a batch is begun. */
static void
allocates_ahead(void **state)
{
	struct stat before, after;
	char data[340];

	(void)state;
	(void)snprintf(data, sizeof(data), "%s/data.mdb", path);
	assert_int_equal(stat(data, &before), 0);
	assert_int_equal(store_allocate(st, 100, 1 << 20, false), STATUS_OK);
	assert_int_equal(stat(data, &after), 0);
	assert_true(after.st_size >= 2 * (1 << 20) + (int64_t)options.reserve_bytes);
	assert_true((uint64_t)after.st_blocks * 512 >= 2 * MIB + options.reserve_bytes);
}

static void
the_medium(void **state)
{
	static uint8_t pages[2 * 4096];
	const char *file = scratch_path(folder, "meta");
	uint64_t commit, number;

	(void)state;
	assert_int_equal(store_settled_on_medium(st), STATUS_OK);
	put(STORE_META, "a", "b");
	assert_int_equal(store_settled_on_medium(st), STATUS_OK);
	/* lmdb/mdb.c: magic and version behind the page's head, the number of the commit at 144. */
	for (int i = 0; i < 2; i++) {
		const uint32_t magic = 0xBEEFC0DE, version = 1;

		number = 41 + (uint64_t)i;
		memcpy(pages + i * 4096 + 16, &magic, 4);
		memcpy(pages + i * 4096 + 20, &version, 4);
		memcpy(pages + i * 4096 + 144, &number, 8);
	}
	scratch_write(file, pages, sizeof(pages));
	assert_int_equal(medium_newest_commit(file, &commit), STATUS_OK);
	assert_int_equal(commit, 42);
	pages[4096 + 16] ^= 1;
	scratch_write(file, pages, sizeof(pages));
	assert_int_equal(medium_newest_commit(file, &commit), STATUS_OK);
	assert_int_equal(commit, 41);
	pages[20] ^= 1;
	scratch_write(file, pages, sizeof(pages));
	assert_int_equal(medium_newest_commit(file, &commit), STATUS_CORRUPT);
	scratch_write(file, pages, 4096);
	assert_int_equal(medium_newest_commit(file, &commit), STATUS_IO);
	assert_int_equal(medium_newest_commit(scratch_path(folder, "none"), &commit), STATUS_IO);
}

/* The disk holds another commit than this process sees: the page cache lied. */
static void
another_commit_on_the_medium(void **state)
{
	char data[340], away[340];
	char meta_pages[2 * 4096];
	int fd;

	(void)state;
	put(STORE_META, "a", "1");
	put(STORE_META, "a", "2");
	(void)snprintf(data, sizeof(data), "%s/data.mdb", path);
	(void)snprintf(away, sizeof(away), "%s/away.mdb", path);
	/* Another file under the name: what LMDB has mapped is not what the name's blocks hold. */
	assert_true((fd = open(data, O_RDONLY | O_CLOEXEC)) >= 0);
	assert_int_equal(read(fd, meta_pages, sizeof(meta_pages)), sizeof(meta_pages));
	(void)close(fd);
	assert_int_equal(rename(data, away), 0);
	meta_pages[144] ^= 0x40;
	meta_pages[4096 + 144] ^= 0x40;
	scratch_write(data, meta_pages, sizeof(meta_pages));
	assert_int_equal(store_settled_on_medium(st), STATUS_CORRUPT);
	assert_int_equal(rename(away, data), 0);
	assert_int_equal(store_settled_on_medium(st), STATUS_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opening, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_file, setup, teardown),
		cmocka_unit_test_setup_teardown(snapshots, setup, teardown),
		cmocka_unit_test_setup_teardown(seeking, setup, teardown),
		cmocka_unit_test_setup_teardown(all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(flushed, setup, teardown),
		cmocka_unit_test_setup_teardown(any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(persists, setup, teardown),
		cmocka_unit_test_setup_teardown(full_and_room_again, setup, teardown),
		cmocka_unit_test_setup_teardown(allocates_ahead, setup, teardown),
		cmocka_unit_test_setup_teardown(the_medium, setup, teardown),
		cmocka_unit_test_setup_teardown(another_commit_on_the_medium, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
