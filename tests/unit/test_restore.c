/* Restores, room by room: trees that are planted and walked, look-ups, key backups; and a whole one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "backup_bed.h"
#include "scratch.h"
#include "server/keys/secret.h"
#include "server/restore/entries.h"
#include "server/restore/keyrings.h"
#include "server/restore/known.h"
#include "server/restore/look.h"
#include "server/restore/plant.h"
#include "server/restore/records.h"
#include "server/restore/restore.h"
#include "server/store/erasure.h"
#include "server/store/lookup.h"
#include "server/store/path.h"
#include "server/store/record.h"
#include "server/store/subject.h"
#include "server/store/vault_internal.h"
#include "vault_bed.h"

static struct vault_bed bed;
static char folder[256];

static int
setup(void **state)
{
	(void)state;
	vault_bed_make(&bed, 64 << 20, 1 << 20);
	return vault_bed_start(&bed) != STATUS_OK;
}

static int
teardown(void **state)
{
	(void)state;
	vault_bed_free(&bed);
	return 0;
}

/* A store of its own in the bed's folder, with nothing in it. */
static void
store_new(struct vault *v, struct bulk **b)
{
	const struct store_options o = { folder, 64 << 20, 1 << 20, true, false, false };

	(void)snprintf(folder, sizeof(folder), "%.200s/planted", bed.dir);
	memset(v, 0, sizeof(*v));
	assert_int_equal(store_open(&o, &v->store), STATUS_OK);
	assert_int_equal(bulk_new(v->store, b), STATUS_OK);
}

static void
make_keyring(uint64_t slot, struct keyring *k)
{
	uint8_t id[SUBJECT_ID_LEN];

	randombytes_buf(id, sizeof(id));
	subject_new_keyring(k, id, slot);
	subject_use_category(k, SUBJECT_IDENTITY);
}

/* R3: every keyring is found again under the new root, whatever slots are empty, and nothing else is. */
static void
trees(void **state)
{
	static const uint64_t slots[] = { 0, 1, 31, 32, 33, 1023, 1024, 1025, 32767, 32768, 40000,
		1048575, 1048576 + 7, UINT64_C(1) << 31 };
	enum { COUNT = sizeof(slots) / sizeof(slots[0]) };
	struct keyring *all = secret_alloc(COUNT * sizeof(*all));
	uint8_t *out = secret_alloc(KEYRING_PADDED);
	struct root *root = secret_alloc(sizeof(*root));
	struct keyrings *walk;
	struct plant *p;
	struct input *in;
	struct bulk *b;
	struct vault v;

	(void)state;
	store_new(&v, &b);
	for (size_t most = 0; most <= COUNT; most += most < 3 ? 1 : COUNT - 3) {
		root_new(root);
		assert_int_equal(plant_new(b, root, v.id, &p), STATUS_OK);
		for (size_t i = 0; i < most; i++) {
			make_keyring(slots[i], &all[i]);
			assert_int_equal(plant_keyring(p, &all[i]), STATUS_OK);
		}
		assert_int_equal(plant_end(p), STATUS_OK);
		assert_int_equal(seal_key_is_zero(&root->s_top), most == 0);
		plant_free(p);
		assert_int_equal(bulk_commit(b), STATUS_OK);
		assert_int_equal(input_vault(&v, &in), STATUS_OK);
		assert_int_equal(keyrings_new(in, root, v.id, &walk), STATUS_OK);
		for (size_t i = 0; i < most; i++) {
			assert_int_equal(keyrings_next(walk, out), STATUS_OK);
			assert_memory_equal(out, &all[i], sizeof(all[i]));
		}
		assert_int_equal(keyrings_next(walk, out), STATUS_ABSENT);
		assert_int_equal(keyrings_damaged(walk), 0);
		keyrings_free(walk);
		input_free(in);
	}
	bulk_free(b);
	store_close(v.store);
	secret_free(all, COUNT * sizeof(*all));
	secret_free(out, KEYRING_PADDED);
	secret_free(root, sizeof(*root));
}

