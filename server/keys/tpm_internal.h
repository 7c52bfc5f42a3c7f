/*
 * What the files of the TPM share.
 */
#ifndef SERVER_KEYS_TPM_INTERNAL_H
#define SERVER_KEYS_TPM_INTERNAL_H

#include "server/keys/tpm.h"

#include <tss2/tss2_esys.h>

/* Most calls of ESAPI have three places for sessions. */
#define NO_SESSIONS ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE
#define PASSWORD ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE
#define SESSION(t) (t)->session, ESYS_TR_NONE, ESYS_TR_NONE

struct tpm {
	const struct provider *p;
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
	ESYS_TR parent;			/* ESYS_TR_NONE: not made yet */
	ESYS_TR session;		/* HMAC, salted with parent; it can encrypt the first parameter */
	uint8_t parent_name[TPM_NAME_LEN];
};

/* Logs what the TPM or the way to it answered, and gives what it means to us. */
enum status tpm_failed(const struct tpm *t, TSS2_RC rv) MUST_USE;

/* Logs, and gives ${rc}. */
enum status tpm_say(const struct tpm *t, enum status rc, const char *why);

/*
 * The session, with TPMA_SESSION_DECRYPT (of what we send), TPMA_SESSION_ENCRYPT (of what comes)
 * or 0.
 */
TSS2_RC tpm_encrypt(struct tpm *t, TPMA_SESSION what) MUST_USE;

/* Sets *h to ESYS_TR_NONE. */
void tpm_flush(struct tpm *t, ESYS_TR *h);

/* A handle for it, to be closed with Esys_TR_Close(). As tpm_counter_read(). */
enum status tpm_counter_find(struct tpm *t, uint32_t index, ESYS_TR *out) MUST_USE;

#endif /* SERVER_KEYS_TPM_INTERNAL_H */
