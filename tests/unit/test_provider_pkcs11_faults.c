#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocation.h"
#include "remains.h"
#include "scratch.h"
#include "server/keys/provider_internal.h"
#include "server/keys/secret.h"
#include "token_bed.h"

static struct provider_kek kek[PROVIDER_VERSIONS_MAX];

static void
a_wrong_pin_is_tried_once(void **state)
{
	static const char wrong[] = "99999999";
	struct provider *p = token_usual("tried");
	struct provider_kek v;
	unsigned count;

	(void)state;
	assert_int_equal(provider_create(p, &v), STATUS_OK);
	assert_int_equal(provider_set_secret(p, bytes_of(wrong, 8)), STATUS_OK);
	token_fault->logins = 0;
	token_closed(p, STATUS_REFUSED, "the token refuses the PIN");
	token_closed(p, STATUS_REFUSED, "it is not tried again");
	assert_int_equal(provider_keep(p, v.id), STATUS_REFUSED);
	assert_int_equal(provider_renew(p, &v), STATUS_REFUSED);
	assert_int_equal(token_fault->logins, 1);
	assert_null(memmem(p->secret, PROVIDER_SECRET_ROOM, wrong, 8));
	assert_int_equal(provider_set_secret(p, bytes_of(TOKEN_PIN, strlen(TOKEN_PIN))), STATUS_OK);
	assert_int_equal(provider_open(p, kek, &count), STATUS_OK);
	/* Before the token locks, and after. */
	token_fault->logins = 0;
	token_fault->token_flags = CKF_USER_PIN_FINAL_TRY;
	token_closed(p, STATUS_REFUSED, "one time more locks");
	token_fault->token_flags = CKF_USER_PIN_LOCKED;
	token_closed(p, STATUS_REFUSED, "the PIN is locked");
	assert_int_equal(token_fault->logins, 0);
	token_fault->token_flags = 0;
	token_fault->answer = CKR_PIN_LOCKED;
	token_fault->fail_at = token_fault->seen + 3;	/* C_GetSlotList, C_OpenSession, C_Login */
	token_closed(p, STATUS_REFUSED, "the PIN is locked");
	provider_opens(p, &v, 1);
	provider_destroy(p);
}

static void
a_token_that_is_away_is_found_again(void **state)
{
	struct provider *p = token_usual("away"), *other = token_provider("away", "aes-gcm", NULL,
	    "nobody");
	struct provider_kek v[2];
	char tokens[300], away[300];

	(void)state;
	(void)snprintf(tokens, sizeof(tokens), "%s/tokens", provider_folder);
	(void)snprintf(away, sizeof(away), "%s/tokens.away", provider_folder);
	assert_int_equal(provider_create(p, &v[0]), STATUS_OK);
	token_closed(other, STATUS_SEAL, "no token with this label");
	provider_free(other);
	assert_int_equal(rename(tokens, away), 0);
	token_closed(p, STATUS_SEAL, "the token");
	assert_int_equal(mkdir(tokens, 0700), 0);
	token_closed(p, STATUS_SEAL, "no token with this label");
	assert_int_equal(provider_renew(p, &v[1]), STATUS_SEAL);
	assert_int_equal(provider_keep(p, v[0].id), STATUS_SEAL);
	assert_int_equal(provider_keep(p, NULL), STATUS_SEAL);
	assert_true(provider_stands("away"));
	/* Another token of that label has no such key. */
	token_make(TOKEN_LABEL);
	token_closed(p, STATUS_REFUSED, "another token");
	token_make(TOKEN_LABEL);
	token_closed(p, STATUS_REFUSED, "several tokens");
	scratch_remove(tokens);
	assert_int_equal(rename(away, tokens), 0);
	provider_opens(p, v, 1);
	provider_destroy(p);
}

static void
what_the_module_must_be(void **state)
{
	const char *const bad[] = { "/nowhere/module.so", "/proc/self/exe", NULL };
	struct provider *p = token_usual("module");
	struct provider_kek v;
	const char *why = NULL;

	(void)state;
	assert_int_equal(provider_create(p, &v), STATUS_OK);
	for (size_t i = 0; bad[i] != NULL; i++) {
		struct provider *q = token_provider("module", "aes-gcm", bad[i], TOKEN_LABEL);

		token_closed(q, STATUS_CONFIG, "module cannot be loaded");
		assert_int_equal(provider_class(q, &why), PROVIDER_CLASS_C);
		provider_free(q);
	}
	assert_int_equal(provider_class(p, &why), PROVIDER_CLASS_C);
	assert_string_equal(why, "a token in software");
	token_fault->hardware = 1;
	assert_int_equal(provider_class(p, &why), PROVIDER_CLASS_A);
	assert_string_equal(why, "a token in hardware");
	assert_int_equal(token_fault->logins, 1);
	provider_destroy(p);
}

