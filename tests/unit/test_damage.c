/*
 * The store changed behind the vault's back while it was stopped: rows damaged, taken away, swapped
 * between subjects, put back from an older copy. Who is hit gets an error, the others go on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "raw_store.h"
#include "scratch.h"
#include "server/keys/node.h"
#include "server/metrics.h"
#include "server/store/record.h"
#include "vault_bed.h"

#define PEOPLE 70u		/* three pages of tree S, and buckets below the top of tree B */

static struct vault_bed bed;
static uint8_t id[PEOPLE][16];

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	for (unsigned i = 0; i < PEOPLE; i++)
		if (vault_bed_create(&bed, i, id[i]) != STATUS_OK)
			return -1;
	vault_bed_stop(&bed);
	scratch_log_begin();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(scratch_log_end(NULL));
	vault_bed_free(&bed);
	return 0;
}

/* People are made in the order of slots. */
static struct bytes
slot_key(unsigned slot)
{
	static uint8_t key[2][8];
	static unsigned turn;
	uint8_t *k = key[turn++ % 2];

	bytes_put64(k, slot);
	return bytes_of(k, 8);
}

static struct bytes
record_row(unsigned slot)
{
	static uint8_t key[2][RECORD_KEY_LEN];
	static unsigned turn;
	uint8_t *k = key[turn++ % 2];

	record_key(slot, 1, 0, k);
	return bytes_of(k, RECORD_KEY_LEN);
}

static struct bytes
subject_row(unsigned n)
{
	return bytes_of(id[n], 16);
}

static struct bytes
node_row(uint8_t tree, uint8_t level, uint64_t index)
{
	static uint8_t key[NODE_KEY_LEN];

	node_key((struct node){ tree, level, index }, key);
	return bytes_of(key, sizeof(key));
}

static bool
is_damage(enum status rc)
{
	return rc == STATUS_FORGED || rc == STATUS_CORRUPT;
}

/* The people from first to last are damaged, all others read and can be found. */
static void
assert_damaged(unsigned first, unsigned last)
{
	uint64_t counted = metrics_get(METRIC_INTEGRITY_ERRORS);
	uint8_t found[16];

	for (unsigned i = 0; i < PEOPLE; i++) {
		enum status rc = vault_bed_get(&bed, id[i]);

		if (i >= first && i <= last) {
			assert_true(is_damage(rc));
			continue;
		}
		assert_int_equal(rc, STATUS_OK);
		assert_int_equal(vault_bed_find_email(&bed, i, found), STATUS_OK);
		assert_memory_equal(found, id[i], 16);
	}
	assert_true(metrics_get(METRIC_INTEGRITY_ERRORS) > counted || first > last);
	/* Life goes on. */
	assert_int_equal(vault_bed_create(&bed, 500, found), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, found), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, found), STATUS_OK);
}

/* One bit of a row's value, or all of it. */
static void
flip(const char *table, struct bytes key, size_t at)
{
	struct raw_store r;
	struct raw_row row;

	raw_store_open(&r, bed.store);
	assert_true(raw_store_get(&r, table, key, &row));
	row.value[at % row.value_len] ^= 0x10;
	raw_store_write(&r, table, &row);
	raw_store_close(&r);
}

static void
take_away(const char *table, struct bytes key)
{
	struct raw_store r;

	raw_store_open(&r, bed.store);
	raw_store_delete(&r, table, key);
	raw_store_close(&r);
}

static void
swap(const char *table, struct bytes a, struct bytes b)
{
	struct raw_store r;
	struct raw_row x, y;

	raw_store_open(&r, bed.store);
	assert_true(raw_store_get(&r, table, a, &x) && raw_store_get(&r, table, b, &y));
	raw_store_put(&r, table, a, bytes_of(y.value, y.value_len));
	raw_store_put(&r, table, b, bytes_of(x.value, x.value_len));
	raw_store_close(&r);
}

static void
start(void)
{
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

/* Erased although it does not open: it stays so, its place is empty, its email is free again. */
static void
assert_erasable(unsigned n)
{
	uint8_t found[16];

	assert_int_equal(vault_bed_erase(&bed, id[n]), STATUS_OK);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(vault_bed_get(&bed, id[n]), STATUS_ERASED);
		assert_int_equal(vault_bed_find_email(&bed, n, found), STATUS_NO_SUBJECT);
		assert_int_equal(vault_bed_erase(&bed, id[n]), STATUS_OK);
		vault_bed_restart(&bed);
	}
	assert_int_equal(vault_bed_create(&bed, n, id[n]), STATUS_OK);
	assert_int_equal(vault_bed_find_email(&bed, n, found), STATUS_OK);
	assert_memory_equal(found, id[n], 16);
}

