/* The signing key is rotated: what the vault sends of its ledger and signs of its backups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "pdvault/v1/admin.pb-c.h"
#include "pdvault/v1/backup.pb-c.h"
#include "raw_store.h"
#include "server/metrics.h"
#include "server/store/backup.h"
#include "server/store/ledger_walk.h"
#include "server/store/reader.h"
#include "vault_bed.h"

static struct vault_bed bed;

static int
setup(void **state)
{
	uint8_t secret[32];

	(void)state;
	vault_bed_make(&bed, 64 << 20, 1 << 20);
	assert_int_equal(crypto_box_keypair(bed.options.recovery_key, secret), 0);
	bed.options.has_recovery_key = true;
	return vault_bed_start(&bed) != STATUS_OK;
}

static int
teardown(void **state)
{
	(void)state;
	vault_bed_free(&bed);
	return 0;
}

/* What the vault sends, walked through from that key on: the doubt. */
static uint64_t
sent(const uint8_t *from, uint64_t *entries)
{
	Pdvault__V1__ListLedgerRequest q = PDVAULT__V1__LIST_LEDGER_REQUEST__INIT;
	const Pdvault__V1__ListLedgerResponse *r;
	struct ledger_entry e;
	struct ledger_walk w;
	struct ledger_proof p;
	struct vault_call c;

	ledger_walk_begin(&w, vault_id(bed.vault), from);
	assert_int_equal(vault_bed_call(&bed, "Admin.ListLedger", &q, &c), STATUS_OK);
	r = VAULT_BED_ANSWER(ListLedgerResponse, &c);
	for (size_t i = 0; i < r->n_entries; i++) {
		memcpy(p.entry, r->entries[i]->entry.data, sizeof(p.entry));
		memcpy(p.signature, r->entries[i]->signature.data, sizeof(p.signature));
		assert_int_equal(ledger_walk_next(&w, &p, &e), STATUS_OK);
	}
	*entries = w.at.count;
	vault_bed_done(&c);
	return ledger_walk_doubt(&w);
}

static enum status
is_signer(const uint8_t *key)
{
	struct reader *rd = NULL;
	enum status rc = reader_begin(bed.vault, &rd);

	assert_int_equal(rc, STATUS_OK);
	rc = reader_signer(rd, key);
	reader_end(rd);
	return rc;
}

/* The signing key is rotated twice: what is sent is proven from each of the keys on, also after a restart. */
static void
turned(void **state)
{
	uint8_t id[16], keys[3][SEAL_PUBLIC_LEN], other[SEAL_PUBLIC_LEN] = { 7 };
	uint64_t entries, want = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		vault_public_key(bed.vault, keys[i]);
		assert_int_equal(vault_bed_create(&bed, i, id), STATUS_OK);
		assert_int_equal(vault_bed_erase(&bed, id), STATUS_OK);
		want++;
		for (unsigned k = 0; k <= i; k++) {
			assert_int_equal(sent(keys[k], &entries), 0);
			assert_int_equal(entries, want);
			assert_int_equal(is_signer(keys[k]), STATUS_OK);
		}
		assert_int_not_equal(sent(other, &entries), 0);
		assert_int_equal(is_signer(other), STATUS_ABSENT);
		if (i == 2)
			break;
		vault_bed_turn(&bed);
		want += 2;
		/* With nothing behind it. */
		vault_public_key(bed.vault, other);
		assert_memory_not_equal(other, keys[i], sizeof(other));
		assert_int_equal(sent(other, &entries), 0);
		assert_int_equal(entries, want);
		other[0] ^= 1;
		vault_bed_restart(&bed);
	}
	vault_bed_restart(&bed);
	for (unsigned k = 0; k < 3; k++)
		assert_int_equal(sent(keys[k], &entries), 0);
}

