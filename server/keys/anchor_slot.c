#include <sodium.h>
#include <string.h>

#include "server/keys/anchor_internal.h"

#define FORMAT 2u
#define OFF_MAGIC 0u
#define OFF_FORMAT 8u
#define OFF_COUNT 10u
#define OFF_VAULT ANCHOR_SLOT_VAULT
#define OFF_EPOCH 32u
#define OFF_COMMITMENT 40u
#define OFF_WRAPS 96u
#define OFF_SEALS (OFF_WRAPS + PROVIDER_MAX * WRAP_LEN)
#define OFF_CHECK (ANCHOR_BLOCK - SEAL_DIGEST_LEN)

/* A wrap: id, name, box; for a recovery key also the KEK of this slot alone, sealed for it; zeros. */
#define WRAP_LEN 256u
#define WRAP_NAME PROVIDER_ID_LEN
#define WRAP_BOX (WRAP_NAME + PROVIDER_NAME_MAX + 1u)
#define WRAP_KIND (WRAP_BOX + BOX_LEN)
#define WRAP_SEALED (WRAP_KIND + 1u)
#define SEALED_LEN SEAL_FOR_RECOVERY_LEN(SEAL_KEY_LEN)
#define ROOT_PADDED_KEY 48u
#define BOX_LEN SEAL_BOX_LEN(ROOT_PADDED_KEY)

/* The seals, under the root key: count, class of the dead, zeros, lasting; then each. */
enum { SEAL_ID = 0, SEAL_NAME = SEAL_ID + PROVIDER_ID_LEN, SEAL_KIND = SEAL_NAME + PROVIDER_NAME_MAX + 1,
	SEAL_KEY = SEAL_KIND + 8, SEAL_SINCE = SEAL_KEY + SEAL_KEY_LEN, SEAL_MADE = SEAL_SINCE + 8,
	SEAL_LEN = SEAL_MADE + 8 };
enum { SEALS_COUNT = 0, SEALS_DEAD = 1, SEALS_LASTING = 8, SEALS_FIRST = 16,
	SEALS_LEN = SEALS_FIRST + PROVIDER_MAX * SEAL_LEN };
#define SEALS_PADDED 864u
#define SEALS_BOX SEAL_BOX_LEN(SEALS_PADDED)

_Static_assert(OFF_COMMITMENT + SEAL_DIGEST_LEN <= OFF_WRAPS, "the commitment before the wraps");
_Static_assert(WRAP_SEALED + SEALED_LEN <= WRAP_LEN, "a wrap's parts fit into it");
_Static_assert(SEALS_LEN < SEALS_PADDED, "padding is never empty");
_Static_assert(OFF_SEALS + SEALS_BOX <= OFF_CHECK, "wraps and seals before the checksum");
_Static_assert(ROOT_PADDED_KEY > SEAL_KEY_LEN, "padding is never empty");

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
context(enum seal_kind kind, const uint8_t *slot)
{
	struct seal_context c = { .kind = kind, .index = bytes_get64(slot + OFF_EPOCH) };

	memcpy(c.vault, slot + OFF_VAULT, sizeof(c.vault));
	return c;
}

static enum status
encode_wrap(uint8_t *slot, unsigned i, const struct anchor_content *c, const uint8_t *digest)
{
	const struct anchor_seal *s = &c->seals->seal[i];
	struct seal_context ctx = context(SEAL_ROOT_WRAP, slot);
	uint8_t *at = slot + OFF_WRAPS + i * WRAP_LEN;
	struct key kek = s->key, wrap;
	enum status rc = STATUS_OK;

	memcpy(at, s->id, PROVIDER_ID_LEN);
	memcpy(at + WRAP_NAME, s->name, strnlen(s->name, PROVIDER_NAME_MAX));
	at[WRAP_KIND] = (uint8_t)s->kind;
	if (s->kind == ANCHOR_SEAL_RECOVERY) {
		/* A KEK of its own for each slot: what is sealed for the recovery key dies with the slot. */
		seal_key_new(&kek, SEAL_FOR_SLOT);
		rc = seal_for_recovery(s->key.b, bytes_of(kek.b, SEAL_KEY_LEN), at + WRAP_SEALED);
	}
	seal_wrap_key(&kek, digest, &wrap);
	seal_box(&wrap, &ctx, bytes_of(c->root->self.b, SEAL_KEY_LEN), ROOT_PADDED_KEY, at + WRAP_BOX);
	seal_key_wipe(&wrap);
	seal_key_wipe(&kek);
	return rc;
}

