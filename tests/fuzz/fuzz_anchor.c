/*
 * A slot of the anchor out of any bytes. The first byte says how they are taken: as they are; with a right
 * checksum over them (1), so that the fields behind it are reached; with what stands in the place of the
 * seals sealed under the right key (2), so that what lies in their box is reached.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "server/keys/anchor_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CHECK (ANCHOR_BLOCK - SEAL_DIGEST_LEN)
#define SEALS_AT (96u + PROVIDER_MAX * 256u)
#define SEALS_LEN 848u
#define SEALS_PADDED 864u

/* Bob's pair in RFC 7748, 6.1, as in tests/vectors: what is sealed there opens here. */
static const struct anchor_recovery recovery = {
	.public = { 0xde, 0x9e, 0xdb, 0x7d, 0x7b, 0x7d, 0xc1, 0xb4, 0xd3, 0x5b, 0x61, 0xc2,
	    0xec, 0xe4, 0x35, 0x37, 0x3f, 0x83, 0x43, 0xc8, 0x5b, 0x78, 0x67, 0x4d,
	    0xad, 0xfc, 0x7e, 0x14, 0x6f, 0x88, 0x2b, 0x4f },
	.secret = { 0x5d, 0xab, 0x08, 0x7e, 0x62, 0x4a, 0x8a, 0x4b, 0x79, 0xe1, 0x7f, 0x8b,
	    0x83, 0x80, 0x0e, 0xe6, 0x6f, 0x3b, 0xb1, 0x29, 0x26, 0x18, 0xb6, 0xfd,
	    0x1c, 0x2f, 0x8b, 0x27, 0xff, 0x88, 0xe0, 0xeb },
};
static const struct key root = { { 1, 2, 3 } };

static void
set_checksum(uint8_t *slot)
{
	uint8_t in[ANCHOR_BLOCK];

	memcpy(in, slot, CHECK);
	seal_digest(bytes_of(slot + ANCHOR_BLOCK, ANCHOR_STRIPES), in + CHECK);
	seal_digest(bytes_of(in, sizeof(in)), slot + CHECK);
}

static void
seal_seals(uint8_t *slot)
{
	struct seal_context c = { .kind = SEAL_SEALS, .index = bytes_get64(slot + 32) };
	uint8_t digest[SEAL_DIGEST_LEN], plain[SEALS_LEN];
	struct key k;

	memcpy(c.vault, slot + ANCHOR_SLOT_VAULT, sizeof(c.vault));
	memcpy(plain, slot + SEALS_AT, sizeof(plain));
	seal_digest(bytes_of(slot + ANCHOR_BLOCK, ANCHOR_STRIPES), digest);
	seal_wrap_key(&root, digest, &k);
	seal_box(&k, &c, bytes_of(plain, sizeof(plain)), SEALS_PADDED, slot + SEALS_AT);
}

static void
try_seals(const uint8_t *slot, const uint8_t *digest, bool sealed)
{
	static struct anchor_seals got;
	struct root r = { .self = root };
	const struct anchor_content c = { .vault = slot + ANCHOR_SLOT_VAULT, .root = &r, .seals = &got };

	if (anchor_slot_seals(slot, digest, &root, &got) != STATUS_OK)
		return;
	must(sealed && got.count >= 1 && got.count <= PROVIDER_MAX);
	for (unsigned i = 0; i < got.count; i++)
		must(memchr(got.seal[i].name, 0, sizeof(got.seal[i].name)) != NULL &&
		    (got.seal[i].kind == ANCHOR_SEAL_KEK || got.seal[i].kind == ANCHOR_SEAL_RECOVERY));
	(void)anchor_slot_is(slot, digest, &c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t slot[ANCHOR_SLOT_LEN];
	struct provider_kek kek = { .key = { { 1 } } };
	struct anchor_options o = { .keks = &kek, .kek_count = 1, .recovery = &recovery };
	uint8_t digest[SEAL_DIGEST_LEN];
	struct anchor_slot found;
	struct key got;

	if (len == 0)
		return 0;
	memset(slot, 0, sizeof(slot));
	memcpy(slot, data + 1, len - 1 < sizeof(slot) ? len - 1 : sizeof(slot));
	if (data[0] & 2)
		seal_seals(slot);
	if (data[0] & 1)
		set_checksum(slot);
	memcpy(o.vault, slot + ANCHOR_SLOT_VAULT, sizeof(o.vault));
	memcpy(kek.id, slot + 96, sizeof(kek.id));
	for (unsigned place = 0; place < 2; place++) {
		anchor_slot_decode(slot, o.vault, place, &found, digest);
		must(!found.valid || found.epoch % 2 == place);
		if (!found.valid)
			continue;
		/* Nobody makes a box under this KEK, or one that goes with these stripes. */
		must(anchor_slot_unwrap(slot, digest, &o, &got) == STATUS_FORGED);
		try_seals(slot, digest, data[0] & 2);
	}
	return 0;
}
