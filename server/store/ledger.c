#include "server/store/ledger.h"

#include "server/store/damage.h"
#include "server/store/signer.h"
#include "server/store/vault_internal.h"

enum { OFF_SEQUENCE = 0, OFF_EPOCH = 8, OFF_TIME = 16, OFF_SLOT = 24, OFF_SUBJECT = 32, OFF_ERASURE = 48,
	OFF_CATEGORIES = 64, OFF_KIND = 66, OFF_BEFORE = 67 };

_Static_assert(OFF_BEFORE + SEAL_DIGEST_LEN == LEDGER_ENTRY_LEN, "an entry");

void
ledger_encode(const struct ledger_entry *e, uint8_t out[static LEDGER_ENTRY_LEN])
{
	bytes_put64(out + OFF_SEQUENCE, e->sequence);
	bytes_put64(out + OFF_EPOCH, e->epoch);
	bytes_put64(out + OFF_TIME, (uint64_t)e->time_ms);
	bytes_put64(out + OFF_SLOT, e->slot);
	memcpy(out + OFF_SUBJECT, e->subject, sizeof(e->subject));
	memcpy(out + OFF_ERASURE, e->erasure, sizeof(e->erasure));
	bytes_put16(out + OFF_CATEGORIES, e->categories);
	out[OFF_KIND] = (uint8_t)e->kind;
	memcpy(out + OFF_BEFORE, e->before, sizeof(e->before));
}

enum status
ledger_decode(struct bytes in, struct ledger_entry *e)
{
	if (in.len != LEDGER_ENTRY_LEN || in.p[OFF_KIND] > LEDGER_SIGNER_BEFORE)
		return STATUS_CORRUPT;
	e->sequence = bytes_get64(in.p + OFF_SEQUENCE);
	e->epoch = bytes_get64(in.p + OFF_EPOCH);
	e->time_ms = (int64_t)bytes_get64(in.p + OFF_TIME);
	e->slot = bytes_get64(in.p + OFF_SLOT);
	memcpy(e->subject, in.p + OFF_SUBJECT, sizeof(e->subject));
	memcpy(e->erasure, in.p + OFF_ERASURE, sizeof(e->erasure));
	e->categories = bytes_get16(in.p + OFF_CATEGORIES);
	e->kind = (enum ledger_kind)in.p[OFF_KIND];
	memcpy(e->before, in.p + OFF_BEFORE, sizeof(e->before));
	return STATUS_OK;
}

void
ledger_hash(const uint8_t entry[static LEDGER_ENTRY_LEN], uint8_t out[static SEAL_DIGEST_LEN])
{
	seal_digest(bytes_of(entry, LEDGER_ENTRY_LEN), out);
}

void
ledger_first_head(const uint8_t vault[static VAULT_ID_LEN], uint8_t out[static LEDGER_HEAD_LEN])
{
	bytes_put64(out, 0);
	seal_digest(bytes_of(vault, VAULT_ID_LEN), out + 8);
}

static enum status
parse_head(struct bytes row, struct ledger_head *out)
{
	if (row.len != LEDGER_HEAD_LEN)
		return STATUS_CORRUPT;
	out->count = bytes_get64(row.p);
	memcpy(out->hash, row.p + 8, SEAL_DIGEST_LEN);
	return STATUS_OK;
}

enum status
ledger_append(struct writeset *ws, struct ledger_entry *e)
{
	uint8_t entry[LEDGER_ENTRY_LEN], row[LEDGER_HEAD_LEN];
	struct ledger_head head;
	struct bytes value;
	enum status rc;

	if ((rc = writeset_get(ws, STORE_META, META_KEY(META_LEDGER), &value)) != STATUS_OK)
		return damage_judged(rc == STATUS_ABSENT ? STATUS_CORRUPT : rc, "the ledger's head");
	if ((rc = parse_head(value, &head)) != STATUS_OK)
		return damage_judged(rc, "the ledger's head");
	e->sequence = head.count + 1;
	memcpy(e->before, head.hash, sizeof(e->before));
	ledger_encode(e, entry);
	bytes_put64(row, e->sequence);
	ledger_hash(entry, row + 8);
	rc = writeset_put(ws, STORE_LEDGER, bytes_of(row, 8), bytes_of(entry, sizeof(entry)));
	if (rc != STATUS_OK)
		return rc;
	return writeset_put(ws, STORE_META, META_KEY(META_LEDGER), bytes_of(row, sizeof(row)));
}

