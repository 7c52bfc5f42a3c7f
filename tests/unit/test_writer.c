/* The queue, the batches, and what becomes of callers when K3 or K5 fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>

#include "fault.h"
#include "scratch.h"
#include "server/clock.h"
#include "server/keys/anchor_internal.h"
#include "server/store/vault_internal.h"
#include "server/store/writeset.h"
#include "vault_bed.h"

static struct vault_bed bed;

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	scratch_log_begin();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fault_none();
	anchor_test_fault(ANCHOR_TEST_PWRITE, 0, 0);
	free(scratch_log_end(NULL));
	vault_bed_free(&bed);
	return 0;
}

/* A job that puts one row, or waits, or fails; it knows how often it was applied and answered. */
struct probe {
	struct write_job job;
	sem_t *wait, *begun;
	enum status fails;
	unsigned applied;
	uint32_t number;
	_Atomic unsigned answered;
	enum status rc;
};

static enum status
probe_apply(struct write_job *job, struct writeset *ws)
{
	struct probe *p = (struct probe *)(void *)job;
	uint8_t key[5] = "p";
	enum status rc;

	p->applied++;
	if (p->begun != NULL)
		must(sem_post(p->begun) == 0);
	if (p->wait != NULL)
		must(sem_wait(p->wait) == 0);
	bytes_put32(key + 1, p->number);
	rc = writeset_put(ws, STORE_META, bytes_of(key, sizeof(key)), bytes_of("x", 1));
	return rc == STATUS_OK ? p->fails : rc;
}

static void
probe_done(struct write_job *job, enum status rc, uint64_t epoch)
{
	struct probe *p = (struct probe *)(void *)job;

	(void)epoch;
	p->rc = rc;
	p->answered++;
}

static void
probe_make(struct probe *p, uint32_t number)
{
	memset(p, 0, sizeof(*p));
	p->number = number;
	p->job.apply = probe_apply;
	p->job.done = probe_done;
	p->job.deadline_ns = clock_monotonic_ns() + UINT64_C(60000000000);
}

static void
probe_wait(struct probe *p)
{
	while (p->answered == 0)
		(void)sched_yield();
}

static bool
probe_stored(uint32_t number)
{
	struct store_snapshot *s;
	uint8_t key[5] = "p";
	struct bytes v;
	enum status rc;

	bytes_put32(key + 1, number);
	assert_int_equal(store_snapshot_new(bed.vault->store, &s), STATUS_OK);
	assert_int_equal(store_snapshot_begin(s), STATUS_OK);
	rc = store_get(s, STORE_META, bytes_of(key, sizeof(key)), &v);
	store_snapshot_end(s);
	store_snapshot_free(s);
	return rc == STATUS_OK;
}

/* The writer is in a job of ours until the gate is posted. */
struct gate {
	struct probe probe;
	sem_t wait, begun;
};

static void
gate_close(struct gate *g)
{
	probe_make(&g->probe, 9999);
	assert_int_equal(sem_init(&g->wait, 0, 0), 0);
	assert_int_equal(sem_init(&g->begun, 0, 0), 0);
	g->probe.wait = &g->wait;
	g->probe.begun = &g->begun;
	assert_int_equal(writer_submit(bed.writer, &g->probe.job), STATUS_OK);
	assert_int_equal(sem_wait(&g->begun), 0);
}

static void
gate_open(struct gate *g)
{
	assert_int_equal(sem_post(&g->wait), 0);
}

static void
deadline_in_the_queue(void **state)
{
	struct probe late, good;
	struct gate g;

	(void)state;
	probe_make(&late, 1);
	probe_make(&good, 2);
	gate_close(&g);
	late.job.deadline_ns = clock_monotonic_ns() + 1000;
	assert_int_equal(writer_submit(bed.writer, &late.job), STATUS_OK);
	assert_int_equal(writer_submit(bed.writer, &good.job), STATUS_OK);
	while (clock_monotonic_ns() <= late.job.deadline_ns)
		;
	gate_open(&g);
	probe_wait(&late);
	probe_wait(&good);
	assert_int_equal(late.rc, STATUS_EXPIRED);
	assert_int_equal(late.applied, 0);
	assert_false(probe_stored(1));
	assert_int_equal(good.rc, STATUS_OK);
	assert_true(probe_stored(2));
}

