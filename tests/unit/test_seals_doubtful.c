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
#include "rotate_bed.h"
#include "scratch.h"
#include "server/keys/own_file.h"
#include "server/keys/secret.h"
#include "server/rotate/rotate_internal.h"
#include "server/store/vault_internal.h"

#define LINE 112u		/* of a key file */

static struct vault_bed bed;
static char second[320];
static uint8_t id[16];

/* The configuration names two seals, and the vault was made with the first. */
static int
setup(void **state)
{
	(void)state;
	vault_bed_make(&bed, 1u << 26, 1u << 20);
	(void)snprintf(second, sizeof(second), "%s/second.key", bed.dir);
	bed.options.seal[1] = (struct provider_options){ .name = "second", .kind = "file", .path = second };
	bed.options.seal_count = 2;
	scratch_log_begin();
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fault_none();
	free(scratch_log_end(NULL));
	if (bed.vault != NULL)
		vault_bed_stop(&bed);
	scratch_remove(bed.dir);
	return 0;
}

/* A file that stays open shows what became of its bytes. */
struct held {
	int fd;
	char line[LINE];
};

static struct held
hold(const char *path)
{
	struct held h = { .fd = open(path, O_RDONLY | O_CLOEXEC) };

	assert_true(h.fd >= 0);
	assert_int_equal(read(h.fd, h.line, LINE), LINE);
	return h;
}

/* The end of the line is the key. */
static bool
is_destroyed(struct held *h)
{
	char now[LINE] = { 0 };
	bool is;

	assert_true(pread(h->fd, now, LINE, 0) >= 0);
	is = memmem(now, LINE, h->line + 50, 16) == NULL && memmem(now, LINE, h->line + 80, 16) == NULL;
	(void)close(h->fd);
	return is;
}

static void
run(enum job_kind kind, const char *name, struct job *j)
{
	struct rotate *r;

	*j = (struct job){ .kind = kind };
	(void)snprintf(j->seal, sizeof(j->seal), "%s", name);
	assert_int_equal(rotate_bed_ask(&bed, j, j), STATUS_OK);
	r = rotate_bed_runner(&bed, 0);
	rotate_bed_wait(&bed, j);
	assert_true(rotate_stop(r, 30000));
}

/* Stopped; it opens with that seal while the other is away. */
static void
assert_opens_alone(const char *path, const char *other)
{
	char away[340];

	(void)snprintf(away, sizeof(away), "%s.away", other);
	assert_int_equal(rename(other, away), 0);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	vault_bed_stop(&bed);
	assert_int_equal(rename(away, other), 0);
}

