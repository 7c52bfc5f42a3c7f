/*
 * Rotations of the trees' keys and of the signing key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>

#include "raw_store.h"
#include "rotate_bed.h"
#include "scratch.h"
#include "server/store/ledger.h"
#include "server/store/signer.h"
#include "server/store/vault_internal.h"

#define PEOPLE 70u		/* three pages of tree S, and buckets below the top of tree B */

static struct vault_bed bed;
static uint8_t id[PEOPLE][16];
static struct rotate_bed_keys before, after;

static int
setup_empty(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	scratch_log_begin();
	return 0;
}

static int
setup(void **state)
{
	(void)setup_empty(state);
	for (unsigned i = 0; i < PEOPLE; i++)
		if (vault_bed_create(&bed, i, id[i]) != STATUS_OK)
			return -1;
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

/* Every page, bucket and keyring is sealed anew; who works meanwhile hinders nothing. */
static void
tree(void **state)
{
	uint8_t more[16];
	struct job j;
	unsigned turn = 0;

	(void)state;
	rotate_bed_look(&bed, &before);
	assert_true(before.least_epoch < before.root.epoch);
	assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_TREE }, &j), STATUS_OK);
	assert_int_equal(j.total, before.rows);
	assert_int_equal(j.floor_epoch, before.root.epoch + 1);
	while (job_is_open(&j)) {
		assert_int_equal(rotate_bed_step(&bed, &j, 3), STATUS_OK);
		if (turn < 20)
			assert_int_equal(vault_bed_create(&bed, 3000 + turn, more), STATUS_OK);
		turn++;
	}
	rotate_bed_assert_done(&bed, &j);
	rotate_bed_look(&bed, &after);
	assert_true(after.least_epoch >= j.floor_epoch);
	assert_true(j.done >= before.rows);
	assert_int_equal(j.damaged, 0);
	for (unsigned i = 0; i < PEOPLE; i++) {
		assert_int_equal(vault_bed_get(&bed, id[i]), STATUS_OK);
		assert_true(seal_key_equal(&rotate_bed_keyring(&before, id[i])->category[0].key,
		    &rotate_bed_keyring(&after, id[i])->category[0].key));
	}
}

/* A row that is none, whose key is longer than any of a tree: the job ends there, and nothing else. */
static void
a_long_key(void **state)
{
	static const char *const tables[] = { "keyrings", "buckets", "nodes" };
	uint8_t key[500];
	struct raw_store raw;
	struct job j;

	(void)state;
	memset(key, 1, sizeof(key));
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		vault_bed_stop(&bed);
		raw_store_open(&raw, bed.store);
		raw_store_put(&raw, tables[i], bytes_of(key, sizeof(key)), bytes_of(key, 100));
		raw_store_close(&raw);
		assert_int_equal(vault_bed_start(&bed), STATUS_OK);
		rotate_bed_run(&bed, &(struct job){ .kind = JOB_TREE }, 9, &j);
		assert_int_equal(j.state, JOB_FAILED);
		assert_string_equal(j.failure, status_reason(STATUS_CORRUPT));
		assert_int_equal(vault_bed_get(&bed, id[0]), STATUS_OK);
		vault_bed_stop(&bed);
		raw_store_open(&raw, bed.store);
		raw_store_delete(&raw, tables[i], bytes_of(key, sizeof(key)));
		raw_store_close(&raw);
		assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	}
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_TREE }, 9, &j);
	rotate_bed_assert_done(&bed, &j);
}

/* About how many units a job has: all people, or the one that it names; a key or a seal is one. */
static void
totals(void **state)
{
	static const struct { struct job ask; uint64_t total; } rows[] = {
		{ { .kind = JOB_SUBJECTS }, PEOPLE }, { { .kind = JOB_SUBJECTS, .subject = { 1 } }, 1 },
		{ { .kind = JOB_INDEX }, PEOPLE }, { { .kind = JOB_SIGNING }, 1 },
		{ { .kind = JOB_SEAL }, 1 } };
	struct job j;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(rotate_bed_ask(&bed, &rows[i].ask, &j), STATUS_OK);
		assert_int_equal(j.total, rows[i].total);
	}
}

/* T4: the next process goes on at the cursor; nothing is gone through, or counted, twice. */
static void
resumed(void **state)
{
	struct rotate *r;
	struct job j;

	(void)state;
	rotate_bed_look(&bed, &before);
	assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_TREE }, &j), STATUS_OK);
	while (j.done < before.rows / 2)
		assert_int_equal(rotate_bed_step(&bed, &j, 3), STATUS_OK);
	assert_int_equal(j.state, JOB_RUNNING);
	vault_bed_restart(&bed);
	r = rotate_bed_runner(&bed, 0);
	rotate_bed_wait(&bed, &j);
	assert_true(rotate_stop(r, 30000));
	rotate_bed_assert_done(&bed, &j);
	assert_int_equal(j.done, before.rows);
}