/* WRITER_QUEUE_MAX wait, one more is refused at once; none is lost. */
static void
queue_full(void **state)
{
	static struct probe p[WRITER_QUEUE_MAX + 1];
	struct gate g;

	(void)state;
	gate_close(&g);
	for (uint32_t i = 0; i <= WRITER_QUEUE_MAX; i++) {
		probe_make(&p[i], i);
		assert_int_equal(writer_submit(bed.writer, &p[i].job),
		    i < WRITER_QUEUE_MAX ? STATUS_OK : STATUS_BUSY);
	}
	gate_open(&g);
	for (uint32_t i = 0; i < WRITER_QUEUE_MAX; i++) {
		probe_wait(&p[i]);
		assert_int_equal(p[i].rc, STATUS_OK);
	}
	assert_int_equal(p[WRITER_QUEUE_MAX].answered, 0);
	assert_int_equal(writer_submit(bed.writer, &p[WRITER_QUEUE_MAX].job), STATUS_OK);
	probe_wait(&p[WRITER_QUEUE_MAX]);
	for (uint32_t i = 0; i <= WRITER_QUEUE_MAX; i += 100)
		assert_true(probe_stored(i));
}

static void *
stop(void *arg)
{
	writer_stop(arg);
	return NULL;
}

/* What came in before the stop is done; what comes after is refused. */
static void
drained(void **state)
{
	static struct probe p[WRITER_QUEUE_MAX];
	const struct timespec pause = { .tv_nsec = 1000000 };
	enum status rc = STATUS_OK;
	uint32_t taken = 0;
	struct gate g;
	pthread_t t;

	(void)state;
	gate_close(&g);
	assert_int_equal(pthread_create(&t, NULL, stop, bed.writer), 0);
	while (rc == STATUS_OK && taken < WRITER_QUEUE_MAX) {
		probe_make(&p[taken], taken);
		rc = writer_submit(bed.writer, &p[taken].job);
		taken += rc == STATUS_OK;
		(void)nanosleep(&pause, NULL);
	}
	assert_int_equal(rc, STATUS_DRAINING);
	gate_open(&g);
	assert_int_equal(pthread_join(t, NULL), 0);
	bed.writer = NULL;
	for (uint32_t i = 0; i < taken; i++) {
		assert_int_equal(p[i].answered, 1);
		assert_int_equal(p[i].rc, STATUS_OK);
		assert_true(probe_stored(i));
	}
	assert_int_equal(g.probe.rc, STATUS_OK);
	writer_stop(NULL);
}

/* K1: one that fails is dropped alone, with all it had put. */
static void
one_fails_alone(void **state)
{
	static struct probe p[30];
	struct gate g;

	(void)state;
	gate_close(&g);
	for (uint32_t i = 0; i < 30; i++) {
		probe_make(&p[i], i);
		p[i].fails = i % 3 == 0 ? STATUS_ETAG : STATUS_OK;
		assert_int_equal(writer_submit(bed.writer, &p[i].job), STATUS_OK);
	}
	gate_open(&g);
	for (uint32_t i = 0; i < 30; i++) {
		probe_wait(&p[i]);
		assert_int_equal(p[i].rc, p[i].fails);
		assert_int_equal(probe_stored(i), i % 3 != 0);
		assert_int_equal(p[i].answered, 1);
	}
}

/* The same request twice in one batch: nng sends again what it has no answer to. */
static void
repeated_in_one_batch(void **state)
{
	static const uint8_t key[16] = "0123456789abcde";
	struct vault_bed_person p;
	struct vault_call c[4];
	struct gate g;
	uint8_t other[16];

	(void)state;
	vault_bed_person(1, &p);
	gate_close(&g);
	for (unsigned i = 0; i < 3; i++)
		vault_bed_submit_again(&bed, "Vault.CreateSubject", &p.request, key, &c[i]);
	vault_bed_person(2, &p);
	vault_bed_submit(&bed, "Vault.CreateSubject", &p.request, &c[3]);
	gate_open(&g);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(vault_bed_wait(&c[i]), STATUS_OK);
	for (unsigned i = 1; i < 3; i++)
		assert_memory_equal(VAULT_BED_ANSWER(CreateSubjectResponse, &c[i])->subject.data,
		    VAULT_BED_ANSWER(CreateSubjectResponse, &c[0])->subject.data, 16);
	for (unsigned i = 0; i < 4; i++)
		vault_bed_done(&c[i]);
	assert_int_equal(vault_bed_find_email(&bed, 2, other), STATUS_OK);
}

