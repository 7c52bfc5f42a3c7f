/*
 * A slot of the anchor out of any bytes. The first byte says how they are taken: as
 * they are, or with a right checksum over them, so that the fields behind it are reached.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "server/keys/anchor_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define CHECK (ANCHOR_BLOCK - SEAL_DIGEST_LEN)

static void
set_checksum(uint8_t *slot)
{
	uint8_t in[ANCHOR_BLOCK];

	memcpy(in, slot, CHECK);
	seal_digest(bytes_of(slot + ANCHOR_BLOCK, ANCHOR_STRIPES), in + CHECK);
	seal_digest(bytes_of(in, sizeof(in)), slot + CHECK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t slot[ANCHOR_SLOT_LEN];
	struct key kek = { { 1 } }, root;
	struct provider p = { .name = "file", .kek = &kek };
	struct anchor_options o = { .providers = &p, .provider_count = 1 };
	uint8_t digest[SEAL_DIGEST_LEN];
	struct anchor_slot found;
	unsigned place;

	if (len == 0)
		return 0;
	memset(slot, 0, sizeof(slot));
	memcpy(slot, data + 1, len - 1 < sizeof(slot) ? len - 1 : sizeof(slot));
	if (data[0] & 1)
		set_checksum(slot);
	memcpy(o.vault, slot + 16, sizeof(o.vault));
	memcpy(p.id, slot + 96, sizeof(p.id));
	for (place = 0; place < 2; place++) {
		anchor_slot_decode(slot, o.vault, place, &found, digest);
		must(!found.valid || found.epoch % 2 == place);
		/* Nobody makes a box under this KEK. */
		must(!found.valid || anchor_slot_unwrap(slot, digest, &o, &root) == STATUS_FORGED);
	}
	return 0;
}
