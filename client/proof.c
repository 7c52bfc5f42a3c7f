/*
 * Verifying the ledger without the vault: docs/FORMAT.md, ledger.
 */
#include <sodium.h>
#include <string.h>

#include "pdvault/pdvault.h"

#define LABEL "pdvault ledger 1"

enum { OFF_SEQUENCE = 0, OFF_EPOCH = 8, OFF_TIME = 16, OFF_SLOT = 24, OFF_SUBJECT = 32, OFF_ERASURE = 48,
	OFF_CATEGORIES = 64, OFF_LAST = 66, OFF_BEFORE = 67, KIND_MAX = PDV_LEDGER_SIGNER_BEFORE };

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
	out->categories = (uint16_t)number(e + OFF_CATEGORIES, 2);
	out->kind = e[OFF_LAST] <= KIND_MAX ? (enum pdv_ledger_kind)e[OFF_LAST] : PDV_LEDGER_PART;
	memset(&out->subject, 0, sizeof(out->subject));
	memset(&out->erasure, 0, sizeof(out->erasure));
	memset(out->signing_key, 0, sizeof(out->signing_key));
	if (out->kind >= PDV_LEDGER_SIGNER) {
		memcpy(out->signing_key, e + OFF_SUBJECT, PDV_SIGNING_KEY_LEN);
	} else {
		memcpy(out->subject.bytes, e + OFF_SUBJECT, PDV_ID_LEN);
		memcpy(out->erasure.bytes, e + OFF_ERASURE, PDV_ID_LEN);
	}
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
	return proof->entry[OFF_LAST] <= KIND_MAX ? PDV_OK : PDV_DATA_LOSS;
}

void
pdv_ledger_before_first(const uint8_t vault[PDV_ID_LEN], uint8_t out[PDV_LEDGER_HASH_LEN])
{
	hash(vault, PDV_ID_LEN, out);
}

void
pdv_ledger_walk_begin(struct pdv_ledger_walk *w, const uint8_t vault[PDV_ID_LEN],
    const uint8_t signing_key[PDV_SIGNING_KEY_LEN])
{
	memset(w, 0, sizeof(*w));
	memcpy(w->vault, vault, PDV_ID_LEN);
	memcpy(w->signing_key, signing_key, PDV_SIGNING_KEY_LEN);
	pdv_ledger_before_first(vault, w->hash);
}

/* Who signed the entry of a new key is told by the one behind it, under the new one. */
static enum pdv_code
judge_before(const struct pdv_ledger_walk *w, const struct pdv_ledger_entry *e)
{
	struct pdv_ledger_entry turn;

	if (e->kind != PDV_LEDGER_SIGNER_BEFORE)
		return PDV_OK;
	return w->turned ? pdv_ledger_verify(&w->turn, w->vault, e->signing_key, &turn) : PDV_DATA_LOSS;
}

enum pdv_code
pdv_ledger_walk_next(struct pdv_ledger_walk *w, const struct pdv_ledger_proof *proof,
    struct pdv_ledger_entry *out)
{
	int good = pdv_ledger_verify(proof, w->vault, w->signing_key, out) == PDV_OK;

	if (proof->entry[OFF_LAST] > KIND_MAX || out->sequence != w->entries + 1 ||
	    memcmp(out->before, w->hash, sizeof(w->hash)) != 0 || judge_before(w, out) != PDV_OK)
		return PDV_DATA_LOSS;
	w->entries++;
	memcpy(w->hash, out->hash, sizeof(w->hash));
	w->turned = out->kind == PDV_LEDGER_SIGNER;
	if (good)
		w->proven = w->entries;
	if (w->turned) {
		w->owed = 0;
		w->turn = *proof;
		if (good)
			memcpy(w->signing_key, out->signing_key, PDV_SIGNING_KEY_LEN);
	} else if (!good && w->owed == 0) {
		w->owed = w->entries;
	}
	return PDV_OK;
}

uint64_t
pdv_ledger_walk_doubt(const struct pdv_ledger_walk *w)
{
	if (w->owed != 0 && w->owed <= w->proven)
		return w->owed;
	return w->proven < w->entries ? w->proven + 1 : 0;
}