/* A row that does not open is passed over and counted; its neighbours are there. */
static void
damage(void **state)
{
	struct root *root = secret_alloc(sizeof(*root));
	uint8_t *out = secret_alloc(KEYRING_PADDED), key[8], junk[249] = { 1 };
	struct keyring *k = secret_alloc(sizeof(*k));
	struct keyrings *walk;
	struct plant *p;
	struct input *in;
	struct bulk *b;
	struct vault v;

	(void)state;
	store_new(&v, &b);
	root_new(root);
	assert_int_equal(plant_new(b, root, v.id, &p), STATUS_OK);
	for (uint64_t slot = 0; slot < 100; slot++) {
		make_keyring(slot, k);
		assert_int_equal(plant_keyring(p, k), STATUS_OK);
	}
	assert_int_equal(plant_end(p), STATUS_OK);
	bytes_put64(key, 40);
	assert_int_equal(
	    bulk_put(b, STORE_KEYRINGS, bytes_of(key, 8), bytes_of(junk, sizeof(junk))), STATUS_OK);
	bytes_put64(key, 500);		/* nobody's: no page leads there */
	assert_int_equal(
	    bulk_put(b, STORE_KEYRINGS, bytes_of(key, 8), bytes_of(junk, sizeof(junk))), STATUS_OK);
	assert_int_equal(bulk_commit(b), STATUS_OK);
	assert_int_equal(input_vault(&v, &in), STATUS_OK);
	assert_int_equal(keyrings_new(in, root, v.id, &walk), STATUS_OK);
	for (unsigned i = 0; i < 99; i++)
		assert_int_equal(keyrings_next(walk, out), STATUS_OK);
	assert_int_equal(keyrings_next(walk, out), STATUS_ABSENT);
	assert_int_equal(keyrings_damaged(walk), 2);
	keyrings_free(walk);
	input_free(in);
	plant_free(p);
	bulk_free(b);
	store_close(v.store);
	secret_free(root, sizeof(*root));
	secret_free(out, KEYRING_PADDED);
	secret_free(k, sizeof(*k));
}

static void
add_identity(struct entries *e, const uint8_t *id, const char *email, const char *phone)
{
	Pdvault__V1__Identity m = PDVAULT__V1__IDENTITY__INIT;
	char *emails[1] = { VAULT_BED_TEXT(email) }, *phones[1] = { VAULT_BED_TEXT(phone) };
	uint8_t packed[512];
	size_t len;

	m.emails = emails;
	m.n_emails = email != NULL;
	m.phones = phones;
	m.n_phones = phone != NULL;
	len = pdvault__v1__identity__pack(&m, packed);
	assert_int_equal(entries_add(e, id, bytes_of(packed, len)), STATUS_OK);
}

/* R4: one entry for an email, who has it first; shared phones get numbers without a gap, up to the most. */
static void
lookups(void **state)
{
	struct root *root = secret_alloc(sizeof(*root));
	struct bucket_entry *all;
	struct entries *e;
	struct lookup l;
	uint8_t id[SUBJECT_ID_LEN] = { 0 }, tag[SEAL_TAG16_LEN];
	size_t count;

	(void)state;
	root_new(root);
	assert_int_equal(entries_new(root, 0, &e), STATUS_OK);
	for (unsigned i = 0; i < 2000; i++) {
		char email[32];

		(void)snprintf(email, sizeof(email), "e%u@restore.example", i % 1990);
		bytes_put16(id, (uint16_t)i);
		add_identity(e, id, email, i < LOOKUP_SHARED_MAX + 3 ? "+46 8 5550 100" : NULL);
	}
	all = entries_all(e, &count);
	assert_int_equal(count, 1990 + LOOKUP_SHARED_MAX);
	assert_int_equal(entries_taken(e), 10 + 3);
	assert_int_equal(lookup_normalise(LOOKUP_PHONE, bytes_of("+46 8 5550 100", 14), 0, &l), STATUS_OK);
	for (unsigned n = 0; n < LOOKUP_SHARED_MAX; n++) {
		bool found = false;

		lookup_tag(&root->index, &l, n, tag);
		for (size_t i = 0; i < count && !found; i++)
			found = memcmp(all[i].tag, tag, sizeof(tag)) == 0 && bytes_get16(all[i].subject) == n;
		assert_true(found);
	}
	assert_int_equal(entries_add(e, id, bytes_of("\xff", 1)), STATUS_CORRUPT);
	entries_free(e);
	secret_free(root, sizeof(*root));
}

