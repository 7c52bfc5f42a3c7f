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

#include "scratch.h"
#include "server/keys/token.h"
#include "token_bed.h"

#define SOFTHSM "/usr/lib/softhsm/libsofthsm2.so"
#define AES_LEN 120u
#define RSA_LEN 456u

static void
go_through_the_versions(const char *mechanism, size_t len, unsigned objects_each)
{
	struct provider *p = token_provider("a", mechanism, SOFTHSM, TOKEN_LABEL);
	struct provider_kek v[3];
	uint8_t file[PROVIDER_FILE_MAX];
	struct stat st;

	assert_int_equal(token_objects(), 0);
	assert_int_equal(provider_create(p, &v[0]), STATUS_OK);
	assert_int_equal(token_objects(), objects_each);
	assert_int_equal(stat(scratch_path(provider_folder, "a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(provider_read("a", file), len);
	assert_memory_equal(file, "pdvpk11\1", 8);
	assert_memory_equal(file + 12, v[0].id, PROVIDER_ID_LEN);
	assert_null(memmem(file, len, v[0].key.b, 8));
	provider_opens(p, v, 1);
	assert_int_equal(provider_keep(p, v[0].id), STATUS_OK);
	assert_int_equal(provider_create(p, &v[2]), STATUS_REFUSED);
	assert_int_equal(provider_renew(p, &v[1]), STATUS_OK);
	assert_memory_equal(v[0].id, v[1].id, 6);
	assert_memory_not_equal(v[0].id, v[1].id, PROVIDER_ID_LEN);
	assert_memory_not_equal(v[0].key.b, v[1].key.b, SEAL_KEY_LEN);
	assert_int_equal(provider_renew(p, &v[2]), STATUS_REFUSED);
	assert_int_equal(token_objects(), 2 * objects_each);
	provider_opens(p, v, 2);
	/* The new one counts. */
	assert_int_equal(provider_keep(p, v[1].id), STATUS_OK);
	assert_int_equal(token_objects(), objects_each);
	assert_false(provider_stands("a.next"));
	assert_int_equal(provider_keep(p, v[1].id), STATUS_OK);
	assert_int_equal(provider_keep(p, v[0].id), STATUS_CONFIG);
	provider_opens(p, &v[1], 1);
	/* The old one does. */
	assert_int_equal(provider_renew(p, &v[2]), STATUS_OK);
	assert_int_equal(provider_keep(p, v[1].id), STATUS_OK);
	assert_int_equal(token_objects(), objects_each);
	assert_false(provider_stands("a.next"));
	provider_opens(p, &v[1], 1);
	/* None. */
	assert_int_equal(provider_renew(p, &v[2]), STATUS_OK);
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
	assert_int_equal(token_objects(), 0);
	assert_false(provider_stands("a"));
	assert_false(provider_stands("a.next"));
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
	token_closed(p, STATUS_CONFIG, "is not there");
	assert_int_equal(provider_renew(p, &v[2]), STATUS_CONFIG);
	provider_free(p);
}

static void
versions_come_and_go(void **state)
{
	(void)state;
	go_through_the_versions("aes-gcm", AES_LEN, 1);
	go_through_the_versions("", AES_LEN, 1);
	go_through_the_versions("rsa-oaep", RSA_LEN, 2);
}

/* Another mechanism is that of new versions only. */
static void
the_mechanism_may_change(void **state)
{
	struct provider *p = token_usual("change");
	struct provider_kek v[2];

	(void)state;
	assert_int_equal(provider_create(p, &v[0]), STATUS_OK);
	provider_free(p);
	p = token_provider("change", "rsa-oaep", NULL, TOKEN_LABEL);
	assert_int_equal(provider_renew(p, &v[1]), STATUS_OK);
	provider_opens(p, v, 2);
	assert_int_equal(provider_keep(p, v[1].id), STATUS_OK);
	provider_opens(p, &v[1], 1);
	assert_int_equal(token_objects(), 2);
	provider_destroy(p);
}

static void
a_destroyed_version_does_not_come_back(void **state)
{
	struct provider *p = token_usual("old");
	struct provider_kek v[3];

	(void)state;
	assert_int_equal(provider_create(p, &v[0]), STATUS_OK);
	provider_copy("old", "old.0");
	assert_int_equal(provider_renew(p, &v[1]), STATUS_OK);
	provider_copy("old.next", "old.1");
	assert_int_equal(provider_keep(p, v[0].id), STATUS_OK);
	assert_int_equal(provider_renew(p, &v[2]), STATUS_OK);
	provider_copy("old.next", "old.2");
	provider_copy("old.1", "old.next");
	provider_opens(p, v, 1);
	provider_copy("old.2", "old.next");
	assert_int_equal(provider_keep(p, v[2].id), STATUS_OK);
	for (const char *const *at = (const char *const[]){ "old.0", "old.1",
	    NULL }; *at != NULL; at++) {
		provider_copy(*at, "old");
		token_closed(p, STATUS_REFUSED, "it was destroyed");
		/* Nor may it destroy what lives. */
		assert_int_equal(provider_keep(p, at[0][4] == '0' ? v[0].id : v[1].id), STATUS_REFUSED);
	}
	provider_copy("old.2", "old");
	provider_opens(p, &v[2], 1);
	provider_destroy(p);
}

/* What each step leaves, and what comes after it. */
static void
a_crash_between_two_steps(void **state)
{
	struct provider *p = token_usual("crash");
	struct provider_kek v[2];

	(void)state;
	assert_int_equal(provider_create(p, &v[0]), STATUS_OK);
	/* A key in the token, and no file yet. */
	assert_int_equal(provider_renew(p, &v[1]), STATUS_OK);
	assert_int_equal(unlink(scratch_path(provider_folder, "crash.next")), 0);
	provider_opens(p, v, 1);
	assert_int_equal(token_objects(), 2);
	assert_int_equal(provider_keep(p, v[0].id), STATUS_OK);
	assert_int_equal(token_objects(), 1);
	/* Half of the file. */
	provider_write("crash.next", "pdvpk11", 7);
	provider_opens(p, v, 1);
	assert_int_equal(provider_keep(p, v[0].id), STATUS_OK);
	assert_false(provider_stands("crash.next"));
	/* The old key is gone, and its file not yet. */
	assert_int_equal(provider_renew(p, &v[1]), STATUS_OK);
	provider_copy("crash", "crash.0");
	provider_copy("crash.next", "crash.1");
	assert_int_equal(provider_keep(p, v[1].id), STATUS_OK);
	provider_copy("crash.0", "crash");
	provider_copy("crash.1", "crash.next");
	provider_opens(p, &v[1], 1);
	assert_int_equal(provider_keep(p, v[1].id), STATUS_OK);
	/* The old file is gone, and the new one has not taken its place. */
	assert_int_equal(rename(scratch_path(provider_folder, "crash"),
	    scratch_path(provider_folder, "crash.next")), 0);
	assert_int_equal(provider_create(p, &v[0]), STATUS_REFUSED);
	assert_int_equal(provider_renew(p, &v[0]), STATUS_REFUSED);
	provider_opens(p, &v[1], 1);
	assert_int_equal(provider_keep(p, v[1].id), STATUS_OK);
	assert_true(provider_stands("crash"));
	provider_opens(p, &v[1], 1);
	/* All keys are gone, and the file not yet. */
	provider_copy("crash", "crash.1");
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
	provider_copy("crash.1", "crash");
	provider_destroy(p);
	assert_false(provider_stands("crash"));
	assert_int_equal(token_objects(), 0);
}

/* Of the same name, in the same token. */
static void
two_vaults_do_not_meet(void **state)
{
	struct provider *a = token_usual("one"), *b = token_usual("two");
	struct provider_kek of_a[2], of_b;

	(void)state;
	assert_int_equal(provider_create(a, &of_a[0]), STATUS_OK);
	assert_int_equal(provider_create(b, &of_b), STATUS_OK);
	assert_int_equal(provider_renew(a, &of_a[1]), STATUS_OK);
	assert_int_equal(provider_keep(a, of_a[1].id), STATUS_OK);
	provider_opens(b, &of_b, 1);
	assert_int_equal(provider_keep(b, of_b.id), STATUS_OK);
	provider_opens(a, &of_a[1], 1);
	provider_destroy(a);
	provider_opens(b, &of_b, 1);
	provider_destroy(b);
}

/* With a checksum that is right: the token's key has the last word. */
static void
a_forged_file_does_not_open(void **state)
{
	static const size_t at[] = { 18, 28, 39, 40, 72, 87 };
	struct provider *p = token_usual("forged");
	uint8_t file[PROVIDER_FILE_MAX], bad[PROVIDER_FILE_MAX];
	struct provider_kek v;

	(void)state;
	assert_int_equal(provider_create(p, &v), STATUS_OK);
	assert_int_equal(provider_read("forged", file), AES_LEN);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		memcpy(bad, file, AES_LEN);
		bad[at[i]] ^= 1;
		seal_digest(bytes_of(bad, AES_LEN - SEAL_DIGEST_LEN), bad + AES_LEN - SEAL_DIGEST_LEN);
		provider_write("forged", bad, AES_LEN);
		token_closed(p, STATUS_REFUSED,
		    i == 0 ? "no key for this version" : "does not open it");
	}
	provider_write("forged", file, AES_LEN);
	provider_destroy(p);
}

/* What the file says before the ciphertext is bound to it. */
static void
a_box_is_bound_to_its_head(void **state)
{
	struct provider *p = token_usual("bound");
	struct token_box box = { .mechanism = TOKEN_AES_GCM, .id = "bound to a head" };
	struct token *t = NULL;
	struct key k, got;

	(void)state;
	seal_key_new(&k, SEAL_FOR_KEK);
	assert_int_equal(token_open(p, &t), STATUS_OK);
	assert_int_equal(token_make_key(t, &box), STATUS_OK);
	assert_int_equal(token_encrypt(t, bytes_of("head", 4), &k, &box), STATUS_OK);
	assert_int_equal(token_decrypt(t, bytes_of("head", 4), &box, &got), STATUS_OK);
	assert_true(seal_key_equal(&k, &got));
	assert_int_equal(token_decrypt(t, bytes_of("HEAD", 4), &box, &got), STATUS_REFUSED);
	assert_int_equal(token_decrypt(t, bytes_of("hea", 3), &box, &got), STATUS_REFUSED);
	assert_int_equal(token_destroy(t, box.id, TOKEN_THIS), STATUS_OK);
	assert_int_equal(token_has_key(t, &box), STATUS_REFUSED);
	token_close(t);
	provider_free(p);
	assert_int_equal(token_objects(), 0);
}

static void
a_damaged_file_is_told(void **state)
{
	(void)state;
	provider_notices_damage(token_provider("damage", "aes-gcm", NULL, TOKEN_LABEL), "damage",
	    AES_LEN);
	provider_notices_damage(token_provider("damage", "rsa-oaep", NULL, TOKEN_LABEL), "damage",
	    RSA_LEN);
}

/* Nobody knows which key was its: the file goes, and the log says what does not. */
static void
a_damaged_file_leaves_its_key(void **state)
{
	struct provider *p = token_usual("damage"), *left;
	struct provider_kek kek;

	(void)state;
	assert_int_equal(provider_create(p, &kek), STATUS_OK);
	provider_copy("damage", "damage.0");
	provider_write("damage", "pdvpk11", 7);
	scratch_log_begin();
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
	provider_logged("its key stays in the token", NULL);
	assert_false(provider_stands("damage"));
	assert_int_equal(token_objects(), 1);
	provider_copy("damage.0", "damage");
	left = token_usual("damage");
	provider_destroy(left);
	assert_int_equal(token_objects(), 0);
	provider_free(p);
}

static void
it_lives_as_all_providers_do(void **state)
{
	struct provider *p = token_usual("lives");
	char path[300];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/lives", provider_folder);
	provider_lives(p, path);
	assert_int_equal(token_objects(), 0);
	provider_free(p);
}

static void
no_key_stays_in_memory(void **state)
{
	struct provider *p = token_usual("memory");

	(void)state;
	provider_leaves_nothing(p);
	provider_free(p);
	p = token_provider("memory", "rsa-oaep", NULL, TOKEN_LABEL);
	provider_leaves_nothing(p);
	provider_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, token_before_each, token_after_each)
		TEST(it_lives_as_all_providers_do),
		TEST(versions_come_and_go),
		TEST(the_mechanism_may_change),
		TEST(a_destroyed_version_does_not_come_back),
		TEST(a_crash_between_two_steps),
		TEST(two_vaults_do_not_meet),
		TEST(a_forged_file_does_not_open),
		TEST(a_box_is_bound_to_its_head),
		TEST(a_damaged_file_is_told), TEST(a_damaged_file_leaves_its_key),
		TEST(no_key_stays_in_memory),
	};

	return cmocka_run_group_tests(tests, token_begin, token_end);
}
