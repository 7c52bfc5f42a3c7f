/*
 * Jobs as such: their rows, what is signed, what may be asked for and how many, and that they wait, go on and
 * end as is wanted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>

#include "allocation.h"
#include "fault.h"
#include "rotate_bed.h"
#include "scratch.h"
#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/rotate/rotate_internal.h"
#include "server/store/vault_internal.h"
#include "server/store/writeset_internal.h"

#define PEOPLE 20u

static struct vault_bed bed;
static uint8_t id[PEOPLE][16];
static struct rotate_bed_keys before, after;

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	scratch_log_begin();
	for (unsigned i = 0; i < PEOPLE; i++)
		if (vault_bed_create(&bed, i, id[i]) != STATUS_OK)
			return -1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fault_none();
	free(scratch_log_end(NULL));
	vault_bed_free(&bed);
	return 0;
}

static const struct job whole = { .id = { 1, 2, 3 },
	.kind = JOB_SUBJECTS,
	.state = JOB_DONE,
	.step = 3,
	.category = 4,
	.rate = 0x01020304,
	.older_s = 0x05060708,
	.retire = true,
	.floor_ms = 0x1112131415161718,
	.floor_epoch = 0x2122232425262728,
	.created_ms = 0x3132333435363738,
	.started_ms = 0x4142434445464748,
	.updated_ms = 0x5152535455565758,
	.ended_ms = 0x6162636465666768,
	.done = 0x7172737475767778,
	.total = 0x8182838485868788,
	.damaged = 0x9192939495969798,
	.micros = 0xa1a2a3a4a5a6a7a8,
	.subject = { 0xb1, 0xb2 },
	.cursor = { 0xc1, 0xc2, 0xc3 },
	.cursor_len = 3,
	.failure = "SEAL_UNAVAILABLE",
	.seal = "a-seal",
	.principal = "somebody",
	.signer = 0xd1d2d3d4d5d6d7d8,
	.signature = { 0xe1, 0xe2 } };

static void
rows(void **state)
{
	static const struct job empty = { .kind = JOB_SEAL, .state = JOB_WAITING };
	uint8_t row[JOB_ROW_LEN], other[JOB_ROW_LEN];
	struct job j;

	(void)state;
	job_encode(&whole, row);
	assert_int_equal(job_decode(whole.id, bytes_of(row, sizeof(row)), &j), STATUS_OK);
	assert_memory_equal(&j, &whole, sizeof(j));
	job_encode(&empty, other);
	assert_int_equal(job_decode(empty.id, bytes_of(other, sizeof(other)), &j), STATUS_OK);
	assert_memory_equal(&j, &empty, sizeof(j));
	assert_int_equal(job_decode(whole.id, bytes_of(row, sizeof(row) - 1), &j), STATUS_CORRUPT);
	/* Whatever a byte becomes: it is another job, or none. */
	for (size_t at = 0; at < sizeof(row); at++)
		for (unsigned byte = 0; byte < 256; byte++) {
			memcpy(other, row, sizeof(row));
			other[at] = (uint8_t)byte;
			if (byte == row[at] ||
			    job_decode(whole.id, bytes_of(other, sizeof(other)), &j) != STATUS_OK)
				continue;
			if (memcmp(&j, &whole, sizeof(j)) == 0)
				fail_msg("byte %zu is not looked at", at);
			assert_true(j.kind >= JOB_SEAL && j.kind < JOB_KINDS && j.state >= JOB_WAITING &&
			    j.state < JOB_STATES && j.cursor_len <= JOB_CURSOR_MAX &&
			    j.category <= CATEGORY_COUNT && strlen(j.seal) <= PROVIDER_NAME_MAX);
		}
}

