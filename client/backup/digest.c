#include "client/backup/digest.h"

#include "client/transport/must.h"

void
backup_digest_begin(struct backup_digest *d)
{
	must(crypto_generichash_init(&d->state, NULL, 0, BACKUP_DIGEST_LEN) == 0);
}

void
backup_digest_add(struct backup_digest *d, const uint8_t *p, size_t len)
{
	must(len == 0 || crypto_generichash_update(&d->state, p, len) == 0);
}

void
backup_digest_end(struct backup_digest *d, uint8_t out[static BACKUP_DIGEST_LEN])
{
	must(crypto_generichash_final(&d->state, out, BACKUP_DIGEST_LEN) == 0);
}

void
backup_digest_of(const uint8_t *p, size_t len, uint8_t out[static BACKUP_DIGEST_LEN])
{
	must(crypto_generichash(out, BACKUP_DIGEST_LEN, len > 0 ? p : NULL, len, NULL, 0) == 0);
}
