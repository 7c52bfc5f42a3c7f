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
#include "programs.h"
#include "scratch.h"
#include "server/keys/secret.h"
#include "tpm_bed.h"

static struct provider_kek kek[PROVIDER_VERSIONS_MAX];

static void
tpm_closed(struct provider *p, enum status want, const char *why)
{
	/* tpm2-tss has a log of its own, which is not for ours. */
	provider_closed(p, want, why, "src/");
}

static void
a_tpm_that_is_away_is_found_again(void **state)
{
	struct provider *p = tpm_provider("away", NULL), *nowhere = tpm_provider("away",
	    "device:/dev/tpm-that-is-not"),
	    *unknown = tpm_provider("away", "nothing:x");
	struct provider_kek v[2];
	const char *why = NULL;

	(void)state;
	assert_int_equal(provider_create(p, &v[0]), STATUS_OK);
	tpm_closed(nowhere, STATUS_SEAL, "cannot be reached");
	tpm_closed(unknown, STATUS_SEAL, "cannot be reached");
	assert_int_equal(provider_class(p, &why), PROVIDER_CLASS_C);
	assert_non_null(strstr(why, "software"));
	soft_tpm_stop();
	tpm_closed(p, STATUS_SEAL, "cannot be reached");
	assert_int_equal(provider_renew(p, &v[1]), STATUS_SEAL);
	assert_int_equal(provider_keep(p, NULL), STATUS_SEAL);
	assert_int_equal(provider_keep(p, v[0].id), STATUS_OK);
	assert_int_equal(provider_class(p, &why), PROVIDER_CLASS_C);
	assert_non_null(strstr(why, "cannot be asked"));
	assert_true(provider_stands("away"));
	soft_tpm_start(tpm_state);
	provider_opens(p, v, 1);
	assert_int_equal(provider_renew(p, &v[1]), STATUS_OK);
	soft_tpm_stop();
	assert_int_equal(provider_keep(p, v[1].id), STATUS_SEAL);
	soft_tpm_start(tpm_state);
	provider_opens(p, v, 2);
	assert_int_equal(provider_keep(p, v[1].id), STATUS_OK);
	provider_opens(p, &v[1], 1);
	provider_destroy(p);
	provider_free(nowhere);
	provider_free(unknown);
}

/* Failed tries with others' passwords until the TPM takes no more. */
static void
lock_out(void)
{
	const TPM2B_AUTH right = { .size = 1, .buffer = { 1 } }, wrong = { .size = 1, .buffer = { 2 } };
	const TPM2B_NV_PUBLIC public = { .nvPublic = { .nvIndex = 0x01400001,
	    .nameAlg = TPM2_ALG_SHA256,
		.attributes = TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE, .dataSize = 8 } };
	TSS2_TCTI_CONTEXT *tcti = NULL;
	ESYS_CONTEXT *e = tpm_way(&tcti);
	TPM2B_MAX_NV_BUFFER *data = NULL;
	ESYS_TR nv;
	TSS2_RC rv = 0;

	assert_int_equal(Esys_DictionaryAttackParameters(e, ESYS_TR_RH_LOCKOUT, ESYS_TR_PASSWORD,
	    ESYS_TR_NONE,
	    ESYS_TR_NONE, 2, 1000, 1000), 0);
	assert_int_equal(Esys_NV_DefineSpace(e, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
	    ESYS_TR_NONE,
	    &right, &public, &nv), 0);
	assert_int_equal(Esys_TR_SetAuth(e, nv, &wrong), 0);
	for (int i = 0; i < 8 && rv != TPM2_RC_LOCKOUT; i++)
		rv = Esys_NV_Read(e, nv, nv, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, 8, 0, &data);
	assert_int_equal(rv, TPM2_RC_LOCKOUT);
	assert_int_equal(Esys_NV_UndefineSpace(e, ESYS_TR_RH_OWNER, nv, ESYS_TR_PASSWORD, ESYS_TR_NONE,
	    ESYS_TR_NONE), 0);
	tpm_end_way(e, tcti);
}

static void
unlock(void)
{
	TSS2_TCTI_CONTEXT *tcti = NULL;
	ESYS_CONTEXT *e = tpm_way(&tcti);

	assert_int_equal(Esys_DictionaryAttackLockReset(e, ESYS_TR_RH_LOCKOUT, ESYS_TR_PASSWORD,
	    ESYS_TR_NONE,
	    ESYS_TR_NONE), 0);
	tpm_end_way(e, tcti);
}