/* A bit of the box, its first byte, and the row taken away. */
static void
keyring_damaged(void **state)
{
	struct raw_store r;
	struct raw_row row;

	(void)state;
	flip("keyrings", slot_key(5), 100);
	flip("keyrings", slot_key(6), 0);
	take_away("keyrings", slot_key(7));
	start();
	assert_damaged(5, 7);
	for (unsigned i = 5; i <= 7; i++) {
		assert_int_equal(vault_bed_change_email(&bed, i, id[i]),
		    i == 7 ? STATUS_CORRUPT : STATUS_FORGED);
		assert_erasable(i);
	}
	vault_bed_stop(&bed);
	raw_store_open(&r, bed.store);
	for (unsigned i = 5; i <= 7; i++) {
		assert_false(raw_store_get(&r, "keyrings", slot_key(i), &row));
		assert_false(raw_store_get(&r, "records", record_row(i), &row));
	}
	raw_store_close(&r);
}

static void
record_damaged(void **state)
{
	(void)state;
	flip("records", record_row(5), 99);
	take_away("records", record_row(6));
	start();
	assert_damaged(5, 6);
	assert_true(is_damage(vault_bed_change_email(&bed, 5, id[5])));
	assert_true(is_damage(vault_bed_change_email(&bed, 6, id[6])));
	assert_erasable(5);
	assert_erasable(6);
}

/* A subject whose row is not there is not there; who looks for its email is told of the damage. */
static void
subject_row_damaged(void **state)
{
	uint8_t found[16];

	(void)state;
	flip("subjects", subject_row(5), 0);
	flip("subjects", subject_row(6), 8);
	take_away("subjects", subject_row(7));
	start();
	assert_true(is_damage(vault_bed_get(&bed, id[5])));
	assert_true(is_damage(vault_bed_get(&bed, id[6])));
	assert_int_equal(vault_bed_get(&bed, id[7]), STATUS_NO_SUBJECT);
	for (unsigned i = 5; i <= 7; i++)
		assert_true(is_damage(vault_bed_find_email(&bed, i, found)));
	/* Their emails stay taken: the key of each is still alive. */
	assert_int_equal(vault_bed_create(&bed, 7, found), STATUS_LOOKUP_TAKEN);
	for (unsigned i = 0; i < PEOPLE; i++)
		if (i < 5 || i > 7)
			assert_int_equal(vault_bed_get(&bed, id[i]), STATUS_OK);
}

/* Swapped rows are found, and an erasure through them hits nobody else. */
static void
swapped_rows(void **state)
{
	(void)state;
	swap("records", record_row(1), record_row(2));
	swap("keyrings", slot_key(3), slot_key(4));
	swap("subjects", subject_row(5), subject_row(6));
	start();
	assert_damaged(1, 6);
	/* The place that 5's row names is 6's, whose keyring opens. */
	assert_int_equal(vault_bed_erase(&bed, id[5]), STATUS_FORGED);
	vault_bed_stop(&bed);
	swap("subjects", subject_row(5), subject_row(6));
	start();
	assert_int_equal(vault_bed_get(&bed, id[5]), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, id[6]), STATUS_OK);
	assert_damaged(1, 4);
	for (unsigned i = 1; i <= 4; i++)
		assert_erasable(i);
}

/* A page of keys: those below it are lost, and nobody else; erasing them says so. */
static void
page_of_tree_s_damaged(void **state)
{
	(void)state;
	flip("nodes", node_row(NODE_S, 1, 1), 500);
	start();
	assert_damaged(32, 63);
	assert_true(is_damage(vault_bed_erase(&bed, id[40])));
	assert_true(is_damage(vault_bed_change_email(&bed, 40, id[40])));
	assert_int_equal(vault_bed_erase(&bed, id[31]), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, id[64]), STATUS_OK);
}