static void
encode_seals(uint8_t *slot, const struct anchor_content *c, const uint8_t *digest)
{
	struct seal_context ctx = context(SEAL_SEALS, slot);
	const struct anchor_seals *all = c->seals;
	uint8_t plain[SEALS_LEN] = { 0 };
	struct key k;

	plain[SEALS_COUNT] = (uint8_t)all->count;
	plain[SEALS_DEAD] = all->dead_class;
	bytes_put64(plain + SEALS_LASTING, all->lasting);
	for (unsigned i = 0; i < all->count; i++) {
		const struct anchor_seal *s = &all->seal[i];
		uint8_t *at = plain + SEALS_FIRST + i * SEAL_LEN;

		memcpy(at + SEAL_ID, s->id, PROVIDER_ID_LEN);
		memcpy(at + SEAL_NAME, s->name, strnlen(s->name, PROVIDER_NAME_MAX));
		at[SEAL_KIND] = (uint8_t)s->kind;
		memcpy(at + SEAL_KEY, s->key.b, SEAL_KEY_LEN);
		bytes_put64(at + SEAL_SINCE, s->since);
		bytes_put64(at + SEAL_MADE, (uint64_t)s->made_ms);
	}
	seal_wrap_key(&c->root->self, digest, &k);
	seal_box(&k, &ctx, bytes_of(plain, sizeof(plain)), SEALS_PADDED, slot + OFF_SEALS);
	seal_key_wipe(&k);
	sodium_memzero(plain, sizeof(plain));
}

