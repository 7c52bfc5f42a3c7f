/* Backups from the vault's side: sessions, ranges, key backups and what erasures say of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "client/backup/rows.h"
#include "pdvault/v1/backup.pb-c.h"
#include "server/keys/seal.h"
#include "server/keys/node.h"
#include "server/restore/bulk.h"
#include "server/store/backup.h"
#include "server/store/record.h"
#include "server/store/subject.h"
#include "server/store/vault_internal.h"
#include "vault_bed.h"

static struct vault_bed bed;
static uint8_t recovery_secret[32];

static int
setup(void **state)
{
	(void)state;
	vault_bed_make(&bed, 64 << 20, 1 << 20);
	assert_int_equal(crypto_box_keypair(bed.options.recovery_key, recovery_secret), 0);
	bed.options.has_recovery_key = true;
	return vault_bed_start(&bed) != STATUS_OK;
}

static int
teardown(void **state)
{
	(void)state;
	backup_test_lease(BACKUP_LEASE_MS);
	vault_bed_free(&bed);
	return 0;
}

static void
create(uint8_t id[static 16])
{
	Pdvault__V1__CreateSubjectRequest q = PDVAULT__V1__CREATE_SUBJECT_REQUEST__INIT;
	struct vault_call c;

	assert_int_equal(vault_bed_call(&bed, "Vault.CreateSubject", &q, &c), STATUS_OK);
	memcpy(id, VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
	vault_bed_done(&c);
}

static void
erase(const uint8_t *id, uint8_t erasure[static 16])
{
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	struct vault_call c;

	q.subject = VAULT_BED_ID(id);
	assert_int_equal(vault_bed_call(&bed, "Rights.EraseSubject", &q, &c), STATUS_OK);
	memcpy(erasure, VAULT_BED_ANSWER(EraseSubjectResponse, &c)->erasure.data, 16);
	vault_bed_done(&c);
}

/* State of an erasure, and how many key backups may open it. */
static Pdvault__V1__ErasureState
state_of(const uint8_t *erasure, size_t *backups)
{
	Pdvault__V1__GetErasureRequest q = PDVAULT__V1__GET_ERASURE_REQUEST__INIT;
	Pdvault__V1__ErasureState state;
	struct vault_call c;

	q.erasure = VAULT_BED_ID(erasure);
	assert_int_equal(vault_bed_call(&bed, "Rights.GetErasure", &q, &c), STATUS_OK);
	state = VAULT_BED_ANSWER(GetErasureResponse, &c)->state;
	*backups = VAULT_BED_ANSWER(GetErasureResponse, &c)->n_backups;
	assert_non_null(VAULT_BED_ANSWER(GetErasureResponse, &c)->final_time);
	vault_bed_done(&c);
	return state;
}

static enum status
allow(uint32_t seconds, uint8_t id[static 16])
{
	Pdvault__V1__CreateKeyBackupRequest q = PDVAULT__V1__CREATE_KEY_BACKUP_REQUEST__INIT;
	struct vault_call c;
	enum status rc;

	q.lifetime_seconds = seconds;
	rc = vault_bed_call(&bed, "Backups.CreateKeyBackup", &q, &c);
	if (rc == STATUS_OK) {
		assert_int_equal(VAULT_BED_ANSWER(KeyBackup, &c)->state,
		    PDVAULT__V1__KEY_BACKUP_STATE__OUTSTANDING);
		memcpy(id, VAULT_BED_ANSWER(KeyBackup, &c)->backup.data, 16);
	}
	vault_bed_done(&c);
	return rc;
}

static enum status
finish(const uint8_t *session)
{
	static const uint8_t digest[32] = { 1 };
	Pdvault__V1__FinishBackupRequest q = PDVAULT__V1__FINISH_BACKUP_REQUEST__INIT;

	q.session = VAULT_BED_ID(session);
	q.digest = (ProtobufCBinaryData){ sizeof(digest), (uint8_t *)(uintptr_t)digest };
	return vault_bed_status(&bed, "Backups.FinishBackup", &q);
}

