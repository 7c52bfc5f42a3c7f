/*
 * Keys in a token, and what they encrypt.
 */
#include <string.h>

#include "server/keys/secret.h"
#include "server/keys/token_internal.h"

#define HANDLES_MAX 64u
#define HEAD_MAX 64u

size_t
token_box_len(enum token_mechanism m)
{
	return m == TOKEN_AES_GCM ? SEAL_KEY_LEN + TOKEN_TAG_LEN : TOKEN_RSA_BITS / 8;
}

#define ATTRIBUTE(type, v) { (type), &(v), sizeof(v) }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static enum status
make_aes(struct token *t, CK_BYTE id[static PROVIDER_ID_LEN])
{
	CK_MECHANISM mechanism = { CKM_AES_KEY_GEN, NULL, 0 };
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG len = 32;
	CK_ATTRIBUTE template[] = {
		{ CKA_LABEL, t->label, t->label_len }, { CKA_ID, id, PROVIDER_ID_LEN },
		ATTRIBUTE(CKA_VALUE_LEN, len), ATTRIBUTE(CKA_TOKEN, yes), ATTRIBUTE(CKA_PRIVATE, yes),
		ATTRIBUTE(CKA_SENSITIVE, yes), ATTRIBUTE(CKA_EXTRACTABLE, no),
		ATTRIBUTE(CKA_ENCRYPT, yes), ATTRIBUTE(CKA_DECRYPT, yes), ATTRIBUTE(CKA_WRAP, no),
		ATTRIBUTE(CKA_UNWRAP, no),
	};
	CK_OBJECT_HANDLE key;
	CK_RV rv = t->module->C_GenerateKey(t->session, &mechanism, template, COUNT(template), &key);

	return rv == CKR_OK ? STATUS_OK : token_failed(t->p, rv);
}

static enum status
make_rsa(struct token *t, CK_BYTE id[static PROVIDER_ID_LEN])
{
	CK_MECHANISM mechanism = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 };
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG bits = TOKEN_RSA_BITS;
	CK_BYTE exponent[] = { 1, 0, 1 };
	CK_ATTRIBUTE public[] = {
		{ CKA_LABEL, t->label, t->label_len }, { CKA_ID, id, PROVIDER_ID_LEN },
		ATTRIBUTE(CKA_MODULUS_BITS, bits), ATTRIBUTE(CKA_PUBLIC_EXPONENT, exponent),
		ATTRIBUTE(CKA_TOKEN, yes), ATTRIBUTE(CKA_ENCRYPT, yes), ATTRIBUTE(CKA_WRAP, no),
	};
	CK_ATTRIBUTE private[] = {
		{ CKA_LABEL, t->label, t->label_len }, { CKA_ID, id, PROVIDER_ID_LEN },
		ATTRIBUTE(CKA_TOKEN, yes), ATTRIBUTE(CKA_PRIVATE, yes), ATTRIBUTE(CKA_SENSITIVE, yes),
		ATTRIBUTE(CKA_EXTRACTABLE, no), ATTRIBUTE(CKA_DECRYPT, yes), ATTRIBUTE(CKA_UNWRAP, no),
	};
	CK_OBJECT_HANDLE keys[2];
	CK_RV rv = t->module->C_GenerateKeyPair(t->session, &mechanism, public, COUNT(public), private,
	    COUNT(private), &keys[0], &keys[1]);

	return rv == CKR_OK ? STATUS_OK : token_failed(t->p, rv);
}

enum status
token_make_key(struct token *t, const struct token_box *box)
{
	CK_BYTE id[PROVIDER_ID_LEN];

	memcpy(id, box->id, sizeof(id));
	return box->mechanism == TOKEN_AES_GCM ? make_aes(t, id) : make_rsa(t, id);
}

