/*
 * Seals that are not what they should be (a mistyped passphrase, another file, a device that is away) when they
 * are changed: whoever could open the vault can go on to, and nothing counts as destroyed that may not be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "scratch.h"
#include "seal_bed.h"
#include "server/keys/own_file.h"
#include "server/keys/secret.h"
#include "server/rotate/rotate_internal.h"
#include "server/store/vault_internal.h"

/* The whole configuration anew, as after an edit and a restart; the third seal is a passphrase. */
static void
with_words(const char *text)
{
	static char path[320], secret[340];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/words", seal_bed.dir);
	(void)snprintf(secret, sizeof(secret), "file:%s/secret", seal_bed.dir);
	f = fopen(secret + strlen("file:"), "we");
	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	if (seal_bed.vault != NULL)
		vault_bed_stop(&seal_bed);
	seal_bed.options.seal[1] = (struct provider_options){
		.name = "words", .kind = "passphrase", .path = path, .secret = secret
	};
	assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
}

/* One that was mistyped at the start must not take the place of the right one. */
static void
a_wrong_passphrase_makes_no_version(void **state)
{
	struct job j;

	(void)state;
	with_words("right");
	seal_run(JOB_SEAL_ADD, "words", &j);
	assert_int_equal(j.state, JOB_DONE);
	with_words("wrong");
	seal_run(JOB_SEAL, "words", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_string_equal(j.failure, status_reason(STATUS_SEAL));
	seal_run(JOB_SEAL, "", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_int_equal(j.done, 1);
	assert_int_equal(j.damaged, 1);
	with_words("right");
	vault_bed_stop(&seal_bed);
	seal_opens_alone(seal_bed.options.seal[1].path, seal_bed.key);
	assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
}

/* Of one whose file is not the version in use nothing is renewed: what stands there is not ours to destroy. */
static void
another_file_is_let_alone(void **state)
{
	struct seal_held foreign;
	char kept[340];
	struct job j;

	(void)state;
	seal_run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	(void)snprintf(kept, sizeof(kept), "%s.kept", seal_second);
	assert_int_equal(rename(seal_second, kept), 0);
	seal_bed.options.seal_count = 1;
	vault_bed_restart(&seal_bed);
	seal_bed.options.seal_count = 2;
	assert_int_equal(seals_learn(seal_bed.vault, &seal_bed.options), STATUS_OK);
	{
		struct provider_kek *kek = secret_alloc(sizeof(*kek));

		assert_int_equal(provider_create(seals_provider(seal_bed.vault->seals, "second"), kek),
		    STATUS_OK);
		secret_free(kek, sizeof(*kek));
	}
	foreign = seal_hold(seal_second);
	seal_run(JOB_SEAL, "second", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_false(seal_is_destroyed(&foreign));
	/* Nobody knows what became of the key that was in use. */
	seal_run(JOB_SEAL_REMOVE, "second", &j);
	assert_int_equal(seal_bed.vault->seals->now->dead_class, 0);
	assert_int_equal(seal_bed.vault->seals->now->lasting, vault_epoch(seal_bed.vault));
}

/* One that is in use, and does not open any more, is no reason to let the last go that does. */
static void
the_last_that_opens_stays(void **state)
{
	struct job j;

	(void)state;
	seal_run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_int_equal(unlink(seal_second), 0);
	assert_false(seals_test(seal_bed.vault));
	seal_run(JOB_SEAL_REMOVE, "file", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_string_equal(j.failure, status_reason(STATUS_REFUSED));
	vault_bed_restart(&seal_bed);
	assert_int_equal(vault_bed_get(&seal_bed, seal_person), STATUS_OK);
	/* Its file is gone, and nothing says how surely. */
	seal_run(JOB_SEAL_REMOVE, "second", &j);
	assert_int_equal(j.state, JOB_FAILED);	/* what became of its key nobody knows */
	assert_int_equal(seal_bed.vault->seals->now->lasting, vault_epoch(seal_bed.vault));
}

/* Two sections with one file would be one key, and to remove one would destroy that of the other. */
static void
one_file_is_one_seal(void **state)
{
	struct job j;

	(void)state;
	vault_bed_stop(&seal_bed);
	seal_bed.options.seal[1].path = seal_bed.key;
	assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
	seal_run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_string_equal(j.failure, status_reason(STATUS_REFUSED));
	assert_int_equal(seal_bed.vault->seals->now->count, 1);
	vault_bed_restart(&seal_bed);
	assert_int_equal(vault_bed_get(&seal_bed, seal_person), STATUS_OK);
}

/* What was replaced while its device was away is not dead; neither is what could not be overwritten. */
static void
what_is_not_destroyed_does_not_count(void **state)
{
	char away[340];
	struct job j;

	(void)state;
	seal_run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	seal_run(JOB_SEAL, "", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_true(atomic_load(&seal_bed.vault->seals->ended));
	vault_bed_restart(&seal_bed);
	assert_true(atomic_load(&seal_bed.vault->seals->ended));
	(void)snprintf(away, sizeof(away), "%s.away", seal_second);
	assert_int_equal(rename(seal_second, away), 0);
	vault_bed_restart(&seal_bed);
	assert_false(atomic_load(&seal_bed.vault->seals->ended));
	/* Of another seal nothing is left, which says nothing of this one. */
	assert_true(seals_finish(seal_bed.vault, "file", false));
	assert_false(atomic_load(&seal_bed.vault->seals->ended));
	assert_int_equal(rename(away, seal_second), 0);
	vault_bed_restart(&seal_bed);
	assert_true(atomic_load(&seal_bed.vault->seals->ended));
	/* One that was removed, and whose file is there again. */
	assert_int_equal(rename(seal_second, away), 0);
	seal_run(JOB_SEAL_REMOVE, "second", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_int_equal(rename(away, seal_second), 0);
	vault_bed_restart(&seal_bed);
	assert_false(atomic_load(&seal_bed.vault->seals->ended));
}

/* A version that is taken as it is may be one that opens slots of long ago. */
static void
what_was_there_is_no_new_version(void **state)
{
	char kept[340];
	struct job j;

	(void)state;
	seal_run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(seal_bed.vault->seals->now->seal[1].since, vault_epoch(seal_bed.vault));
	(void)snprintf(kept, sizeof(kept), "%s.kept", seal_second);
	assert_int_equal(rename(seal_second, kept), 0);
	seal_run(JOB_SEAL_REMOVE, "second", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_int_equal(rename(kept, seal_second), 0);
	seal_run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.floor_ms, 0);	/* how old its key is nobody knows */
	assert_int_equal(seals_find(seal_bed.vault->seals->now, "second")->made_ms, 0);
	assert_int_equal(j.state, JOB_DONE);
	assert_int_equal(seal_bed.vault->seals->now->seal[1].since, 1);
	seal_run(JOB_SEAL, "second", &j);
	assert_int_equal(seal_bed.vault->seals->now->seal[1].since, vault_epoch(seal_bed.vault));
}

/* A section that is not whole keeps none of the others back. */
static void
half_a_section(void **state)
{
	struct provider_options *o = seal_bed.options.seal;

	(void)state;
	o[2] = (struct provider_options){ .name = "half", .kind = "passphrase", .path = "/nowhere" };
	o[3] = (struct provider_options){ .name = "whole", .kind = "file", .path = "/nowhere" };
	seal_bed.options.seal_count = 4;
	assert_int_equal(seals_learn(seal_bed.vault, &seal_bed.options), STATUS_CONFIG);
	assert_null(seals_provider(seal_bed.vault->seals, "half"));
	assert_non_null(seals_provider(seal_bed.vault->seals, "whole"));
}

/* A passphrase that came with a request which led to nothing is not that of the next one. */
static void
an_offer_is_for_one_request(void **state)
{
	struct job j;

	(void)state;
	with_words("right");
	assert_int_equal(seals_offer(seal_bed.vault, "words", bytes_of("stale", 5)), STATUS_OK);
	assert_int_equal(seals_offer(seal_bed.vault, "words", bytes_of(NULL, 0)), STATUS_OK);
	seal_run(JOB_SEAL_ADD, "words", &j);
	assert_int_equal(j.state, JOB_DONE);
	vault_bed_stop(&seal_bed);
	seal_opens_alone(seal_bed.options.seal[1].path, seal_bed.key);
	assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
}

/* Another recovery key in the configuration does not open what is wrapped for the one before. */
static void
another_recovery_key_is_told(void **state)
{
	uint8_t key[2][SEAL_RECOVERY_KEY_LEN] = { { 9 }, { 10 } };
	struct job j;
	char *text;

	(void)state;
	vault_bed_stop(&seal_bed);
	seal_bed.options.seal[1] = (struct provider_options){ .name = "paper", .kind = "recovery",
		.public = key[0] };
	assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
	seal_run(JOB_SEAL_ADD, "paper", &j);
	assert_int_equal(j.state, JOB_DONE);
	for (unsigned i = 0; i < 2; i++) {
		vault_bed_stop(&seal_bed);
		seal_bed.options.seal[1].public = key[i];
		free(scratch_log_end(NULL));
		scratch_log_begin();
		assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
		text = scratch_log_end(NULL);
		scratch_log_begin();
		assert_int_equal(strstr(text, "another recovery key") != NULL, i == 1);
		free(text);
	}
}

static void
what_cannot_be_overwritten_stays(void **state)
{
	const char *why = NULL;
	char path[340];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/ledger.key", seal_bed.dir);	/* a name for fault.h */
	assert_int_equal(own_file_create(path, bytes_of("0123456789", 10), &why), STATUS_OK);
	fault_set(FAULT_LEDGER, 1, 1, EIO);
	assert_false(own_file_destroy(path));
	assert_int_equal(access(path, F_OK), 0);
	assert_true(own_file_destroy(path));
	assert_int_not_equal(access(path, F_OK), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, seal_setup, seal_teardown)
	const struct CMUnitTest tests[] = { TEST(a_wrong_passphrase_makes_no_version),
		TEST(another_file_is_let_alone), TEST(the_last_that_opens_stays), TEST(one_file_is_one_seal),
		TEST(what_is_not_destroyed_does_not_count), TEST(another_recovery_key_is_told),
		TEST(what_was_there_is_no_new_version), TEST(half_a_section), TEST(an_offer_is_for_one_request),
		TEST(what_cannot_be_overwritten_stays) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