/* A statement is about the vault, the job and each field of it; another key has not signed it. */
static void
statements(void **state)
{
	uint8_t said[JOB_STATEMENT_LEN], other[JOB_STATEMENT_LEN], row[JOB_ROW_LEN], key[SEAL_PUBLIC_LEN];
	struct job j, changed;

	(void)state;
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_TREE, .principal = "somebody" }, 50, &j);
	rotate_bed_assert_done(&bed, &j);
	job_statement(&j, bed.vault->id, said);
	assert_memory_equal(said, JOB_LABEL, strlen(JOB_LABEL));
	memcpy(key, bed.vault->public_key, sizeof(key));
	for (size_t at = 0; at < sizeof(said); at++) {
		memcpy(other, said, sizeof(said));
		other[at] ^= 1;
		assert_int_equal(seal_verify(key, bytes_of(other, sizeof(other)), j.signature), STATUS_FORGED);
	}
	key[3] ^= 1;
	assert_int_equal(seal_verify(key, bytes_of(said, sizeof(said)), j.signature), STATUS_FORGED);
	/* No byte of the row is left out, up to the signature. */
	job_encode(&j, row);
	for (size_t at = 0; at < JOB_SAID_LEN; at++) {
		row[at] ^= 1;
		if (job_decode(j.id, bytes_of(row, sizeof(row)), &changed) == STATUS_OK) {
			job_statement(&changed, bed.vault->id, other);
			assert_memory_not_equal(said, other, sizeof(said));
		}
		row[at] ^= 1;
	}
}

static void
what_may_be_asked(void **state)
{
	static const struct job bad[] = { { .kind = 0 }, { .kind = JOB_KINDS },
		{ .kind = JOB_SUBJECTS, .category = 9 }, { .kind = JOB_TREE, .category = 1 },
		{ .kind = JOB_INDEX, .older_s = 1 },
		{ .kind = JOB_SIGNING, .subject = { 1 } }, { .kind = JOB_TREE, .retire = true },
		{ .kind = JOB_SUBJECTS, .seal = "file" }, { .kind = JOB_SUBJECTS, .retire = true },
		{ .kind = JOB_SUBJECTS, .retire = true, .category = 3 },
		{ .kind = JOB_SUBJECTS, .retire = true, .category = 6 },
		{ .kind = JOB_SUBJECTS, .retire = true, .category = 4, .older_s = 1 },
		{ .kind = JOB_SEAL_ADD }, { .kind = JOB_SEAL_REMOVE }, { .kind = JOB_SEAL, .category = 1 } };
	static const struct job good[] = { { .kind = JOB_SUBJECTS, .category = 8 },
		{ .kind = JOB_SUBJECTS, .retire = true, .category = 5 }, { .kind = JOB_SEAL, .seal = "file" } };
	struct job j;
	int64_t now = clock_wall_ms();

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(rotate_bed_ask(&bed, &bad[i], &j), STATUS_INVALID);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(rotate_bed_ask(&bed, &good[i], &j), STATUS_OK);
	assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_SUBJECTS, .older_s = UINT32_MAX }, &j),
	    STATUS_OK);
	assert_in_range(now - (int64_t)UINT32_MAX * 1000 + 5000 - j.floor_ms, 0, 5000);
}

