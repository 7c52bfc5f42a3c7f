/*
 * What nng_leaks.c tells LeakSanitizer is in force: this test loses something in a function of such a name, and
 * fails at its end if that counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct lost {
	struct lost *other;
};

static struct lost *
another(void)
{
	struct lost *l = malloc(sizeof(*l));

	assert_non_null(l);
	return l;
}

/* Two that name each other, as a connection and what it has: the other one was made elsewhere. */
static __attribute__((noinline)) uintptr_t
tls_dialer_dial(struct lost *other)
{
	struct lost *l = malloc(sizeof(*l));

	assert_non_null(l);
	l->other = other;
	other->other = l;
	return ~(uintptr_t)l;
}

static void
lost_and_forgiven(void **state)
{
	(void)state;
	assert_int_not_equal(tls_dialer_dial(another()), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lost_and_forgiven),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