static void
others_that_lock_the_tpm_do_not_lock_us(void **state)
{
	struct provider *p = tpm_provider("lock", NULL);
	struct provider_kek v[2];

	(void)state;
	lock_out();
	assert_int_equal(provider_create(p, &v[0]), STATUS_OK);
	assert_int_equal(provider_renew(p, &v[1]), STATUS_OK);
	provider_opens(p, v, 2);
	assert_int_equal(provider_keep(p, v[1].id), STATUS_OK);
	provider_opens(p, &v[1], 1);
	provider_destroy(p);
	unlock();
}

/* What a TPM may answer, and how it is told. */
static void
what_the_tpm_answers_is_told(void **state)
{
	static const struct {
		uint32_t code;
		enum status rc;
		const char *why;
	} answers[] = {
		{ TPM2_RC_LOCKOUT, STATUS_REFUSED, "locked out" },
		{ TPM2_RC_BAD_AUTH | TPM2_RC_S | TPM2_RC_1, STATUS_REFUSED, "password of the owner" },
		{ TPM2_RC_AUTH_FAIL | TPM2_RC_S | TPM2_RC_1, STATUS_REFUSED, "password of the owner" },
		{ TPM2_RC_HIERARCHY | TPM2_RC_P | TPM2_RC_1, STATUS_REFUSED, "switched off" },
		{ TPM2_RC_OBJECT_MEMORY, STATUS_SEAL, "no room for a key" },
		{ TPM2_RC_INITIALIZE, STATUS_SEAL, "was not started" },
		{ TPM2_RC_FAILURE, STATUS_SEAL, "has failed" },
		{ TPM2_RC_COMMAND_CODE, STATUS_SEAL, "does not do what it is asked" },
		{ 0, STATUS_SEAL, "cannot be reached" },
	};
	struct provider *p = tpm_provider("answers", NULL);
	struct provider_kek v;

	(void)state;
	assert_int_equal(provider_create(p, &v), STATUS_OK);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		soft_tpm_fail(1, answers[i].code);
		tpm_closed(p, answers[i].rc, answers[i].why);
	}
	provider_opens(p, &v, 1);
	provider_destroy(p);
}

/* With its state folder, a TPM in software forgets what it counted: told in provider_tpm.c. */
static void
a_restored_tpm_brings_its_dead_back(void **state)
{
	char saved[600];
	const char *const save[] = { "cp", "-a", tpm_state, saved, NULL };
	const char *const back[] = { "cp", "-a", saved, tpm_state, NULL };
	struct provider *p = tpm_provider("restored", NULL);
	struct provider_kek v[2];

	(void)state;
	(void)snprintf(saved, sizeof(saved), "%s/saved", provider_folder);
	assert_int_equal(provider_create(p, &v[0]), STATUS_OK);
	provider_copy("restored", "restored.0");
	soft_tpm_stop();
	assert_int_equal(programs_run(save), 0);
	soft_tpm_start(tpm_state);
	assert_int_equal(provider_renew(p, &v[1]), STATUS_OK);
	assert_int_equal(provider_keep(p, v[1].id), STATUS_OK);
	provider_copy("restored", "restored.1");
	provider_copy("restored.0", "restored");
	tpm_closed(p, STATUS_REFUSED, "an old state was put back");
	soft_tpm_stop();
	scratch_remove(tpm_state);
	assert_int_equal(programs_run(back), 0);
	soft_tpm_start(tpm_state);
	provider_opens(p, v, 1);
	provider_copy("restored.1", "restored.next");
	provider_opens(p, v, 1);
	provider_destroy(p);
	scratch_remove(saved);
}

static void
another_tpm_does_not_open_it(void **state)
{
	struct provider *p = tpm_provider("other", NULL);
	struct provider_kek v;
	char other[600];

	(void)state;
	(void)snprintf(other, sizeof(other), "%s/other-state", provider_folder);
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(provider_create(p, &v), STATUS_OK);
	soft_tpm_stop();
	soft_tpm_start(other);
	tpm_closed(p, STATUS_REFUSED, "another TPM");
	assert_int_equal(provider_keep(p, v.id), STATUS_OK);
	soft_tpm_stop();
	soft_tpm_start(tpm_state);
	provider_opens(p, &v, 1);
	provider_destroy(p);
}