/* --- failures of the anchor --- */

#define OPS 3u

/* People 0 and 1 are there always; person 2 is what the operation is about. */
static enum status
operate(unsigned op, unsigned n, uint8_t id[static 16])
{
	switch (op) {
	case 0:
		return vault_bed_create(&bed, n, id);
	case 1:
		return vault_bed_change_email(&bed, n, id);
	default:
		return vault_bed_erase(&bed, id);
	}
}

static bool
is_done(unsigned op, unsigned n, const uint8_t *id)
{
	uint8_t found[16];
	char email[64];

	(void)snprintf(email, sizeof(email), "changed.%u@example.org", n);
	switch (op) {
	case 0:
		return vault_bed_find_email(&bed, n, found) == STATUS_OK &&
		    vault_bed_get(&bed, found) == STATUS_OK;
	case 1:
		assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
		return vault_bed_find(&bed, email, found) == STATUS_OK;
	default:
		return vault_bed_get(&bed, id) == STATUS_ERASED;
	}
}

/* How many slots stand in the anchor, and of the present epoch. */
static void
assert_one_slot(void)
{
	struct anchor_slot slot[2];

	vault_bed_stop(&bed);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(anchor_survey(bed.vault->anchor, 0, slot), STATUS_OK);
	assert_int_equal(slot[0].valid + slot[1].valid, 1);
	assert_int_equal(slot[vault_epoch(bed.vault) % 2].epoch, vault_epoch(bed.vault));
}

struct fault_case {
	enum anchor_test_call call;
	int error;
};

static const struct fault_case cases[] = {
	{ ANCHOR_TEST_PWRITE, EIO }, { ANCHOR_TEST_PWRITE, ENOSPC },
	{ ANCHOR_TEST_PWRITE, ANCHOR_TEST_TORN }, { ANCHOR_TEST_PWRITE, ANCHOR_TEST_LOST },
	{ ANCHOR_TEST_FDATASYNC, EIO }, { ANCHOR_TEST_PREAD, EIO },
	{ ANCHOR_TEST_PREAD, ANCHOR_TEST_LOST },
};

static void
one_anchor_fault(const struct fault_case *f, unsigned op, unsigned n, bool *reached)
{
	static unsigned person = 10;
	uint8_t id[16], alive[16];
	uint64_t before, settled;
	enum status rc;

	assert_int_equal(vault_bed_find_email(&bed, 0, alive), STATUS_OK);
	person++;
	if (op != 0)
		assert_int_equal(vault_bed_create(&bed, person, id), STATUS_OK);
	before = vault_epoch(bed.vault);
	anchor_test_fault(f->call, n, f->error);
	rc = operate(op, person, id);
	*reached = anchor_test_count(f->call) >= n;
	anchor_test_fault(f->call, 0, 0);
	settled = vault_settled(bed.vault);
	if (rc == STATUS_OK) {
		/* K5 was done at another try, or no fault was met: it is done and settled. */
		assert_int_equal(vault_epoch(bed.vault), before + 1);
		assert_int_equal(settled, before + 1);
		assert_true(is_done(op, person, id));
	} else {
		/* K3: nothing was changed, and the vault goes on. */
		assert_int_equal(rc, STATUS_ANCHOR);
		assert_int_equal(vault_epoch(bed.vault), before);
		assert_null(vault_read_only(bed.vault));
		assert_false(is_done(op, person, id));
		assert_int_equal(operate(op, person, id), STATUS_OK);
		assert_true(is_done(op, person, id));
	}
	epoch_check(bed.vault->epochs);
	assert_int_equal(vault_bed_get(&bed, alive), STATUS_OK);
}

/* K3 and K5: each call on the anchor fails once, in each way. */
static void
anchor_fails_once(void **state)
{
	uint8_t id[16];

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 0, id), STATUS_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (unsigned op = 0; op < OPS; op++) {
			bool reached = true;

			for (unsigned n = 1; reached; n++)
				one_anchor_fault(&cases[i], op, n, &reached);
		}
		assert_one_slot();
		assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	}
}

