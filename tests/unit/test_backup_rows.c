/* Rows on their way: their bytes, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/backup/rows.h"

static const uint8_t two[] = {2, 0, 0, 0, 3, 'a', 'b', 'x', 'y', 'z', 1, 0xff, 0xff, 0xff, 0xff, 'c'};

static void
bytes(void **state)
{
	struct backup_row full = {(const uint8_t *)"ab", (const uint8_t *)"xyz", 2, 3, false},
	    gone = {(const uint8_t *)"c", (const uint8_t *)"not written", 1, 11, true}, row;
	const uint8_t *at = two, *end = two + sizeof(two);
	uint8_t out[sizeof(two)];

	(void)state;
	assert_int_equal(backup_row_len(&full) + backup_row_len(&gone), sizeof(two));
	assert_ptr_equal(backup_row_put(&gone, backup_row_put(&full, out)), out + sizeof(out));
	assert_memory_equal(out, two, sizeof(two));
	assert_int_equal(backup_row_next(&at, end, &row), BACKUP_ROW);
	assert_true(row.key == two + 5 && row.key_len == 2 && !row.gone);
	assert_true(row.value == two + 7 && row.value_len == 3);
	assert_int_equal(backup_row_next(&at, end, &row), BACKUP_ROW);
	assert_true(row.key == two + 15 && row.key_len == 1 && row.gone && row.value_len == 0);
	assert_int_equal(backup_row_next(&at, end, &row), BACKUP_END);
}

/* In memory of exactly its size, so that a read past the end is seen. */
static enum backup_step
last_step(const uint8_t *p, size_t len)
{
	uint8_t *copy = malloc(len + 1);
	const uint8_t *at = copy + 1;
	struct backup_row row;
	enum backup_step step;

	assert_non_null(copy);
	memcpy(copy + 1, p, len);
	while ((step = backup_row_next(&at, copy + 1 + len, &row)) == BACKUP_ROW)
		assert_true(at <= copy + 1 + len);
	free(copy);
	return step;
}

static void
cut_off(void **state)
{
	uint8_t changed[sizeof(two)];
	size_t len;

	(void)state;
	for (len = 0; len <= sizeof(two); len++)
		assert_int_equal(last_step(two, len),
		    len == 0 || len == 10 || len == sizeof(two) ? BACKUP_END : BACKUP_BROKEN);
	/* A key of no bytes; a value that is longer than all. */
	memcpy(changed, two, sizeof(two));
	changed[0] = 0;
	assert_int_equal(last_step(changed, sizeof(changed)), BACKUP_BROKEN);
	memcpy(changed, two, sizeof(two));
	changed[1] = 0xff;
	assert_int_equal(last_step(changed, sizeof(changed)), BACKUP_BROKEN);
}

static void
order(void **state)
{
	const uint8_t a[] = {1, 2}, b[] = {1, 2, 0}, c[] = {0x80};

	(void)state;
	assert_true(backup_key_compare(a, 2, a, 2) == 0);
	assert_true(backup_key_compare(a, 2, b, 3) < 0 && backup_key_compare(b, 3, a, 2) > 0);
	assert_true(backup_key_compare(b, 3, c, 1) < 0 && backup_key_compare(c, 1, b, 3) > 0);
	assert_true(backup_key_compare(NULL, 0, a, 2) < 0 && backup_key_compare(NULL, 0, NULL, 0) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes),
		cmocka_unit_test(cut_off),
		cmocka_unit_test(order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
