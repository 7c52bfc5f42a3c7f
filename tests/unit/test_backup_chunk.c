/* Chunks: written, read, damaged, taken for others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/backup/chunk.h"
#include "client/backup/digest.h"
#include "client/backup/file.h"
#include "client/backup/message.h"
#include "scratch.h"

/* The initialisers that protoc-c writes drop a const, which clang sees in the user's file. */
#pragma GCC diagnostic ignored "-Wcast-qual"

static const uint8_t id[BACKUP_ID_LEN] = "this one backup";
static const uint8_t other[BACKUP_ID_LEN] = "another backup";
static char folder[256];

static int
begin(void **state)
{
	(void)state;
	scratch_make(folder);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	scratch_remove(folder);
	return 0;
}

/* Rows with these one-letter keys, in [from, to); what came of writing them as chunk ${number}. */
static enum backup_result
put(const char *keys, const char *from, const char *to, uint32_t number)
{
	static uint8_t rows[4096], digest[BACKUP_DIGEST_LEN];
	Pdvault__V1__BackupRange r = PDVAULT__V1__BACKUP_RANGE__INIT;
	char table[] = "records";
	uint8_t *at = rows;
	struct backup_fault f;
	size_t i;

	for (i = 0; keys[i] != '\0'; i++)
		at = backup_row_put(&(struct backup_row){ (const uint8_t *)keys + i,
					(const uint8_t *)"value", 1, 5, i % 2 != 0 },
		    at);
	backup_digest_of(rows, (size_t)(at - rows), digest);
	r.table = table;
	r.from = backup_message_bytes((const uint8_t *)from, strlen(from));
	r.to = backup_message_bytes((const uint8_t *)to, strlen(to));
	r.rows = i;
	r.digest = backup_message_bytes(digest, sizeof(digest));
	r.chunk = number;
	return backup_chunk_write(
	    &(struct backup_chunk_new){ folder, id, rows, (size_t)(at - rows) }, &r, digest, &f);
}

static enum backup_result
get(uint32_t number)
{
	struct backup_chunk c = {.bytes = NULL};
	struct backup_fault f = {.text = ""};
	enum backup_result r = backup_chunk_read(folder, number, id, &c, &f);

	assert_true((r == BACKUP_OK) == (f.text[0] == '\0'));
	backup_chunk_free(&c);
	return r;
}