/* One that is paused stays so, whoever comes; the end of it comes when it is wanted. */
static void
paused(void **state)
{
	const struct timespec pause = { .tv_nsec = 300000000 };
	struct rotate *r;
	struct job j;
	uint64_t done;

	(void)state;
	rotate_bed_look(&bed, &before);
	assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_TREE }, &j), STATUS_OK);
	assert_int_equal(rotate_bed_step(&bed, &j, 3), STATUS_OK);
	done = j.done;
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_PAUSE, &j), STATUS_OK);
	vault_bed_restart(&bed);
	r = rotate_bed_runner(&bed, 0);
	(void)nanosleep(&pause, NULL);
	assert_int_equal(job_get(bed.vault, j.id, &j), STATUS_OK);
	assert_true(j.state == JOB_PAUSED && j.done == done);
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_RESUME, &j), STATUS_OK);
	rotate_bed_wait(&bed, &j);
	assert_true(rotate_stop(r, 30000));
	rotate_bed_assert_done(&bed, &j);
	assert_int_equal(j.done, before.rows);
}

/* An empty vault has nothing that could be old. */
static void
nobody(void **state)
{
	static const enum job_kind kinds[] = { JOB_SUBJECTS, JOB_INDEX, JOB_TREE, JOB_SIGNING };
	struct job j;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		rotate_bed_run(&bed, &(struct job){ .kind = kinds[i] }, 4, &j);
		rotate_bed_assert_done(&bed, &j);
		assert_int_equal(j.damaged, 0);
	}
}

/* The key before signs which is the next; the statement is the new one's. */
static void
signing(void **state)
{
	uint8_t old[SEAL_PUBLIC_LEN], named[SEAL_PUBLIC_LEN], key[SIGNER_KEY_LEN];
	struct store_snapshot *s = NULL;
	struct ledger_head head;
	struct ledger_entry e;
	struct ledger_proof p;
	struct bytes row;
	struct job j;

	(void)state;
	for (uint64_t n = 2; n < 5; n++) {
		memcpy(old, bed.vault->public_key, sizeof(old));
		rotate_bed_run(&bed, &(struct job){ .kind = JOB_SIGNING }, 1, &j);
		rotate_bed_assert_done(&bed, &j);
		assert_int_equal(j.signer, n);
		rotate_bed_look(&bed, &after);
		assert_true(after.root.signing_ms >= j.floor_ms);
		assert_int_equal(after.root.signer, n);
		assert_memory_not_equal(old, bed.vault->public_key, sizeof(old));
		assert_int_equal(store_snapshot_new(bed.vault->store, &s), STATUS_OK);
		assert_int_equal(store_snapshot_begin(s), STATUS_OK);
		assert_int_equal(ledger_head(s, &head), STATUS_OK);
		assert_int_equal(head.count, 2 * (n - 1));
		assert_int_equal(ledger_get(s, head.count - 1, p.entry), STATUS_OK);
		assert_int_equal(ledger_decode(bytes_of(p.entry, sizeof(p.entry)), &e), STATUS_OK);
		assert_int_equal(e.kind, LEDGER_SIGNER);
		signer_named(&e, named);
		assert_memory_equal(named, bed.vault->public_key, sizeof(named));
		bytes_put64(key, head.count - 1);
		assert_int_equal(store_get(s, STORE_SIGNERS, bytes_of(key, sizeof(key)), &row), STATUS_OK);
		assert_int_equal(row.len, sizeof(p.signature));
		memcpy(p.signature, row.p, sizeof(p.signature));
		store_snapshot_end(s);
		store_snapshot_free(s);
		s = NULL;
		assert_int_equal(ledger_verify(bed.vault->id, old, &p), STATUS_OK);
		assert_int_equal(ledger_verify(bed.vault->id, named, &p), STATUS_FORGED);
		vault_bed_restart(&bed);
		assert_memory_equal(named, bed.vault->public_key, sizeof(named));
	}
}

int
main(void)
{
#define TEST(f, setup) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(tree, setup), TEST(a_long_key, setup), TEST(totals, setup),
		TEST(resumed, setup), TEST(paused, setup), TEST(signing, setup_empty),
		TEST(nobody, setup_empty) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
