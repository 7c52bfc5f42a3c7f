/* `pdvault backup` over real TLS, against a vault in memory: cut off, gone on with, destroyed. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>
#include <sodium.h>

#include "backup_vault.h"
#include "client/backup/chain.h"
#include "client/cli/exitcode.h"
#include "client/cli/nouns.h"
#include "pki.h"
#include "scratch.h"

enum { PATH = 300, DIRS = 4, CALLS = 14 };

static struct pki *pki;
static struct fake *fake;
static struct failure why;
static char folder[256], dirs[DIRS][PATH];
static struct backup_bed_vault vaults[2];

static int
group_start(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return -1;
	pki = pki_new();
	fake = fake_new(pki, 0, backup_vault_serve, NULL);
	(void)setenv("PDVAULT_SERVER", fake_url(fake), 1);
	(void)setenv("PDVAULT_CA", pki_path(pki, "ca.pem"), 1);
	(void)setenv("PDVAULT_CERT", pki_path(pki, "client.pem"), 1);
	(void)setenv("PDVAULT_KEY", pki_path(pki, "client.key"), 1);
	return 0;
}

static int
group_stop(void **state)
{
	(void)state;
	fake_free(fake);
	pki_free(pki);
	nng_closeall();
	nng_msleep(200);		/* plan_tear_down() says why */
	nng_fini();
	return 0;
}

/* Bytes of all values that the vault sends. */
static size_t
values_of(const struct backup_bed_vault *v)
{
	size_t sum = 0;

	for (size_t t = 0; t < BACKUP_BED_TABLES; t++)
		for (size_t i = 0; i < v->tables[t].n; i++)
			sum += v->tables[t].rows[i].value_len * BACKUP_VAULT_TIMES;
	return sum;
}

static int
begin(void **state)
{
	size_t i;

	(void)state;
	scratch_make(folder);
	(void)setenv("HOME", folder, 1);
	for (i = 0; i < DIRS; i++)
		(void)snprintf(dirs[i], PATH, "%s/%zu", folder, i);
	memset(vaults, 0, sizeof(vaults));
	/* So much that trouble after so many calls comes before the end. */
	while (values_of(&vaults[0]) < CALLS * BACKUP_ROWS_MAX)
		backup_bed_change(&vaults[0], 50);
	vaults[1] = vaults[0];
	backup_bed_change(&vaults[1], 12);
	backup_vault_reset(&vaults[0]);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	scratch_remove(folder);
	return 0;
}

/* A command; its exit status. */
static int
run(const char *const *argv)
{
	int saved = dup(STDOUT_FILENO), to = open("/dev/null", O_WRONLY | O_CLOEXEC);
	enum pdv_code rc;
	struct args a;

	why = (struct failure){.code = PDV_OK};
	assert_int_equal(args_parse(&nouns_table, argv, &a, &why), PDV_OK);
	assert_true(saved >= 0 && to >= 0);
	(void)fflush(NULL);
	(void)dup2(to, STDOUT_FILENO);
	rc = a.verb->run(&a, &why);
	(void)fflush(NULL);
	(void)dup2(saved, STDOUT_FILENO);
	(void)close(saved);
	(void)close(to);
	return (int)exitcode_of(rc, why.reason);
}
#define RUN(...) run((const char *const[]){ __VA_ARGS__, "--json", NULL })

static const char *
in(const char *dir, const char *name)
{
	return scratch_path(dir, name);
}

static bool
exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* What the folders hold, read as one, is what the vault has. */
static void
holds(size_t count, const struct backup_bed_vault *v)
{
	static uint8_t value[BACKUP_VAULT_VALUE];
	const char *const path[] = {dirs[0], dirs[1], dirs[2]};
	struct backup_chain *c = NULL;
	struct backup_cursor *k = NULL;
	struct backup_row row;
	struct backup_fault f;
	bool over;

	assert_int_equal(backup_chain_open(path, count, &c, &f), BACKUP_OK);
	assert_int_equal(backup_chain_verify(c, NULL, NULL, &f), BACKUP_OK);
	for (size_t t = 0; t < BACKUP_BED_TABLES; t++) {
		assert_int_equal(backup_cursor_new(c, backup_bed_names[t], &k, &f), BACKUP_OK);
		for (size_t i = 0; i <= v->tables[t].n; i++) {
			assert_int_equal(backup_cursor_next(k, &row, &over, &f), BACKUP_OK);
			assert_true(over == (i == v->tables[t].n));
			if (over)
				break;
			assert_int_equal(row.key_len, v->tables[t].rows[i].key_len);
			assert_memory_equal(row.key, v->tables[t].rows[i].key, row.key_len);
			assert_int_equal(row.value_len, backup_vault_value(&v->tables[t].rows[i], value));
			assert_memory_equal(row.value, value, row.value_len);
		}
		backup_cursor_free(k);
	}
	backup_chain_close(c);
}

