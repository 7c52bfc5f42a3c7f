/*
 * The n-th allocation of the writer's thread fails, for every n, in a creation, an update and an
 * erasure: it is refused cleanly, or the process stops as it does for an unknown outcome, and the vault is
 * whole either way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "allocation.h"
#include "life.h"
#include "scratch.h"
#include "server/clock.h"
#include "server/store/vault_internal.h"
#include "vault_bed.h"

#define ALWAYS 3u
#define NTH_MAX 2000u

struct shared {
	struct vault_bed bed;
	uint8_t always[ALWAYS][16], id[16];
	unsigned person, op, n;		/* n is the one that is to fail next */
	bool complete;			/* an operation had fewer allocations than n */
	unsigned refused;
};

static struct shared *shared;

static enum status
mark_apply(struct write_job *job, struct writeset *ws)
{
	(void)job;
	(void)ws;
	allocation_watch();
	return STATUS_ETAG;
}

static _Atomic bool marked;

static void
mark_done(struct write_job *job, enum status rc, uint64_t epoch)
{
	(void)job;
	(void)rc;
	(void)epoch;
	atomic_store(&marked, true);
}

/* Its thread knows from now on that it is the writer's. */
static void
mark_writer(void)
{
	static struct write_job job = { .apply = mark_apply, .done = mark_done };

	atomic_store(&marked, false);
	job.deadline_ns = clock_monotonic_ns() + UINT64_C(60000000000);
	must(writer_submit(shared->bed.writer, &job) == STATUS_OK);
	while (!atomic_load(&marked))
		(void)usleep(100);
}

static void
first_life(void)
{
	vault_bed_new(&shared->bed);
	for (unsigned i = 0; i < ALWAYS; i++)
		must(vault_bed_create(&shared->bed, i, shared->always[i]) == STATUS_OK);
	vault_bed_stop(&shared->bed);
}

static int
setup(void **state)
{
	(void)state;
	shared = life_shared(sizeof(*shared));
	shared->person = 10;
	return life_run(first_life) == 0 ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	scratch_remove(shared->bed.dir);
	return munmap(shared, sizeof(*shared));
}

static void
check_always(void)
{
	uint8_t found[16];

	for (unsigned i = 0; i < ALWAYS; i++) {
		must(vault_bed_get(&shared->bed, shared->always[i]) == STATUS_OK);
		must(vault_bed_find_email(&shared->bed, i, found) == STATUS_OK);
		must(memcmp(found, shared->always[i], 16) == 0);
	}
}

static enum status
operate(void)
{
	struct vault_bed *b = &shared->bed;

	return shared->op == 0 ? vault_bed_create(b, shared->person, shared->id) :
	    shared->op == 1 ? vault_bed_change_email(b, shared->person, shared->id) :
	    vault_bed_erase(b, shared->id);
}

static bool
is_done(void)
{
	struct vault_bed *b = &shared->bed;
	uint8_t found[16];
	char email[64];

	(void)snprintf(email, sizeof(email), "changed.%u@example.org", shared->person);
	if (shared->op == 0)
		return vault_bed_find_email(b, shared->person, found) == STATUS_OK;
	if (shared->op == 1)
		return vault_bed_find(b, email, found) == STATUS_OK;
	return vault_bed_get(b, shared->id) == STATUS_ERASED;
}

/* Goes on with the next n until the process must stop or an operation had them all. */
static void
failing_life(void)
{
	struct vault_bed *b = &shared->bed;

	must(vault_bed_start(b) == STATUS_OK);
	mark_writer();
	for (; !shared->complete && shared->n < NTH_MAX; shared->n++) {
		enum status rc;

		shared->person++;
		if (shared->op != 0)
			must(vault_bed_create(b, shared->person, shared->id) == STATUS_OK);
		allocation_fail(shared->n);
		rc = operate();
		shared->complete = allocation_seen() < shared->n;
		allocation_fail(0);
		if (rc == STATUS_INDETERMINATE)
			/* The writer ends the process. */
			for (;;)
				(void)pause();
		must(rc == STATUS_OK || rc == STATUS_NO_MEMORY || rc == STATUS_IO);
		must(!shared->complete || rc == STATUS_OK);
		must(is_done() == (rc == STATUS_OK));
		shared->refused += rc != STATUS_OK;
		epoch_check(b->vault->epochs);
		check_always();
		/* The same again, with all the memory it needs. */
		must(rc == STATUS_OK || operate() == STATUS_OK);
		must(is_done());
	}
	vault_bed_stop(b);
}

static void
next_life(void)
{
	must(vault_bed_start(&shared->bed) == STATUS_OK);
	check_always();
	vault_bed_stop(&shared->bed);
}

static void
every_allocation(void **state)
{
	(void)state;
	for (shared->op = 0; shared->op < 3; shared->op++) {
		shared->complete = false;
		shared->refused = 0;
		shared->n = 1;
		while (!shared->complete) {
			int rc = life_run(failing_life);

			assert_true(rc == 0 || rc == WRITER_EXIT_INDETERMINATE);
			assert_true(shared->n < NTH_MAX);
			assert_int_equal(life_run(next_life), 0);
			shared->n += rc != 0;
		}
		assert_true(shared->refused > 10);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_allocation, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