/*
 * K5 fails for good: nobody is told "done", the erasure is pending, the vault only reads; after a
 * restart the old slot is gone and the erasure is complete.
 */
static void
old_slot_cannot_be_erased(void **state)
{
	uint8_t id[2][16];
	uint64_t before;

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 0, id[0]), STATUS_OK);
	for (unsigned op = 0; op < OPS; op++) {
		unsigned n = 20 + op;

		if (op != 0)
			assert_int_equal(vault_bed_create(&bed, n, id[1]), STATUS_OK);
		before = vault_epoch(bed.vault);
		/* The first two calls, a write and a flush, are K3's. */
		fault_set(FAULT_ANCHOR, 3, FAULT_FOR_EVER, EIO);
		assert_int_equal(operate(op, n, id[1]), STATUS_INDETERMINATE);
		assert_string_equal(vault_read_only(bed.vault), "ANCHOR_NOT_ERASED");
		assert_int_equal(vault_settled(bed.vault), before);
		assert_int_equal(vault_epoch(bed.vault), before + 1);
		assert_int_equal(vault_bed_get(&bed, id[0]), STATUS_OK);
		assert_int_equal(vault_bed_erase(&bed, id[0]), STATUS_READ_ONLY);
		assert_int_equal(vault_bed_get(&bed, id[0]), STATUS_OK);
		fault_none();
		vault_bed_restart(&bed);
		assert_int_equal(vault_settled(bed.vault), before + 1);
		assert_true(is_done(op, n, id[1]));
		assert_one_slot();
	}
}

/* What GetErasure and a retry say of an erasure whose epoch is not settled. */
static void
pending_until_settled(void **state)
{
	static const uint8_t key[16] = "0123456789abcde";
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	Pdvault__V1__GetErasureRequest g = PDVAULT__V1__GET_ERASURE_REQUEST__INIT;
	struct vault_call c;
	uint8_t id[16], erasure[16];

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 0, id), STATUS_OK);
	q.subject = VAULT_BED_ID(id);
	fault_set(FAULT_ANCHOR, 3, FAULT_FOR_EVER, EIO);
	assert_int_equal(vault_bed_call_again(&bed, "Rights.EraseSubject", &q, key, &c),
	    STATUS_INDETERMINATE);
	memcpy(erasure, VAULT_BED_ANSWER(EraseSubjectResponse, &c)->erasure.data, 16);
	vault_bed_done(&c);
	g.erasure = VAULT_BED_ID(erasure);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(vault_bed_call(&bed, "Rights.GetErasure", &g, &c), STATUS_OK);
		assert_int_equal(VAULT_BED_ANSWER(GetErasureResponse, &c)->state, round == 0 ?
		    PDVAULT__V1__ERASURE_STATE__PENDING : PDVAULT__V1__ERASURE_STATE__FINAL);
		vault_bed_done(&c);
		assert_int_equal(vault_bed_call_again(&bed, "Rights.EraseSubject", &q, key, &c),
		    round == 0 ? STATUS_READ_ONLY : STATUS_OK);
		if (round == 1)
			assert_memory_equal(VAULT_BED_ANSWER(EraseSubjectResponse, &c)->erasure.data,
			    erasure, 16);
		vault_bed_done(&c);
		if (round == 1)
			break;
		/* K7: nor is a retry where writes are taken. */
		vault_trouble(bed.vault, VAULT_NOT_ERASED, false);
		assert_int_equal(vault_bed_call_again(&bed, "Rights.EraseSubject", &q, key, &c),
		    STATUS_INDETERMINATE);
		vault_bed_done(&c);
		fault_none();
		vault_bed_restart(&bed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(deadline_in_the_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(queue_full, setup, teardown),
		cmocka_unit_test_setup_teardown(drained, setup, teardown),
		cmocka_unit_test_setup_teardown(one_fails_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(repeated_in_one_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(anchor_fails_once, setup, teardown),
		cmocka_unit_test_setup_teardown(old_slot_cannot_be_erased, setup, teardown),
		cmocka_unit_test_setup_teardown(pending_until_settled, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
