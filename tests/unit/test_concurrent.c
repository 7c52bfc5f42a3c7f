/*
 * Readers beside the writer: whatever switches run, who is there is found whole, and who is erased
 * is gone for good. For ThreadSanitizer as much as for the assertions.
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

#include "scratch.h"
#include "server/clock.h"
#include "server/store/vault_internal.h"
#include "vault_bed.h"

#define READERS 3u
#define STAY 40u		/* people who are there all the time */
#define COME 200u		/* places of people who come and go */
#define SECONDS_NS UINT64_C(3000000000)
#define WRITES 16u		/* in flight */

static struct vault_bed bed;
static uint8_t stay[STAY][16];
static _Atomic bool over;
static _Atomic unsigned reads;

/* The last person who was erased: from then on nobody reads them. */
static struct {
	pthread_mutex_t lock;
	uint8_t id[COME][16];
	unsigned count;
} erased = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	scratch_log_begin();
	for (unsigned i = 0; i < STAY; i++)
		if (vault_bed_create(&bed, i, stay[i]) != STATUS_OK)
			return -1;
	atomic_store(&over, false);
	atomic_store(&reads, 0);
	erased.count = 0;
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

static void
look_at_one_who_stays(unsigned n)
{
	Pdvault__V1__GetIdentityRequest q = PDVAULT__V1__GET_IDENTITY_REQUEST__INIT;
	char want[64];
	uint8_t found[16];
	struct vault_call c;

	q.subject = VAULT_BED_ID(stay[n]);
	must(vault_bed_call(&bed, "Vault.GetIdentity", &q, &c) == STATUS_OK);
	(void)snprintf(want, sizeof(want), "Person Number %u", n);
	must(strcmp(VAULT_BED_ANSWER(GetIdentityResponse, &c)->identity->name->full, want) == 0);
	vault_bed_done(&c);
	must(vault_bed_find_email(&bed, n, found) == STATUS_OK);
	must(memcmp(found, stay[n], 16) == 0);
}

/* All of them share a phone; while others join and leave it, each who stays is always among the found. */
static void
look_at_the_shared_phone(void)
{
	Pdvault__V1__FindSubjectRequest q = PDVAULT__V1__FIND_SUBJECT_REQUEST__INIT;
	const Pdvault__V1__FindSubjectResponse *r;
	struct vault_call c;
	unsigned hits = 0;

	q.lookup_case = PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_PHONE;
	q.phone = VAULT_BED_TEXT("+49 30 888");
	must(vault_bed_call(&bed, "Vault.FindSubject", &q, &c) == STATUS_OK);
	r = VAULT_BED_ANSWER(FindSubjectResponse, &c);
	for (size_t i = 0; i < r->n_subjects; i++)
		for (unsigned n = 0; n < 2; n++)
			hits += memcmp(r->subjects[i].data, stay[n], 16) == 0;
	must(hits == 2);
	vault_bed_done(&c);
}

static void
look_at_one_who_is_gone(unsigned turn)
{
	uint8_t id[16];
	bool some;

	must(pthread_mutex_lock(&erased.lock) == 0);
	if ((some = erased.count > 0))
		memcpy(id, erased.id[turn % erased.count], 16);
	must(pthread_mutex_unlock(&erased.lock) == 0);
	if (some)
		must(vault_bed_get(&bed, id) == STATUS_ERASED);
}

static void *
read_on(void *arg)
{
	unsigned turn = *(const unsigned *)arg;

	while (!atomic_load(&over)) {
		/* The last of those who stay changes its email all the time. */
		look_at_one_who_stays(turn++ % (STAY - 1));
		look_at_the_shared_phone();
		look_at_one_who_is_gone(turn);
		atomic_fetch_add(&reads, 1);
	}
	return NULL;
}

static void
share_phone(void)
{
	Pdvault__V1__UpdateIdentityRequest q = PDVAULT__V1__UPDATE_IDENTITY_REQUEST__INIT;
	Pdvault__V1__Identity identity = PDVAULT__V1__IDENTITY__INIT;
	char *phone = VAULT_BED_TEXT("+49 30 888");

	identity.n_phones = 1;
	identity.phones = &phone;
	q.identity = &identity;
	for (unsigned n = 0; n < 2; n++) {
		q.subject = VAULT_BED_ID(stay[n]);
		assert_int_equal(vault_bed_status(&bed, "Vault.UpdateIdentity", &q), STATUS_OK);
	}
}

