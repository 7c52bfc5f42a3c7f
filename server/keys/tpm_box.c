/*
 * Boxes: data objects under the parent, that open under the policy "the counter has this value"
 * alone (TPM2_PolicyNV, part 3). Once the counter has gone on, the TPM opens the box for nobody,
 * whoever kept a copy.
 */
#include <sodium.h>
#include <string.h>
#include <tss2/tss2_mu.h>

#include "server/keys/secret.h"
#include "server/keys/tpm_internal.h"

/* ${trial}: computed only. */
static TSS2_RC
start_policy(struct tpm *t, bool trial, ESYS_TR counter, uint64_t value, ESYS_TR *out)
{
	const TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };
	TPM2B_OPERAND operand = { .size = 8 };
	TSS2_RC rv = Esys_StartAuthSession(t->esys, NO_SESSIONS, ESYS_TR_NONE, ESYS_TR_NONE, NULL,
	    trial ? TPM2_SE_TRIAL : TPM2_SE_POLICY, &none, TPM2_ALG_SHA256, out);

	bytes_put64(operand.buffer, value);
	if (rv == TSS2_RC_SUCCESS)
		rv = tpm_encrypt(t, 0);
	if (rv == TSS2_RC_SUCCESS)
		rv = Esys_PolicyNV(t->esys, counter, counter, *out, SESSION(t), &operand, 0,
		    TPM2_EO_EQ);
	return rv;
}

static TSS2_RC
policy_of(struct tpm *t, ESYS_TR counter, uint64_t value, TPM2B_DIGEST *out)
{
	TPM2B_DIGEST *digest = NULL;
	ESYS_TR trial = ESYS_TR_NONE;
	TSS2_RC rv = start_policy(t, true, counter, value, &trial);

	if (rv == TSS2_RC_SUCCESS && (rv = tpm_encrypt(t, TPMA_SESSION_ENCRYPT)) == TSS2_RC_SUCCESS)
		rv = Esys_PolicyGetDigest(t->esys, trial, SESSION(t), &digest);
	if (rv == TSS2_RC_SUCCESS)
		*out = *digest;
	Esys_Free(digest);
	tpm_flush(t, &trial);
	return rv;
}

static TSS2_RC
create(struct tpm *t, const TPM2B_SENSITIVE_CREATE *secret, const TPM2B_DIGEST *policy,
    TPM2B_PUBLIC **public,
    TPM2B_PRIVATE **private)
{
	const TPM2B_PUBLIC template = { .publicArea = {
		.type = TPM2_ALG_KEYEDHASH, .nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_NODA |
		    TPMA_OBJECT_ADMINWITHPOLICY,
		.authPolicy = *policy,
		.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL,
	} };
	const TPM2B_DATA no_data = { .size = 0 };
	const TPML_PCR_SELECTION no_pcr = { .count = 0 };
	TSS2_RC rv = tpm_encrypt(t, TPMA_SESSION_DECRYPT);

	if (rv == TSS2_RC_SUCCESS)
		rv = Esys_Create(t->esys, t->parent, SESSION(t), secret, &template, &no_data,
		    &no_pcr, private, public, NULL, NULL, NULL);
	return rv;
}

/* ESAPI keeps a copy of what it was given until it is given something else, and wipes nothing. */
static void
overwrite_created(struct tpm *t, const TPM2B_DIGEST *policy)
{
	TPM2B_SENSITIVE_CREATE nothing = { .sensitive.data.size = SEAL_KEY_LEN };
	TPM2B_PUBLIC *public = NULL;
	TPM2B_PRIVATE *private = NULL;

	(void)create(t, &nothing, policy, &public, &private);
	Esys_Free(public);
	Esys_Free(private);
}

static void
overwrite_unsealed(struct tpm *t)
{
	TPM2B_DIGEST *random = NULL;

	/* In the same session, so that the answer lies where that of TPM2_Unseal lay. */
	(void)Esys_GetRandom(t->esys, SESSION(t), SEAL_KEY_LEN, &random);
	Esys_Free(random);
}

static enum status
put(struct tpm *t, const TPM2B_PUBLIC *public, const TPM2B_PRIVATE *private, struct tpm_box *box)
{
	size_t at_public = 0, at_private = 0;
	TSS2_RC rv = Tss2_MU_TPM2B_PUBLIC_Marshal(public, box->public, TPM_PART_MAX, &at_public);

	if (rv == TSS2_RC_SUCCESS)
		rv = Tss2_MU_TPM2B_PRIVATE_Marshal(private, box->private, TPM_PART_MAX, &at_private);
	if (rv != TSS2_RC_SUCCESS)
		return tpm_say(t, STATUS_SEAL, "what the TPM has sealed is too long");
	box->public_len = (uint16_t)at_public;
	box->private_len = (uint16_t)at_private;
	memcpy(box->parent, t->parent_name, TPM_NAME_LEN);
	return STATUS_OK;
}

