#include "book.h"

#include <string.h>

#include "scratch.h"
#include "server/store/signer.h"

struct root book_keys[BOOK_KEYS];
const uint8_t book_vault[VAULT_ID_LEN] = "a vault's own id";

void
book_start(void)
{
	must(seal_init() == STATUS_OK);
	for (unsigned i = 0; i < BOOK_KEYS; i++) {
		memset(&book_keys[i], (int)i + 1, sizeof(book_keys[i]));
		root_publish(&book_keys[i]);
	}
}

void
book_begin(struct book *b)
{
	uint8_t first[LEDGER_HEAD_LEN];

	memset(b, 0, sizeof(*b));
	ledger_first_head(book_vault, first);
	memcpy(b->hash, first + 8, sizeof(b->hash));
}

void
book_sign(struct book *b, size_t i, unsigned signer)
{
	b->signer[i] = signer;
	ledger_sign(&(struct ledger_signer){ &book_keys[signer], book_vault }, &b->p[i]);
}

void
book_put(struct book *b, enum ledger_kind kind, unsigned named, unsigned signer)
{
	struct ledger_entry e = { .sequence = b->n + 1, .epoch = b->n + 2, .time_ms = 1700000000000,
		.kind = kind };
	const uint8_t *key = book_keys[named].public_key;

	must(b->n < BOOK_ENTRIES);
	if (kind == LEDGER_SIGNER || kind == LEDGER_SIGNER_BEFORE) {
		memcpy(e.subject, key, sizeof(e.subject));
		memcpy(e.erasure, key + sizeof(e.subject), sizeof(e.erasure));
	}
	memcpy(e.before, b->hash, sizeof(e.before));
	ledger_encode(&e, b->p[b->n].entry);
	ledger_hash(b->p[b->n].entry, b->hash);
	b->kind[b->n] = kind;
	book_sign(b, b->n++, signer);
}

void
book_turn(struct book *b, unsigned before, unsigned now, unsigned signer)
{
	book_put(b, LEDGER_SIGNER, now, before);
	book_put(b, LEDGER_SIGNER_BEFORE, before, signer);
}

void
book_rotated(struct book *b, unsigned signer)
{
	book_begin(b);
	for (unsigned i = 0; i < 2; i++) {
		book_put(b, LEDGER_WHOLE, 0, signer);
		book_put(b, LEDGER_KEYS, 0, signer);
		book_turn(b, i, i + 1, signer);
	}
	book_put(b, LEDGER_PART, 0, signer);
	book_put(b, LEDGER_WHOLE, 0, signer);
}

void
book_write(const struct book *b, unsigned head, const char *path)
{
	static uint8_t bytes[LEDGER_FILE_HEAD_LEN + BOOK_ENTRIES * LEDGER_FILE_ITEM_LEN];
	const size_t label = sizeof(LEDGER_LABEL) - 1;
	uint8_t *at = bytes + LEDGER_FILE_HEAD_LEN;

	memcpy(bytes, LEDGER_LABEL, label);
	memcpy(bytes + label, book_vault, VAULT_ID_LEN);
	memcpy(bytes + label + VAULT_ID_LEN, book_keys[head].public_key, SEAL_PUBLIC_LEN);
	for (size_t i = 0; i < b->n; i++) {
		memcpy(at, b->p[i].entry, LEDGER_ENTRY_LEN);
		memcpy(at + LEDGER_ENTRY_LEN, b->p[i].signature, SEAL_SIGNATURE_LEN);
		at += LEDGER_FILE_ITEM_LEN;
	}
	scratch_write(path, bytes, (size_t)(at - bytes));
}