static void
round_trip(void **state)
{
	struct backup_chunk c = {.bytes = NULL};
	struct backup_fault f;
	const uint8_t *at;
	struct backup_row row;
	struct stat st;

	(void)state;
	assert_int_equal(put("bcd", "b", "e", 7), BACKUP_OK);
	assert_int_equal(stat(scratch_path(folder, "000007.chunk"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(backup_chunk_read(folder, 7, id, &c, &f), BACKUP_OK);
	assert_string_equal(c.range->table, "records");
	assert_int_equal(c.range->rows, 3);
	assert_int_equal(c.range->chunk, 7);
	at = c.rows;
	assert_int_equal(backup_row_next(&at, c.rows_end, &row), BACKUP_ROW);
	assert_memory_equal(row.key, "b", 1);
	assert_memory_equal(row.value, "value", 5);
	backup_chunk_free(&c);
	assert_int_equal(put("", "", "", 8), BACKUP_OK);
	assert_int_equal(get(8), BACKUP_OK);
	assert_int_equal(backup_chunk_read(folder, 7, other, &c, &f), BACKUP_BAD);
	assert_non_null(strstr(f.text, "another backup"));
	assert_int_equal(get(9), BACKUP_ABSENT);
}

static void
rows_outside(void **state)
{
	static const struct {
		const char *keys, *from, *to;
		enum backup_result want;
	} cases[] = {
		{"abc", "", "", BACKUP_OK}, {"b", "b", "c", BACKUP_OK}, {"a", "b", "", BACKUP_BAD},
		{"c", "", "c", BACKUP_BAD}, {"bb", "", "", BACKUP_BAD}, {"ba", "", "", BACKUP_BAD},
		{"", "c", "c", BACKUP_BAD}, {"", "c", "b", BACKUP_BAD}, {"", "c", "", BACKUP_OK},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(put(cases[i].keys, cases[i].from, cases[i].to, 1), BACKUP_OK);
		assert_int_equal(get(1), cases[i].want);
	}
	/* A range of an increment may have no chunk, but a chunk has a number. */
	assert_int_equal(put("a", "", "", 0), BACKUP_OK);
	assert_int_equal(get(0), BACKUP_BAD);
}

static void
flipped(void **state)
{
	struct backup_fault f;
	uint8_t *bytes;
	size_t len, i;

	(void)state;
	assert_int_equal(put("bcd", "b", "e", 1), BACKUP_OK);
	assert_int_equal(backup_file_read(scratch_path(folder, "000001.chunk"), BACKUP_CHUNK_MAX,
			     &bytes, &len, &f),
	    BACKUP_OK);
	for (i = 0; i < 8 * len; i++) {
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		scratch_write(scratch_path(folder, "000001.chunk"), bytes, len);
		assert_int_equal(get(1), BACKUP_BAD);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < len; i++) {
		scratch_write(scratch_path(folder, "000001.chunk"), bytes, i);
		assert_int_equal(get(1), BACKUP_BAD);
	}
	scratch_write(scratch_path(folder, "000001.chunk"), bytes, len);
	assert_int_equal(get(1), BACKUP_OK);
	/* Under another number it is another chunk. */
	scratch_write(scratch_path(folder, "000002.chunk"), bytes, len);
	assert_int_equal(get(2), BACKUP_BAD);
	free(bytes);
}

static void
no_file(void **state)
{
	(void)state;
	assert_int_equal(put("a", "", "", 2), BACKUP_OK);
	assert_int_equal(symlink("000002.chunk", scratch_path(folder, "000001.chunk")), 0);
	assert_int_equal(get(1), BACKUP_BAD);
	assert_int_equal(unlink(scratch_path(folder, "000001.chunk")), 0);
	assert_int_equal(mkfifo(scratch_path(folder, "000001.chunk"), 0600), 0);
	assert_int_equal(get(1), BACKUP_BAD);
	assert_int_equal(unlink(scratch_path(folder, "000001.chunk")), 0);
	assert_int_equal(mkdir(scratch_path(folder, "000001.chunk"), 0700), 0);
	assert_int_equal(get(1), BACKUP_BAD);
	/* Nor can one be written there, and nothing is left of the attempt. */
	assert_int_equal(put("a", "", "", 1), BACKUP_IO);
	assert_int_equal(access(scratch_path(folder, "000001.chunk" BACKUP_PART), F_OK), -1);
}

/* What somebody put in the way of the part is not written through. */
static void
part_in_the_way(void **state)
{
	struct stat st;

	(void)state;
	scratch_write(scratch_path(folder, "mine"), "mine", 4);
	assert_int_equal(symlink("mine", scratch_path(folder, "000001.chunk" BACKUP_PART)), 0);
	assert_int_equal(put("a", "", "", 1), BACKUP_OK);
	assert_int_equal(get(1), BACKUP_OK);
	assert_int_equal(stat(scratch_path(folder, "mine"), &st), 0);
	assert_int_equal(st.st_size, 4);
}

static void
largest(void **state)
{
	Pdvault__V1__BackupRange r = PDVAULT__V1__BACKUP_RANGE__INIT;
	char table[] = "records";
	uint8_t *rows = calloc(1, BACKUP_CHUNK_MAX), digest[BACKUP_DIGEST_LEN] = {0};
	struct backup_fault f;
	size_t fits;

	(void)state;
	assert_non_null(rows);
	r.table = table;
	r.chunk = 1;
	r.digest = backup_message_bytes(digest, sizeof(digest));
	fits = BACKUP_CHUNK_MAX - 16 - BACKUP_ID_LEN - 4 - BACKUP_DIGEST_LEN -
	    pdvault__v1__backup_range__get_packed_size(&r);
	for (size_t len = fits - 1; len <= fits + 1; len++) {
		(void)backup_row_put(&(struct backup_row){ (const uint8_t *)"k", rows, 1, 0, false }, rows);
		rows[1] = (uint8_t)((len - 6) >> 24);
		rows[2] = (uint8_t)((len - 6) >> 16);
		rows[3] = (uint8_t)((len - 6) >> 8);
		rows[4] = (uint8_t)(len - 6);
		assert_int_equal(
		    backup_chunk_write(
			&(struct backup_chunk_new){ folder, id, rows, len }, &r, digest, &f),
		    len <= fits ? BACKUP_OK : BACKUP_BAD);
		assert_int_equal(get(1), BACKUP_OK);
	}
	/* A file with one byte more is not even read. */
	assert_int_equal(truncate(scratch_path(folder, "000001.chunk"), BACKUP_CHUNK_MAX + 1), 0);
	assert_int_equal(get(1), BACKUP_BAD);
	free(rows);
}

static void
names(void **state)
{
	char name[BACKUP_CHUNK_NAME];

	(void)state;
	backup_chunk_name(BACKUP_CHUNKS_MAX, name);
	assert_int_equal(backup_chunk_number(name), BACKUP_CHUNKS_MAX);
	assert_int_equal(backup_chunk_number("000001.chunk"), 1);
	assert_int_equal(backup_chunk_number("000000.chunk"), 0);
	assert_int_equal(backup_chunk_number("00001.chunk"), 0);
	assert_int_equal(backup_chunk_number("0000001.chunk"), 0);
	assert_int_equal(backup_chunk_number("000001.chunk.part"), 0);
	assert_int_equal(backup_chunk_number(""), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(round_trip, begin, end),
		cmocka_unit_test_setup_teardown(rows_outside, begin, end),
		cmocka_unit_test_setup_teardown(flipped, begin, end),
		cmocka_unit_test_setup_teardown(no_file, begin, end),
		cmocka_unit_test_setup_teardown(part_in_the_way, begin, end),
		cmocka_unit_test_setup_teardown(largest, begin, end),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
