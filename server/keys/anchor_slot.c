#include <sodium.h>
#include <string.h>

#include "server/keys/anchor_internal.h"

#define FORMAT 1u
#define OFF_MAGIC 0u
#define OFF_FORMAT 8u
#define OFF_COUNT 10u
#define OFF_VAULT ANCHOR_SLOT_VAULT
#define OFF_EPOCH 32u
#define OFF_COMMITMENT 40u
#define OFF_WRAPS 96u
#define OFF_CHECK (ANCHOR_BLOCK - SEAL_DIGEST_LEN)

/* A wrap: id, name, box, zeros. */
#define WRAP_LEN 192u
#define WRAP_NAME PROVIDER_ID_LEN
#define WRAP_BOX (WRAP_NAME + PROVIDER_NAME_MAX + 1u)
#define ROOT_PADDED 48u
#define BOX_LEN SEAL_BOX_LEN(ROOT_PADDED)

_Static_assert(OFF_COMMITMENT + SEAL_DIGEST_LEN <= OFF_WRAPS, "the commitment before the wraps");
_Static_assert(WRAP_BOX + BOX_LEN <= WRAP_LEN, "a box fits into its wrap");
_Static_assert(OFF_WRAPS + PROVIDER_MAX * WRAP_LEN <= OFF_CHECK, "the wraps before the checksum");
_Static_assert(ROOT_PADDED > SEAL_KEY_LEN, "padding is never empty");

static const uint8_t magic[8] = { 'p', 'd', 'v', 's', 'l', 'o', 't', 0 };

/*
 * Over the header and, through their digest, the stripes: a slot that was torn anywhere does
 * not check. The digest itself must not be stored: with a KEK it is all that a wrap needs.
 */
static void
checksum(const uint8_t *slot, const uint8_t *digest, uint8_t out[static SEAL_DIGEST_LEN])
{
	uint8_t in[OFF_CHECK + SEAL_DIGEST_LEN];

	memcpy(in, slot, OFF_CHECK);
	memcpy(in + OFF_CHECK, digest, SEAL_DIGEST_LEN);
	seal_digest(bytes_of(in, sizeof(in)), out);
	sodium_memzero(in, sizeof(in));
}

static struct seal_context
context(const uint8_t *vault, uint64_t epoch)
{
	struct seal_context c = { .kind = SEAL_ROOT_WRAP, .index = epoch };

	memcpy(c.vault, vault, sizeof(c.vault));
	return c;
}

static void
encode_wrap(uint8_t *at, const struct provider *p, const struct anchor_content *c,
    const uint8_t *digest)
{
	struct seal_context ctx = context(c->vault, c->epoch);
	struct key wrap;

	memcpy(at, p->id, PROVIDER_ID_LEN);
	memcpy(at + WRAP_NAME, p->name, strnlen(p->name, PROVIDER_NAME_MAX));
	seal_wrap_key(p->kek, digest, &wrap);
	seal_box(&wrap, &ctx, bytes_of(c->root->b, SEAL_KEY_LEN), ROOT_PADDED, at + WRAP_BOX);
	seal_key_wipe(&wrap);
}

void
anchor_slot_encode(uint8_t slot[static ANCHOR_SLOT_LEN], const struct anchor_content *c)
{
	uint8_t digest[SEAL_DIGEST_LEN];
	size_t i;

	must(c->provider_count > 0 && c->provider_count <= PROVIDER_MAX);
	memset(slot, 0, ANCHOR_BLOCK);
	memcpy(slot + OFF_MAGIC, magic, sizeof(magic));
	bytes_put16(slot + OFF_FORMAT, FORMAT);
	bytes_put16(slot + OFF_COUNT, (uint16_t)c->provider_count);
	memcpy(slot + OFF_VAULT, c->vault, 16);
	bytes_put64(slot + OFF_EPOCH, c->epoch);
	memcpy(slot + OFF_COMMITMENT, c->commitment, SEAL_DIGEST_LEN);
	seal_digest(bytes_of(slot + ANCHOR_BLOCK, ANCHOR_STRIPES), digest);
	for (i = 0; i < c->provider_count; i++)
		encode_wrap(slot + OFF_WRAPS + i * WRAP_LEN, &c->providers[i], c, digest);
	checksum(slot, digest, slot + OFF_CHECK);
	sodium_memzero(digest, sizeof(digest));
}

void
anchor_slot_decode(const uint8_t slot[static ANCHOR_SLOT_LEN], const uint8_t vault[static 16],
    unsigned place, struct anchor_slot *out, uint8_t digest[static SEAL_DIGEST_LEN])
{
	uint8_t check[SEAL_DIGEST_LEN];
	unsigned count = bytes_get16(slot + OFF_COUNT);

	memset(out, 0, sizeof(*out));
	memset(digest, 0, SEAL_DIGEST_LEN);
	if (memcmp(slot + OFF_MAGIC, magic, sizeof(magic)) != 0 ||
	    bytes_get16(slot + OFF_FORMAT) != FORMAT || count == 0 || count > PROVIDER_MAX ||
	    memcmp(slot + OFF_VAULT, vault, 16) != 0 || bytes_get64(slot + OFF_EPOCH) % 2 != place)
		return;
	seal_digest(bytes_of(slot + ANCHOR_BLOCK, ANCHOR_STRIPES), digest);
	checksum(slot, digest, check);
	if (sodium_memcmp(check, slot + OFF_CHECK, sizeof(check)) != 0) {
		sodium_memzero(digest, SEAL_DIGEST_LEN);
		return;
	}
	out->valid = true;
	out->epoch = bytes_get64(slot + OFF_EPOCH);
	memcpy(out->commitment, slot + OFF_COMMITMENT, SEAL_DIGEST_LEN);
}

/* Opens one wrap with one provider. */
static enum status
open_wrap(const uint8_t *at, const struct provider *p, const uint8_t *digest,
    const struct seal_context *ctx, struct key *root)
{
	uint8_t plain[ROOT_PADDED];
	struct key wrap;
	enum status rc;
	size_t len = 0;

	seal_wrap_key(p->kek, digest, &wrap);
	rc = seal_open(&wrap, ctx, bytes_of(at + WRAP_BOX, BOX_LEN), plain, &len);
	if (rc == STATUS_OK && len != SEAL_KEY_LEN)
		rc = STATUS_FORGED;
	if (rc == STATUS_OK)
		memcpy(root->b, plain, SEAL_KEY_LEN);
	sodium_memzero(plain, sizeof(plain));
	seal_key_wipe(&wrap);
	return rc;
}

enum status
anchor_slot_unwrap(const uint8_t slot[static ANCHOR_SLOT_LEN],
    const uint8_t digest[static SEAL_DIGEST_LEN], const struct anchor_options *o, struct key *root)
{
	struct seal_context ctx = context(o->vault, bytes_get64(slot + OFF_EPOCH));
	size_t count = bytes_get16(slot + OFF_COUNT), i, j;
	const uint8_t *at;

	must(count <= PROVIDER_MAX);
	for (i = 0; i < o->provider_count; i++) {
		for (j = 0; j < count; j++) {
			at = slot + OFF_WRAPS + j * WRAP_LEN;
			if (memcmp(at, o->providers[i].id, PROVIDER_ID_LEN) == 0 &&
			    open_wrap(at, &o->providers[i], digest, &ctx, root) == STATUS_OK)
				return STATUS_OK;
		}
	}
	return STATUS_FORGED;
}
