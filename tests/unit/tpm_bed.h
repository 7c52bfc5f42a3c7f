/*
 * A TPM in software (soft_tpm.h) with its state in the folder of provider_bed.h, and seal
 * providers in it.
 */
#ifndef TESTS_UNIT_TPM_BED_H
#define TESTS_UNIT_TPM_BED_H

#include <tss2/tss2_esys.h>

#include "provider_bed.h"
#include "soft_tpm.h"

extern char tpm_state[300];

/* Of a group of tests, and of each: what a test leaves in the TPM or in secret memory fails it. */
int tpm_begin(void **state);
int tpm_end(void **state);
int tpm_before_each(void **state);
int tpm_after_each(void **state);

/* A provider with ${file} in the folder; tcti NULL: in this TPM. */
struct provider *tpm_provider(const char *file, const char *tcti);

/* A direct way to the TPM. */
ESYS_CONTEXT *tpm_way(TSS2_TCTI_CONTEXT **tcti);
void tpm_end_way(ESYS_CONTEXT *e, TSS2_TCTI_CONTEXT *tcti);

/* Counters of ours in it. */
unsigned tpm_counters(void);

#endif /* TESTS_UNIT_TPM_BED_H */
