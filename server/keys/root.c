#include "server/keys/root.h"

#include <sodium.h>

#include "server/clock.h"
#include "server/keys/node.h"
#include "server/mutant.h"

/* Offsets in the sealed page. */
enum { OFF_EPOCH = 0, OFF_NEXT = 8, OFF_HEIGHT = 16, OFF_PARITY = 17, OFF_S = 24, OFF_B = 56,
	OFF_INDEX = 88, OFF_SIGNING = 120, OFF_BEFORE = 152, OFF_INDEX_MS = 184, OFF_SIGNING_MS = 192,
	OFF_SIGNER = 200, OFF_END = 208, ROOT_LEN = mutant(root_remembers) ? 240 : OFF_END };
_Static_assert(ROOT_LEN < ROOT_PADDED, "padding");

static struct seal_context
context(const uint8_t vault[static 16], uint64_t epoch)
{
	struct seal_context c = { .kind = SEAL_ROOT_PAGE, .index = epoch };

	memcpy(c.vault, vault, sizeof(c.vault));
	return c;
}

void
root_new(struct root *r)
{
	memset(r, 0, sizeof(*r));
	r->s_height = 1;
	seal_key_new(&r->index, SEAL_FOR_INDEX);
	seal_key_new(&r->signing, SEAL_FOR_SIGNING);
	r->signer = 1;
	r->index_ms = r->signing_ms = clock_wall_ms();
	root_publish(r);
}

void
root_seal(struct root *r, const uint8_t vault[static 16], uint8_t out[static ROOT_BOX_LEN])
{
	struct seal_context c = context(vault, r->epoch);
	uint8_t plain[ROOT_LEN] = { 0 };

	bytes_put64(plain + OFF_EPOCH, r->epoch);
	bytes_put64(plain + OFF_NEXT, r->next_slot);
	plain[OFF_HEIGHT] = r->s_height;
	plain[OFF_PARITY] = r->index_parity;
	memcpy(plain + OFF_S, r->s_top.b, SEAL_KEY_LEN);
	memcpy(plain + OFF_B, r->b_top.b, SEAL_KEY_LEN);
	memcpy(plain + OFF_INDEX, r->index.b, SEAL_KEY_LEN);
	memcpy(plain + OFF_SIGNING, r->signing.b, SEAL_KEY_LEN);
	memcpy(plain + OFF_BEFORE, r->index_before.b, SEAL_KEY_LEN);
	bytes_put64(plain + OFF_INDEX_MS, (uint64_t)r->index_ms);
	bytes_put64(plain + OFF_SIGNING_MS, (uint64_t)r->signing_ms);
	bytes_put64(plain + OFF_SIGNER, r->signer);
	if (mutant(root_remembers))
		memcpy(plain + OFF_END, r->self.b, SEAL_KEY_LEN);
	if (!mutant(root_kept) || seal_key_is_zero(&r->self))
		seal_key_new(&r->self, SEAL_FOR_ROOT);
	seal_box(&r->self, &c, bytes_of(plain, ROOT_LEN), ROOT_PADDED, out);
	seal_digest(bytes_of(out, ROOT_BOX_LEN), r->commitment);
	sodium_memzero(plain, sizeof(plain));
}

static enum status
decode(const uint8_t *plain, uint64_t epoch, struct root *out)
{
	uint8_t height = plain[OFF_HEIGHT];

	if (bytes_get64(plain + OFF_EPOCH) != epoch || height < 1 || height > NODE_S_TOP_MAX ||
	    plain[OFF_PARITY] > 1)
		return STATUS_FORGED;
	out->epoch = epoch;
	out->next_slot = bytes_get64(plain + OFF_NEXT);
	out->s_height = height;
	out->index_parity = plain[OFF_PARITY];
	memcpy(out->s_top.b, plain + OFF_S, SEAL_KEY_LEN);
	memcpy(out->b_top.b, plain + OFF_B, SEAL_KEY_LEN);
	memcpy(out->index.b, plain + OFF_INDEX, SEAL_KEY_LEN);
	memcpy(out->signing.b, plain + OFF_SIGNING, SEAL_KEY_LEN);
	memcpy(out->index_before.b, plain + OFF_BEFORE, SEAL_KEY_LEN);
	out->index_ms = (int64_t)bytes_get64(plain + OFF_INDEX_MS);
	out->signing_ms = (int64_t)bytes_get64(plain + OFF_SIGNING_MS);
	out->signer = bytes_get64(plain + OFF_SIGNER);
	return STATUS_OK;
}

enum status
root_open(const struct key *self, const uint8_t vault[static 16], uint64_t epoch,
    struct bytes box, struct root *out)
{
	struct seal_context c = context(vault, epoch);
	uint8_t plain[ROOT_PADDED];
	size_t len;
	enum status rc = STATUS_FORGED;

	if (box.len != ROOT_BOX_LEN)
		return rc;
	if ((rc = seal_open(self, &c, box, plain, &len)) != STATUS_OK)
		goto out;
	if ((rc = len == ROOT_LEN ? decode(plain, epoch, out) : STATUS_FORGED) != STATUS_OK)
		goto out;
	out->self = *self;
	seal_digest(box, out->commitment);
out:
	sodium_memzero(plain, sizeof(plain));
	return rc;
}

void
root_publish(struct root *r)
{
	seal_public(&r->signing, r->public_key);
}

void
root_wipe(struct root *r)
{
	sodium_memzero(r, sizeof(*r));
}