static void
put_key_backup(struct bulk *b, const struct key_backup *k)
{
	uint8_t row[KEY_BACKUP_ROW_MAX];

	assert_int_equal(bulk_put(b, STORE_BACKUPS, bytes_of(k->id, KEY_BACKUP_ID_LEN),
	    bytes_of(row, key_backup_encode(k, row))), STATUS_OK);
	assert_int_equal(bulk_commit(b), STATUS_OK);
}

static void
get_key_backup(struct stream *s, struct key_backup *out)
{
	struct bytes key, row;

	assert_int_equal(stream_row(s, &key, &row), STATUS_OK);
	assert_int_equal(key_backup_decode(key, row, out), STATUS_OK);
	stream_step(s);
}

/*
 * What several say of one key backup is put together. A row, which anybody may have written, neither makes one
 * that the ledger knows end earlier nor hides whom it has; one that only rows know is believed to live.
 */
static void
key_backups(void **state)
{
	struct key_backup a = { .id = { 1 }, .created_ms = 10, .expires_ms = 50, .epoch = 3,
		.slots = KEY_BACKUP_ALL_SLOTS, .recovery_key = { 9 } }, got;
	struct key_backup read = { .id = { 1 }, .created_ms = 20, .expires_ms = INT64_MAX, .epoch = UINT64_MAX,
		.slots = 77 };
	struct key_backup gone = { .id = { 1 }, .created_ms = 30, .expires_ms = INT64_MAX, .epoch = UINT64_MAX,
		.slots = KEY_BACKUP_ALL_SLOTS, .destroyed_ms = 40 };
	struct key_backup other = a, row = { .id = { 1 }, .created_ms = 1, .expires_ms = 2, .epoch = 999,
		.slots = 1, .recovery_key = { 8 }, .destroyed_ms = 3 };
	struct known k = { NULL, 0, 0 };
	struct input *in;
	struct stream *s;
	struct bytes key, value;
	struct bulk *b;
	struct vault v;

	(void)state;
	other.id[0] = 2;
	(void)snprintf(row.destroyed_by, sizeof(row.destroyed_by), "operator");
	store_new(&v, &b);
	put_key_backup(b, &row);
	row.id[0] = 2;
	put_key_backup(b, &row);
	row.id[0] = 3;
	put_key_backup(b, &row);
	assert_int_equal(input_vault(&v, &in), STATUS_OK);
	assert_int_equal(known_rows(&k, in), STATUS_OK);
	input_free(in);
	row.expires_ms = 9;
	row.slots = 5;
	put_key_backup(b, &row);
	assert_int_equal(input_vault(&v, &in), STATUS_OK);
	assert_int_equal(known_rows(&k, in), STATUS_OK);
	input_free(in);
	assert_int_equal(known_add(&k, &gone), STATUS_OK);
	assert_int_equal(known_add(&k, &other), STATUS_OK);
	assert_int_equal(known_add(&k, &a), STATUS_OK);
	assert_int_equal(known_add(&k, &read), STATUS_OK);
	assert_int_equal(known_write(&k, 7, b), STATUS_OK);
	assert_int_equal(bulk_commit(b), STATUS_OK);
	assert_int_equal(input_vault(&v, &in), STATUS_OK);
	assert_int_equal(stream_new(in, STORE_BACKUPS, &s), STATUS_OK);
	get_key_backup(s, &got);
	assert_true(got.created_ms == 10 && got.expires_ms == 50 && got.epoch == 3 && got.slots == 77 &&
	    got.destroyed_ms == 40 && got.recovery_key[0] == 9);
	assert_string_equal(got.destroyed_by, "operator");
	get_key_backup(s, &got);
	assert_true(got.id[0] == 2 && got.destroyed_ms == 0 && got.slots == KEY_BACKUP_ALL_SLOTS &&
	    got.expires_ms == 50 && got.created_ms == 10 && got.epoch == 3);
	assert_string_equal(got.destroyed_by, "");
	get_key_backup(s, &got);
	assert_true(got.id[0] == 3 && got.destroyed_ms == 0 && got.slots == 5 && got.expires_ms == 9 &&
	    got.epoch == 7 && got.recovery_key[0] == 8);
	assert_int_equal(stream_row(s, &key, &value), STATUS_ABSENT);
	stream_free(s);
	input_free(in);
	known_free(&k);
	bulk_free(b);
	store_close(v.store);
}

