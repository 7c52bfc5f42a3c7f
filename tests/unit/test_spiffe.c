#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client/transport/spiffe.h"

static const char *const good[] = {
	"spiffe://test/a",
	"spiffe://example.org/ns/shop/sa/checkout",
	"spiffe://a-b_c.1/A.b-C_9",
	"spiffe://test/...",
	"spiffe://test/.a",
	"spiffe://test/a..",
};

static const char *const bad[] = {
	"",
	"spiffe",
	"spiffe://",
	"spiffe:///a",
	"spiffe://test",
	"spiffe://test/",
	"spiffe://test/a/",
	"spiffe://test//a",
	"spiffe://test/./a",
	"spiffe://test/..",
	"spiffe://test/a/../b",
	"Spiffe://test/a",
	"https://test/a",
	"spiffe://Test/a",
	"spiffe://test:80/a",
	"spiffe://user@test/a",
	"spiffe://test/a?b",
	"spiffe://test/a#b",
	"spiffe://test/a%41",
	"spiffe://test/a b",
	"spiffe://test/\xc3\xa9",
	"spiffe://t\xc3\xa9st/a",
	" spiffe://test/a",
};

static void
test_spelling(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(spiffe_ok(good[i], strlen(good[i])));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(spiffe_ok(bad[i], strlen(bad[i])));
}

/* A NUL inside would cut the name for whoever takes it as a string. */
static void
test_nul(void **state)
{
	static const char id[] = "spiffe://test/a\0b";

	(void)state;
	assert_true(spiffe_ok(id, 15));
	assert_false(spiffe_ok(id, 16));
	assert_false(spiffe_ok(id, sizeof(id) - 1));
}

static void
test_length(void **state)
{
	char id[SPIFFE_MAX + 2];

	(void)state;
	memset(id, 'a', sizeof(id));
	memcpy(id, "spiffe://test/", 14);
	assert_true(spiffe_ok(id, SPIFFE_MAX - 1));
	assert_true(spiffe_ok(id, SPIFFE_MAX));
	assert_false(spiffe_ok(id, SPIFFE_MAX + 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spelling),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