/* The way to the TPM breaks at the n-th command, before it or after it, for every n. */
static void
break_everywhere(void (*set)(unsigned n))
{
	struct provider *p = tpm_provider("fault", NULL);
	struct provider_kek v[2];
	enum status rc;
	unsigned n, count;

	for (n = 1; set(n), (rc = provider_create(p, &v[0])) != STATUS_OK; n++) {
		assert_int_equal(rc, STATUS_SEAL);
		assert_false(provider_stands("fault"));
	}
	assert_true(n > 10);
	for (n = 1; set(n), (rc = provider_open(p, kek, &count)) != STATUS_OK; n++)
		assert_int_equal(rc, STATUS_SEAL);
	assert_true(n > 6);
	for (n = 1; set(n), (rc = provider_renew(p, &v[1])) != STATUS_OK; n++) {
		assert_int_equal(rc, STATUS_SEAL);
		assert_false(provider_stands("fault.next"));
		provider_opens(p, v, 1);
	}
	for (n = 1; set(n), (rc = provider_keep(p, v[1].id)) != STATUS_OK; n++) {
		assert_int_equal(rc, STATUS_SEAL);
		soft_tpm_fail(0, 0);
		assert_int_equal(provider_open(p, kek, &count), STATUS_OK);
		assert_memory_equal(kek[count - 1].key.b, v[1].key.b, SEAL_KEY_LEN);
	}
	soft_tpm_fail(0, 0);
	provider_opens(p, &v[1], 1);
	for (n = 1; set(n), (rc = provider_keep(p, NULL)) != STATUS_OK; n++)
		assert_int_equal(rc, STATUS_SEAL);
	assert_false(provider_stands("fault"));
	provider_free(p);
}

static void
cut_before(unsigned n)
{
	soft_tpm_fail(n, 0);
}

static void
every_command_may_fail(void **state)
{
	(void)state;
	break_everywhere(cut_before);
}

static void
every_answer_may_be_lost(void **state)
{
	(void)state;
	break_everywhere(soft_tpm_lose);
}

/* Of LeakSanitizer: what is allocated in between is not missed. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static void
look_for_leaks(bool yes)
{
	if (yes && __lsan_enable != NULL)
		__lsan_enable();
	if (!yes && __lsan_disable != NULL)
		__lsan_disable();
}

/*
 * The n-th allocation fails, ours and those of tpm2-tss, which then loses memory of its own, and
 * handles of what the TPM has made.
 */
static void
memory_may_run_out(void **state)
{
	struct provider *p = tpm_provider("memory", NULL);
	struct provider_kek v[2];
	unsigned n, count;
	enum status rc;

	(void)state;
	assert_int_equal(provider_create(p, &v[0]), STATUS_OK);
	allocation_watch();
	look_for_leaks(false);
	/* There are thousands, most of them for one elliptic curve. */
	for (n = 1;; n += 1 + n / 16) {
		allocation_fail(n);
		rc = provider_open(p, kek, &count);
		if (allocation_seen() < n)
			break;
		allocation_fail(0);
		soft_tpm_flush();
		assert_true(rc == STATUS_OK || rc == STATUS_NO_MEMORY || rc == STATUS_SEAL);
		if (n == 1)
			assert_int_equal(rc, STATUS_NO_MEMORY);
	}
	allocation_fail(0);
	look_for_leaks(true);
	assert_int_equal(rc, STATUS_OK);
	assert_true(n > 20);
	provider_opens(p, v, 1);
	provider_destroy(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, tpm_before_each, tpm_after_each)
		TEST(a_tpm_that_is_away_is_found_again),
		TEST(others_that_lock_the_tpm_do_not_lock_us),
		TEST(what_the_tpm_answers_is_told),
		TEST(a_restored_tpm_brings_its_dead_back),
		TEST(another_tpm_does_not_open_it),
		TEST(memory_may_run_out),
		TEST(every_command_may_fail),
		TEST(every_answer_may_be_lost),
	};

	return cmocka_run_group_tests(tests, tpm_begin, tpm_end);
}
