#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/access/access.h"

static const char *const names[] = { "/pdvault.v1.Vault/GetIdentity",
	"/pdvault.v1.Vault/GetBilling", "/pdvault.v1.Rights/EraseSubject",
	"/pdvault.v1.Health/Check" };
#define NAMES (sizeof(names) / sizeof(names[0]))

static struct access *
fresh(void)
{
	struct access *a = NULL;

	assert_int_equal(access_new(names, NAMES, &a), STATUS_OK);
	return a;
}

static enum status
add(struct access *a, const char *name, const char *spiffe, const char *method)
{
	struct access_entry e = { name, spiffe, &method, method == NULL ? 0 : 1 };
	char why[ACCESS_WHY_LEN] = "";
	enum status rc = access_add(a, &e, why);

	assert_true((rc == STATUS_OK) == (why[0] == '\0'));
	return rc;
}

/* The methods that it may call, as bits. */
static unsigned
rights(const struct access *a, int principal)
{
	unsigned i, bits = 0;

	for (i = 0; i < NAMES; i++)
		bits |= access_allows(a, principal, i) ? 1u << i : 0;
	return bits;
}

static void
test_patterns(void **state)
{
	static const struct {
		const char *pattern;
		unsigned rights;	/* 0: refused */
	} rows[] = {
		{ "*", 15 }, { "Vault.*", 3 }, { "Vault.GetIdentity", 1 },
		{ "Rights.EraseSubject", 4 }, { "Health.*", 8 },
		{ "Vault.Get*", 0 }, { "Vault.", 0 }, { "Vault", 0 }, { ".*", 0 }, { "", 0 },
		{ "*.*", 0 }, { "vault.getidentity", 0 }, { "Vaul.*", 0 }, { "Vaults.*", 0 },
		{ "Vault.GetIdentityX", 0 }, { "Vault/GetIdentity", 0 },
		{ "/pdvault.v1.Vault/GetIdentity", 0 }, { "v1.Vault.*", 0 },
	};
	struct access *a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		a = fresh();
		assert_int_equal(add(a, "p", "spiffe://t/p", rows[i].pattern),
		    rows[i].rights == 0 ? STATUS_CONFIG : STATUS_OK);
		if (rows[i].rights != 0)
			assert_int_equal(rights(a, 0), rows[i].rights);
		else
			assert_int_equal(access_find(a, "spiffe://t/p"), ACCESS_NONE);
		access_free(a);
	}
}

static void
test_lookup(void **state)
{
	struct access *a = fresh();

	(void)state;
	assert_int_equal(add(a, "mailer", "spiffe://t/mailer", "Vault.GetIdentity"), STATUS_OK);
	assert_int_equal(add(a, "nothing", "spiffe://t/nothing", NULL), STATUS_OK);
	assert_int_equal(add(a, "root-1.x_y", "spiffe://t/root", "*"), STATUS_OK);
	assert_int_equal(access_find(a, "spiffe://t/mailer"), 0);
	assert_int_equal(access_find(a, "spiffe://t/root"), 2);
	assert_string_equal(access_name(a, 2), "root-1.x_y");
	assert_int_equal(rights(a, 0), 1);
	assert_int_equal(rights(a, 1), 0);
	assert_int_equal(rights(a, 2), 15);
	assert_int_equal(access_find(a, "spiffe://t/mailer/x"), ACCESS_NONE);
	assert_int_equal(access_find(a, "spiffe://t/maile"), ACCESS_NONE);
	assert_int_equal(access_find(a, ""), ACCESS_NONE);
	assert_int_equal(rights(a, ACCESS_NONE), 0);
	assert_string_equal(access_name(a, ACCESS_NONE), "unknown");
	access_free(a);
}

static void
test_refused(void **state)
{
	char longest[ACCESS_NAME_MAX + 2] = "";
	struct access *a = fresh();

	(void)state;
	assert_int_equal(add(a, "p", "spiffe://t/p", "*"), STATUS_OK);
	assert_int_equal(add(a, "p", "spiffe://t/q", "*"), STATUS_CONFIG);
	assert_int_equal(add(a, "q", "spiffe://t/p", "*"), STATUS_CONFIG);
	assert_int_equal(add(a, "", "spiffe://t/q", "*"), STATUS_CONFIG);
	assert_int_equal(add(a, "q r", "spiffe://t/q", "*"), STATUS_CONFIG);
	assert_int_equal(add(a, "q", "https://t/q", "*"), STATUS_CONFIG);
	assert_int_equal(add(a, "q", "spiffe://t", "*"), STATUS_CONFIG);
	memset(longest, 'q', ACCESS_NAME_MAX + 1);
	assert_int_equal(add(a, longest, "spiffe://t/q", "*"), STATUS_CONFIG);
	longest[ACCESS_NAME_MAX] = '\0';
	assert_int_equal(add(a, longest, "spiffe://t/q", "*"), STATUS_OK);
	access_free(a);
}

/* The error names what was meant. */
static void
test_why(void **state)
{
	static const char *const methods[] = { "Vault.*", "Vault.Gone" };
	static const struct access_entry e = { "p", "spiffe://t/p", methods, 2 };
	char why[ACCESS_WHY_LEN] = "";
	struct access *a = fresh();

	(void)state;
	assert_int_equal(access_add(a, &e, why), STATUS_CONFIG);
	assert_non_null(strstr(why, "Vault.Gone"));
	access_free(a);
}

static void
test_limit(void **state)
{
	char name[32], spiffe[64];
	struct access *a = fresh();
	unsigned i;

	(void)state;
	for (i = 0; i <= ACCESS_PRINCIPALS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "p%u", i);
		(void)snprintf(spiffe, sizeof(spiffe), "spiffe://t/p%u", i);
		assert_int_equal(add(a, name, spiffe, "*"),
		    i < ACCESS_PRINCIPALS_MAX ? STATUS_OK : STATUS_CONFIG);
	}
	assert_int_equal(access_find(a, "spiffe://t/p255"), 255);
	access_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_why),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