/* The page where the next subject would go: creation goes round it. */
static void
last_page_of_tree_s_damaged(void **state)
{
	uint8_t found[16];

	(void)state;
	take_away("nodes", node_row(NODE_S, 1, 2));
	start();
	assert_damaged(64, PEOPLE - 1);
	vault_bed_restart(&bed);
	assert_int_equal(vault_bed_create(&bed, 501, found), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, found), STATUS_OK);
}

/* All that are there are lost, and yet new ones can come: the tree grows a level over the damage. */
static void
top_of_tree_s_damaged(void **state)
{
	uint8_t found[16];

	(void)state;
	flip("nodes", node_row(NODE_S, 2, 0), 7);
	start();
	for (unsigned i = 0; i < PEOPLE; i++)
		assert_true(is_damage(vault_bed_get(&bed, id[i])));
	assert_true(is_damage(vault_bed_erase(&bed, id[0])));
	assert_int_equal(vault_bed_create(&bed, 500, found), STATUS_OK);
	vault_bed_restart(&bed);
	assert_int_equal(vault_bed_get(&bed, found), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, found), STATUS_OK);
	assert_true(is_damage(vault_bed_get(&bed, id[0])));
}

/* A bucket: those in it are not found, but read; none can be taken for free; they can be erased. */
static void
bucket_damaged(void **state)
{
	unsigned lost = 0, kept = 0;
	struct raw_store r;
	struct raw_row row;
	uint8_t found[16];

	(void)state;
	raw_store_open(&r, bed.store);
	assert_true(raw_store_count(&r, "buckets") > 20);
	for (unsigned n = 0; n < 3; n++) {
		raw_store_nth(&r, "buckets", n * 3, &row);
		row.value[100] ^= 1;
		raw_store_write(&r, "buckets", &row);
		raw_store_nth(&r, "buckets", n * 3 + 1, &row);
		raw_store_delete(&r, "buckets", bytes_of(row.key, row.key_len));
	}
	raw_store_close(&r);
	start();
	for (unsigned i = 0; i < PEOPLE; i++) {
		enum status rc = vault_bed_find_email(&bed, i, found);

		assert_int_equal(vault_bed_get(&bed, id[i]), STATUS_OK);
		assert_true(rc == STATUS_OK || is_damage(rc));
		lost += rc != STATUS_OK;
		kept += rc == STATUS_OK;
		if (rc != STATUS_OK) {
			assert_true(is_damage(vault_bed_create(&bed, i, found)));
			assert_true(is_damage(vault_bed_change_email(&bed, i, id[i])));
		}
		assert_int_equal(vault_bed_erase(&bed, id[i]), STATUS_OK);
		assert_int_equal(vault_bed_get(&bed, id[i]), STATUS_ERASED);
	}
	assert_true(lost > 0 && kept > PEOPLE / 3);
}

/* A bucket where there is none, and one above a page of tree B: neither hides anything quietly. */
static void
bucket_in_the_way(void **state)
{
	struct raw_store r;
	struct raw_row row;
	uint8_t found[16], key[9] = { NODE_B_TOP };

	(void)state;
	raw_store_open(&r, bed.store);
	raw_store_nth(&r, "buckets", 0, &row);
	raw_store_put(&r, "buckets", bytes_of(key, sizeof(key)), bytes_of(row.value, row.value_len));
	raw_store_close(&r);
	start();
	for (unsigned i = 0; i < PEOPLE; i++) {
		assert_true(is_damage(vault_bed_find_email(&bed, i, found)));
		assert_int_equal(vault_bed_get(&bed, id[i]), STATUS_OK);
	}
}

