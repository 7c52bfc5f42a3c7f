/*
 * Rotations beside readers and writers: no look-up misses, no record and no transaction is lost. For
 * ThreadSanitizer as much as for the assertions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "rotate_bed.h"
#include "scratch.h"
#include "server/clock.h"

#define PEOPLE 40u
#define SHARERS 10u
#define READERS 3u
#define SECONDS_NS UINT64_C(3000000000)
#define PHONE "+49 30 999000"

static struct vault_bed bed;
static uint8_t id[PEOPLE][16];
static _Atomic bool over;
static _Atomic unsigned reads;

/* Person n has billing; the first ten share a phone. */
static enum status
create(unsigned n, uint8_t out[static 16])
{
	Pdvault__V1__Billing billing = PDVAULT__V1__BILLING__INIT;
	char *phone = VAULT_BED_TEXT(PHONE);
	struct vault_bed_person p;
	struct vault_call c;
	enum status rc;

	vault_bed_person(n, &p);
	p.request.billing = &billing;
	if (n < SHARERS)
		p.identity.phones = &phone;
	rc = vault_bed_call(&bed, "Vault.CreateSubject", &p.request, &c);
	if (rc == STATUS_OK)
		memcpy(out, VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
	vault_bed_done(&c);
	return rc;
}

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	scratch_log_begin();
	for (unsigned i = 0; i < PEOPLE; i++)
		if (create(i, id[i]) != STATUS_OK)
			return -1;
	atomic_store(&over, false);
	atomic_store(&reads, 0);
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

static void *
read_on(void *arg)
{
	unsigned turn = *(const unsigned *)arg;
	uint8_t found[16];
	bool among;

	for (; !atomic_load(&over); turn++) {
		unsigned n = turn % PEOPLE;

		must(vault_bed_get(&bed, id[n]) == STATUS_OK);
		must(vault_bed_find_email(&bed, n, found) == STATUS_OK);
		must(memcmp(found, id[n], 16) == 0);
		must(rotate_bed_sharers(&bed, PHONE, id[turn % SHARERS], &among) == SHARERS && among);
		atomic_fetch_add(&reads, 1);
	}
	return NULL;
}

/* Index, subjects and trees in turn, while others read, come and go. */
static void
readers(void **state)
{
	static const enum job_kind kinds[] = { JOB_INDEX, JOB_SUBJECTS, JOB_TREE, JOB_SIGNING };
	struct rotate *r = rotate_bed_runner(&bed, 0);
	uint64_t end = clock_monotonic_ns() + SECONDS_NS;
	unsigned first[READERS], n = 0, rounds = 0;
	pthread_t thread[READERS];
	uint8_t other[16];
	struct job j;

	(void)state;
	for (unsigned i = 0; i < READERS; i++) {
		first[i] = i * PEOPLE / READERS;
		assert_int_equal(pthread_create(&thread[i], NULL, read_on, &first[i]), 0);
	}
	for (; clock_monotonic_ns() < end || rounds < 8; rounds++) {
		assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = kinds[rounds % 4],
		    .rate = rounds % 8 < 4 ? ROTATE_FULL : 400 }, &j), STATUS_OK);
		do {
			assert_int_equal(create(1000 + n, other), STATUS_OK);
			assert_int_equal(vault_bed_find_email(&bed, 1000 + n++, other), STATUS_OK);
			assert_int_equal(vault_bed_erase(&bed, other), STATUS_OK);
			assert_int_equal(job_get(bed.vault, j.id, &j), STATUS_OK);
		} while (job_is_open(&j));
		assert_int_equal(j.damaged, 0);
		assert_int_equal(j.state, JOB_DONE);
	}
	atomic_store(&over, true);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_true(rotate_stop(r, 30000));
	assert_true(atomic_load(&reads) > 50);
}

/* Transactions that the same batch has appended are not missed: the step waits for the next batch. */
static void
same_batch(void **state)
{
	enum { MANY = 100 };
	static struct vault_call c[MANY];
	static Pdvault__V1__AppendTransactionsRequest q[MANY];
	static Pdvault__V1__Transaction transaction[MANY], *list[MANY];
	static const Pdvault__V1__AppendTransactionsRequest empty =
	    PDVAULT__V1__APPEND_TRANSACTIONS_REQUEST__INIT;
	static Pdvault__V1__Timestamp time = PDVAULT__V1__TIMESTAMP__INIT;
	static char name[MANY][16];
	struct rotate *r = rotate_bed_runner(&bed, 0);
	struct job j;

	(void)state;
	time.seconds = 1700000000;
	for (unsigned round = 0; round < 5; round++) {
		assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_SUBJECTS }, &j), STATUS_OK);
		for (unsigned i = 0; i < MANY; i++) {
			(void)snprintf(name[i], sizeof(name[i]), "many-%u-%u", round, i);
			transaction[i] = (Pdvault__V1__Transaction)PDVAULT__V1__TRANSACTION__INIT;
			transaction[i].id = name[i];
			transaction[i].time = &time;
			transaction[i].currency = VAULT_BED_TEXT("EUR");
			list[i] = &transaction[i];
			q[i] = empty;
			q[i].subject = VAULT_BED_ID(id[1 + i % 4]);
			q[i].transactions = &list[i];
			q[i].n_transactions = 1;
			vault_bed_submit(&bed, "Vault.AppendTransactions", &q[i], &c[i]);
		}
		for (unsigned i = 0; i < MANY; i++) {
			assert_int_equal(vault_bed_wait(&c[i]), STATUS_OK);
			vault_bed_done(&c[i]);
		}
		rotate_bed_wait(&bed, &j);
		rotate_bed_assert_done(&bed, &j);
	}
	assert_true(rotate_stop(r, 30000));
	for (unsigned n = 1; n < 5; n++) {
		Pdvault__V1__ListTransactionsRequest l = PDVAULT__V1__LIST_TRANSACTIONS_REQUEST__INIT;
		struct vault_call v;

		l.subject = VAULT_BED_ID(id[n]);
		l.page_size = 200;
		assert_int_equal(vault_bed_call(&bed, "Vault.ListTransactions", &l, &v), STATUS_OK);
		assert_int_equal(VAULT_BED_ANSWER(ListTransactionsResponse, &v)->n_transactions,
		    5 * MANY / 4);
		vault_bed_done(&v);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(readers), TEST(same_batch) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