/* The whole configuration anew, as after an edit and a restart; the third seal is a passphrase. */
static void
with_words(const char *text)
{
	static char path[320], secret[340];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/words", bed.dir);
	(void)snprintf(secret, sizeof(secret), "file:%s/secret", bed.dir);
	f = fopen(secret + strlen("file:"), "we");
	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	if (bed.vault != NULL)
		vault_bed_stop(&bed);
	bed.options.seal[1] = (struct provider_options){ .name = "words", .kind = "passphrase", .path = path,
		.secret = secret };
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

/* One that was mistyped at the start must not take the place of the right one. */
static void
a_wrong_passphrase_makes_no_version(void **state)
{
	struct job j;

	(void)state;
	with_words("right");
	run(JOB_SEAL_ADD, "words", &j);
	assert_int_equal(j.state, JOB_DONE);
	with_words("wrong");
	run(JOB_SEAL, "words", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_string_equal(j.failure, status_reason(STATUS_SEAL));
	run(JOB_SEAL, "", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_int_equal(j.done, 1);
	assert_int_equal(j.damaged, 1);
	with_words("right");
	vault_bed_stop(&bed);
	assert_opens_alone(bed.options.seal[1].path, bed.key);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

/* Of one whose file is not the version in use nothing is renewed: what stands there is not ours to destroy. */
static void
another_file_is_let_alone(void **state)
{
	struct held foreign;
	char kept[340];
	struct job j;

	(void)state;
	run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	(void)snprintf(kept, sizeof(kept), "%s.kept", second);
	assert_int_equal(rename(second, kept), 0);
	bed.options.seal_count = 1;
	vault_bed_restart(&bed);
	bed.options.seal_count = 2;
	assert_int_equal(seals_learn(bed.vault, &bed.options), STATUS_OK);
	{
		struct provider_kek *kek = secret_alloc(sizeof(*kek));

		assert_int_equal(provider_create(seals_provider(bed.vault->seals, "second"), kek), STATUS_OK);
		secret_free(kek, sizeof(*kek));
	}
	foreign = hold(second);
	run(JOB_SEAL, "second", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_false(is_destroyed(&foreign));
	/* Nobody knows what became of the key that was in use. */
	run(JOB_SEAL_REMOVE, "second", &j);
	assert_int_equal(bed.vault->seals->now->dead_class, 0);
	assert_int_equal(bed.vault->seals->now->lasting, vault_epoch(bed.vault));
}

/* One that is in use, and does not open any more, is no reason to let the last go that does. */
static void
the_last_that_opens_stays(void **state)
{
	struct job j;

	(void)state;
	run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_int_equal(unlink(second), 0);
	assert_false(seals_test(bed.vault));
	run(JOB_SEAL_REMOVE, "file", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_string_equal(j.failure, status_reason(STATUS_REFUSED));
	vault_bed_restart(&bed);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	/* Its file is gone, and nothing says how surely. */
	run(JOB_SEAL_REMOVE, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_int_equal(bed.vault->seals->now->lasting, vault_epoch(bed.vault));
}

/* Two sections with one file would be one key, and to remove one would destroy that of the other. */
static void
one_file_is_one_seal(void **state)
{
	struct job j;

	(void)state;
	vault_bed_stop(&bed);
	bed.options.seal[1].path = bed.key;
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_string_equal(j.failure, status_reason(STATUS_REFUSED));
	assert_int_equal(bed.vault->seals->now->count, 1);
	vault_bed_restart(&bed);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
}

/* What was replaced while its device was away is not dead; neither is what could not be overwritten. */
static void
what_is_not_destroyed_does_not_count(void **state)
{
	char away[340];
	struct job j;

	(void)state;
	run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	run(JOB_SEAL, "", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_true(atomic_load(&bed.vault->seals->ended));
	vault_bed_restart(&bed);
	assert_true(atomic_load(&bed.vault->seals->ended));
	(void)snprintf(away, sizeof(away), "%s.away", second);
	assert_int_equal(rename(second, away), 0);
	vault_bed_restart(&bed);
	assert_false(atomic_load(&bed.vault->seals->ended));
	/* Of another seal nothing is left, which says nothing of this one. */
	assert_true(seals_finish(bed.vault, "file", false));
	assert_false(atomic_load(&bed.vault->seals->ended));
	assert_int_equal(rename(away, second), 0);
	vault_bed_restart(&bed);
	assert_true(atomic_load(&bed.vault->seals->ended));
	/* One that was removed, and whose file is there again. */
	assert_int_equal(rename(second, away), 0);
	run(JOB_SEAL_REMOVE, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_int_equal(rename(away, second), 0);
	vault_bed_restart(&bed);
	assert_false(atomic_load(&bed.vault->seals->ended));
}

/* A version that is taken as it is may be one that opens slots of long ago. */
static void
what_was_there_is_no_new_version(void **state)
{
	char kept[340];
	struct job j;

	(void)state;
	run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(bed.vault->seals->now->seal[1].since, vault_epoch(bed.vault));
	(void)snprintf(kept, sizeof(kept), "%s.kept", second);
	assert_int_equal(rename(second, kept), 0);
	run(JOB_SEAL_REMOVE, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_int_equal(rename(kept, second), 0);
	run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_int_equal(bed.vault->seals->now->seal[1].since, 1);
	run(JOB_SEAL, "second", &j);
	assert_int_equal(bed.vault->seals->now->seal[1].since, vault_epoch(bed.vault));
}

/* A passphrase that came with a request which led to nothing is not that of the next one. */
static void
an_offer_is_for_one_request(void **state)
{
	struct job j;

	(void)state;
	with_words("right");
	assert_int_equal(seals_offer(bed.vault, "words", bytes_of("stale", 5)), STATUS_OK);
	assert_int_equal(seals_offer(bed.vault, "words", bytes_of(NULL, 0)), STATUS_OK);
	run(JOB_SEAL_ADD, "words", &j);
	assert_int_equal(j.state, JOB_DONE);
	vault_bed_stop(&bed);
	assert_opens_alone(bed.options.seal[1].path, bed.key);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

/* Another recovery key in the configuration does not open what is wrapped for the one before. */
static void
another_recovery_key_is_told(void **state)
{
	uint8_t key[2][SEAL_RECOVERY_KEY_LEN] = { { 9 }, { 10 } };
	struct job j;
	char *text;

	(void)state;
	vault_bed_stop(&bed);
	bed.options.seal[1] = (struct provider_options){ .name = "paper", .kind = "recovery",
		.public = key[0] };
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	run(JOB_SEAL_ADD, "paper", &j);
	assert_int_equal(j.state, JOB_DONE);
	for (unsigned i = 0; i < 2; i++) {
		vault_bed_stop(&bed);
		bed.options.seal[1].public = key[i];
		free(scratch_log_end(NULL));
		scratch_log_begin();
		assert_int_equal(vault_bed_start(&bed), STATUS_OK);
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
	(void)snprintf(path, sizeof(path), "%s/ledger.key", bed.dir);	/* a name for fault.h */
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
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(a_wrong_passphrase_makes_no_version),
		TEST(another_file_is_let_alone), TEST(the_last_that_opens_stays), TEST(one_file_is_one_seal),
		TEST(what_is_not_destroyed_does_not_count), TEST(another_recovery_key_is_told),
		TEST(what_was_there_is_no_new_version), TEST(an_offer_is_for_one_request),
		TEST(what_cannot_be_overwritten_stays) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