/* What no vault gives away is damage, and does not become the next slot or number. */
static void
believed(void **state)
{
	static const uint64_t told[] = { 7, UINT64_C(1) << 50, UINT64_C(1) << 60, UINT64_MAX };
	struct records_options o = { .inputs = 1 };
	struct records *r = NULL;
	struct vault v;
	uint8_t key[RECORD_TRANSACTION_KEY_LEN] = { [8] = 1 }, box[200] = { 0 };
	struct input *in;
	struct bulk *b;

	(void)state;
	store_new(&v, &b);
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		bytes_put64(key, told[i]);
		bytes_put64(key + 9, 3);
		assert_int_equal(bulk_put(b, STORE_TRANSACTIONS, bytes_of(key, sizeof(key)),
		    bytes_of(box, sizeof(box))), STATUS_OK);
		bytes_put64(key, 2);
		bytes_put64(key + 9, told[i]);
		assert_int_equal(bulk_put(b, STORE_TRANSACTIONS, bytes_of(key, sizeof(key)),
		    bytes_of(box, sizeof(box))), STATUS_OK);
	}
	assert_int_equal(bulk_commit(b), STATUS_OK);
	assert_int_equal(input_vault(&v, &in), STATUS_OK);
	o.input[0] = in;
	o.vault = v.id;
	assert_int_equal(records_new(&o, &r), STATUS_OK);
	assert_int_equal(records_end(r), STATUS_OK);
	assert_int_equal(records_tally(r)->slots, (UINT64_C(1) << 50) + 1);
	assert_int_equal(records_tally(r)->next_transaction, (UINT64_C(1) << 50) + 1);
	records_free(r);
	input_free(in);
	bulk_free(b);
	store_close(v.store);
}

/* What a drill judges by: each number of a restore is that of the rows, and each of its people is whole. */
static void
looked_at(const struct restore_report *r)
{
	struct drill_report d = { .restored = *r };
	uint64_t *const numbers[] = { &d.restored.subjects, &d.restored.ledger_entries,
		&d.restored.rows.records, &d.restored.rows.lost, &d.restored.rows.transactions };
	struct bytes key, row;
	struct stream *s;
	struct input *in;
	struct bulk *b;

	assert_int_equal(look_at(bed.vault, NULL, &d), STATUS_OK);
	assert_true(d.sampled == r->subjects && d.erased_sampled == 1 && d.found >= r->subjects);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		++*numbers[i];
		assert_int_equal(look_at(bed.vault, NULL, &d), STATUS_CORRUPT);
		--*numbers[i];
	}
	/* A tombstone whose erasure is another's. */
	assert_int_equal(input_vault(bed.vault, &in), STATUS_OK);
	assert_int_equal(stream_new(in, STORE_ERASURES, &s), STATUS_OK);
	assert_int_equal(stream_row(s, &key, &row), STATUS_OK);
	assert_int_equal(bulk_new(bed.vault->store, &b), STATUS_OK);
	for (int right = 0; right < 2; right++) {
		uint8_t copy[ERASURE_ROW_LEN];

		assert_int_equal(row.len, sizeof(copy));
		memcpy(copy, row.p, sizeof(copy));
		copy[0] ^= (uint8_t)!right;
		assert_int_equal(bulk_put(b, STORE_ERASURES, key, bytes_of(copy, sizeof(copy))), STATUS_OK);
		assert_int_equal(bulk_commit(b), STATUS_OK);
		assert_int_equal(look_at(bed.vault, NULL, &d), right ? STATUS_OK : STATUS_CORRUPT);
	}
	bulk_free(b);
	stream_free(s);
	input_free(in);
}

