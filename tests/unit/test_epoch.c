/* Roots and pins: K6 waits for the readers of the old epoch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "server/keys/epoch.h"
#include "server/keys/secret.h"

#define SECOND_NS UINT64_C(1000000000)

static struct epochs *e;

/* A root that says its epoch in every key. */
static struct root
root_of(uint64_t epoch)
{
	struct root r = { .epoch = epoch, .s_height = 1 };

	memset(&r.self, (int)epoch, sizeof(r.self));
	memset(&r.s_top, (int)epoch, sizeof(r.s_top));
	memset(&r.index, (int)epoch, sizeof(r.index));
	return r;
}

static int
begin(void **state)
{
	(void)state;
	return secret_init(64u << 10) == STATUS_OK ? 0 : -1;
}

static int
setup(void **state)
{
	struct root r = root_of(10);

	(void)state;
	return epoch_new(&r, 10, &e) == STATUS_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	epoch_free(e);
	assert_int_equal(secret_used(), 0);
	return 0;
}

static void
stage(uint64_t epoch)
{
	struct root r = root_of(epoch);

	epoch_stage(e, &r);
}

static void
one_switch(void **state)
{
	(void)state;
	assert_int_equal(epoch_current(e), 10);
	assert_int_equal(epoch_settled(e), 10);
	assert_non_null(epoch_root(e, 10));
	assert_null(epoch_root(e, 9));
	assert_null(epoch_root(e, 11));
	/* K3: readers may meet the next epoch before it is the present one. */
	stage(11);
	assert_int_equal(epoch_root(e, 11)->self.b[0], 11);
	assert_int_equal(epoch_current(e), 10);
	epoch_check(e);
	assert_true(epoch_advance(e, SECOND_NS));
	assert_int_equal(epoch_current(e), 11);
	assert_int_equal(epoch_settled(e), 10);
	assert_non_null(epoch_root(e, 10));
	/* K6. */
	epoch_settle(e, true);
	assert_null(epoch_root(e, 10));
	assert_int_equal(epoch_settled(e), 11);
	epoch_check(e);
}

static void
abandoned(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		stage(11);
		epoch_unstage(e);
		assert_null(epoch_root(e, 11));
		assert_int_equal(epoch_current(e), 10);
		assert_int_equal(epoch_root(e, 10)->self.b[0], 10);
		epoch_check(e);
	}
}

/* K5 failed: the epoch is used, and never called settled. */
static void
unsettled(void **state)
{
	(void)state;
	stage(11);
	assert_true(epoch_advance(e, SECOND_NS));
	epoch_settle(e, false);
	assert_int_equal(epoch_current(e), 11);
	assert_int_equal(epoch_settled(e), 10);
	assert_null(epoch_root(e, 10));
	epoch_check(e);
}

/* K6: a reader that does not let go makes the switch say so; one of the new epoch does not. */
static void
stuck_reader(void **state)
{
	(void)state;
	epoch_pin(e, 3);
	stage(11);
	assert_false(epoch_advance(e, SECOND_NS / 50));
	assert_non_null(epoch_root(e, 10));
	epoch_pin(e, 4);
	epoch_unpin(e, 3);
	epoch_settle(e, true);
	stage(12);
	assert_false(epoch_advance(e, SECOND_NS / 50));
	epoch_unpin(e, 4);
	epoch_check(e);
}

static void
pins_of_the_new_epoch_do_not_wait(void **state)
{
	(void)state;
	stage(11);
	assert_true(epoch_advance(e, SECOND_NS));
	epoch_pin(e, EPOCH_READERS_MAX - 1);
	assert_true(epoch_root(e, 11) != NULL);
	epoch_settle(e, true);
	epoch_check(e);
	epoch_unpin(e, EPOCH_READERS_MAX - 1);
}

static _Atomic int let_go;

static void *
hold(void *arg)
{
	epoch_pin(e, 7);
	atomic_store((_Atomic int *)arg, 1);
	while (!atomic_load(&let_go))
		;
	epoch_unpin(e, 7);
	return NULL;
}

static void *
release(void *arg)
{
	(void)arg;
	while (epoch_current(e) != 11)
		;
	atomic_store(&let_go, 1);
	return NULL;
}