/* So many are open at most, and so many that have ended are kept; of each kind the newest that is done. */
static void
how_many(void **state)
{
	static struct job all[JOB_ROWS_MAX + 8];
	static const enum job_kind kinds[] = { JOB_TREE, JOB_SIGNING };
	struct job first[2], j, open[JOB_OPEN_MAX];
	unsigned count = 0, found = 0;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		rotate_bed_run(&bed, &(struct job){ .kind = kinds[i] }, 256, &first[i]);
	/* Of one subject, which is no rotation of all. */
	for (unsigned i = 0; i < JOB_KEPT + 20; i++) {
		j = (struct job){ .kind = JOB_SUBJECTS };
		memcpy(j.subject, id[i % PEOPLE], 16);
		rotate_bed_run(&bed, &j, 1, &j);
	}
	for (unsigned i = 0; i < JOB_OPEN_MAX; i++) {
		assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_INDEX }, &open[i]), STATUS_OK);
		assert_true(i == 0 || memcmp(open[i - 1].id, open[i].id, JOB_ID_LEN) < 0);
	}
	assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_INDEX }, &j), STATUS_BUSY);
	assert_int_equal(job_list(bed.vault, NULL, all, JOB_ROWS_MAX + 8, &count), STATUS_OK);
	assert_in_range(count, JOB_ROWS_MAX - 1, JOB_ROWS_MAX);
	for (unsigned i = 0; i < count; i++) {
		assert_true(i == 0 || memcmp(all[i].id, all[i - 1].id, JOB_ID_LEN) < 0);
		found += memcmp(all[i].id, first[0].id, JOB_ID_LEN) == 0;
		found += memcmp(all[i].id, first[1].id, JOB_ID_LEN) == 0;
	}
	assert_int_equal(found, 2);
	/* By pages. */
	{
		struct job page[7];
		uint8_t from[JOB_ID_LEN];
		unsigned seen = 0, n = 0;

		do {
			assert_int_equal(job_list(bed.vault, seen > 0 ? from : NULL, page, 7, &n), STATUS_OK);
			for (unsigned i = 0; i < n; i++)
				assert_memory_equal(page[i].id, all[seen + i].id, JOB_ID_LEN);
			seen += n;
			memcpy(from, all[seen - 1].id, sizeof(from));
		} while (n > 0);
		assert_int_equal(seen, count);
	}
	/* One goes, and there is room for another. */
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_CANCEL, &open[4]), STATUS_OK);
	assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_INDEX }, &j), STATUS_OK);
	/* The newest that is done of a kind takes the place of the one before. */
	for (unsigned i = 5; i < JOB_OPEN_MAX; i++)
		assert_int_equal(rotate_bed_wish(&bed, ROTATE_CANCEL, &open[i]), STATUS_OK);
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_TREE }, 256, &j);
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_TREE }, 256, &j);
	assert_int_equal(job_get(bed.vault, first[0].id, &j), STATUS_ABSENT);
	assert_int_equal(job_get(bed.vault, first[1].id, &j), STATUS_OK);
}

static void
pause_ms(unsigned ms)
{
	const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	(void)nanosleep(&t, NULL);
}

static unsigned
running(void)
{
	static struct job all[JOB_ROWS_MAX];
	unsigned count = 0, n = 0;

	assert_int_equal(job_list(bed.vault, NULL, all, JOB_ROWS_MAX, &count), STATUS_OK);
	while (count-- > 0)
		n += all[count].state == JOB_RUNNING;
	return n;
}

/* Two jobs, slowly: one waits for the other, is paused, goes on and is given up, through restarts. */
static void
wishes(void **state)
{
	struct rotate *r = rotate_bed_runner(&bed, 20);
	struct job a, b, gone = { .id = { 1 } };
	uint64_t done;

	(void)state;
	assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_SUBJECTS }, &a), STATUS_OK);
	assert_int_equal(a.rate, 20);
	assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_SUBJECTS }, &b), STATUS_OK);
	pause_ms(300);
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_PAUSE, &a), STATUS_OK);
	assert_int_equal(a.state, JOB_PAUSED);
	assert_in_range(a.done, 1, PEOPLE - 1);
	done = a.done;
	/* The other one's turn. */
	pause_ms(400);
	assert_int_equal(job_get(bed.vault, a.id, &a), STATUS_OK);
	assert_int_equal(a.done, done);
	assert_int_equal(job_get(bed.vault, b.id, &b), STATUS_OK);
	assert_int_equal(b.state, JOB_RUNNING);
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_RESUME, &a), STATUS_OK);
	assert_int_equal(a.state, JOB_WAITING);
	assert_int_equal(running(), 1);
	/* The process ends and comes back. */
	assert_true(rotate_stop(r, 30000));
	vault_bed_restart(&bed);
	r = rotate_bed_runner(&bed, 20);
	pause_ms(300);
	assert_int_equal(running(), 1);
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_CANCEL, &b), STATUS_OK);
	assert_int_equal(b.state, JOB_CANCELLED);
	rotate_bed_wait(&bed, &a);
	rotate_bed_assert_done(&bed, &a);
	/* Whom the other one has seen to are new enough. */
	assert_in_range(a.done, done + 1, PEOPLE);
	rotate_bed_look(&bed, &after);
	for (unsigned i = 0; i < PEOPLE; i++)
		assert_true(bytes_get16(after.keyring[i].category[0].version) >= 2);
	assert_int_equal(job_get(bed.vault, b.id, &b), STATUS_OK);
	assert_int_equal(b.state, JOB_CANCELLED);
	assert_int_equal(b.signer, 0);
	assert_true(rotate_stop(r, 30000));
	for (int w = ROTATE_PAUSE; w <= ROTATE_CANCEL; w++) {
		assert_int_equal(rotate_bed_wish(&bed, (enum rotate_wish)w, &a), STATUS_REFUSED);
		assert_int_equal(rotate_bed_wish(&bed, (enum rotate_wish)w, &gone), STATUS_ABSENT);
	}
}