/* What getting the row came to, and the entry in it. None may be missing. */
static enum status
take_entry(enum status got, struct bytes row, uint8_t entry[static LEDGER_ENTRY_LEN])
{
	if (got != STATUS_OK)
		return got == STATUS_ABSENT ? STATUS_CORRUPT : got;
	if (row.len != LEDGER_ENTRY_LEN)
		return STATUS_CORRUPT;
	memcpy(entry, row.p, LEDGER_ENTRY_LEN);
	return STATUS_OK;
}

enum status
ledger_prove(struct writeset *ws, uint64_t sequence, struct ledger_proof *out)
{
	const struct vault *v = writeset_vault(ws);
	struct ledger_signer signer = { epoch_root(v->epochs, epoch_current(v->epochs)), v->id };
	uint8_t key[8];
	struct bytes value;
	enum status rc;

	bytes_put64(key, sequence);
	rc = writeset_get(ws, STORE_LEDGER, bytes_of(key, sizeof(key)), &value);
	if ((rc = take_entry(rc, value, out->entry)) != STATUS_OK)
		return rc;
	if (signer_signature_is_kept(out->entry))
		return signer_kept(writeset_get(ws, STORE_SIGNERS, bytes_of(key, sizeof(key)), &value),
		    &value, out);
	ledger_sign(&signer, out);
	return STATUS_OK;
}

enum status
ledger_head(struct store_snapshot *s, struct ledger_head *out)
{
	struct bytes value;
	enum status rc = store_get(s, STORE_META, META_KEY(META_LEDGER), &value);

	if (rc != STATUS_OK)
		return rc == STATUS_ABSENT ? STATUS_CORRUPT : rc;
	return parse_head(value, out);
}

enum status
ledger_get(struct store_snapshot *s, uint64_t sequence, uint8_t entry[static LEDGER_ENTRY_LEN])
{
	uint8_t key[8];
	struct bytes value;
	enum status rc;

	bytes_put64(key, sequence);
	rc = store_get(s, STORE_LEDGER, bytes_of(key, sizeof(key)), &value);
	return take_entry(rc, value, entry);
}

enum status
ledger_check(struct store_snapshot *s)
{
	uint8_t entry[LEDGER_ENTRY_LEN], hash[SEAL_DIGEST_LEN];
	struct ledger_head head;
	uint64_t rows;
	enum status rc;

	if ((rc = ledger_head(s, &head)) != STATUS_OK ||
	    (rc = store_count(s, STORE_LEDGER, &rows)) != STATUS_OK)
		return rc;
	if (rows != head.count)
		return STATUS_CORRUPT;
	if (rows == 0)
		return STATUS_OK;
	if ((rc = ledger_get(s, head.count, entry)) != STATUS_OK)
		return rc;
	ledger_hash(entry, hash);
	return memcmp(hash, head.hash, sizeof(hash)) == 0 ? STATUS_OK : STATUS_CORRUPT;
}

#define SAID_LEN (sizeof(LEDGER_LABEL) - 1 + VAULT_ID_LEN + SEAL_DIGEST_LEN)

/* What is signed. */
static void
say(const uint8_t *vault, const uint8_t *entry, uint8_t out[static SAID_LEN])
{
	memcpy(out, LEDGER_LABEL, sizeof(LEDGER_LABEL) - 1);
	memcpy(out + sizeof(LEDGER_LABEL) - 1, vault, VAULT_ID_LEN);
	ledger_hash(entry, out + sizeof(LEDGER_LABEL) - 1 + VAULT_ID_LEN);
}

enum status
ledger_verify(const uint8_t vault[static VAULT_ID_LEN], const uint8_t public[static SEAL_PUBLIC_LEN],
    const struct ledger_proof *p)
{
	uint8_t said[SAID_LEN];

	say(vault, p->entry, said);
	return seal_verify(public, bytes_of(said, sizeof(said)), p->signature);
}

void
ledger_sign(const struct ledger_signer *s, struct ledger_proof *p)
{
	uint8_t said[SAID_LEN];

	say(s->vault, p->entry, said);
	seal_sign(&s->root->signing, s->root->public_key, bytes_of(said, sizeof(said)), p->signature);
}