/* Every kind of row put back as it was before: only an older record of the same key is taken. */
static void
rows_put_back(void **state)
{
	static const char *const tables[] = { "nodes", "buckets", "keyrings" };
	struct vault_bed_copy good;
	struct raw_store r;
	struct raw_row old[3], record;
	uint8_t found[16];

	(void)state;
	raw_store_open(&r, bed.store);
	assert_true(raw_store_get(&r, "nodes", node_row(NODE_S, 1, 0), &old[0]));
	raw_store_nth(&r, "buckets", 0, &old[1]);
	assert_true(raw_store_get(&r, "keyrings", slot_key(9), &old[2]));
	assert_true(raw_store_get(&r, "records", record_row(3), &record));
	raw_store_close(&r);
	start();
	/* All of tree S's first page and every bucket are written anew. */
	assert_int_equal(vault_bed_erase(&bed, id[9]), STATUS_OK);
	for (unsigned i = 0; i < 60; i++)
		if (i != 9)
			assert_int_equal(vault_bed_change_email(&bed, i, id[i]), STATUS_OK);
	vault_bed_stop(&bed);
	vault_bed_keep(&bed, &good);
	for (unsigned t = 0; t < 3; t++) {
		unsigned damaged = 0;

		raw_store_open(&r, bed.store);
		raw_store_write(&r, tables[t], &old[t]);
		raw_store_close(&r);
		start();
		/* In every case the erased one stays erased. */
		assert_int_equal(vault_bed_get(&bed, id[9]), STATUS_ERASED);
		for (unsigned i = 0; i < PEOPLE; i++) {
			damaged += i != 9 && is_damage(vault_bed_get(&bed, id[i]));
			damaged += i > 60 && is_damage(vault_bed_find_email(&bed, i, found));
		}
		assert_true(t == 0 ? damaged == 31 : t == 2 ? damaged == 0 : true);
		vault_bed_stop(&bed);
		vault_bed_put_back(&bed, &good, VAULT_BED_STORE);
	}
	raw_store_open(&r, bed.store);
	raw_store_write(&r, "records", &record);
	raw_store_close(&r);
	start();
	/* Replay of a record of the same subject under the same key: docs/THREATS.md says so. */
	assert_int_equal(vault_bed_get(&bed, id[3]), STATUS_OK);
	vault_bed_forget(&good);
}

/* The tombstone made live again by the row it had before: the place is empty, so nothing opens. */
static void
erased_row_put_back(void **state)
{
	struct raw_store r;
	struct raw_row row, keyring;

	(void)state;
	raw_store_open(&r, bed.store);
	assert_true(raw_store_get(&r, "subjects", subject_row(3), &row));
	assert_true(raw_store_get(&r, "keyrings", slot_key(3), &keyring));
	raw_store_close(&r);
	start();
	assert_int_equal(vault_bed_erase(&bed, id[3]), STATUS_OK);
	vault_bed_stop(&bed);
	raw_store_open(&r, bed.store);
	raw_store_write(&r, "subjects", &row);
	raw_store_write(&r, "keyrings", &keyring);
	raw_store_close(&r);
	start();
	assert_true(is_damage(vault_bed_get(&bed, id[3])));
	assert_damaged(3, 3);
	assert_erasable(3);
}

/* Of those who share a phone one is damaged: the others are found. */
static void
one_of_a_shared_phone(void **state)
{
	Pdvault__V1__FindSubjectRequest q = PDVAULT__V1__FIND_SUBJECT_REQUEST__INIT;
	struct vault_bed_person p;
	struct vault_call c;
	uint8_t who[3][16];

	(void)state;
	start();
	for (unsigned i = 0; i < 3; i++) {
		vault_bed_person(1000 + i, &p);
		p.phone = VAULT_BED_TEXT("+49 30 777");
		assert_int_equal(vault_bed_call(&bed, "Vault.CreateSubject", &p.request, &c), STATUS_OK);
		memcpy(who[i], VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
		vault_bed_done(&c);
	}
	vault_bed_stop(&bed);
	flip("keyrings", slot_key(PEOPLE), 60);
	take_away("subjects", bytes_of(who[1], 16));
	start();
	q.lookup_case = PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_PHONE;
	q.phone = VAULT_BED_TEXT("+49 30 777");
	assert_int_equal(vault_bed_call(&bed, "Vault.FindSubject", &q, &c), STATUS_OK);
	assert_int_equal(VAULT_BED_ANSWER(FindSubjectResponse, &c)->n_subjects, 1);
	assert_memory_equal(VAULT_BED_ANSWER(FindSubjectResponse, &c)->subjects[0].data, who[2], 16);
	vault_bed_done(&c);
	assert_int_equal(vault_bed_erase(&bed, who[2]), STATUS_OK);
	assert_true(is_damage(vault_bed_status(&bed, "Vault.FindSubject", &q)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keyring_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(record_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(subject_row_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(swapped_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(page_of_tree_s_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(last_page_of_tree_s_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(top_of_tree_s_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(bucket_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(bucket_in_the_way, setup, teardown),
		cmocka_unit_test_setup_teardown(rows_put_back, setup, teardown),
		cmocka_unit_test_setup_teardown(erased_row_put_back, setup, teardown),
		cmocka_unit_test_setup_teardown(one_of_a_shared_phone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