/* The rate is kept: not faster, and not much slower. */
static void
rate(void **state)
{
	struct rotate *r = rotate_bed_runner(&bed, 0);
	struct job j;
	int64_t took;

	(void)state;
	j = (struct job){ .kind = JOB_SUBJECTS, .rate = 25 };
	assert_int_equal(rotate_bed_ask(&bed, &j, &j), STATUS_OK);
	rotate_bed_wait(&bed, &j);
	assert_true(rotate_stop(r, 30000));
	took = j.ended_ms - j.started_ms;
	assert_in_range(took, PEOPLE * 1000 / 25 - 100, 30000);
}

/* While nothing can be written a job waits where it is, and then goes on. */
static void
read_only(void **state)
{
	static const enum vault_trouble troubles[] = { VAULT_MEDIUM, VAULT_CLASS_D };
	struct rotate *r;
	struct job j;

	(void)state;
	for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
		rotate_bed_look(&bed, &before);
		assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_SUBJECTS }, &j), STATUS_OK);
		vault_trouble(bed.vault, troubles[i], true);
		r = rotate_bed_runner(&bed, 0);
		pause_ms(300);
		assert_int_equal(job_get(bed.vault, j.id, &j), STATUS_OK);
		assert_int_equal(j.state, JOB_WAITING);
		vault_trouble(bed.vault, troubles[i], false);
		rotate_bed_wait(&bed, &j);
		rotate_bed_assert_done(&bed, &j);
		assert_int_equal(j.done, PEOPLE);
		assert_true(rotate_stop(r, 30000));
	}
	/* No file can be made longer for a while. */
	assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_TREE, .rate = 50 }, &j), STATUS_OK);
	r = rotate_bed_runner(&bed, 0);
	pause_ms(100);
	vault_trouble(bed.vault, VAULT_FULL, true);
	fault_allocation(ENOSPC);
	pause_ms(300);
	assert_int_equal(job_get(bed.vault, j.id, &j), STATUS_OK);
	assert_true(job_is_open(&j));
	fault_allocation(0);
	rotate_bed_wait(&bed, &j);
	rotate_bed_assert_done(&bed, &j);
	assert_true(rotate_stop(r, 30000));
	rotate_bed_look(&bed, &after);
	assert_true(after.least_epoch >= j.floor_epoch);
}

static enum status
watch(struct writeset *ws, void *arg)
{
	(void)ws;
	allocation_watch();
	allocation_fail(*(unsigned *)arg);
	return STATUS_ETAG;
}

static enum status
seen(struct writeset *ws, void *arg)
{
	(void)ws;
	*(unsigned *)arg = allocation_seen();
	allocation_fail(0);
	return STATUS_ETAG;
}