enum status
tpm_box_make(struct tpm *t, const struct key *k, struct tpm_box *box)
{
	TPM2B_SENSITIVE_CREATE *secret = secret_alloc(sizeof(*secret));
	TPM2B_PUBLIC *public = NULL;
	TPM2B_PRIVATE *private = NULL;
	TPM2B_DIGEST policy;
	ESYS_TR counter = ESYS_TR_NONE;
	enum status rc = STATUS_NO_MEMORY;
	TSS2_RC rv;

	if (secret == NULL || (rc = tpm_counter_read(t, box->counter, &box->value)) != STATUS_OK ||
	    (rc = tpm_counter_find(t, box->counter, &counter)) != STATUS_OK)
		goto out;
	secret->sensitive.data.size = SEAL_KEY_LEN;
	memcpy(secret->sensitive.data.buffer, k->b, SEAL_KEY_LEN);
	if ((rv = policy_of(t, counter, box->value, &policy)) == TSS2_RC_SUCCESS) {
		rv = create(t, secret, &policy, &public, &private);
		overwrite_created(t, &policy);
	}
	rc = rv == TSS2_RC_SUCCESS ? put(t, public, private, box) : tpm_failed(t, rv);
out:
	if (counter != ESYS_TR_NONE)
		(void)Esys_TR_Close(t->esys, &counter);
	Esys_Free(public);
	Esys_Free(private);
	secret_free(secret, sizeof(*secret));
	return rc;
}

/* Both begin with the length of the rest, of which the library does not think much. */
static bool
is_long(const uint8_t *part, size_t len)
{
	return len >= 2 && bytes_get16(part) == len - 2;
}

static enum status
get(struct tpm *t, const struct tpm_box *box, TPM2B_PUBLIC *public, TPM2B_PRIVATE *private)
{
	size_t n = 0, m = 0;
	TSS2_RC rv = TSS2_MU_RC_BAD_SIZE;

	if (is_long(box->public, box->public_len) && is_long(box->private, box->private_len))
		rv = Tss2_MU_TPM2B_PUBLIC_Unmarshal(box->public, box->public_len, &n, public);
	if (rv == TSS2_RC_SUCCESS)
		rv = Tss2_MU_TPM2B_PRIVATE_Unmarshal(box->private, box->private_len, &m, private);
	if (rv != TSS2_RC_SUCCESS || n != box->public_len || m != box->private_len)
		return tpm_say(t, STATUS_CONFIG, "is damaged: what the TPM has sealed cannot be read");
	if (memcmp(box->parent, t->parent_name, TPM_NAME_LEN) != 0)
		return tpm_say(t, STATUS_REFUSED,
		    "it was sealed by another TPM, or this one was cleared");
	return STATUS_OK;
}

static TSS2_RC
unseal(struct tpm *t, ESYS_TR object, ESYS_TR policy, struct key *out)
{
	TPM2B_SENSITIVE_DATA *data = NULL;
	TSS2_RC rv = tpm_encrypt(t, TPMA_SESSION_ENCRYPT);

	if (rv == TSS2_RC_SUCCESS)
		rv = Esys_Unseal(t->esys, object, policy, t->session, ESYS_TR_NONE, &data);
	if (rv == TSS2_RC_SUCCESS && data->size != SEAL_KEY_LEN)
		rv = TPM2_RC_INTEGRITY;
	if (rv == TSS2_RC_SUCCESS)
		memcpy(out->b, data->buffer, SEAL_KEY_LEN);
	overwrite_unsealed(t);
	if (data != NULL)
		sodium_memzero(data, sizeof(*data));
	Esys_Free(data);
	return rv;
}

enum status
tpm_box_open(struct tpm *t, const struct tpm_box *box, struct key *out)
{
	TPM2B_PUBLIC public = { .size = 0 };
	TPM2B_PRIVATE private = { .size = 0 };
	ESYS_TR counter = ESYS_TR_NONE, object = ESYS_TR_NONE, policy = ESYS_TR_NONE;
	enum status rc;
	TSS2_RC rv;

	if ((rc = get(t, box, &public, &private)) != STATUS_OK)
		return rc;
	if ((rc = tpm_counter_find(t, box->counter, &counter)) == STATUS_ABSENT)
		return tpm_say(t, STATUS_REFUSED, "the TPM does not have its counter: an old state was "
		    "put back, or the TPM was cleared");
	if (rc != STATUS_OK)
		return rc;
	if ((rv = tpm_encrypt(t, 0)) == TSS2_RC_SUCCESS)
		rv = Esys_Load(t->esys, t->parent, SESSION(t), &private, &public, &object);
	if (rv == TSS2_RC_SUCCESS)
		rv = start_policy(t, false, counter, box->value, &policy);
	if (rv == TSS2_RC_SUCCESS)
		rv = unseal(t, object, policy, out);
	if (rv != TSS2_RC_SUCCESS)
		rc = tpm_failed(t, rv);
	tpm_flush(t, &policy);
	tpm_flush(t, &object);
	(void)Esys_TR_Close(t->esys, &counter);
	return rc;
}