/* The kept signature of a rotation is missing: that entry is, and is told of; not sent with another. */
static void
signature_lost(void **state)
{
	uint64_t before = metrics_get(METRIC_INTEGRITY_ERRORS);
	Pdvault__V1__ListLedgerRequest q = PDVAULT__V1__LIST_LEDGER_REQUEST__INIT;
	struct raw_row row;
	struct raw_store r;

	(void)state;
	vault_bed_turn(&bed);
	assert_int_equal(vault_bed_status(&bed, "Admin.ListLedger", &q), STATUS_OK);
	vault_bed_stop(&bed);
	raw_store_open(&r, bed.options.store_path);
	raw_store_nth(&r, "signers", 0, &row);
	assert_int_equal(row.value_len, SEAL_SIGNATURE_LEN);
	row.value_len = 0;
	raw_store_write(&r, "signers", &row);
	raw_store_close(&r);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_status(&bed, "Admin.ListLedger", &q), STATUS_CORRUPT);
	assert_int_equal(metrics_get(METRIC_INTEGRITY_ERRORS), before + 1);
}

/* A signature that is kept for an entry of an erasure: damage, and no key that is trusted. */
static void
signature_of_no_signer(void **state)
{
	uint8_t id[16], key[SEAL_PUBLIC_LEN];
	struct raw_row row;
	struct raw_store r;

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, id), STATUS_OK);
	vault_public_key(bed.vault, key);
	vault_bed_turn(&bed);
	assert_int_equal(is_signer(key), STATUS_OK);
	vault_bed_stop(&bed);
	raw_store_open(&r, bed.options.store_path);
	raw_store_nth(&r, "signers", 0, &row);
	bytes_put64(row.key, 1);
	raw_store_write(&r, "signers", &row);
	raw_store_close(&r);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(is_signer(key), STATUS_CORRUPT);
}

static uint64_t
ledger_entries(void)
{
	struct vault_status st;

	assert_int_equal(vault_status(bed.vault, &st), STATUS_OK);
	return st.ledger_entries;
}

static enum status
finish(const struct backup_begun *b)
{
	static const uint8_t digest[32] = { 1 };
	Pdvault__V1__FinishBackupRequest q = PDVAULT__V1__FINISH_BACKUP_REQUEST__INIT;

	q.session = VAULT_BED_ID(b->session.b);
	q.digest = (ProtobufCBinaryData){ sizeof(digest), (uint8_t *)(uintptr_t)digest };
	return vault_bed_status(&bed, "Backups.FinishBackup", &q);
}

/* The signing key is rotated while a session is on: nothing that it read is signed with the other key. */
static void
session(void **state)
{
	uint8_t key[16], before[SEAL_PUBLIC_LEN], after[SEAL_PUBLIC_LEN];
	Pdvault__V1__CreateKeyBackupRequest q = PDVAULT__V1__CREATE_KEY_BACKUP_REQUEST__INIT;
	struct backup_begun data, keys;
	struct vault_call c;
	uint64_t entries;

	(void)state;
	vault_public_key(bed.vault, before);
	assert_int_equal(vault_bed_call(&bed, "Backups.CreateKeyBackup", &q, &c), STATUS_OK);
	memcpy(key, VAULT_BED_ANSWER(KeyBackup, &c)->backup.data, sizeof(key));
	vault_bed_done(&c);
	assert_int_equal(backup_begin(bed.vault, NULL, &data), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, key, &keys), STATUS_OK);
	assert_memory_equal(data.signing_key, before, sizeof(before));
	vault_bed_turn(&bed);
	entries = ledger_entries();
	assert_int_equal(finish(&data), STATUS_NO_SESSION);
	assert_int_equal(finish(&keys), STATUS_NO_SESSION);
	assert_int_equal(ledger_entries(), entries);
	/* Begun again. */
	vault_public_key(bed.vault, after);
	assert_int_equal(backup_begin(bed.vault, NULL, &data), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, key, &keys), STATUS_OK);
	assert_memory_equal(keys.signing_key, after, sizeof(after));
	assert_int_equal(finish(&data), STATUS_OK);
	assert_int_equal(finish(&keys), STATUS_OK);
	assert_int_equal(ledger_entries(), entries + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(turned, setup, teardown),
		cmocka_unit_test_setup_teardown(signature_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(signature_of_no_signer, setup, teardown),
		cmocka_unit_test_setup_teardown(session, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