/* STATUS_REFUSED: there is none, or more than one. */
static enum status
find_key(struct token *t, const struct token_box *box, bool private, CK_OBJECT_HANDLE *out)
{
	CK_OBJECT_CLASS class = box->mechanism == TOKEN_AES_GCM ? CKO_SECRET_KEY :
	    private ? CKO_PRIVATE_KEY : CKO_PUBLIC_KEY;
	CK_BYTE id[PROVIDER_ID_LEN];
	CK_ATTRIBUTE template[] = {
		{ CKA_LABEL, t->label, t->label_len }, { CKA_ID, id, sizeof(id) },
		ATTRIBUTE(CKA_CLASS, class),
	};
	CK_OBJECT_HANDLE found[2];
	CK_ULONG n = 0;
	CK_RV rv;

	memcpy(id, box->id, sizeof(id));
	if ((rv = t->module->C_FindObjectsInit(t->session, template, COUNT(template))) != CKR_OK)
		return token_failed(t->p, rv);
	rv = t->module->C_FindObjects(t->session, found, 2, &n);
	(void)t->module->C_FindObjectsFinal(t->session);
	if (rv != CKR_OK)
		return token_failed(t->p, rv);
	if (n == 0)
		return token_say(t->p, STATUS_REFUSED, "the token has no key for this version: it was "
		    "destroyed, so that an old file was put back, or this is another token");
	if (n > 1)
		return token_say(t->p, STATUS_REFUSED, "the token has several keys for this version");
	*out = found[0];
	return STATUS_OK;
}

enum status
token_has_key(struct token *t, const struct token_box *box)
{
	CK_OBJECT_HANDLE key;

	return find_key(t, box, true, &key);
}

union parameters {
	CK_GCM_PARAMS gcm;
	CK_RSA_PKCS_OAEP_PARAMS oaep;
};

/*
 * OAEP is with SHA-1 and MGF1 of SHA-1, for software tokens know no other, and it does not rest
 * on SHA-1 being free of collisions (RFC 8017, 7.1).
 */
static CK_MECHANISM
mechanism_of(struct token_box *box, CK_BYTE *head, size_t head_len, union parameters *u)
{
	if (box->mechanism == TOKEN_AES_GCM) {
		u->gcm = (CK_GCM_PARAMS){ .pIv = box->iv, .ulIvLen = TOKEN_IV_LEN,
			.ulIvBits = 8 * TOKEN_IV_LEN, .pAAD = head, .ulAADLen = head_len,
			.ulTagBits = 8 * TOKEN_TAG_LEN };
		return (CK_MECHANISM){ CKM_AES_GCM, &u->gcm, sizeof(u->gcm) };
	}
	u->oaep = (CK_RSA_PKCS_OAEP_PARAMS){ .hashAlg = CKM_SHA_1, .mgf = CKG_MGF1_SHA1,
		.source = CKZ_DATA_SPECIFIED };
	return (CK_MECHANISM){ CKM_RSA_PKCS_OAEP, &u->oaep, sizeof(u->oaep) };
}

/* PKCS#11 wants to be able to write to what it reads. */
struct arguments {
	struct token_box box;
	CK_BYTE head[HEAD_MAX], plain[TOKEN_BOX_MAX];
	union parameters u;
};

enum status
token_encrypt(struct token *t, struct bytes head, const struct key *k, struct token_box *box)
{
	struct arguments *a = secret_alloc(sizeof(*a));
	CK_ULONG len = TOKEN_BOX_MAX;
	CK_OBJECT_HANDLE key;
	CK_MECHANISM m;
	enum status rc = STATUS_NO_MEMORY;
	CK_RV rv;

	if (a == NULL || (rc = find_key(t, box, false, &key)) != STATUS_OK)
		goto out;
	must(head.len <= HEAD_MAX);
	memset(box->iv, 0, sizeof(box->iv));
	if (box->mechanism == TOKEN_AES_GCM)
		seal_random(box->iv, sizeof(box->iv));	/* the key encrypts this once */
	a->box = *box;
	memcpy(a->head, head.p, head.len);
	memcpy(a->plain, k->b, SEAL_KEY_LEN);
	m = mechanism_of(&a->box, a->head, head.len, &a->u);
	if ((rv = t->module->C_EncryptInit(t->session, &m, key)) == CKR_OK)
		rv = t->module->C_Encrypt(t->session, a->plain, SEAL_KEY_LEN, box->ciphertext, &len);
	rc = rv != CKR_OK ? token_failed(t->p, rv) :
	    len != token_box_len(box->mechanism) ?
	    token_say(t->p, STATUS_SEAL, "what the token has encrypted has the wrong length") : STATUS_OK;
out:
	secret_free(a, sizeof(*a));
	return rc;
}

