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
#include "tpm_bed.h"

static struct provider_kek kek[PROVIDER_VERSIONS_MAX];

static void
tpm_closed(struct provider *p, enum status want, const char *why)
{
	/* tpm2-tss has a log of its own, which is not for ours. */
	provider_closed(p, want, why, "src/");
}

static void
versions_come_and_go(void **state)
{
	struct provider *p = tpm_provider("a", NULL);
	struct provider_kek v[3];
	uint8_t file[PROVIDER_FILE_MAX];
	struct stat st;
	size_t len;

	(void)state;
	assert_int_equal(provider_create(p, &v[0]), STATUS_OK);
	assert_int_equal(tpm_counters(), 1);
	assert_int_equal(stat(scratch_path(provider_folder, "a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	len = provider_read("a", file);
	assert_memory_equal(file, "pdvtpm2\1", 8);
	assert_memory_equal(file + 8, v[0].id, PROVIDER_ID_LEN);
	assert_null(memmem(file, len, v[0].key.b, 8));
	provider_opens(p, v, 1);
	assert_int_equal(provider_keep(p, v[0].id), STATUS_OK);
	assert_int_equal(provider_create(p, &v[2]), STATUS_REFUSED);
	assert_int_equal(provider_renew(p, &v[1]), STATUS_OK);
	assert_memory_not_equal(v[0].id, v[1].id, PROVIDER_ID_LEN);
	assert_memory_not_equal(v[0].key.b, v[1].key.b, SEAL_KEY_LEN);
	assert_int_equal(provider_renew(p, &v[2]), STATUS_REFUSED);
	provider_opens(p, v, 2);
	/* The new one counts. */
	assert_int_equal(provider_keep(p, v[1].id), STATUS_OK);
	assert_false(provider_stands("a.next"));
	assert_int_equal(provider_keep(p, v[1].id), STATUS_OK);
	assert_int_equal(provider_keep(p, v[0].id), STATUS_CONFIG);
	provider_opens(p, &v[1], 1);
	/* The old one does. */
	assert_int_equal(provider_renew(p, &v[2]), STATUS_OK);
	assert_int_equal(provider_keep(p, v[1].id), STATUS_OK);
	assert_false(provider_stands("a.next"));
	provider_opens(p, &v[1], 1);
	assert_int_equal(tpm_counters(), 2);
	/* None. */
	assert_int_equal(provider_renew(p, &v[2]), STATUS_OK);
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
	assert_int_equal(tpm_counters(), 0);
	assert_false(provider_stands("a"));
	assert_false(provider_stands("a.next"));
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
	tpm_closed(p, STATUS_CONFIG, "is not there");
	assert_int_equal(provider_renew(p, &v[2]), STATUS_CONFIG);
	provider_free(p);
}

/*
 * Whichever was destroyed: the old one, one made in vain, and all; and none of them can destroy
 * what lives.
 */
static void
a_destroyed_version_does_not_come_back(void **state)
{
	static const char *const dead[] = { "old.0", "old.1", "old.2", NULL };
	struct provider *p = tpm_provider("old", NULL);
	struct provider_kek v[4];

	(void)state;
	assert_int_equal(provider_create(p, &v[0]), STATUS_OK);
	provider_copy("old", "old.0");
	assert_int_equal(provider_renew(p, &v[1]), STATUS_OK);
	provider_copy("old.next", "old.1");
	assert_int_equal(provider_keep(p, v[0].id), STATUS_OK);
	provider_copy("old.1", "old.next");
	provider_opens(p, v, 1);
	assert_int_equal(unlink(scratch_path(provider_folder, "old.next")), 0);
	assert_int_equal(provider_renew(p, &v[2]), STATUS_OK);
	provider_copy("old.next", "old.2");
	assert_int_equal(provider_keep(p, v[2].id), STATUS_OK);
	assert_int_equal(provider_renew(p, &v[3]), STATUS_OK);
	assert_int_equal(provider_keep(p, v[3].id), STATUS_OK);
	provider_copy("old", "old.3");
	for (unsigned i = 0; i < 3; i++) {
		provider_copy(dead[i], "old");
		tpm_closed(p, STATUS_REFUSED, "an old state was put back");
		assert_int_equal(provider_renew(p, &v[0]), STATUS_REFUSED);
		provider_copy("old.3", "old.next");
		assert_int_equal(provider_keep(p, i == 0 ? v[0].id : i == 1 ? v[1].id : v[2].id),
		    STATUS_REFUSED);
		provider_opens(p, &v[3], 1);
		assert_int_equal(unlink(scratch_path(provider_folder, "old.next")), 0);
	}
	/* An old file beside it takes only itself away. */
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
	provider_copy("old.3", "old");
	provider_opens(p, &v[3], 1);
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
	provider_copy("old.3", "old");
	tpm_closed(p, STATUS_REFUSED, "does not have its counter");
	/* Nor does it when another has defined the same counter since. */
	{
		struct provider *q = tpm_provider("new", NULL);
		struct provider_kek of_q;

		assert_int_equal(provider_create(q, &of_q), STATUS_OK);
		tpm_closed(p, STATUS_REFUSED, "an old state was put back");
		provider_destroy(p);
		provider_opens(q, &of_q, 1);
		provider_destroy(q);
	}
}

static void
a_crash_between_two_steps(void **state)
{
	struct provider *p = tpm_provider("crash", NULL);
	struct provider_kek v[3];

	(void)state;
	assert_int_equal(provider_create(p, &v[0]), STATUS_OK);
	/* Sealed, and no file yet. */
	assert_int_equal(provider_renew(p, &v[1]), STATUS_OK);
	provider_copy("crash.next", "crash.1");
	assert_int_equal(unlink(scratch_path(provider_folder, "crash.next")), 0);
	provider_opens(p, v, 1);
	assert_int_equal(provider_keep(p, v[0].id), STATUS_OK);
	assert_int_equal(provider_renew(p, &v[2]), STATUS_OK);
	provider_opens(p, (const struct provider_kek[]){ v[0], v[2] }, 2);
	provider_copy("crash.next", "crash.2");
	provider_copy("crash.1", "crash.next");
	provider_opens(p, v, 1);
	/* Half of the file. */
	provider_write("crash.next", "pdvtpm2", 7);
	provider_opens(p, v, 1);
	assert_int_equal(provider_keep(p, v[0].id), STATUS_OK);
	assert_false(provider_stands("crash.next"));
	provider_copy("crash.2", "crash.next");
	provider_opens(p, v, 1);
	assert_int_equal(unlink(scratch_path(provider_folder, "crash.next")), 0);
	/* The counter of the old one has gone on, and its file is there yet. */
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
	/* All counters are gone, and the file not yet. */
	provider_copy("crash", "crash.1");
	assert_int_equal(provider_keep(p, NULL), STATUS_OK);
	provider_copy("crash.1", "crash");
	provider_destroy(p);
	assert_false(provider_stands("crash"));
}

static void
two_vaults_do_not_meet(void **state)
{
	struct provider *a = tpm_provider("one", NULL), *b = tpm_provider("two", NULL);
	struct provider_kek of_a[2], of_b;

	(void)state;
	assert_int_equal(provider_create(a, &of_a[0]), STATUS_OK);
	assert_int_equal(provider_create(b, &of_b), STATUS_OK);
	assert_int_equal(provider_renew(a, &of_a[1]), STATUS_OK);
	assert_int_equal(provider_keep(a, of_a[1].id), STATUS_OK);
	assert_int_equal(tpm_counters(), 3);
	provider_opens(b, &of_b, 1);
	provider_opens(a, &of_a[1], 1);
	provider_destroy(a);
	provider_opens(b, &of_b, 1);
	provider_destroy(b);
}

/* With a checksum that is right: the TPM has the last word. */
static void
a_forged_file_does_not_open(void **state)
{
	struct provider *p = tpm_provider("forged", NULL);
	uint8_t file[PROVIDER_FILE_MAX], bad[PROVIDER_FILE_MAX];
	struct provider_kek v;
	unsigned count, refused = 0;
	enum status rc;
	size_t len;

	(void)state;
	assert_int_equal(provider_create(p, &v), STATUS_OK);
	len = provider_read("forged", file) - SEAL_DIGEST_LEN;
	/* From the counter on: the id is a name, and nothing rests on it. */
	for (size_t i = 24; i < len; i++) {
		memcpy(bad, file, len);
		bad[i] ^= (uint8_t)(1u << i % 8);
		seal_digest(bytes_of(bad, len), bad + len);
		provider_write("forged", bad, len + SEAL_DIGEST_LEN);
		scratch_log_begin();
		rc = provider_open(p, kek, &count);
		free(scratch_log_end(NULL));
		if (rc == STATUS_OK)
			fail_msg("byte %zu", i);
		refused += rc == STATUS_REFUSED;
	}
	assert_true(refused > 100);
	provider_write("forged", file, len + SEAL_DIGEST_LEN);
	provider_opens(p, &v, 1);
	provider_destroy(p);
}

static void
a_damaged_file_is_told(void **state)
{
	(void)state;
	provider_notices_damage(tpm_provider("damage", NULL), "damage", 0);
}

static void
it_lives_as_all_providers_do(void **state)
{
	struct provider *p = tpm_provider("lives", NULL);
	char path[300];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/lives", provider_folder);
	provider_lives(p, path);
	provider_free(p);
}

static void
no_key_stays_in_memory(void **state)
{
	struct provider *p = tpm_provider("memory", NULL);

	(void)state;
	provider_leaves_nothing(p);
	provider_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, tpm_before_each, tpm_after_each)
		TEST(it_lives_as_all_providers_do),
		TEST(versions_come_and_go),
		TEST(a_destroyed_version_does_not_come_back),
		TEST(a_crash_between_two_steps),
		TEST(two_vaults_do_not_meet),
		TEST(a_forged_file_does_not_open),
		TEST(a_damaged_file_is_told),
		TEST(no_key_stays_in_memory),
	};

	return cmocka_run_group_tests(tests, tpm_begin, tpm_end);
}