static enum status
destroy(const uint8_t *id)
{
	Pdvault__V1__DestroyKeyBackupRequest q = PDVAULT__V1__DESTROY_KEY_BACKUP_REQUEST__INIT;

	q.backup = VAULT_BED_ID(id);
	return vault_bed_status(&bed, "Backups.DestroyKeyBackup", &q);
}

/* The root key is sealed for the recovery key, and for nobody else; it is that of the snapshot. */
static void
sealed(void **state)
{
	struct backup_begun b;
	struct root root;
	uint8_t id[16], plain[BACKUP_ROOT_LEN], other[32];

	(void)state;
	create(id);
	assert_int_equal(allow(0, id), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, id, &b), STATUS_OK);
	assert_int_equal(b.row.expires_ms - b.row.created_ms, INT64_C(7) * 24 * 3600 * 1000);
	randombytes_buf(other, sizeof(other));
	assert_int_equal(seal_recover(bed.options.recovery_key, other, bytes_of(b.sealed_root,
	    sizeof(b.sealed_root)), plain), STATUS_FORGED);
	assert_int_equal(seal_recover(bed.options.recovery_key, recovery_secret, bytes_of(b.sealed_root,
	    sizeof(b.sealed_root)), plain), STATUS_OK);
	memcpy(root.self.b, plain, SEAL_KEY_LEN);
	assert_int_equal(root_open(&root.self, vault_id(bed.vault), b.epoch,
			     bytes_of(b.root_page, ROOT_BOX_LEN), &root),
	    STATUS_OK);
	assert_memory_equal(plain + 32, vault_id(bed.vault), 16);
	assert_memory_equal(plain + 48, id, 16);
	assert_int_equal(bytes_get64(plain + 64), b.epoch);
	/* Not of one that is unknown, complete or destroyed. */
	assert_int_equal(backup_begin(bed.vault, other, &b), STATUS_NO_KEY_BACKUP);
	assert_int_equal(finish(b.session.b), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, id, &b), STATUS_KEY_BACKUP_CLOSED);
	assert_int_equal(allow(0, id), STATUS_OK);
	assert_int_equal(destroy(id), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, id, &b), STATUS_KEY_BACKUP_CLOSED);
	root_wipe(&root);
}

/* Without a recovery key in the configuration no keys leave. */
static void
no_recovery_key(void **state)
{
	uint8_t id[16];

	(void)state;
	vault_bed_stop(&bed);
	bed.options.has_recovery_key = false;
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(allow(0, id), STATUS_NO_RECOVERY_KEY);
}

/* Who was there when keys were backed up is FINAL when the last such backup is gone; who came later at once. */
static void
final(void **state)
{
	uint8_t before[16], during[16], after[16], keys[2][16], erasure[3][16], session[16];
	struct backup_begun b;
	size_t backups;

	(void)state;
	create(before);
	create(during);
	erase(before, erasure[0]);
	assert_int_equal(state_of(erasure[0], &backups), PDVAULT__V1__ERASURE_STATE__FINAL);
	assert_int_equal(allow(3600, keys[0]), STATUS_OK);
	assert_int_equal(allow(1, keys[1]), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, keys[0], &b), STATUS_OK);
	memcpy(session, b.session.b, sizeof(session));
	assert_int_equal(backup_begin(bed.vault, keys[1], &b), STATUS_OK);
	assert_int_equal(finish(session), STATUS_OK);
	assert_int_equal(finish(b.session.b), STATUS_OK);
	create(after);
	erase(during, erasure[1]);
	erase(after, erasure[2]);
	assert_int_equal(state_of(erasure[0], &backups), PDVAULT__V1__ERASURE_STATE__FINAL);
	assert_int_equal(state_of(erasure[1], &backups), PDVAULT__V1__ERASURE_STATE__SHREDDED);
	assert_in_range(backups, 1, 2);		/* the short one may have expired */
	assert_int_equal(state_of(erasure[2], &backups), PDVAULT__V1__ERASURE_STATE__FINAL);
	assert_int_equal(backups, 0);
	assert_int_equal(destroy(keys[0]), STATUS_OK);
	while (state_of(erasure[1], &backups) == PDVAULT__V1__ERASURE_STATE__SHREDDED)
		assert_int_equal(backups, 1);	/* until that one expires */
	vault_bed_restart(&bed);
	assert_int_equal(state_of(erasure[1], &backups), PDVAULT__V1__ERASURE_STATE__FINAL);
}