/* The n-th allocation of the writer fails, for many n of a step: as if it had not been; the job goes on. */
static void
no_memory(void **state)
{
	static const enum job_kind kinds[] = { JOB_SUBJECTS, JOB_INDEX, JOB_TREE, JOB_SIGNING };
	unsigned failed = 0, tried = 0;
	uint8_t found[16];

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		bool through = false;

		for (unsigned n = 1, used = 0; !through && n < 2000; n += 1 + n / 12) {
			const struct job ask = { .kind = kinds[k] };
			struct job j;

			assert_int_equal(rotate_bed_ask(&bed, &ask, &j), STATUS_OK);
			assert_int_equal(rotate_bed_do(&bed, watch, &n), STATUS_ETAG);
			tried++;
			failed += rotate_bed_step(&bed, &j, 5) != STATUS_OK;
			assert_int_equal(rotate_bed_do(&bed, seen, &used), STATUS_ETAG);
			through = used < n;
			while (job_is_open(&j))
				assert_int_equal(rotate_bed_step(&bed, &j, 5), STATUS_OK);
			rotate_bed_assert_done(&bed, &j);
			assert_int_equal(j.damaged, 0);
		}
		for (unsigned i = 0; i < PEOPLE; i++) {
			assert_int_equal(vault_bed_get(&bed, id[i]), STATUS_OK);
			assert_int_equal(vault_bed_find_email(&bed, i, found), STATUS_OK);
			assert_memory_equal(found, id[i], 16);
		}
	}
	print_message("%u of %u steps failed\n", failed, tried);
	assert_true(tried > 40 && failed > 15);
	vault_bed_restart(&bed);
	rotate_bed_look(&bed, &after);
	assert_int_equal(after.entries, 3 * PEOPLE);
	assert_int_equal(after.before, 0);
}

static enum status
save_row(struct writeset *ws, void *j) { return job_save(ws, j); }

/* A change of seals that was made cannot be taken back: its old key is to die yet. */
static void
too_late_to_cancel(void **state)
{
	struct job j;

	(void)state;
	assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_SEAL }, &j), STATUS_OK);
	j.state = JOB_RUNNING;
	j.step = JOB_STEP_SWITCHED;
	assert_int_equal(rotate_bed_do(&bed, save_row, &j), STATUS_OK);
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_CANCEL, &j), STATUS_REFUSED);
	assert_int_equal(job_get(bed.vault, j.id, &j), STATUS_OK);
	assert_true(job_is_open(&j));
}

static void
make_later(struct keyring *k, void *arg)
{
	(void)arg;
	bytes_put32(k->category[SUBJECT_IDENTITY - 1].made, (uint32_t)(clock_wall_ms() / 1000) + 86400);
}

/* The clock was a day ahead when it was made: how old it is nobody knows. */
static void
made_in_the_future(void **state)
{
	struct job j;

	(void)state;
	rotate_bed_edit(&bed, id[6], make_later, NULL);
	rotate_bed_look(&bed, &before);
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_SUBJECTS }, 9, &j);
	rotate_bed_look(&bed, &after);
	rotate_bed_assert_done(&bed, &j);
	assert_false(seal_key_equal(&rotate_bed_keyring(&before, id[6])->category[0].key,
	    &rotate_bed_keyring(&after, id[6])->category[0].key));
}

static enum status
ask_later(struct writeset *ws, void *arg)
{
	struct job *j = arg;
	enum status rc = rotate_ask(ws, &(struct job){ .kind = JOB_INDEX }, j);

	j->floor_ms += 3600000;
	return rc == STATUS_OK ? job_save(ws, j) : rc;
}

/* The clock was an hour ahead when it was asked for: it comes to an end, and says no more than is true. */
static void
asked_in_the_future(void **state)
{
	unsigned steps = 0;
	struct job j;

	(void)state;
	rotate_bed_look(&bed, &before);
	assert_int_equal(rotate_bed_do(&bed, ask_later, &j), STATUS_OK);
	for (; job_is_open(&j) && steps < 200; steps++)
		assert_int_equal(rotate_bed_step(&bed, &j, 20), STATUS_OK);
	rotate_bed_look(&bed, &after);
	rotate_bed_assert_done(&bed, &j);
	assert_int_equal(after.before, 0);
	assert_false(seal_key_equal(&after.root.index, &before.root.index));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { cmocka_unit_test(rows), TEST(statements), TEST(what_may_be_asked),
		TEST(how_many), TEST(wishes), TEST(rate), TEST(read_only), TEST(no_memory),
		TEST(made_in_the_future), TEST(too_late_to_cancel),
		TEST(asked_in_the_future) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
