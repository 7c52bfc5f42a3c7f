#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdalign.h>
#include <stdbool.h>

#include "server/arena.h"

static size_t chunks_seen, bytes_seen;

static void
see_zeros(const void *p, size_t len)
{
	const uint8_t *b = p;
	size_t i;

	for (i = 0; i < len; i++)
		assert_int_equal(b[i], 0);
	chunks_seen++;
	bytes_seen += len;
}

static void
pieces_are_zero_aligned_and_apart(void **state)
{
	struct arena *a = arena_new();
	uint8_t *p, *before = NULL;
	size_t n, i;

	(void)state;
	assert_non_null(a);
	for (n = 0; n < 300; n++) {
		p = arena_alloc(a, n);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
		assert_ptr_not_equal(p, before);
		for (i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xa5, n);
		before = p;
		arena_check(a);
	}
	arena_reset(a);
	arena_check(a);
	p = arena_alloc(a, 300);
	for (i = 0; i < 300; i++)
		assert_int_equal(p[i], 0);
	arena_free(a);
}

static void
reset_wipes_every_chunk(void **state)
{
	struct arena *a = arena_new();
	size_t i, len;
	void *p;

	(void)state;
	for (i = 0, len = 100; i < 20; i++, len += len / 2) {
		p = arena_alloc(a, len);
		assert_non_null(p);
		memset(p, 0x5a, len);
	}
	chunks_seen = bytes_seen = 0;
	arena_test_wiped(see_zeros);
	arena_reset(a);
	assert_true(chunks_seen > 3);
	assert_true(bytes_seen > 300000);
	p = arena_alloc(a, 10);
	memset(p, 0x5a, 10);
	chunks_seen = 0;
	arena_free(a);
	assert_int_equal(chunks_seen, 1);
	arena_test_wiped(NULL);
	arena_free(NULL);
}

/* What a single piece may have: all but the first chunk, which it does not fit into. */
#define ONE_MAX (ARENA_BUDGET - ARENA_CHUNK)

static void
the_budget_holds_to_the_byte(void **state)
{
	static const struct {
		size_t len;
		bool fits;
	} rows[] = {
		{ ARENA_CHUNK, true }, { ONE_MAX - 1, true }, { ONE_MAX, true },
		{ ONE_MAX + 1, false }, { ARENA_BUDGET, false }, { ARENA_BUDGET + 1, false },
		{ SIZE_MAX - 8, false }, { SIZE_MAX, false },
	};
	struct arena *a = arena_new();
	size_t i, sum;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(arena_alloc(a, rows[i].len) != NULL, rows[i].fits);
		arena_check(a);
		arena_reset(a);
	}
	/* Small pieces use it up to the last byte; once over, it stays so until the reset. */
	for (sum = 0; arena_alloc(a, 16) != NULL; sum += 16)
		;
	assert_int_equal(sum, ARENA_BUDGET);
	assert_null(arena_alloc(a, 1));
	assert_null(arena_copy(a, bytes_of("x", 1)).p);
	arena_check(a);
	arena_reset(a);
	assert_non_null(arena_alloc(a, ONE_MAX));
	arena_free(a);
}

static void
copies_end_in_nul(void **state)
{
	struct arena *a = arena_new();
	struct bytes b;

	(void)state;
	b = arena_copy(a, bytes_of("abc", 3));
	assert_int_equal(b.len, 3);
	assert_string_equal((const char *)b.p, "abc");
	b = arena_copy(a, (struct bytes){ NULL, 0 });
	assert_int_equal(b.len, 0);
	assert_string_equal((const char *)b.p, "");
	b = arena_copy(a, bytes_of("abc", SIZE_MAX));
	assert_null(b.p);
	arena_free(a);
}

static void
is_an_allocator_for_unpacking(void **state)
{
	struct arena *a = arena_new();
	ProtobufCAllocator *p = arena_allocator(a);
	void *x;

	(void)state;
	x = p->alloc(p->allocator_data, 100);
	assert_non_null(x);
	p->free(p->allocator_data, x);
	memset(x, 1, 100);	/* still there */
	assert_null(p->alloc(p->allocator_data, ARENA_BUDGET + 1));
	arena_free(a);
}

static void
every_failed_malloc_is_survived(void **state)
{
	struct arena *a;
	size_t n;

	(void)state;
	for (n = 1; n <= 2; n++) {
		arena_test_fail(n);
		assert_null(arena_new());
	}
	arena_test_fail(0);
	a = arena_new();
	assert_non_null(a);
	assert_non_null(arena_alloc(a, 100));
	arena_test_fail(1);
	assert_null(arena_alloc(a, 2 * ARENA_CHUNK));
	arena_check(a);
	assert_non_null(arena_alloc(a, 2 * ARENA_CHUNK));
	arena_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_zero_aligned_and_apart),
		cmocka_unit_test(reset_wipes_every_chunk),
		cmocka_unit_test(the_budget_holds_to_the_byte),
		cmocka_unit_test(copies_end_in_nul),
		cmocka_unit_test(is_an_allocator_for_unpacking),
		cmocka_unit_test(every_failed_malloc_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