static uint64_t
ledger_entries(void)
{
	struct vault_status st;

	assert_int_equal(vault_status(bed.vault, &st), STATUS_OK);
	return st.ledger_entries;
}

/*
 * Two sessions on one key backup: what is finished first bounds it, for all that the other may have read; once
 * is enough. One that was destroyed meanwhile, or has expired, is not finished.
 */
static void
completed_once(void **state)
{
	uint8_t id[16], key[16], gone[16], erasure[16], first[16];
	struct backup_begun b;
	size_t backups;
	uint64_t entries;

	(void)state;
	create(id);
	assert_int_equal(allow(3600, key), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, key, &b), STATUS_OK);
	memcpy(first, b.session.b, sizeof(first));
	create(id);			/* the second session sees this one */
	assert_int_equal(backup_begin(bed.vault, key, &b), STATUS_OK);
	assert_int_equal(finish(first), STATUS_OK);
	entries = ledger_entries();
	assert_int_equal(finish(b.session.b), STATUS_OK);
	assert_int_equal(ledger_entries(), entries);
	erase(id, erasure);
	assert_int_equal(state_of(erasure, &backups), PDVAULT__V1__ERASURE_STATE__SHREDDED);
	assert_int_equal(backups, 1);
	assert_int_equal(destroy(key), STATUS_OK);
	assert_int_equal(allow(3600, gone), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, gone, &b), STATUS_OK);
	assert_int_equal(destroy(gone), STATUS_OK);
	entries = ledger_entries();
	assert_int_equal(finish(b.session.b), STATUS_KEY_BACKUP_CLOSED);
	assert_int_equal(ledger_entries(), entries);
}

static uint8_t rows[BACKUP_ROWS_MAX];

static enum status
read_some(const struct backup_begun *b, const char *table, struct bytes from, size_t room,
    struct backup_got *got)
{
	const struct backup_wanted w = { .session = b->session.b, .table = table, .from = from };

	return backup_read(bed.vault, &w, rows, room, got);
}

/* From the answer on that it is destroyed, and from its expiry on, no further key of it leaves. */
static void
closed_while_read(void **state)
{
	uint8_t id[16], key[16];
	struct backup_begun b;
	struct backup_got got;
	enum status rc;

	(void)state;
	create(id);
	assert_int_equal(allow(3600, key), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, key, &b), STATUS_OK);
	assert_int_equal(read_some(&b, "keyrings", bytes_of(NULL, 0), BACKUP_ROWS_MAX, &got), STATUS_OK);
	assert_int_equal(destroy(key), STATUS_OK);
	assert_int_equal(read_some(&b, "keyrings", bytes_of(NULL, 0), BACKUP_ROWS_MAX, &got),
	    STATUS_KEY_BACKUP_CLOSED);
	assert_int_equal(allow(1, key), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, key, &b), STATUS_OK);
	while ((rc = read_some(&b, "nodes", bytes_of(NULL, 0), BACKUP_ROWS_MAX, &got)) == STATUS_OK)
		;			/* a second goes by */
	assert_int_equal(rc, STATUS_KEY_BACKUP_CLOSED);
}

/* One that was begun for a recovery key which the configuration names no more gets nothing. */
static void
other_recovery_key(void **state)
{
	uint8_t id[16], key[16];
	struct backup_begun b;

	(void)state;
	create(id);
	assert_int_equal(allow(3600, key), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, key, &b), STATUS_OK);
	vault_bed_stop(&bed);
	bed.options.recovery_key[0] ^= 1;
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, key, &b), STATUS_KEY_BACKUP_CLOSED);
	vault_bed_stop(&bed);
	bed.options.recovery_key[0] ^= 1;
	bed.options.has_recovery_key = false;
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, key, &b), STATUS_KEY_BACKUP_CLOSED);
	vault_bed_stop(&bed);
	bed.options.has_recovery_key = true;
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, key, &b), STATUS_OK);
}

