#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/keys/tpm_internal.h"
#include "server/log.h"

#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#define DEFAULT_TCTI "device:/dev/tpmrm0"

/*
 * tpm2-tss writes into standard error, which is our log, unless it is told otherwise before it is
 * first used.
 */
__attribute__((constructor)) static void
be_quiet(void)
{
	(void)setenv("TSS2_LOG", "all+none", 0);
}

/* What an answer means to us; any other is STATUS_SEAL. */
static const struct meaning {
	TSS2_RC rv;
	enum status rc;
	const char *why;
} meanings[] = {
	{ TPM2_RC_POLICY, STATUS_REFUSED, "the counter has gone on: an old state was put back" },
	{ TPM2_RC_POLICY_FAIL, STATUS_REFUSED, "the counter has gone on: an old state was put back" },
	{ TPM2_RC_INTEGRITY, STATUS_REFUSED, "it was not sealed by this TPM, or is damaged" },
	{ TPM2_RC_BAD_AUTH, STATUS_REFUSED,
	    "the TPM wants a password of the owner, which may not have one" },
	{ TPM2_RC_AUTH_FAIL, STATUS_REFUSED,
	    "the TPM wants a password of the owner, which may not have one" },
	{ TPM2_RC_HIERARCHY, STATUS_REFUSED, "the owner hierarchy of the TPM is switched off" },
	{ TPM2_RC_LOCKOUT, STATUS_REFUSED,
	    "the TPM is locked out after failed tries: wait, or reset it" },
	{ TPM2_RC_NV_SPACE, STATUS_REFUSED, "the TPM has no room for a counter" },
	{ TPM2_RC_NV_DEFINED, STATUS_REFUSED, "the TPM has something else in the place of a counter" },
	{ TPM2_RC_NV_RATE, STATUS_SEAL, "the TPM saves its memory: later" },
	{ TPM2_RC_NV_UNAVAILABLE, STATUS_SEAL, "the TPM cannot write to its memory now" },
	{ TPM2_RC_OBJECT_MEMORY, STATUS_SEAL,
	    "the TPM has no room for a key: others fill it, use a resource manager" },
	{ TPM2_RC_SESSION_MEMORY, STATUS_SEAL, "the TPM has no room for a session" },
	{ TPM2_RC_SESSION_HANDLES, STATUS_SEAL, "the TPM has no room for a session" },
	{ TPM2_RC_INITIALIZE, STATUS_SEAL, "the TPM was not started" },
	{ TPM2_RC_FAILURE, STATUS_SEAL, "the TPM has failed" },
};

/* Without the number of the handle, parameter or session that it is about. */
static TSS2_RC
bare(TSS2_RC rv)
{
	if ((rv & TSS2_RC_LAYER_MASK) == TSS2_RESMGR_TPM_RC_LAYER)
		rv &= ~TSS2_RC_LAYER_MASK;
	if ((rv & TSS2_RC_LAYER_MASK) == 0 && (rv & TPM2_RC_FMT1) != 0)
		rv &= TPM2_RC_FMT1 | 0x3f;
	return rv;
}

enum status
tpm_say(const struct tpm *t, enum status rc, const char *why)
{
	errno = 0;
	provider_complain(t->p, why);
	return rc;
}

enum status
tpm_failed(const struct tpm *t, TSS2_RC rv)
{
	static const struct meaning other = { 0, STATUS_SEAL, "the TPM does not do what it is asked" };
	static const struct meaning away = { 0, STATUS_SEAL, "the TPM cannot be reached" };
	static const struct meaning memory = { 0, STATUS_NO_MEMORY,
	    "there is no memory for the way to the TPM" };
	TSS2_RC layer = rv & TSS2_RC_LAYER_MASK;
	const struct meaning *m = layer == TSS2_TCTI_RC_LAYER ? &away : &other;
	size_t i;

	for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].rv == bare(rv))
			m = &meanings[i];
	if (layer != 0 && (rv & ~TSS2_RC_LAYER_MASK) == TSS2_BASE_RC_MEMORY)
		m = &memory;
	log_event(LOG_SEAL, LOG_S(NAME, t->p->o.name), LOG_S(WHAT, t->p->o.kind),
	    LOG_S(PATH, t->p->o.path), LOG_S(WHY, m->why), LOG_S(ERRNO, Tss2_RC_Decode(rv)));
	return m->rc;
}

void
tpm_flush(struct tpm *t, ESYS_TR *h)
{
	if (*h != ESYS_TR_NONE)
		(void)Esys_FlushContext(t->esys, *h);
	*h = ESYS_TR_NONE;
}

TSS2_RC
tpm_encrypt(struct tpm *t, TPMA_SESSION what)
{
	return Esys_TRSess_SetAttributes(t->esys, t->session, what | TPMA_SESSION_CONTINUESESSION,
	    TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT | TPMA_SESSION_CONTINUESESSION);
}

