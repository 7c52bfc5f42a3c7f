/*
 * A PKCS#11 token, by its module and label. A version is a key in the token that never leaves it,
 * and that encrypted one KEK; it dies with that key (token.h).
 *
 * The file, of 120 bytes (AES-256-GCM) or 456 (RSA-3072, OAEP with SHA-1):
 *   0   8   "pdvpk11" and the format, 1
 *   8   1   mechanism: 1 AES-GCM, 2 RSA-OAEP
 *   9   3   zero
 *   12  16  id: CKA_ID of the key
 *   28  12  IV; zero with RSA-OAEP
 *   40  n   ciphertext of the KEK, 48 (the tag is at its end) or 384
 *   40+n 32 BLAKE2b-256 of all before: damage is told from a key that does not open it
 * With AES-GCM the first 28 bytes are its associated data.
 */
#include <errno.h>
#include <string.h>

#include "server/keys/token.h"

#define MAGIC "pdvpk11\1"
#define MAGIC_LEN (sizeof(MAGIC) - 1)
#define OFF_MECHANISM MAGIC_LEN
#define OFF_ZERO (OFF_MECHANISM + 1)
#define OFF_ID (OFF_ZERO + 3)
#define OFF_IV (OFF_ID + PROVIDER_ID_LEN)
#define OFF_BOX (OFF_IV + TOKEN_IV_LEN)
#define HEAD_LEN OFF_IV
#define FILE_MAX (OFF_BOX + TOKEN_BOX_MAX + SEAL_DIGEST_LEN)

static size_t
put(const struct token_box *box, uint8_t file[static FILE_MAX])
{
	size_t len = OFF_BOX + token_box_len(box->mechanism);

	memcpy(file, MAGIC, MAGIC_LEN);
	file[OFF_MECHANISM] = (uint8_t)box->mechanism;
	memset(file + OFF_ZERO, 0, OFF_ID - OFF_ZERO);
	memcpy(file + OFF_ID, box->id, PROVIDER_ID_LEN);
	memcpy(file + OFF_IV, box->iv, TOKEN_IV_LEN);
	memcpy(file + OFF_BOX, box->ciphertext, token_box_len(box->mechanism));
	seal_digest(bytes_of(file, len), file + len);
	return len + SEAL_DIGEST_LEN;
}

/* What put() makes, and nothing else. */
static bool
get(const uint8_t *file, size_t len, struct token_box *box)
{
	uint8_t again[FILE_MAX];

	if (len <= OFF_MECHANISM)
		return false;
	box->mechanism = file[OFF_MECHANISM];
	if (box->mechanism != TOKEN_AES_GCM && box->mechanism != TOKEN_RSA_OAEP)
		return false;
	if (len != OFF_BOX + token_box_len(box->mechanism) + SEAL_DIGEST_LEN)
		return false;
	memcpy(box->id, file + OFF_ID, PROVIDER_ID_LEN);
	memcpy(box->iv, file + OFF_IV, TOKEN_IV_LEN);
	memcpy(box->ciphertext, file + OFF_BOX, token_box_len(box->mechanism));
	return put(box, again) == len && memcmp(again, file, len) == 0;
}

static enum status
read_box(struct provider *p, enum version_place at, struct token_box *box, const char **why)
{
	uint8_t file[FILE_MAX];
	struct version_buffer b = { file, sizeof(file), 0 };
	enum status rc = versions_read(p->o.path, at, &b, why);

	if (rc != STATUS_OK || get(file, b.len, box))
		return rc;
	errno = 0;
	*why = "is not a file of this kind, or is damaged";
	return STATUS_CONFIG;
}

/* In a session of its own: one in which something failed may be good for nothing. */
static void
forget(struct provider *p, const uint8_t *id)
{
	struct token *t = NULL;

	if (token_open(p, &t) != STATUS_OK || token_destroy(t, id, TOKEN_THIS) != STATUS_OK) {
		errno = 0;
		provider_complain(p, "a key that was made in vain stays in the token");
	}
	token_close(t);
}

/* The key in the token comes first: a file without it would be worth nothing. */
static enum status
make(struct provider *p, enum version_place at, const uint8_t *family, struct provider_kek *out)
{
	struct token_box box = { .mechanism = TOKEN_AES_GCM };
	uint8_t file[FILE_MAX];
	struct token *t = NULL;
	bool made = false;
	enum status rc;

	if (strcmp(p->o.mechanism, "rsa-oaep") == 0)
		box.mechanism = TOKEN_RSA_OAEP;
	seal_random(box.id, sizeof(box.id));
	if (family != NULL)
		memcpy(box.id, family, TOKEN_FAMILY_LEN);
	if ((rc = token_open(p, &t)) != STATUS_OK || (rc = token_make_key(t, &box)) != STATUS_OK)
		goto out;
	made = true;
	memcpy(out->id, box.id, PROVIDER_ID_LEN);
	seal_key_new(&out->key, SEAL_FOR_KEK);
	(void)put(&box, file);
	if ((rc = token_encrypt(t, bytes_of(file, HEAD_LEN), &out->key, &box)) == STATUS_OK)
		rc = provider_add_version(p, at, bytes_of(file, put(&box, file)));
	if (rc != STATUS_OK)
		seal_key_wipe(&out->key);
out:
	token_close(t);
	if (rc != STATUS_OK && made)
		forget(p, box.id);
	return rc;
}