/* Not more than so many at once. */
static void
many(void **state)
{
	uint8_t id[16];

	(void)state;
	for (unsigned i = 0; i < KEY_BACKUPS_OPEN_MAX; i++)
		assert_int_equal(allow(0, id), STATUS_OK);
	assert_int_equal(allow(0, id), STATUS_KEY_BACKUPS);
	assert_int_equal(destroy(id), STATUS_OK);
	assert_int_equal(destroy(id), STATUS_OK);	/* again: the same answer */
	assert_int_equal(allow(0, id), STATUS_OK);
	memset(id, 0, sizeof(id));
	assert_int_equal(destroy(id), STATUS_NO_KEY_BACKUP);
}

/* A snapshot stays what it was; pieces of any size give the same rows; a digest is that of a whole range. */
static void
ranges(void **state)
{
	uint8_t id[16], key[STORE_KEY_MAX], digest[SEAL_DIGEST_LEN], *whole;
	struct backup_wanted w;
	struct backup_begun b;
	struct backup_got got;
	size_t len, at = 0, key_len = 0;

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		create(id);
	assert_int_equal(backup_begin(bed.vault, NULL, &b), STATUS_OK);
	assert_int_equal(b.table[0].rows, 50);
	create(id);
	assert_int_equal(read_some(&b, "records", bytes_of(NULL, 0), sizeof(rows), &got), STATUS_OK);
	assert_int_equal(got.next_len, 0);
	len = got.len;
	assert_non_null(whole = malloc(len));
	memcpy(whole, rows, len);
	seal_digest(bytes_of(whole, len), digest);
	do {
		assert_int_equal(read_some(&b, "records", bytes_of(key, key_len), 400, &got), STATUS_OK);
		assert_true(got.len > 0 && got.len <= 400 && at + got.len <= len);
		assert_memory_equal(rows, whole + at, got.len);
		at += got.len;
		memcpy(key, got.next, key_len = got.next_len);
	} while (key_len > 0);
	assert_int_equal(at, len);
	w = (struct backup_wanted){ .session = b.session.b, .table = "records", .digest = digest };
	assert_int_equal(backup_read(bed.vault, &w, NULL, 0, &got), STATUS_OK);
	assert_true(got.same && got.len == 0);
	w.from = bytes_of(whole + BACKUP_ROW_HEAD, RECORD_KEY_LEN);
	assert_int_equal(backup_read(bed.vault, &w, NULL, 0, &got), STATUS_OK);
	assert_true(got.same);			/* the first key: still all of them */
	w.to = w.from;
	assert_int_equal(backup_read(bed.vault, &w, NULL, 0, &got), STATUS_OK);
	assert_false(got.same);
	/* A row that does not fit, a table that it has not. */
	assert_int_equal(read_some(&b, "records", bytes_of(NULL, 0), 20, &got), STATUS_TOO_LARGE);
	assert_int_equal(read_some(&b, "keyrings", bytes_of(NULL, 0), sizeof(rows), &got), STATUS_INVALID);
	assert_int_equal(read_some(&b, "meta", bytes_of(NULL, 0), sizeof(rows), &got), STATUS_INVALID);
	free(whole);
}

/* A range that has grown beyond what any range has is not the same, and is not read to its end. */
static void
grown(void **state)
{
	enum { EACH = 256 << 10, ROWS = (64 << 20) / EACH + 8 };
	struct seal_digest_state d;
	uint8_t key[RECORD_KEY_LEN] = { 0 }, digest[SEAL_DIGEST_LEN], head[BACKUP_ROW_HEAD + RECORD_KEY_LEN];
	uint8_t *value = calloc(1, EACH);
	struct backup_wanted w = { .table = "records", .digest = digest };
	struct backup_begun b;
	struct backup_got got;
	struct bulk *bulk;

	(void)state;
	assert_non_null(value);
	vault_bed_free(&bed);
	vault_bed_make(&bed, 256 << 20, 1 << 20);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(bulk_new(bed.vault->store, &bulk), STATUS_OK);
	seal_digest_begin(&d);
	for (uint32_t i = 0; i < ROWS; i++) {
		const struct backup_row row = { key, value, sizeof(key), EACH, false };

		bytes_put32(key, i);
		assert_int_equal(bulk_put(bulk, STORE_RECORDS, bytes_of(key, sizeof(key)),
		    bytes_of(value, EACH)), STATUS_OK);
		backup_row_put_head(&row, head);
		seal_digest_add(&d, bytes_of(head, sizeof(head)));
		seal_digest_add(&d, bytes_of(value, EACH));
	}
	assert_int_equal(bulk_commit(bulk), STATUS_OK);
	bulk_free(bulk);
	free(value);
	seal_digest_end(&d, digest);
	assert_int_equal(backup_begin(bed.vault, NULL, &b), STATUS_OK);
	w.session = b.session.b;
	assert_int_equal(backup_read(bed.vault, &w, NULL, 0, &got), STATUS_OK);
	assert_false(got.same);
}

