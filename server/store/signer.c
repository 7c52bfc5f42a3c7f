#include "server/store/signer.h"

#include "server/clock.h"
#include "server/store/vault_internal.h"
#include "server/store/writeset_internal.h"

_Static_assert(SEAL_PUBLIC_LEN == SUBJECT_ID_LEN + sizeof(((struct ledger_entry *)0)->erasure),
    "the key stands where the ids of an erasure do");

void
signer_named(const struct ledger_entry *e, uint8_t out[static SEAL_PUBLIC_LEN])
{
	memcpy(out, e->subject, sizeof(e->subject));
	memcpy(out + sizeof(e->subject), e->erasure, sizeof(e->erasure));
}

enum status
signer_rotate(struct writeset *ws)
{
	struct ledger_entry e = { .kind = LEDGER_SIGNER, .time_ms = clock_wall_ms() };
	uint8_t public[SEAL_PUBLIC_LEN], key[SIGNER_KEY_LEN];
	struct ledger_proof p;
	enum status rc;

	seal_key_new(ws->signing, SEAL_FOR_SIGNING);
	seal_public(ws->signing, public);
	writeset_change_root(ws, WRITESET_SIGNING);
	e.epoch = writeset_epoch(ws);
	memcpy(e.subject, public, sizeof(e.subject));
	memcpy(e.erasure, public + sizeof(e.subject), sizeof(e.erasure));
	if ((rc = ledger_append(ws, &e)) != STATUS_OK)
		return rc;
	ledger_encode(&e, p.entry);
	ledger_sign(&(struct ledger_signer){ writeset_root(ws), ws->vault->id }, &p);
	bytes_put64(key, e.sequence);
	return writeset_put(ws, STORE_SIGNERS, bytes_of(key, sizeof(key)),
	    bytes_of(p.signature, sizeof(p.signature)));
}
