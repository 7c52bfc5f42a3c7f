#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>

#include "scratch.h"
#include "server/keys/secret.h"
#include "server/keys/tpm_internal.h"
#include "tpm_bed.h"

static struct provider_kek kek[PROVIDER_VERSIONS_MAX];

/*
 * Past the look at the counter that comes first: whoever has the box asks the TPM in his own way,
 * with the password, which is empty, and with a policy of his own.
 */
static void
ask_directly(struct tpm *t, const struct tpm_box *box)
{
	static const TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };
	TPM2B_SENSITIVE_DATA *data = NULL;
	TPM2B_PUBLIC public = { .size = 0 };
	TPM2B_PRIVATE private = { .size = 0 };
	TPM2B_OPERAND value = { .size = 8 };
	ESYS_TR object, policy, nv = ESYS_TR_NONE;
	size_t n = 0, m = 0;

	assert_int_equal(Tss2_MU_TPM2B_PUBLIC_Unmarshal(box->public, box->public_len, &n, &public), 0);
	assert_int_equal(Tss2_MU_TPM2B_PRIVATE_Unmarshal(box->private, box->private_len, &m,
	    &private), 0);
	assert_int_equal(Esys_Load(t->esys, t->parent, PASSWORD, &private, &public, &object), 0);
	assert_int_not_equal(Esys_Unseal(t->esys, object, PASSWORD, &data), 0);
	assert_int_equal(Esys_StartAuthSession(t->esys, NO_SESSIONS, ESYS_TR_NONE, ESYS_TR_NONE, NULL,
	    TPM2_SE_POLICY, &none, TPM2_ALG_SHA256, &policy), 0);
	assert_int_equal(Esys_TRSess_SetAttributes(t->esys, policy, TPMA_SESSION_CONTINUESESSION,
	    0xff), 0);
	assert_int_not_equal(Esys_Unseal(t->esys, object, policy, ESYS_TR_NONE, ESYS_TR_NONE,
	    &data), 0);
	assert_int_equal(tpm_counter_advance(t, box->counter), STATUS_OK);
	assert_int_equal(tpm_counter_find(t, box->counter, &nv), STATUS_OK);
	/* Of the old value nothing that the TPM can compare may do. */
	bytes_put64(value.buffer, box->value);
	for (TPM2_EO how = TPM2_EO_EQ; how <= TPM2_EO_BITCLEAR; how++) {
		assert_int_equal(Esys_PolicyRestart(t->esys, policy, NO_SESSIONS), 0);
		if (Esys_PolicyNV(t->esys, nv, nv, policy, PASSWORD, &value, 0, how) == 0)
			assert_int_not_equal(Esys_Unseal(t->esys, object, policy, ESYS_TR_NONE, ESYS_TR_NONE,
			    &data), 0);
	}
	assert_int_equal(Esys_PolicyRestart(t->esys, policy, NO_SESSIONS), 0);
	assert_int_equal(Esys_PolicyNV(t->esys, nv, nv, policy, PASSWORD, &value, 0, TPM2_EO_EQ),
	    TPM2_RC_POLICY);
	bytes_put64(value.buffer, box->value + 1);
	assert_int_equal(Esys_PolicyNV(t->esys, nv, nv, policy, PASSWORD, &value, 0, TPM2_EO_EQ), 0);
	assert_int_not_equal(Esys_Unseal(t->esys, object, policy, ESYS_TR_NONE, ESYS_TR_NONE,
	    &data), 0);
	tpm_flush(t, &policy);
	tpm_flush(t, &object);
	assert_int_equal(Esys_TR_Close(t->esys, &nv), 0);
}

static void
the_tpm_itself_refuses_a_dead_box(void **state)
{
	struct provider *p = tpm_provider("raw", NULL);
	struct tpm *t = NULL;
	struct tpm_box box = { .counter = TPM_FIRST };
	struct key *k = &kek[0].key, *got = &kek[1].key;
	uint64_t was;

	(void)state;
	seal_key_new(k, SEAL_FOR_KEK);
	assert_int_equal(tpm_open(p, &t), STATUS_OK);
	assert_int_equal(tpm_counter_advance(t, TPM_FIRST), STATUS_OK);
	assert_int_equal(tpm_box_make(t, k, &box), STATUS_OK);
	assert_int_equal(tpm_box_open(t, &box, got), STATUS_OK);
	assert_true(seal_key_equal(k, got));
	ask_directly(t, &box);
	/* As our own code does it when the file lies about the value. */
	box.value++;
	scratch_log_begin();
	assert_int_equal(tpm_box_open(t, &box, got), STATUS_REFUSED);
	provider_logged("an old state was put back", NULL);
	/* Removed and made again, a counter never has a value that it had. */
	assert_int_equal(tpm_counter_remove(t, TPM_FIRST), STATUS_OK);
	assert_int_equal(tpm_counter_advance(t, TPM_FIRST), STATUS_OK);
	was = box.value;
	assert_int_equal(tpm_counter_read(t, TPM_FIRST, &box.value), STATUS_OK);
	assert_true(box.value > was);
	assert_int_equal(tpm_counter_remove(t, TPM_FIRST), STATUS_OK);
	tpm_close(t);
	provider_free(p);
}