enum status
anchor_slot_encode(uint8_t slot[static ANCHOR_SLOT_LEN], const struct anchor_content *c)
{
	uint8_t digest[SEAL_DIGEST_LEN];
	enum status rc = STATUS_OK;

	must(c->seals->count > 0 && c->seals->count <= PROVIDER_MAX);
	memset(slot, 0, ANCHOR_BLOCK);
	memcpy(slot + OFF_MAGIC, magic, sizeof(magic));
	bytes_put16(slot + OFF_FORMAT, FORMAT);
	bytes_put16(slot + OFF_COUNT, (uint16_t)c->seals->count);
	memcpy(slot + OFF_VAULT, c->vault, 16);
	bytes_put64(slot + OFF_EPOCH, c->root->epoch);
	memcpy(slot + OFF_COMMITMENT, c->root->commitment, SEAL_DIGEST_LEN);
	seal_digest(bytes_of(slot + ANCHOR_BLOCK, ANCHOR_STRIPES), digest);
	for (unsigned i = 0; i < c->seals->count && rc == STATUS_OK; i++)
		rc = encode_wrap(slot, i, c, digest);
	encode_seals(slot, c, digest);
	checksum(slot, digest, slot + OFF_CHECK);
	sodium_memzero(digest, sizeof(digest));
	return rc;
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

/* Opens one wrap with one KEK. */
static enum status
open_wrap(const uint8_t *slot, unsigned i, const struct key *kek, const uint8_t *digest, struct key *root)
{
	struct seal_context ctx = context(SEAL_ROOT_WRAP, slot);
	const uint8_t *at = slot + OFF_WRAPS + i * WRAP_LEN;
	uint8_t plain[ROOT_PADDED_KEY];
	struct key wrap;
	enum status rc;
	size_t len = 0;

	seal_wrap_key(kek, digest, &wrap);
	rc = seal_open(&wrap, &ctx, bytes_of(at + WRAP_BOX, BOX_LEN), plain, &len);
	if (rc == STATUS_OK && len != SEAL_KEY_LEN)
		rc = STATUS_FORGED;
	if (rc == STATUS_OK)
		memcpy(root->b, plain, SEAL_KEY_LEN);
	sodium_memzero(plain, sizeof(plain));
	seal_key_wipe(&wrap);
	return rc;
}

static enum status
open_for_recovery(const uint8_t *slot, unsigned i, const struct anchor_options *o, const uint8_t *digest,
    struct key *root)
{
	const uint8_t *at = slot + OFF_WRAPS + i * WRAP_LEN;
	struct key kek = { { 0 } };
	enum status rc = STATUS_FORGED;

	if (o->recovery != NULL && at[WRAP_KIND] == ANCHOR_SEAL_RECOVERY)
		rc = seal_recover(o->recovery->public, o->recovery->secret,
		    bytes_of(at + WRAP_SEALED, SEALED_LEN), kek.b);
	if (rc == STATUS_OK)
		rc = open_wrap(slot, i, &kek, digest, root);
	seal_key_wipe(&kek);
	return rc;
}

enum status
anchor_slot_unwrap(const uint8_t slot[static ANCHOR_SLOT_LEN],
    const uint8_t digest[static SEAL_DIGEST_LEN], const struct anchor_options *o, struct key *root)
{
	unsigned count = bytes_get16(slot + OFF_COUNT);

	must(count <= PROVIDER_MAX);
	for (size_t k = 0; k < o->kek_count; k++)
		for (unsigned i = 0; i < count; i++)
			if (memcmp(slot + OFF_WRAPS + i * WRAP_LEN, o->keks[k].id, PROVIDER_ID_LEN) == 0 &&
			    open_wrap(slot, i, &o->keks[k].key, digest, root) == STATUS_OK)
				return STATUS_OK;
	for (unsigned i = 0; i < count; i++)
		if (open_for_recovery(slot, i, o, digest, root) == STATUS_OK)
			return STATUS_OK;
	return STATUS_FORGED;
}

static enum status
decode_seals(const uint8_t *plain, struct anchor_seals *out)
{
	memset(out, 0, sizeof(*out));
	if (plain[SEALS_COUNT] == 0 || plain[SEALS_COUNT] > PROVIDER_MAX)
		return STATUS_FORGED;
	out->count = plain[SEALS_COUNT];
	out->dead_class = plain[SEALS_DEAD];
	out->lasting = bytes_get64(plain + SEALS_LASTING);
	for (unsigned i = 0; i < out->count; i++) {
		const uint8_t *at = plain + SEALS_FIRST + i * SEAL_LEN;
		struct anchor_seal *s = &out->seal[i];

		memcpy(s->id, at + SEAL_ID, PROVIDER_ID_LEN);
		memcpy(s->name, at + SEAL_NAME, PROVIDER_NAME_MAX);
		s->kind = (enum anchor_seal_kind)at[SEAL_KIND];
		memcpy(s->key.b, at + SEAL_KEY, SEAL_KEY_LEN);
		s->since = bytes_get64(at + SEAL_SINCE);
		s->made_ms = (int64_t)bytes_get64(at + SEAL_MADE);
		if (s->kind != ANCHOR_SEAL_KEK && s->kind != ANCHOR_SEAL_RECOVERY)
			return STATUS_FORGED;
	}
	return STATUS_OK;
}

enum status
anchor_slot_seals(const uint8_t slot[static ANCHOR_SLOT_LEN],
    const uint8_t digest[static SEAL_DIGEST_LEN], const struct key *root, struct anchor_seals *out)
{
	struct seal_context ctx = context(SEAL_SEALS, slot);
	uint8_t plain[SEALS_PADDED];
	struct key k;
	size_t len = 0;
	enum status rc;

	seal_wrap_key(root, digest, &k);
	rc = seal_open(&k, &ctx, bytes_of(slot + OFF_SEALS, SEALS_BOX), plain, &len);
	if (rc == STATUS_OK)
		rc = len == SEALS_LEN ? decode_seals(plain, out) : STATUS_FORGED;
	seal_key_wipe(&k);
	sodium_memzero(plain, sizeof(plain));
	return rc;
}

bool
anchor_slot_is(const uint8_t slot[static ANCHOR_SLOT_LEN],
    const uint8_t digest[static SEAL_DIGEST_LEN], const struct anchor_content *c)
{
	bool is = bytes_get16(slot + OFF_COUNT) == c->seals->count;
	struct key got = { { 0 } };

	for (unsigned i = 0; i < c->seals->count && is; i++) {
		const struct anchor_seal *s = &c->seals->seal[i];
		const uint8_t *at = slot + OFF_WRAPS + i * WRAP_LEN;

		is = memcmp(at, s->id, PROVIDER_ID_LEN) == 0 && at[WRAP_KIND] == s->kind &&
		    strncmp((const char *)at + WRAP_NAME, s->name, PROVIDER_NAME_MAX) == 0 &&
		    (s->kind == ANCHOR_SEAL_RECOVERY ||
		    (open_wrap(slot, i, &s->key, digest, &got) == STATUS_OK &&
		    seal_key_equal(&got, &c->root->self)));
	}
	seal_key_wipe(&got);
	return is;
}
