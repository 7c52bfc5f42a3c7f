/*
 * Counters in the NV memory: one can be read and advanced by who may use the TPM, and goes back
 * for nobody; removed and defined anew it begins above every value that a counter of this TPM
 * ever had (part 3, TPM2_NV_Increment).
 */
#include "server/keys/tpm_internal.h"

#define VALUE_LEN 8u
#define ATTRIBUTES (TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA | \
    (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT))

enum status
tpm_counter_pair(struct tpm *t, uint32_t *out)
{
	bool taken[2 * TPM_PAIRS] = { false };
	TPMS_CAPABILITY_DATA *data = NULL;
	uint32_t from = TPM_FIRST, i, index;
	TPMI_YES_NO more = TPM2_YES;
	TSS2_RC rv;

	while (more == TPM2_YES && from < TPM_FIRST + 2 * TPM_PAIRS) {
		rv = Esys_GetCapability(t->esys, NO_SESSIONS, TPM2_CAP_HANDLES, from,
		    TPM2_MAX_CAP_HANDLES, &more, &data);
		if (rv != TSS2_RC_SUCCESS)
			return tpm_failed(t, rv);
		for (i = 0; i < data->data.handles.count; i++) {
			index = data->data.handles.handle[i];
			from = index + 1;
			if (index >= TPM_FIRST && index < TPM_FIRST + 2 * TPM_PAIRS)
				taken[index - TPM_FIRST] = true;
		}
		if (data->data.handles.count == 0)
			more = TPM2_NO;
		Esys_Free(data);
	}
	for (i = 0; i < 2 * TPM_PAIRS; i += 2) {
		if (taken[i] || taken[i + 1])
			continue;
		*out = TPM_FIRST + i;
		return STATUS_OK;
	}
	return tpm_say(t, STATUS_REFUSED, "the TPM has no two neighbouring indices that are free");
}

/* One with other attributes is somebody else's. */
static enum status
is_ours(struct tpm *t, ESYS_TR nv, bool *written)
{
	TPM2B_NV_PUBLIC *public = NULL;
	TPMA_NV attributes = 0;
	TSS2_RC rv = tpm_encrypt(t, TPMA_SESSION_ENCRYPT);	/* else the session may not be there */

	if (rv == TSS2_RC_SUCCESS)
		rv = Esys_NV_ReadPublic(t->esys, nv, SESSION(t), &public, NULL);
	if (rv != TSS2_RC_SUCCESS)
		return tpm_failed(t, rv);
	attributes = public->nvPublic.attributes;
	Esys_Free(public);
	*written = (attributes & TPMA_NV_WRITTEN) != 0;
	if ((attributes & ~TPMA_NV_WRITTEN) != ATTRIBUTES)
		return tpm_say(t, STATUS_REFUSED,
		    "the TPM has something else in the place of a counter");
	return STATUS_OK;
}

static enum status
find(struct tpm *t, uint32_t index, ESYS_TR *out, bool *written)
{
	TSS2_RC rv = Esys_TR_FromTPMPublic(t->esys, index, NO_SESSIONS, out);
	enum status rc;

	/* TPM2_RC_HANDLE about handle 1: there is none. */
	if (rv == (TPM2_RC_HANDLE | TPM2_RC_1))
		return STATUS_ABSENT;
	if (rv != TSS2_RC_SUCCESS)
		return tpm_failed(t, rv);
	if ((rc = is_ours(t, *out, written)) != STATUS_OK)
		(void)Esys_TR_Close(t->esys, out);
	return rc;
}

enum status
tpm_counter_find(struct tpm *t, uint32_t index, ESYS_TR *out)
{
	ESYS_TR nv = ESYS_TR_NONE;
	bool written = false;
	enum status rc = find(t, index, &nv, &written);

	if (rc == STATUS_OK && !written) {
		(void)Esys_TR_Close(t->esys, &nv);
		return STATUS_ABSENT;
	}
	*out = nv;
	return rc;
}

enum status
tpm_counter_read(struct tpm *t, uint32_t index, uint64_t *out)
{
	TPM2B_MAX_NV_BUFFER *value = NULL;
	ESYS_TR nv = ESYS_TR_NONE;
	enum status rc = tpm_counter_find(t, index, &nv);
	TSS2_RC rv;

	if (rc != STATUS_OK)
		return rc;
	if ((rv = tpm_encrypt(t, 0)) == TSS2_RC_SUCCESS)
		rv = Esys_NV_Read(t->esys, nv, nv, SESSION(t), VALUE_LEN, 0, &value);
	if (rv != TSS2_RC_SUCCESS) {
		rc = tpm_failed(t, rv);
		goto out;
	}
	if (value->size == VALUE_LEN)
		*out = bytes_get64(value->buffer);
	else
		rc = tpm_say(t, STATUS_SEAL, "the TPM gives a counter of another length");
out:
	Esys_Free(value);
	(void)Esys_TR_Close(t->esys, &nv);
	return rc;
}

static enum status
define(struct tpm *t, uint32_t index, ESYS_TR *out)
{
	const TPM2B_AUTH none = { .size = 0 };
	const TPM2B_NV_PUBLIC public = { .nvPublic = {
		.nvIndex = index, .nameAlg = TPM2_ALG_SHA256, .attributes = ATTRIBUTES,
		.dataSize = VALUE_LEN,
	} };
	TSS2_RC rv = tpm_encrypt(t, 0);

	if (rv == TSS2_RC_SUCCESS)
		rv = Esys_NV_DefineSpace(t->esys, ESYS_TR_RH_OWNER, SESSION(t), &none, &public,
		    out);
	return rv == TSS2_RC_SUCCESS ? STATUS_OK : tpm_failed(t, rv);
}

enum status
tpm_counter_advance(struct tpm *t, uint32_t index)
{
	ESYS_TR nv = ESYS_TR_NONE;
	bool written;
	enum status rc = find(t, index, &nv, &written);
	TSS2_RC rv;

	if (rc == STATUS_ABSENT)
		rc = define(t, index, &nv);
	if (rc != STATUS_OK)
		return rc;
	if ((rv = tpm_encrypt(t, 0)) == TSS2_RC_SUCCESS)
		rv = Esys_NV_Increment(t->esys, nv, nv, SESSION(t));
	if (rv != TSS2_RC_SUCCESS)
		rc = tpm_failed(t, rv);
	(void)Esys_TR_Close(t->esys, &nv);
	return rc;
}

enum status
tpm_counter_remove(struct tpm *t, uint32_t index)
{
	ESYS_TR nv = ESYS_TR_NONE;
	bool written;
	enum status rc = find(t, index, &nv, &written);
	TSS2_RC rv;

	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_OK : rc;
	if ((rv = tpm_encrypt(t, 0)) == TSS2_RC_SUCCESS)
		rv = Esys_NV_UndefineSpace(t->esys, ESYS_TR_RH_OWNER, nv, SESSION(t));
	if (rv == TSS2_RC_SUCCESS)
		return STATUS_OK;	/* nv is closed */
	(void)Esys_TR_Close(t->esys, &nv);
	return tpm_failed(t, rv);
}
