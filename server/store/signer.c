#include "server/store/signer.h"

#include "server/clock.h"
#include "server/store/vault_internal.h"
#include "server/store/writeset_internal.h"

_Static_assert(SEAL_PUBLIC_LEN == SUBJECT_ID_LEN + sizeof(((struct ledger_entry *)0)->erasure),
    "the key stands where the ids of an erasure do");

static void
name(const uint8_t *key, struct ledger_entry *e)
{
	memcpy(e->subject, key, sizeof(e->subject));
	memcpy(e->erasure, key + sizeof(e->subject), sizeof(e->erasure));
}

void
signer_entries(const uint8_t now[static SEAL_PUBLIC_LEN], const uint8_t before[static SEAL_PUBLIC_LEN],
    uint64_t epoch, struct signer_entries *out)
{
	int64_t ms = clock_wall_ms();

	out->now = (struct ledger_entry){ .kind = LEDGER_SIGNER, .time_ms = ms, .epoch = epoch };
	out->before = (struct ledger_entry){ .kind = LEDGER_SIGNER_BEFORE, .time_ms = ms, .epoch = epoch };
	name(now, &out->now);
	name(before, &out->before);
}

void
signer_named(const struct ledger_entry *e, uint8_t out[static SEAL_PUBLIC_LEN])
{
	memcpy(out, e->subject, sizeof(e->subject));
	memcpy(out + sizeof(e->subject), e->erasure, sizeof(e->erasure));
}

bool
signer_signature_is_kept(const uint8_t entry[static LEDGER_ENTRY_LEN])
{
	struct ledger_entry e;

	return ledger_decode(bytes_of(entry, LEDGER_ENTRY_LEN), &e) == STATUS_OK && e.kind == LEDGER_SIGNER;
}

enum status
signer_kept(enum status got, const struct bytes *row, struct ledger_proof *out)
{
	if (got != STATUS_OK)
		return got == STATUS_ABSENT ? STATUS_CORRUPT : got;
	if (row->len != sizeof(out->signature))
		return STATUS_CORRUPT;
	memcpy(out->signature, row->p, sizeof(out->signature));
	return STATUS_OK;
}

/* The key that an entry names, which must be of that kind. */
static enum status
named_in(struct store_snapshot *s, uint64_t sequence, enum ledger_kind kind, uint8_t *out)
{
	uint8_t entry[LEDGER_ENTRY_LEN];
	struct ledger_entry e;
	enum status rc = ledger_get(s, sequence, entry);

	if (rc != STATUS_OK || (rc = ledger_decode(bytes_of(entry, sizeof(entry)), &e)) != STATUS_OK)
		return rc;
	if (e.kind != kind)
		return STATUS_CORRUPT;
	signer_named(&e, out);
	return STATUS_OK;
}

enum status
signer_leads(struct store_snapshot *s, const uint8_t from[static SEAL_PUBLIC_LEN],
    const uint8_t to[static SEAL_PUBLIC_LEN])
{
	uint8_t key[SEAL_PUBLIC_LEN], now[SEAL_PUBLIC_LEN], before[SEAL_PUBLIC_LEN];
	uint8_t row[SIGNER_KEY_LEN] = { 0 };
	struct bytes at, value;
	uint64_t sequence;
	enum status rc;

	memcpy(key, from, sizeof(key));
	while ((rc = store_seek(s, STORE_SIGNERS, bytes_of(row, sizeof(row)), &at, &value)) == STATUS_OK) {
		if (at.len != SIGNER_KEY_LEN)
			return STATUS_CORRUPT;
		sequence = bytes_get64(at.p);
		if ((rc = named_in(s, sequence, LEDGER_SIGNER, now)) != STATUS_OK ||
		    (rc = named_in(s, sequence + 1, LEDGER_SIGNER_BEFORE, before)) != STATUS_OK)
			return rc;
		if (memcmp(before, key, sizeof(key)) == 0)
			memcpy(key, now, sizeof(key));
		bytes_put64(row, sequence + 1);
	}
	if (rc != STATUS_ABSENT)
		return rc;
	return memcmp(key, to, sizeof(key)) == 0 ? STATUS_OK : STATUS_ABSENT;
}

enum status
signer_rotate(struct writeset *ws)
{
	uint8_t public[SEAL_PUBLIC_LEN], key[SIGNER_KEY_LEN];
	struct signer_entries e;
	struct ledger_proof p;
	enum status rc;

	seal_key_new(ws->signing, SEAL_FOR_SIGNING);
	seal_public(ws->signing, public);
	writeset_change_root(ws, WRITESET_SIGNING);
	signer_entries(public, writeset_root(ws)->public_key, writeset_epoch(ws), &e);
	if ((rc = ledger_append(ws, &e.now)) != STATUS_OK)
		return rc;
	ledger_encode(&e.now, p.entry);
	ledger_sign(&(struct ledger_signer){ writeset_root(ws), ws->vault->id }, &p);
	bytes_put64(key, e.now.sequence);
	rc = writeset_put(ws, STORE_SIGNERS, bytes_of(key, sizeof(key)),
	    bytes_of(p.signature, sizeof(p.signature)));
	return rc == STATUS_OK ? ledger_append(ws, &e.before) : rc;
}
