/*
 * A TPM in software (swtpm), and the bus between it and us: it can be cut at the n-th command,
 * give an answer of its own, and be searched for what went over it. One TPM at a time.
 */
#ifndef TESTS_UNIT_SOFT_TPM_H
#define TESTS_UNIT_SOFT_TPM_H

#include <stdbool.h>
#include <stdint.h>

#include "server/bytes.h"

/*
 * With its state in ${folder}; the first start makes it. The place where it is reached stays the
 * same.
 */
void soft_tpm_start(const char *folder);

/* Ends it; nobody listens any more. */
void soft_tpm_stop(void);

/* For Tss2_TctiLdr_Initialize(). */
const char *soft_tpm_tcti(void);

/*
 * The n-th command from now on, and only that, is not executed: the answer is the response code
 * ${code},
 * or, where that is 0, the connection ends. n = 0: none.
 */
void soft_tpm_fail(unsigned n, uint32_t code);

/* As soft_tpm_fail() with 0, but it is executed, and the answer is lost. */
void soft_tpm_lose(unsigned n);

/*
 * Between two operations: flushes keys and sessions that stayed, as a resource manager does when
 * its client goes.
 */
void soft_tpm_flush(void);

/* Commands since soft_tpm_fail(). */
unsigned soft_tpm_seen(void);

/* What went over the bus since soft_tpm_start(), first 256 KiB, has these bytes. */
bool soft_tpm_said(struct bytes what);

#endif /* TESTS_UNIT_SOFT_TPM_H */
