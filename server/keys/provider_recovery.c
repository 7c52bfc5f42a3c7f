/*
 * The recovery key: the public half of an X25519 pair (`pdvault recovery new`) whose secret half is
 * kept elsewhere, whole or in shares. What is sealed for it stands in a slot of the anchor alone and
 * dies with it, so there is no file and no version. It opens nothing while the vault runs; `pdvaultd
 * recover --recovery` does.
 */
#include "server/keys/provider_internal.h"

static enum status
create(struct provider *p, struct provider_kek *out)
{
	seal_random(out->id, sizeof(out->id));
	memcpy(out->key.b, p->own_public, SEAL_RECOVERY_KEY_LEN);
	return STATUS_OK;
}

static enum status
open_none(struct provider *p, struct provider_kek *out, unsigned *count)
{
	(void)p;
	(void)out;
	*count = 0;
	return STATUS_OK;
}

static enum status
keep(struct provider *p, const uint8_t *id)
{
	(void)p;
	(void)id;
	return STATUS_OK;
}

static char
class(struct provider *p, const char **why)
{
	(void)p;
	*why = "a recovery key, whose secret half opens an old anchor";
	return PROVIDER_LASTING;
}

_Static_assert(SEAL_RECOVERY_KEY_LEN == SEAL_KEY_LEN, "it stands where a key stands");

const struct provider_kind provider_recovery = {
	.name = "recovery", .renews = false, .opens = false, .create = create, .renew = create,
	.open = open_none, .keep = keep, .class = class,
};