enum status
token_decrypt(struct token *t, struct bytes head, const struct token_box *box, struct key *out)
{
	struct arguments *a = secret_alloc(sizeof(*a));
	CK_ULONG len = TOKEN_BOX_MAX;
	CK_OBJECT_HANDLE key;
	CK_MECHANISM m;
	enum status rc = STATUS_NO_MEMORY;
	CK_RV rv;

	if (a == NULL || (rc = find_key(t, box, true, &key)) != STATUS_OK)
		goto out;
	must(head.len <= HEAD_MAX);
	a->box = *box;
	memcpy(a->head, head.p, head.len);
	m = mechanism_of(&a->box, a->head, head.len, &a->u);
	if ((rv = t->module->C_DecryptInit(t->session, &m, key)) == CKR_OK)
		rv = t->module->C_Decrypt(t->session, a->box.ciphertext, token_box_len(box->mechanism),
		    a->plain, &len);
	/* What SoftHSM says of a tag that is wrong. */
	if (rv == CKR_GENERAL_ERROR)
		rv = CKR_ENCRYPTED_DATA_INVALID;
	if (rv == CKR_OK && len != SEAL_KEY_LEN)
		rv = CKR_ENCRYPTED_DATA_INVALID;
	if (rv == CKR_OK)
		memcpy(out->b, a->plain, SEAL_KEY_LEN);
	rc = rv == CKR_OK ? STATUS_OK : token_failed(t->p, rv);
out:
	secret_free(a, sizeof(*a));
	return rc;
}

static bool
must_go(struct token *t, CK_OBJECT_HANDLE object, const uint8_t *id, enum token_which which)
{
	CK_BYTE its[PROVIDER_ID_LEN];
	CK_ATTRIBUTE a = { CKA_ID, its, sizeof(its) };
	bool this;

	/* One with a longer id does not fit, and is not ours. */
	if (t->module->C_GetAttributeValue(t->session, object, &a, 1) != CKR_OK ||
	    a.ulValueLen != PROVIDER_ID_LEN || memcmp(its, id, TOKEN_FAMILY_LEN) != 0)
		return false;
	this = memcmp(its, id, PROVIDER_ID_LEN) == 0;
	return which == TOKEN_ALL || this == (which == TOKEN_THIS);
}

/* Up to HANDLES_MAX of those that must go. */
static CK_RV
collect(struct token *t, const uint8_t *id, enum token_which which, CK_OBJECT_HANDLE *out, size_t *n)
{
	CK_ATTRIBUTE label = { CKA_LABEL, t->label, t->label_len };
	CK_OBJECT_HANDLE object;
	CK_ULONG found = 1;
	CK_RV rv = t->module->C_FindObjectsInit(t->session, &label, 1);

	*n = 0;
	if (rv != CKR_OK)
		return rv;
	while (*n < HANDLES_MAX &&
	    (rv = t->module->C_FindObjects(t->session, &object, 1, &found)) == CKR_OK && found == 1)
		if (must_go(t, object, id, which))
			out[(*n)++] = object;
	(void)t->module->C_FindObjectsFinal(t->session);
	return rv;
}

enum status
token_destroy(struct token *t, const uint8_t id[static PROVIDER_ID_LEN], enum token_which which)
{
	CK_OBJECT_HANDLE objects[HANDLES_MAX];
	size_t n, i;
	CK_RV rv;

	do {
		if ((rv = collect(t, id, which, objects, &n)) != CKR_OK)
			return token_failed(t->p, rv);
		for (i = 0; i < n; i++)
			if ((rv = t->module->C_DestroyObject(t->session, objects[i])) != CKR_OK)
				return token_failed(t->p, rv);
	} while (n == HANDLES_MAX);
	return STATUS_OK;
}