/* The storage key of the TCG's template: P-256, AES-128-CFB. The same each time. */
static TSS2_RC
make_parent(struct tpm *t)
{
	const TPM2B_PUBLIC template = { .publicArea = {
		.type = TPM2_ALG_ECC, .nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
		    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
		    TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
		.parameters.eccDetail = {
			.symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128,
			    .mode.aes = TPM2_ALG_CFB },
			.scheme.scheme = TPM2_ALG_NULL, .curveID = TPM2_ECC_NIST_P256,
			.kdf.scheme = TPM2_ALG_NULL,
		},
		.unique.ecc = { .x.size = 32, .y.size = 32 },
	} };
	const TPM2B_SENSITIVE_CREATE no_secret = { .size = 0 };
	const TPM2B_DATA no_data = { .size = 0 };
	const TPML_PCR_SELECTION no_pcr = { .count = 0 };
	TPM2B_NAME *name = NULL;
	TSS2_RC rv = Esys_CreatePrimary(t->esys, ESYS_TR_RH_OWNER, PASSWORD, &no_secret, &template,
	    &no_data, &no_pcr, &t->parent, NULL, NULL, NULL, NULL);

	if (rv == TSS2_RC_SUCCESS)
		rv = Esys_TR_GetName(t->esys, t->parent, &name);
	if (rv == TSS2_RC_SUCCESS) {
		/* The algorithm, then the digest. */
		must(name->size == 2 + TPM_NAME_LEN);
		memcpy(t->parent_name, name->name + 2, TPM_NAME_LEN);
	}
	Esys_Free(name);
	return rv;
}

static TSS2_RC
start_session(struct tpm *t)
{
	const TPMT_SYM_DEF aes = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128,
	    .mode.aes = TPM2_ALG_CFB };

	return Esys_StartAuthSession(t->esys, t->parent, NO_SESSIONS, ESYS_TR_NONE, NULL,
	    TPM2_SE_HMAC, &aes, TPM2_ALG_SHA256, &t->session);
}

static enum status
connect_to(const struct provider *p, struct tpm **out)
{
	struct tpm *t = calloc(1, sizeof(*t));
	enum status rc = STATUS_OK;
	const char *at = p->o.tcti[0] != '\0' ? p->o.tcti : DEFAULT_TCTI;
	TSS2_RC rv;

	if (t == NULL)
		return STATUS_NO_MEMORY;
	t->p = p;
	t->parent = t->session = ESYS_TR_NONE;
	if ((rv = Tss2_TctiLdr_Initialize(at, &t->tcti)) == TSS2_RC_SUCCESS)
		rv = Esys_Initialize(&t->esys, t->tcti, NULL);
	if (rv != TSS2_RC_SUCCESS) {
		rc = tpm_failed(t, rv);
		tpm_close(t);
		return rc;
	}
	*out = t;
	return rc;
}

enum status
tpm_open(const struct provider *p, struct tpm **out)
{
	struct tpm *t = NULL;
	enum status rc = connect_to(p, &t);
	TSS2_RC rv;

	if (rc != STATUS_OK)
		return rc;
	must(t != NULL);
	if ((rv = make_parent(t)) != TSS2_RC_SUCCESS || (rv = start_session(t)) != TSS2_RC_SUCCESS) {
		rc = tpm_failed(t, rv);
		tpm_close(t);
		return rc;
	}
	*out = t;
	return STATUS_OK;
}

void
tpm_close(struct tpm *t)
{
	if (t == NULL)
		return;
	if (t->esys != NULL) {
		tpm_flush(t, &t->session);
		tpm_flush(t, &t->parent);
		Esys_Finalize(&t->esys);
	}
	if (t->tcti != NULL)
		Tss2_TctiLdr_Finalize(&t->tcti);
	free(t);
}

enum status
tpm_is_hardware(const struct provider *p, bool *out)
{
	/* libtpms (swtpm, QEMU), Microsoft's (Hyper-V, simulators), Google's, Amazon's. */
	static const char software[][5] = { "IBM", "MSFT", "GOOG", "AMZN" };
	TPMS_CAPABILITY_DATA *data = NULL;
	struct tpm *t = NULL;
	char maker[5] = "";
	enum status rc = connect_to(p, &t);
	TSS2_RC rv;

	*out = false;
	if (rc != STATUS_OK)
		return rc;
	must(t != NULL);
	rv = Esys_GetCapability(t->esys, NO_SESSIONS, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_MANUFACTURER,
	    1, NULL, &data);
	if (rv != TSS2_RC_SUCCESS) {
		rc = tpm_failed(t, rv);
		goto out;
	}
	if (data->data.tpmProperties.count == 0)
		goto out;	/* it does not say: what cannot be told is taken for software */
	bytes_put32((uint8_t *)maker, data->data.tpmProperties.tpmProperty[0].value);
	*out = true;
	for (size_t i = 0; i < sizeof(software) / sizeof(software[0]); i++)
		if (strcmp(software[i], maker) == 0)
			*out = false;
out:
	Esys_Free(data);
	tpm_close(t);
	return rc;
}
