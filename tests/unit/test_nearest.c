#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/nearest.h"

static const char *
best(const char *word)
{
	static const char *const known[] = { "path", "number", "reserve", "map_size", "ca", "cert" };
	struct nearest n = NEAREST_START(word);
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		nearest_offer(&n, known[i]);
	return n.best;
}

static void
finds_slips(void **state)
{
	(void)state;
	assert_string_equal(best("numbr"), "number");	/* too few */
	assert_string_equal(best("numbber"), "number");	/* too many */
	assert_string_equal(best("nunber"), "number");	/* wrong */
	assert_string_equal(best("unmber"), "number");	/* swapped */
	assert_string_equal(best("map-size"), "map_size");
	assert_string_equal(best("c"), "ca");
}

static void
counts_a_swap_once(void **state)
{
	struct nearest n = NEAREST_START("ptah");

	(void)state;
	nearest_offer(&n, "path");
	assert_int_equal(n.distance, 1);
	n = (struct nearest)NEAREST_START("kitten");
	nearest_offer(&n, "sitting");
	assert_null(n.best);			/* 3 of 7 */
	nearest_offer(&n, "smitten");
	assert_int_equal(n.distance, 2);
}

static void
leaves_strangers_alone(void **state)
{
	char longer[NEAREST_WORD_MAX + 2];

	(void)state;
	assert_null(best("xyzzy"));
	assert_null(best("zz"));
	assert_null(best(""));
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_null(best(longer));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_slips),
		cmocka_unit_test(counts_a_swap_once),
		cmocka_unit_test(leaves_strangers_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
