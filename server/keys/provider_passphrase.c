/*
 * A passphrase: Argon2id (RFC 9106) with the salt and parameters in the file, from which the KEK and
 * its id are derived. A new version is another salt; the passphrase stays, so that who has it and an
 * old file opens an old anchor: nothing destroys it.
 *
 * The file: "pdvpass1", salt (16), operations (4), memory in KiB (4). Nothing in it tells a right
 * passphrase from a wrong one; the wrap in the anchor does.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "server/keys/provider_internal.h"
#include "server/keys/secret.h"

#define MAGIC "pdvpass1"
#define MAGIC_LEN (sizeof(MAGIC) - 1)
#define OFF_SALT MAGIC_LEN
#define OFF_OPERATIONS (OFF_SALT + crypto_pwhash_SALTBYTES)
#define OFF_MEMORY (OFF_OPERATIONS + 4)
#define FILE_LEN (OFF_MEMORY + 4)

/* For a new version: about half a second and 256 MiB. What a file may ask for is bounded, too. */
#define OPERATIONS 3u
#define MEMORY_KIB (256u << 10)
#define OPERATIONS_MAX 64u
#define MEMORY_KIB_MAX (4u << 20)

static enum status
stretch(struct provider *p, const uint8_t *file, bool twice, struct provider_kek *out)
{
	uint8_t *hash = secret_alloc(SEAL_KEY_LEN);
	struct bytes passphrase;
	enum status rc = STATUS_NO_MEMORY;

	if (hash == NULL || (rc = provider_secret(p, twice, &passphrase)) != STATUS_OK)
		goto out;
	rc = STATUS_NO_MEMORY;
	errno = 0;
	if (crypto_pwhash(hash, SEAL_KEY_LEN, (const char *)passphrase.p, passphrase.len, file + OFF_SALT,
	    bytes_get32(file + OFF_OPERATIONS), (size_t)bytes_get32(file + OFF_MEMORY) << 10,
	    crypto_pwhash_ALG_ARGON2ID13) != 0) {
		provider_complain(p, "there is not memory enough for Argon2id");
		goto out;
	}
	provider_derive(bytes_of(hash, SEAL_KEY_LEN), out);
	rc = STATUS_OK;
out:
	secret_free(hash, SEAL_KEY_LEN);
	return rc;
}

static enum status
make(struct provider *p, enum version_place at, struct provider_kek *out)
{
	uint8_t file[FILE_LEN];
	enum status rc;

	memcpy(file, MAGIC, MAGIC_LEN);
	seal_random(file + OFF_SALT, crypto_pwhash_SALTBYTES);
	bytes_put32(file + OFF_OPERATIONS, OPERATIONS);
	bytes_put32(file + OFF_MEMORY, MEMORY_KIB);
	if ((rc = stretch(p, file, at == VERSION_NOW, out)) != STATUS_OK)
		return rc;
	return provider_add_version(p, at, bytes_of(file, sizeof(file)));
}

static enum status
create(struct provider *p, struct provider_kek *out)
{
	return make(p, VERSION_NOW, out);
}

static enum status
renew(struct provider *p, struct provider_kek *out)
{
	return make(p, VERSION_NEXT, out);
}

/* STATUS_ABSENT: there is none. */
static enum status
load(struct provider *p, enum version_place at, struct provider_kek *out, const char **why)
{
	uint8_t file[FILE_LEN];
	struct version_buffer b = { file, sizeof(file), 0 };
	enum status rc = versions_read(p->o.path, at, &b, why);

	if (rc != STATUS_OK)
		return rc;
	*why = "is not a file of this kind";
	if (b.len != FILE_LEN || memcmp(file, MAGIC, MAGIC_LEN) != 0 ||
	    bytes_get32(file + OFF_OPERATIONS) == 0 || bytes_get32(file + OFF_OPERATIONS) > OPERATIONS_MAX ||
	    bytes_get32(file + OFF_MEMORY) < 8 || bytes_get32(file + OFF_MEMORY) > MEMORY_KIB_MAX)
		return STATUS_CONFIG;
	*why = NULL;
	return stretch(p, file, false, out);
}

static enum status
open_all(struct provider *p, struct provider_kek *out, unsigned *count)
{
	return provider_open_versions(p, load, out, count);
}

static enum status
keep(struct provider *p, const uint8_t *id)
{
	return provider_keep_versions(p, load, id);
}

static char
class(struct provider *p, const char **why)
{
	(void)p;
	*why = "a passphrase, which who knows it can use on an old anchor";
	return PROVIDER_LASTING;
}

const struct provider_kind provider_passphrase = {
	.name = "passphrase", .renews = true, .opens = true, .create = create, .renew = renew,
	.open = open_all, .keep = keep, .class = class,
};