static enum status
create(struct provider *p, struct provider_kek *out)
{
	enum status rc;

	if ((rc = provider_vacant(p, VERSION_NOW)) != STATUS_OK ||
	    (rc = provider_vacant(p, VERSION_NEXT)) != STATUS_OK)
		return rc;
	return make(p, VERSION_NOW, NULL, out);
}

static enum status
renew(struct provider *p, struct provider_kek *out)
{
	struct token_box box;
	const char *why = NULL;
	enum status rc = provider_vacant(p, VERSION_NEXT);

	if (rc != STATUS_OK)
		return rc;
	if ((rc = read_box(p, VERSION_NOW, &box, &why)) != STATUS_OK) {
		provider_complain(p, why);
		return rc == STATUS_ABSENT ? STATUS_CONFIG : rc;
	}
	return make(p, VERSION_NEXT, box.id, out);
}

/* The version at that place. */
static enum status
load(struct provider *p, enum version_place at, struct provider_kek *out, const char **why)
{
	struct token_box box;
	uint8_t file[FILE_MAX];
	struct token *t = NULL;
	enum status rc = read_box(p, at, &box, why);

	if (rc != STATUS_OK)
		return rc;
	*why = NULL;
	(void)put(&box, file);
	if ((rc = token_open(p, &t)) == STATUS_OK &&
	    (rc = token_decrypt(t, bytes_of(file, HEAD_LEN), &box, &out->key)) == STATUS_OK)
		memcpy(out->id, box.id, PROVIDER_ID_LEN);
	token_close(t);
	return rc;
}

static enum status
open_all(struct provider *p, struct provider_kek *out, unsigned *count)
{
	return provider_open_versions(p, load, out, count);
}

/* The place of that version (NULL: of any), without the token. */
static enum status
find(struct provider *p, const uint8_t *id, struct token_box *box, enum version_place *out)
{
	const char *why = NULL;
	enum version_place at;

	for (at = VERSION_NOW; at <= VERSION_NEXT; at++) {
		if (read_box(p, at, box, &why) != STATUS_OK ||
		    (id != NULL && memcmp(box->id, id, PROVIDER_ID_LEN) != 0))
			continue;
		*out = at;
		return STATUS_OK;
	}
	return STATUS_ABSENT;
}

/* Keys go before files, so that a crash in between is followed by another try. */
static enum status
keep(struct provider *p, const uint8_t *id)
{
	struct token_box box;
	struct token *t = NULL;
	enum version_place at = VERSION_NONE;
	enum status rc = find(p, id, &box, &at);

	errno = 0;
	if (rc != STATUS_OK && id != NULL) {
		provider_complain(p, "the version that is to be kept is not there");
		return STATUS_CONFIG;
	}
	if (rc != STATUS_OK && provider_has_versions(p))
		provider_complain(p, "is damaged, so that its key stays in the token");
	if (rc == STATUS_OK) {
		if ((rc = token_open(p, &t)) == STATUS_OK &&
		    (id == NULL || (rc = token_has_key(t, &box)) == STATUS_OK))
			rc = token_destroy(t, box.id, id == NULL ? TOKEN_ALL : TOKEN_OTHERS);
		token_close(t);
		if (rc != STATUS_OK)
			return rc;
	}
	return provider_keep_version(p, id == NULL ? VERSION_NONE : at);
}

static char
class(struct provider *p, const char **why)
{
	bool hardware = false;

	*why = "a token that cannot be asked what it is";
	if (token_is_hardware(p, &hardware) != STATUS_OK)
		return PROVIDER_CLASS_C;
	*why = hardware ? "a token in hardware" : "a token in software";
	return hardware ? PROVIDER_CLASS_A : PROVIDER_CLASS_C;
}

/*
 * A version writes the token twice: a key is made, and destroyed. Every ten minutes that is 105 192
 * times a year: flash that takes 100 000 writes to a place, which is what is said of smart cards,
 * lasts for a year even if somebody renews without a pause and the card spreads nothing. Who renews
 * by hand is not kept waiting for long.
 */
const struct provider_kind provider_pkcs11 = {
	.name = "pkcs11", .renews = true, .opens = true, .interval_s = 600, .create = create,
	.renew = renew, .open = open_all, .keep = keep, .class = class,
};