/* WRITES people come in one go and leave in another; every third shares the phone. */
static void
come_and_go(unsigned round)
{
	static struct vault_call c[WRITES];
	static uint8_t id[WRITES][16];
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	struct vault_bed_person p;

	for (unsigned i = 0; i < WRITES; i++) {
		vault_bed_person(1000 + round * WRITES + i, &p);
		if (i % 3 == 0)
			p.phone = VAULT_BED_TEXT("+49 30 888");
		vault_bed_submit(&bed, "Vault.CreateSubject", &p.request, &c[i]);
	}
	for (unsigned i = 0; i < WRITES; i++) {
		assert_int_equal(vault_bed_wait(&c[i]), STATUS_OK);
		memcpy(id[i], VAULT_BED_ANSWER(CreateSubjectResponse, &c[i])->subject.data, 16);
		vault_bed_done(&c[i]);
	}
	assert_int_equal(vault_bed_change_email(&bed, 2000 + round % 2, stay[STAY - 1]), STATUS_OK);
	for (unsigned i = 0; i < WRITES; i++) {
		q.subject = VAULT_BED_ID(id[i]);
		vault_bed_submit(&bed, "Rights.EraseSubject", &q, &c[i]);
	}
	for (unsigned i = 0; i < WRITES; i++) {
		assert_int_equal(vault_bed_wait(&c[i]), STATUS_OK);
		vault_bed_done(&c[i]);
		/* K7: it was answered, so from now on it is so for everyone. */
		must(pthread_mutex_lock(&erased.lock) == 0);
		memcpy(erased.id[(round * WRITES + i) % COME], id[i], 16);
		if (erased.count < COME)
			erased.count++;
		must(pthread_mutex_unlock(&erased.lock) == 0);
	}
}

static void
readers_and_batches(void **state)
{
	uint64_t end, epoch = vault_epoch(bed.vault);
	unsigned start[READERS], rounds = 0;
	pthread_t t[READERS];

	(void)state;
	share_phone();
	for (unsigned i = 0; i < READERS; i++) {
		start[i] = i * 13;
		assert_int_equal(pthread_create(&t[i], NULL, read_on, &start[i]), 0);
	}
	end = clock_monotonic_ns() + SECONDS_NS;
	do
		come_and_go(rounds++);
	while (clock_monotonic_ns() < end || atomic_load(&reads) < 50);
	atomic_store(&over, true);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_true(vault_epoch(bed.vault) >= epoch + rounds * 2);
	epoch_check(bed.vault->epochs);
	vault_bed_restart(&bed);
	for (unsigned i = 0; i + 1 < STAY; i++)
		assert_int_equal(vault_bed_get(&bed, stay[i]), STATUS_OK);
}

/* More threads than may read: the last are told so, and nobody is harmed. */
static _Atomic unsigned refused;
static pthread_barrier_t barrier;

static void *
read_once(void *arg)
{
	enum status rc = vault_bed_get(&bed, stay[*(const unsigned *)arg % STAY]);

	must(rc == STATUS_OK || rc == STATUS_NO_MEMORY);
	if (rc != STATUS_OK)
		atomic_fetch_add(&refused, 1);
	(void)pthread_barrier_wait(&barrier);
	return NULL;
}

static void
too_many_readers(void **state)
{
	enum { THREADS = EPOCH_READERS_MAX + 2 };
	static pthread_t t[THREADS];
	static unsigned n[THREADS];

	(void)state;
	atomic_store(&refused, 0);
	assert_int_equal(pthread_barrier_init(&barrier, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		n[i] = i;
		assert_int_equal(pthread_create(&t[i], NULL, read_once, &n[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(atomic_load(&refused), 2);
	assert_int_equal(pthread_barrier_destroy(&barrier), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(readers_and_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_readers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