/* Of the nodes only tree S leaves: look-ups are in no backup. */
static void
tree_s(void **state)
{
	uint8_t id[16];
	struct backup_begun b;
	struct backup_got got;
	struct backup_row row;
	const uint8_t *at = rows;
	unsigned count = 0;

	(void)state;
	create(id);
	assert_int_equal(allow(0, id), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, id, &b), STATUS_OK);
	assert_int_equal(read_some(&b, "nodes", bytes_of(NULL, 0), sizeof(rows), &got), STATUS_OK);
	for (; backup_row_next(&at, rows + got.len, &row) == BACKUP_ROW; count++)
		assert_int_equal(row.key[0], NODE_S);
	assert_true(count > 0 && got.next_len == 0);
	assert_int_equal(read_some(&b, "buckets", bytes_of(NULL, 0), sizeof(rows), &got), STATUS_INVALID);
	assert_int_equal(read_some(&b, "records", bytes_of(NULL, 0), sizeof(rows), &got), STATUS_INVALID);
}

/* Sessions are few, and end; one that is finished makes room. */
static void
sessions(void **state)
{
	struct backup_begun b[BACKUP_SESSIONS_MAX + 1];
	struct backup_got got;

	(void)state;
	for (unsigned i = 0; i < BACKUP_SESSIONS_MAX; i++)
		assert_int_equal(backup_begin(bed.vault, NULL, &b[i]), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, NULL, &b[BACKUP_SESSIONS_MAX]), STATUS_BUSY);
	assert_int_equal(finish(b[1].session.b), STATUS_OK);
	assert_int_equal(backup_begin(bed.vault, NULL, &b[BACKUP_SESSIONS_MAX]), STATUS_OK);
	assert_int_equal(read_some(&b[1], "records", bytes_of(NULL, 0), sizeof(rows), &got), STATUS_NO_SESSION);
	assert_int_equal(read_some(&b[0], "records", bytes_of(NULL, 0), sizeof(rows), &got), STATUS_OK);
	backup_test_lease(0);
	while (read_some(&b[0], "records", bytes_of(NULL, 0), sizeof(rows), &got) == STATUS_OK)
		;		/* a millisecond goes by */
	backup_sweep(bed.vault);
	backup_test_lease(BACKUP_LEASE_MS);
	for (unsigned i = 0; i < BACKUP_SESSIONS_MAX; i++)
		assert_int_equal(read_some(&b[i], "records", bytes_of(NULL, 0), sizeof(rows), &got),
		    STATUS_NO_SESSION);
	assert_int_equal(finish(b[0].session.b), STATUS_NO_SESSION);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sealed, setup, teardown),
		cmocka_unit_test_setup_teardown(no_recovery_key, setup, teardown),
		cmocka_unit_test_setup_teardown(final, setup, teardown),
		cmocka_unit_test_setup_teardown(completed_once, setup, teardown),
		cmocka_unit_test_setup_teardown(closed_while_read, setup, teardown),
		cmocka_unit_test_setup_teardown(other_recovery_key, setup, teardown),
		cmocka_unit_test_setup_teardown(many, setup, teardown),
		cmocka_unit_test_setup_teardown(ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(grown, setup, teardown),
		cmocka_unit_test_setup_teardown(tree_s, setup, teardown),
		cmocka_unit_test_setup_teardown(sessions, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