/* An index that somebody else has defined at that place. */
static ESYS_TR
take(ESYS_CONTEXT *e, uint32_t index)
{
	const TPM2B_AUTH none = { .size = 0 };
	const TPM2B_NV_PUBLIC public = { .nvPublic = { .nvIndex = index, .nameAlg = TPM2_ALG_SHA256,
		.attributes = TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE, .dataSize = 8 } };
	ESYS_TR nv = ESYS_TR_NONE;

	assert_int_equal(Esys_NV_DefineSpace(e, ESYS_TR_RH_OWNER, PASSWORD, &none, &public, &nv), 0);
	return nv;
}

static void
what_others_keep_in_the_tpm_is_left_alone(void **state)
{
	struct provider *p = tpm_provider("others", NULL);
	TSS2_TCTI_CONTEXT *tcti = NULL;
	ESYS_CONTEXT *e = tpm_way(&tcti);
	ESYS_TR first = take(e, TPM_FIRST + 1), second = take(e, TPM_FIRST + 2), twin;
	uint8_t file[PROVIDER_FILE_MAX];

	(void)state;
	assert_int_equal(provider_create(p, &kek[0]), STATUS_OK);
	assert_true(provider_read("others", file) > 28);
	assert_int_equal(bytes_get32(file + 24), TPM_FIRST + 4);
	twin = take(e, TPM_FIRST + 5);
	scratch_log_begin();
	assert_int_equal(provider_renew(p, &kek[1]), STATUS_REFUSED);
	provider_logged("something else in the place", NULL);
	scratch_log_begin();
	assert_int_equal(provider_keep(p, NULL), STATUS_REFUSED);
	provider_logged("something else in the place", NULL);
	provider_opens(p, &kek[0], 1);
	assert_int_equal(Esys_NV_UndefineSpace(e, ESYS_TR_RH_OWNER, twin, PASSWORD), 0);
	assert_int_equal(provider_renew(p, &kek[1]), STATUS_OK);
	provider_opens(p, kek, 2);
	provider_destroy(p);
	assert_int_equal(Esys_NV_UndefineSpace(e, ESYS_TR_RH_OWNER, first, PASSWORD), 0);
	assert_int_equal(Esys_NV_UndefineSpace(e, ESYS_TR_RH_OWNER, second, PASSWORD), 0);
	tpm_end_way(e, tcti);
}

/* Who listens on the bus. */
static void
no_key_crosses_the_bus(void **state)
{
	static const uint8_t zero[SEAL_KEY_LEN];
	struct provider *p = tpm_provider("bus", NULL);
	struct provider_kek v;
	unsigned count;
	uint8_t file[PROVIDER_FILE_MAX];

	(void)state;
	soft_tpm_stop();
	soft_tpm_start(tpm_state);
	assert_int_equal(provider_create(p, &v), STATUS_OK);
	assert_int_equal(provider_open(p, kek, &count), STATUS_OK);
	assert_memory_equal(kek[0].key.b, v.key.b, SEAL_KEY_LEN);
	for (size_t i = 0; i + 8 <= SEAL_KEY_LEN; i += 8)
		assert_false(soft_tpm_said(bytes_of(v.key.b + i, 8)));
	/* Nor are they sent as they are and merely not found: what is in the file was. */
	assert_true(provider_read("bus", file) > 200);
	assert_true(soft_tpm_said(bytes_of(file + 72, 64)));
	assert_memory_not_equal(v.key.b, zero, SEAL_KEY_LEN);
	provider_destroy(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, tpm_before_each, tpm_after_each)
		TEST(the_tpm_itself_refuses_a_dead_box),
		TEST(no_key_crosses_the_bus),
		TEST(what_others_keep_in_the_tpm_is_left_alone),
	};

	return cmocka_run_group_tests(tests, tpm_begin, tpm_end);
}
