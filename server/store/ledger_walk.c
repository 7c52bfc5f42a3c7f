#include "server/store/ledger_walk.h"

#include <string.h>

#include "server/store/signer.h"

void
ledger_walk_begin(struct ledger_walk *w, const uint8_t vault[static VAULT_ID_LEN],
    const uint8_t key[static SEAL_PUBLIC_LEN])
{
	uint8_t first[LEDGER_HEAD_LEN];

	memset(w, 0, sizeof(*w));
	memcpy(w->vault, vault, sizeof(w->vault));
	memcpy(w->key, key, sizeof(w->key));
	ledger_first_head(vault, first);
	memcpy(w->at.hash, first + 8, sizeof(w->at.hash));
}

enum status
ledger_walk_unsigned(struct ledger_walk *w, const uint8_t entry[static LEDGER_ENTRY_LEN],
    struct ledger_entry *e)
{
	struct ledger_entry next;

	if (ledger_decode(bytes_of(entry, LEDGER_ENTRY_LEN), &next) != STATUS_OK ||
	    next.sequence != w->at.count + 1 || memcmp(next.before, w->at.hash, sizeof(next.before)) != 0)
		return STATUS_CORRUPT;
	w->at.count++;
	ledger_hash(entry, w->at.hash);
	w->turned = false;
	*e = next;
	return STATUS_OK;
}

/* Who signed the entry of a new key is told by the one behind it, under the new one. */
static enum status
judge_before(const struct ledger_walk *w, bool turned, const struct ledger_entry *e)
{
	uint8_t named[SEAL_PUBLIC_LEN];

	if (e->kind != LEDGER_SIGNER_BEFORE)
		return STATUS_OK;
	signer_named(e, named);
	return turned ? ledger_verify(w->vault, named, &w->turn) : STATUS_FORGED;
}

enum status
ledger_walk_next(struct ledger_walk *w, const struct ledger_proof *p, struct ledger_entry *e)
{
	bool turned = w->turned, good;
	enum status rc;

	if ((rc = ledger_walk_unsigned(w, p->entry, e)) != STATUS_OK ||
	    (rc = judge_before(w, turned, e)) != STATUS_OK)
		return rc;
	good = ledger_verify(w->vault, w->key, p) == STATUS_OK;
	if (good)
		w->proven = e->sequence;
	if (e->kind == LEDGER_SIGNER) {
		w->owed = 0;
		w->turn = *p;
		w->turned = true;
		if (good)
			signer_named(e, w->key);
	} else if (!good && w->owed == 0) {
		w->owed = e->sequence;
	}
	return STATUS_OK;
}

uint64_t
ledger_walk_doubt(const struct ledger_walk *w)
{
	if (w->owed != 0 && w->owed <= w->proven)
		return w->owed;
	return w->proven < w->at.count ? w->proven + 1 : 0;
}