static void
waits_for_a_reader(void **state)
{
	_Atomic int pinned = 0;
	pthread_t a, b;

	(void)state;
	atomic_store(&let_go, 0);
	assert_int_equal(pthread_create(&a, NULL, hold, &pinned), 0);
	while (!atomic_load(&pinned))
		;
	stage(11);
	assert_int_equal(pthread_create(&b, NULL, release, NULL), 0);
	assert_true(epoch_advance(e, 60 * SECOND_NS));
	assert_int_equal(atomic_load(&let_go), 1);
	assert_int_equal(pthread_join(a, NULL), 0);
	assert_int_equal(pthread_join(b, NULL), 0);
	epoch_settle(e, true);
}

static int pins_watched;

/* A switch whose K6 runs while a reader sets a pin for the epoch that it read before. */
static void
switch_meanwhile(bool pinned)
{
	if (pins_watched++ >= 2)
		return;
	if (pinned) {
		epoch_settle(e, true);
		return;
	}
	stage(11);
	assert_true(epoch_advance(e, SECOND_NS));
}

static void
pin_in_the_middle_of_a_switch(void **state)
{
	(void)state;
	pins_watched = 0;
	epoch_test_watch(switch_meanwhile);
	epoch_pin(e, 5);
	epoch_test_watch(NULL);
	/* It was set again, for the epoch whose root is there. */
	assert_int_equal(pins_watched, 4);
	assert_int_equal(epoch_settled(e), 11);
	epoch_check(e);
	stage(12);
	assert_false(epoch_advance(e, SECOND_NS / 50));
	epoch_unpin(e, 5);
	epoch_settle(e, true);
	epoch_check(e);
}

#define READERS 3u
#define SWITCHES 5000u

struct reader_arg {
	unsigned number;
	uint64_t seen;
};

static _Atomic uint64_t committed;	/* what a snapshot would hold */
static _Atomic int over;

/* A root that was got under a pin stays whole until the pin is dropped. */
static void *
read_on(void *arg)
{
	struct reader_arg *r = arg;

	while (!atomic_load(&over)) {
		const struct root *root;
		uint64_t epoch;

		epoch_pin(e, r->number);
		epoch = atomic_load(&committed);
		must((root = epoch_root(e, epoch)) != NULL);
		for (int i = 0; i < 50; i++) {
			must(root->epoch == epoch);
			must(root->self.b[i % 32] == (uint8_t)epoch);
		}
		epoch_unpin(e, r->number);
		r->seen++;
	}
	return NULL;
}

/* Nothing but pins: the moment between reading the epoch and setting the pin is met often. */
static void *
only_pin(void *arg)
{
	const struct reader_arg *r = arg;

	while (!atomic_load(&over)) {
		epoch_pin(e, r->number);
		epoch_unpin(e, r->number);
	}
	return NULL;
}

static void
readers_and_switches(void **state)
{
	struct reader_arg arg[READERS];
	pthread_t t[READERS];

	(void)state;
	atomic_store(&committed, 10);
	atomic_store(&over, 0);
	for (unsigned i = 0; i < READERS; i++) {
		arg[i] = (struct reader_arg){ .number = i };
		assert_int_equal(pthread_create(&t[i], NULL, i % 3 == 0 ? only_pin : read_on, &arg[i]), 0);
	}
	for (uint64_t epoch = 11; epoch < 11 + SWITCHES; epoch++) {
		stage(epoch);
		/* K4. */
		atomic_store(&committed, epoch);
		assert_true(epoch_advance(e, 60 * SECOND_NS));
		epoch_settle(e, true);
		assert_null(epoch_root(e, epoch - 1));
	}
	atomic_store(&over, 1);
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	epoch_check(e);
}

static void
no_memory(void **state)
{
	void *all = secret_alloc(60u << 10);
	struct root r = root_of(1);
	struct epochs *other;
	void *rest[16];
	unsigned n = 0;

	(void)state;
	assert_non_null(all);
	while (n < 16 && (rest[n] = secret_alloc(sizeof(struct root))) != NULL)
		n++;
	assert_true(n < 16);
	assert_int_equal(epoch_new(&r, 1, &other), STATUS_NO_MEMORY);
	while (n-- > 0)
		secret_free(rest[n], sizeof(struct root));
	secret_free(all, 60u << 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_switch, setup, teardown),
		cmocka_unit_test_setup_teardown(abandoned, setup, teardown),
		cmocka_unit_test_setup_teardown(unsettled, setup, teardown),
		cmocka_unit_test_setup_teardown(stuck_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(pins_of_the_new_epoch_do_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(waits_for_a_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(pin_in_the_middle_of_a_switch, setup, teardown),
		cmocka_unit_test_setup_teardown(readers_and_switches, setup, teardown),
		cmocka_unit_test_setup_teardown(no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