static void
full(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(RUN("backup", "data", dirs[0]), 0);
	assert_int_equal(stat(dirs[0], &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_true(exists(in(dirs[0], "000002.chunk")) && !exists(in(dirs[0], "unfinished")));
	holds(1, &vaults[0]);
	assert_int_equal(RUN("backup", "verify", dirs[0]), 0);
	/* It is whole: nothing is added to it. */
	assert_int_equal(RUN("backup", "data", dirs[0]), EXITCODE_FAILED);
	assert_string_equal(why.reason, "NOT_EMPTY");
	assert_int_equal(truncate(in(dirs[0], "000001.chunk"), 99), 0);
	assert_int_equal(RUN("backup", "verify", dirs[0]), EXITCODE_FAILED);
	assert_string_equal(why.reason, "BACKUP_DAMAGED");
}

static void
empty_vault(void **state)
{
	static const struct backup_bed_vault nothing;

	(void)state;
	backup_vault.rows = &nothing;
	assert_int_equal(RUN("backup", "data", dirs[0]), 0);
	holds(1, &nothing);
	backup_vault.rows = &vaults[0];
	assert_int_equal(RUN("backup", "data", dirs[1], "--since", dirs[0]), 0);
	holds(2, &vaults[0]);
	backup_vault.rows = &nothing;
	assert_int_equal(RUN("backup", "data", dirs[2], "--since", dirs[0], "--since", dirs[1]), 0);
	holds(3, &nothing);
}

/* Killed, with half of a chunk, and gone on with after the vault has changed. */
static void
cut_off(void **state)
{
	uint64_t all;

	(void)state;
	assert_int_equal(RUN("backup", "data", dirs[0]), 0);
	all = backup_vault.sent;
	backup_vault.fail_after = 10;
	assert_int_equal(RUN("backup", "data", dirs[1]), EXITCODE_FAILED);
	assert_true(exists(in(dirs[1], "unfinished")) && !exists(in(dirs[1], "manifest")));
	assert_true(exists(in(dirs[1], "000001.chunk")));
	assert_int_equal(RUN("backup", "verify", dirs[1]), EXITCODE_FAILED);
	assert_int_equal(RUN("backup", "data", dirs[2], "--since", dirs[1]), EXITCODE_FAILED);
	scratch_write(in(dirs[1], "000077.chunk"), "half", 4);
	scratch_write(in(dirs[1], "000078.chunk.part"), "half", 4);
	backup_vault.fail_after = 0;
	backup_vault.sent = 0;
	assert_int_equal(RUN("backup", "data", dirs[1]), 0);
	assert_true(backup_vault.sent < all);
	assert_false(exists(in(dirs[1], "000077.chunk")) || exists(in(dirs[1], "000078.chunk.part")));
	assert_int_equal(rename(dirs[1], dirs[3]), 0);
	scratch_remove(dirs[0]);
	assert_int_equal(rename(dirs[3], dirs[0]), 0);
	holds(1, &vaults[0]);
}

static void
cut_off_and_changed(void **state)
{
	(void)state;
	backup_vault.fail_after = CALLS;
	assert_int_equal(RUN("backup", "data", dirs[0]), EXITCODE_FAILED);
	backup_vault.fail_after = 0;
	backup_vault.rows = &vaults[1];
	assert_int_equal(RUN("backup", "data", dirs[0]), 0);
	holds(1, &vaults[1]);
}

/* What comes behind a gap is had still, though the gap has become smaller. */
static void
gap(void **state)
{
	struct backup_bed_table *t = &vaults[1].tables[0];

	(void)state;
	vaults[1] = vaults[0];
	memmove(&t->rows[0], &t->rows[1], --t->n * sizeof(t->rows[0]));
	backup_vault.fail_after = CALLS;
	assert_int_equal(RUN("backup", "data", dirs[0]), EXITCODE_FAILED);
	backup_vault.fail_after = 0;
	assert_int_equal(unlink(in(dirs[0], "000001.chunk")), 0);
	backup_vault.rows = &vaults[1];
	assert_int_equal(RUN("backup", "data", dirs[0]), 0);
	assert_true(exists(in(dirs[0], "000002.chunk")));
	holds(1, &vaults[1]);
}

static void
session_gone(void **state)
{
	(void)state;
	backup_vault.lose_after = 12;
	assert_int_equal(RUN("backup", "data", dirs[0]), 0);
	assert_int_equal(backup_vault.begun, 2);
	holds(1, &vaults[0]);
}

static void
since(void **state)
{
	uint64_t all;

	(void)state;
	assert_int_equal(RUN("backup", "data", dirs[0]), 0);
	all = backup_vault.sent;
	backup_vault.sent = 0;
	assert_int_equal(RUN("backup", "data", dirs[1], "--since", dirs[0]), 0);
	assert_true(backup_vault.sent == 0 && !exists(in(dirs[1], "000001.chunk")));
	holds(2, &vaults[0]);
	backup_vault.rows = &vaults[1];
	backup_vault.lose_after = 3;
	assert_int_equal(RUN("backup", "data", dirs[2], "--since", dirs[0], "--since", dirs[1]), 0);
	assert_true(backup_vault.sent <= 2 * all);
	holds(3, &vaults[1]);
	assert_int_equal(RUN("backup", "verify", dirs[2], "--since", dirs[0], "--since", dirs[1]), 0);
	assert_int_equal(RUN("backup", "verify", dirs[2], "--since", dirs[0]), EXITCODE_FAILED);
}

/* The vault has another signing key since the base was made. */
static void
since_another_key(void **state)
{
	(void)state;
	assert_int_equal(RUN("backup", "data", dirs[0]), 0);
	backup_bed_turn();
	backup_vault.rows = &vaults[1];
	assert_int_equal(RUN("backup", "data", dirs[1], "--since", dirs[0]), 0);
	holds(2, &vaults[1]);
	assert_int_equal(RUN("backup", "verify", dirs[1], "--since", dirs[0]), 0);
}

static void
refused(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(RUN("backup", "data", dirs[0]), 0);
	/* Of another vault. */
	backup_vault.vault = 9;
	assert_int_equal(RUN("backup", "data", dirs[1], "--since", dirs[0]), EXITCODE_FAILED);
	assert_string_equal(why.reason, "OTHER_VAULT");
	backup_vault.vault = 0;
	/* Which could be made, and never be read. */
	backup_vault.less_tables = true;
	assert_int_equal(RUN("backup", "data", dirs[1], "--since", dirs[0]), EXITCODE_FAILED);
	assert_string_equal(why.reason, "OTHER_TABLES");
	backup_vault.less_tables = false;
	/* Rows that are in no order. */
	backup_vault.twice = true;
	assert_int_equal(RUN("backup", "data", dirs[3]), EXITCODE_FAILED);
	assert_string_equal(why.reason, "MALFORMED_ANSWER");
	backup_vault.twice = false;
	scratch_remove(dirs[3]);
	/* Begun since one, gone on with since none. */
	assert_int_equal(RUN("backup", "data", dirs[1]), EXITCODE_FAILED);
	assert_string_equal(why.reason, "NOT_EMPTY");
	/* Somebody's file. */
	assert_int_equal(mkdir(dirs[2], 0700), 0);
	scratch_write(in(dirs[2], "letter"), "dear", 4);
	assert_int_equal(RUN("backup", "data", dirs[2]), EXITCODE_FAILED);
	assert_string_equal(why.reason, "NOT_EMPTY");
	assert_int_equal(unlink(in(dirs[2], "letter")), 0);
	assert_int_equal(rmdir(dirs[2]), 0);		/* nothing was put beside it */
	/* Somebody is at it. */
	assert_int_equal(mkdir(dirs[2], 0700), 0);
	fd = open(dirs[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(RUN("backup", "data", dirs[2]), EXITCODE_CONFLICT);
	(void)close(fd);
	/* Not signed. */
	backup_vault.bad_signature = true;
	assert_int_equal(RUN("backup", "data", dirs[2]), EXITCODE_FAILED);
	assert_false(exists(in(dirs[2], "manifest")));
	backup_vault.bad_signature = false;
	assert_int_equal(RUN("backup", "data", dirs[2]), 0);
}

/* The byte that the file is full of; 0: it is not so. */
static uint8_t
filled_with(const char *path)
{
	uint8_t bytes[BACKUP_SEALED_LEN + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), BACKUP_SEALED_LEN);
	(void)close(fd);
	for (size_t i = 1; i < BACKUP_SEALED_LEN; i++)
		if (bytes[i] != bytes[0])
			return 0;
	return bytes[0];
}

static void
keys(void **state)
{
	(void)state;
	backup_vault.fail_after = 9;
	assert_int_equal(RUN("backup", "keys", dirs[0], "--lifetime", "2d"), EXITCODE_FAILED);
	assert_int_equal(filled_with(in(dirs[0], "root.sealed")), 0x41);
	assert_int_equal(link(in(dirs[0], "root.sealed"), in(folder, "same")), 0);
	backup_vault.fail_after = 0;
	/* It is none of data, and not to be taken for one. */
	assert_int_equal(RUN("backup", "data", dirs[0]), EXITCODE_FAILED);
	assert_string_equal(why.reason, "NOT_EMPTY");
	/* The newer root key lies where the older one lay. */
	assert_int_equal(RUN("backup", "keys", dirs[0]), 0);
	assert_int_equal(filled_with(in(dirs[0], "root.sealed")), 0x42);
	assert_int_equal(filled_with(in(folder, "same")), 0x42);
	assert_false(exists(in(dirs[0], "root.sealed.part")));
	assert_int_equal(RUN("backup", "verify", dirs[0]), 0);
	assert_int_equal(RUN("backup", "data", dirs[1], "--since", dirs[0]), EXITCODE_FAILED);
	assert_string_equal(why.reason, "WRONG_KIND");
	assert_int_equal(RUN("backup", "destroy", dirs[0], "--yes"), 0);
	assert_int_equal(backup_vault.destroyed, 1);
	assert_false(exists(in(dirs[0], "root.sealed")));
	assert_int_equal(filled_with(in(folder, "same")), 0);
	assert_int_equal(RUN("backup", "keys", dirs[3], "--lifetime", "7"), EXITCODE_INVALID);
	/* Its chunks are whole, and open nothing. */
	assert_int_equal(RUN("backup", "verify", dirs[0]), EXITCODE_FAILED);
	assert_string_equal(why.reason, "KEY_BACKUP_DESTROYED");
	backup_vault.expires = 1;
	assert_int_equal(RUN("backup", "keys", dirs[2]), 0);
	assert_int_equal(RUN("backup", "verify", dirs[2]), EXITCODE_FAILED);
	assert_string_equal(why.reason, "KEY_BACKUP_EXPIRED");
	/* Once more is no harm. */
	assert_int_equal(RUN("backup", "destroy", dirs[0], "--yes"), 0);
}

static void
keys_closed(void **state)
{
	(void)state;
	backup_vault.fail_after = 9;
	assert_int_equal(RUN("backup", "keys", dirs[0]), EXITCODE_FAILED);
	backup_vault.fail_after = 0;
	memset(backup_vault.key_backup, 0x33, BACKUP_ID_LEN);	/* that one expired */
	assert_int_equal(RUN("backup", "keys", dirs[0]), EXITCODE_FAILED);
	assert_string_equal(why.reason, "KEY_BACKUP_CLOSED");
	/* Overwritten before the vault is told, which knows it no more. */
	assert_int_equal(RUN("backup", "destroy", dirs[0], "--yes"), EXITCODE_NOT_FOUND);
	assert_false(exists(in(dirs[0], "root.sealed")));
	assert_int_equal(RUN("backup", "destroy", "33333333333333333333333333333333", "--yes"), 0);
	assert_int_equal(RUN("backup", "destroy", "3333", "--yes"), EXITCODE_NOT_FOUND);
}

static void
destroy_data(void **state)
{
	(void)state;
	assert_int_equal(RUN("backup", "data", dirs[0]), 0);
	assert_int_equal(RUN("backup", "destroy", dirs[0], "--yes"), EXITCODE_FAILED);
	assert_string_equal(why.reason, "WRONG_KIND");
	backup_vault.fail_after = 9;
	assert_int_equal(RUN("backup", "data", dirs[1]), EXITCODE_FAILED);
	backup_vault.fail_after = 0;
	assert_int_equal(RUN("backup", "destroy", dirs[1], "--yes"), EXITCODE_FAILED);
	assert_int_equal(backup_vault.destroyed, 0);
	holds(1, &vaults[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(full, begin, end),
		cmocka_unit_test_setup_teardown(empty_vault, begin, end),
		cmocka_unit_test_setup_teardown(cut_off, begin, end),
		cmocka_unit_test_setup_teardown(cut_off_and_changed, begin, end),
		cmocka_unit_test_setup_teardown(gap, begin, end),
		cmocka_unit_test_setup_teardown(session_gone, begin, end),
		cmocka_unit_test_setup_teardown(since, begin, end),
		cmocka_unit_test_setup_teardown(since_another_key, begin, end),
		cmocka_unit_test_setup_teardown(refused, begin, end),
		cmocka_unit_test_setup_teardown(keys, begin, end),
		cmocka_unit_test_setup_teardown(keys_closed, begin, end),
		cmocka_unit_test_setup_teardown(destroy_data, begin, end),
	};

	return cmocka_run_group_tests(tests, group_start, group_stop);
}