/* R1 to R5 with the keys of the vault itself; then the old store does not open any more (K5). */
static void
living(void **state)
{
	struct restore_options o = { .vault = &bed.options, .living = folder };
	struct restore_report r, again;
	uint8_t ids[80][16], found[16];

	(void)state;
	for (unsigned n = 0; n < 80; n++)
		assert_int_equal(vault_bed_create(&bed, n, ids[n]), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, ids[5]), STATUS_OK);
	vault_bed_stop(&bed);
	(void)snprintf(folder, sizeof(folder), "%.200s/old", bed.dir);
	assert_int_equal(rename(bed.store, folder), 0);
	o.data = (struct restore_paths){ { folder }, 1 };
	assert_int_equal(restore_run(&o, &r), STATUS_OK);
	assert_int_equal(r.subjects, 79);
	assert_int_equal(r.rows.records, 79);
	assert_int_equal(r.rows.lost + r.rows.damaged + r.rows.keyless + r.damaged_keyrings, 0);
	/* Not into a place that is not empty. */
	assert_int_equal(restore_run(&o, &again), STATUS_REFUSED);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	looked_at(&r);
	for (unsigned n = 0; n < 80; n++) {
		assert_int_equal(vault_bed_get(&bed, ids[n]), n == 5 ? STATUS_ERASED : STATUS_OK);
		assert_int_equal(vault_bed_find_email(&bed, n, found), n == 5 ? STATUS_NO_SUBJECT : STATUS_OK);
		if (n != 5)
			assert_memory_equal(found, ids[n], 16);
	}
	assert_int_equal(vault_bed_create(&bed, 200, found), STATUS_OK);
	assert_true(vault_incarnation(bed.vault) > 1);
	vault_bed_stop(&bed);
	bed.options.store_path = folder;
	assert_int_equal(vault_open(&bed.options, &bed.vault), STATUS_REFUSED);
	bed.options.store_path = bed.store;
}

/* R1: a backup of data that is the vault's in all but who has signed it. */
static void
signed_by_a_stranger(void **state)
{
	static const struct backup_bed_vault nothing;
	static struct backup_bed_plan plan;
	struct restore_options o = { .vault = &bed.options, .living = folder };
	struct restore_report r;
	uint8_t vault[VAULT_ID_LEN], head[LEDGER_HEAD_LEN];
	char data[256], *text;
	enum status rc;

	(void)state;
	memcpy(vault, vault_id(bed.vault), sizeof(vault));
	ledger_first_head(vault, head);
	vault_bed_stop(&bed);
	(void)snprintf(folder, sizeof(folder), "%.200s/old", bed.dir);
	assert_int_equal(rename(bed.store, folder), 0);
	(void)snprintf(data, sizeof(data), "%.200s/data", bed.dir);
	backup_bed_plan(&plan, data, &nothing);
	plan.head.vault = VAULT_BED_ID(vault);
	plan.head.store_format = VAULT_FORMAT;
	plan.head.ledger_head = (ProtobufCBinaryData){ SEAL_DIGEST_LEN, head + 8 };
	backup_bed_write(&plan, 1);
	backup_bed_free(&plan);
	o.data = (struct restore_paths){ { data }, 1 };
	scratch_log_begin();
	rc = restore_run(&o, &r);
	text = scratch_log_end(NULL);
	assert_int_equal(rc, STATUS_REFUSED);
	assert_non_null(strstr(text, "is signed with a key that is not the vault's"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(trees, setup, teardown),
		cmocka_unit_test_setup_teardown(damage, setup, teardown),
		cmocka_unit_test_setup_teardown(lookups, setup, teardown),
		cmocka_unit_test_setup_teardown(key_backups, setup, teardown),
		cmocka_unit_test_setup_teardown(believed, setup, teardown),
		cmocka_unit_test_setup_teardown(living, setup, teardown),
		cmocka_unit_test_setup_teardown(signed_by_a_stranger, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
