/*
 * The signing keys that a ledger names, and another one where the last of them is lost.
 */
#include <string.h>

#include "server/clock.h"
#include "server/log.h"
#include "server/restore/forget_internal.h"
#include "server/store/signer.h"

bool
forget_is_proven(const struct forget *f)
{
	return !f->unproven;
}

bool
forget_signer(const struct forget *f, const uint8_t key[static SEAL_PUBLIC_LEN])
{
	bool found = memcmp(f->public, key, SEAL_PUBLIC_LEN) == 0;

	for (size_t i = 0; i < f->names; i++)
		found = found || (f->named[i].sequence <= f->believed &&
				     memcmp(f->named[i].key, key, SEAL_PUBLIC_LEN) == 0);
	return found;
}

bool
forget_succeeded(const struct forget *f)
{
	struct ledger_proof p;
	bool found = false;

	for (size_t i = 0; i < f->names; i++) {
		if (!f->named[i].kept)
			continue;
		memcpy(p.entry, f->entry[f->named[i].sequence - 1], sizeof(p.entry));
		memcpy(p.signature, f->named[i].signature, sizeof(p.signature));
		found = found || ledger_verify(f->walk.vault, f->public, &p) == STATUS_OK;
	}
	return found;
}

/* Of an entry that this makes: it follows, whoever signed it. */
static enum status
append(struct forget *f, struct ledger_entry *e, const struct ledger_signer *s)
{
	struct ledger_proof p;

	e->sequence = f->count + 1;
	memcpy(e->before, f->walk.at.hash, sizeof(e->before));
	ledger_encode(e, p.entry);
	ledger_sign(s, &p);
	must(ledger_walk_unsigned(&f->walk, p.entry, e) == STATUS_OK);
	return forget_keep(f, p.entry, e, p.signature);
}

/* Behind the entry that names its successor a key signs nothing more that anybody believes. */
enum status
forget_turn(struct forget *f, const struct root *from, struct root *to)
{
	struct ledger_signer s = { from, f->walk.vault };
	struct signer_entries e;
	enum status rc;

	log_event(LOG_RESTORE, LOG_S(WHAT, "the backup of keys is older than the signing key: the vault gets "
	    "another, and who has noted the one before must be told"));
	seal_key_new(&to->signing, SEAL_FOR_SIGNING);
	root_publish(to);
	to->signing_ms = clock_wall_ms();
	to->signer = from->signer + 1;
	signer_entries(to->public_key, f->public, f->epoch, &e);
	if ((rc = append(f, &e.now, &s)) != STATUS_OK)
		return rc;
	s.root = to;
	rc = append(f, &e.before, &s);
	f->believed = f->count;
	return rc;
}
