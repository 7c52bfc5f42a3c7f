/*
 * Verifying entries of the ledger without the vault: docs/FORMAT.md, ledger.
 */
#include <sodium.h>
#include <string.h>

#include "pdvault/pdvault.h"

#define LABEL "pdvault ledger 1"

enum { OFF_SEQUENCE = 0, OFF_EPOCH = 8, OFF_TIME = 16, OFF_SLOT = 24, OFF_SUBJECT = 32, OFF_ERASURE = 48,
	OFF_CATEGORIES = 64, OFF_LAST = 66, OFF_BEFORE = 67 };

static uint64_t
number(const uint8_t *p, size_t len)
{
	uint64_t n = 0;

	while (len-- > 0)
		n = n << 8 | *p++;
	return n;
}

static void
hash(const uint8_t *p, size_t len, uint8_t out[PDV_LEDGER_HASH_LEN])
{
	(void)crypto_generichash(out, PDV_LEDGER_HASH_LEN, p, len, NULL, 0);
}

static void
take(const uint8_t *e, struct pdv_ledger_entry *out)
{
	uint64_t ms = number(e + OFF_TIME, 8);

	out->sequence = number(e + OFF_SEQUENCE, 8);
	out->epoch = number(e + OFF_EPOCH, 8);
	out->time = (struct pdv_time){.seconds = (int64_t)(ms / 1000), .nanos = (int32_t)(ms % 1000) * 1000000};
	out->slot = number(e + OFF_SLOT, 8);
	memcpy(out->subject.bytes, e + OFF_SUBJECT, PDV_ID_LEN);
	memcpy(out->erasure.bytes, e + OFF_ERASURE, PDV_ID_LEN);
	out->categories = (uint16_t)number(e + OFF_CATEGORIES, 2);
	out->kind = e[OFF_LAST] <= PDV_LEDGER_KEYS_GONE ? (enum pdv_ledger_kind)e[OFF_LAST] : PDV_LEDGER_PART;
	out->last = out->kind == PDV_LEDGER_WHOLE;
	memcpy(out->before, e + OFF_BEFORE, PDV_LEDGER_HASH_LEN);
	hash(e, PDV_LEDGER_ENTRY_LEN, out->hash);
}

enum pdv_code
pdv_ledger_verify(const struct pdv_ledger_proof *proof, const uint8_t vault[PDV_ID_LEN],
    const uint8_t signing_key[PDV_SIGNING_KEY_LEN], struct pdv_ledger_entry *out)
{
	uint8_t said[sizeof(LABEL) - 1 + PDV_ID_LEN + PDV_LEDGER_HASH_LEN];

	take(proof->entry, out);
	memcpy(said, LABEL, sizeof(LABEL) - 1);
	memcpy(said + sizeof(LABEL) - 1, vault, PDV_ID_LEN);
	memcpy(said + sizeof(LABEL) - 1 + PDV_ID_LEN, out->hash, PDV_LEDGER_HASH_LEN);
	if (crypto_sign_verify_detached(proof->signature, said, sizeof(said), signing_key) != 0)
		return PDV_DATA_LOSS;
	return proof->entry[OFF_LAST] <= PDV_LEDGER_KEYS_GONE ? PDV_OK : PDV_DATA_LOSS;
}

void
pdv_ledger_before_first(const uint8_t vault[PDV_ID_LEN], uint8_t out[PDV_LEDGER_HASH_LEN])
{
	hash(vault, PDV_ID_LEN, out);
}
