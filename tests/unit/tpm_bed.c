#include "tpm_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>

#include <tss2/tss2_tctildr.h>

#include "server/keys/secret.h"
#include "server/keys/tpm.h"

/* Keys and sessions that are in the TPM; the names of tpm2-tss shift a bit into the sign. */
#define TRANSIENT_FIRST 0x80000000u
#define SESSION_FIRST 0x02000000u

char tpm_state[300];

int
tpm_begin(void **state)
{
	if (provider_begin(state) != 0)
		return -1;
	(void)snprintf(tpm_state, sizeof(tpm_state), "%s/state", provider_folder);
	assert_int_equal(mkdir(tpm_state, 0700), 0);
	soft_tpm_start(tpm_state);
	return 0;
}

int
tpm_end(void **state)
{
	soft_tpm_stop();
	return provider_end(state);
}

int
tpm_before_each(void **state)
{
	(void)state;
	soft_tpm_fail(0, 0);
	return 0;
}

ESYS_CONTEXT *
tpm_way(TSS2_TCTI_CONTEXT **tcti)
{
	ESYS_CONTEXT *e = NULL;

	assert_int_equal(Tss2_TctiLdr_Initialize(soft_tpm_tcti(), tcti), 0);
	assert_int_equal(Esys_Initialize(&e, *tcti, NULL), 0);
	return e;
}

void
tpm_end_way(ESYS_CONTEXT *e, TSS2_TCTI_CONTEXT *tcti)
{
	Esys_Finalize(&e);
	Tss2_TctiLdr_Finalize(&tcti);
}

/* Handles of that kind in the TPM. */
static unsigned
handles(uint32_t first)
{
	TSS2_TCTI_CONTEXT *tcti = NULL;
	ESYS_CONTEXT *e = tpm_way(&tcti);
	TPMS_CAPABILITY_DATA *data = NULL;
	unsigned n;

	assert_int_equal(Esys_GetCapability(e, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
	    TPM2_CAP_HANDLES, first,
	    TPM2_MAX_CAP_HANDLES, NULL, &data), 0);
	n = data->data.handles.count;
	Esys_Free(data);
	tpm_end_way(e, tcti);
	return n;
}

unsigned
tpm_counters(void)
{
	return handles(TPM_FIRST);
}

int
tpm_after_each(void **state)
{
	(void)state;
	assert_int_equal(secret_used(), 0);
	soft_tpm_fail(0, 0);
	assert_int_equal(tpm_counters(), 0);
	assert_int_equal(handles(TRANSIENT_FIRST), 0);
	assert_int_equal(handles(SESSION_FIRST), 0);
	return 0;
}

struct provider *
tpm_provider(const char *file, const char *tcti)
{
	char path[600];
	const struct provider_options o = { .name = "chip", .kind = "tpm", .path = path,
		.tcti = tcti != NULL ? tcti : soft_tpm_tcti() };

	(void)snprintf(path, sizeof(path), "%s/%s", provider_folder, file);
	return provider_made(&o);
}