/* The token goes away at the n-th call, for every n, and is there again afterwards. */
static void
every_call_may_fail(void **state)
{
	struct provider *p = token_usual("fault");
	struct provider_kek v[2];
	enum status rc;
	unsigned n, count;

	(void)state;
	token_fault->answer = CKR_DEVICE_REMOVED;
	for (n = 1;; n++) {
		token_fault->seen = 0;
		token_fault->fail_at = n;
		if ((rc = provider_create(p, &v[0])) == STATUS_OK)
			break;
		assert_int_equal(rc, STATUS_SEAL);
		assert_false(provider_stands("fault"));
		assert_int_equal(token_objects(), 0);
	}
	assert_true(n > 7);
	for (n = 1;; n++) {
		token_fault->seen = 0;
		token_fault->fail_at = n;
		if ((rc = provider_open(p, kek, &count)) == STATUS_OK)
			break;
		assert_int_equal(rc, STATUS_SEAL);
	}
	assert_true(n > 7);
	for (n = 1;; n++) {
		token_fault->seen = 0;
		token_fault->fail_at = n;
		if ((rc = provider_renew(p, &v[1])) == STATUS_OK)
			break;
		assert_int_equal(rc, STATUS_SEAL);
		assert_false(provider_stands("fault.next"));
	}
	for (n = 1;; n++) {
		token_fault->seen = 0;
		token_fault->fail_at = n;
		if ((rc = provider_keep(p, v[1].id)) == STATUS_OK)
			break;
		assert_int_equal(rc, STATUS_SEAL);
		token_fault->fail_at = 0;
		assert_int_equal(provider_open(p, kek, &count), STATUS_OK);
		assert_memory_equal(kek[count - 1].key.b, v[1].key.b, SEAL_KEY_LEN);
	}
	assert_true(n > 7);
	assert_int_equal(token_objects(), 1);
	token_fault->fail_at = 0;
	provider_opens(p, &v[1], 1);
	provider_destroy(p);
}

static void
out_of_secret_memory(void **state)
{
	struct provider *p = token_usual("full");
	struct provider_kek v;
	unsigned count;
	size_t room = secret_used();
	void *most;

	(void)state;
	assert_int_equal(provider_create(p, &v), STATUS_OK);
	/* Room for the PIN, but not for what is decrypted. */
	most = secret_alloc(SECRET_DEFAULT - 64 - PROVIDER_SECRET_ROOM - room);
	assert_non_null(most);
	assert_int_equal(provider_open(p, kek, &count), STATUS_NO_MEMORY);
	assert_int_equal(provider_renew(p, &v), STATUS_NO_MEMORY);
	assert_int_equal(token_objects(), 1);
	secret_free(most, SECRET_DEFAULT - 64 - PROVIDER_SECRET_ROOM - room);
	provider_destroy(p);
}

/* Neither here nor in what the module puts aside. */
static void
no_pin_stays_in_memory(void **state)
{
	struct provider *p = token_usual("pin-memory");
	uint8_t pin[REMAINS_LEN], hidden[REMAINS_LEN];
	struct provider_kek v;

	(void)state;
	_Static_assert(sizeof(TOKEN_PIN) == REMAINS_LEN + 1, "all of it is looked for");
	assert_int_equal(provider_create(p, &v), STATUS_OK);
	memcpy(pin, p->secret, sizeof(pin));
	remains_hide(pin, hidden);
	assert_int_equal(remains_of(hidden), 2);	/* in secret memory */
	provider_destroy(p);
	assert_int_equal(remains_of(hidden), 0);
}

/* Our own allocation; the module's may end the process, which is in C++. */
static void
memory_may_run_out(void **state)
{
	struct provider *p = token_usual("memory");
	struct provider_kek v;
	unsigned count;

	(void)state;
	assert_int_equal(provider_create(p, &v), STATUS_OK);
	allocation_watch();
	allocation_fail(1);
	assert_int_equal(provider_open(p, kek, &count), STATUS_NO_MEMORY);
	allocation_fail(0);
	provider_opens(p, &v, 1);
	provider_destroy(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, token_before_each, token_after_each)
		TEST(a_wrong_pin_is_tried_once),
		TEST(a_token_that_is_away_is_found_again),
		TEST(what_the_module_must_be),
		TEST(every_call_may_fail),
		TEST(out_of_secret_memory),
		TEST(no_pin_stays_in_memory),
		TEST(memory_may_run_out),
	};

	return cmocka_run_group_tests(tests, token_begin, token_end);
}
