#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <pthread.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/access/access.h"
#include "server/rpc/connections.h"

#define THREADS 4
#define ROUNDS 2000u

static const struct connections_limits wide = { 1000, 1000 };

static struct connections *
fresh(struct connections_limits limits)
{
	struct connections *t = NULL;

	assert_int_equal(connections_new(limits, 3, &t), STATUS_OK);
	return t;
}

static enum status
add(struct connections *t, uint32_t pipe, int principal)
{
	struct connection c = { .pipe = pipe, .principal = principal };
	enum status rc = connections_add(t, &c);

	connections_check(t);
	return rc;
}

static void
test_take(void **state)
{
	struct connections *t = fresh(wide);
	struct connection *c, *again;

	(void)state;
	assert_int_equal(add(t, 5, 2), STATUS_OK);
	assert_int_equal(add(t, 5 + 64, 1), STATUS_OK);		/* the same shard */
	assert_null(connections_take(t, 6));
	assert_non_null(c = connections_take(t, 5));
	assert_int_equal(c->principal, 2);
	assert_ptr_equal(again = connections_take(t, 5), c);
	connections_drop(again);
	connections_remove(t, 5);
	connections_check(t);
	assert_null(connections_take(t, 5));
	assert_int_equal(c->principal, 2);		/* still held */
	connections_drop(c);
	connections_drop(NULL);
	assert_int_equal(connections_count(t), 1);
	connections_free(t);
}

/* A connection that was refused is removed too, and must not be counted. */
static void
test_limits(void **state)
{
	struct connections *t = fresh((struct connections_limits){ 5, 2 });

	(void)state;
	assert_int_equal(add(t, 1, 0), STATUS_OK);
	assert_int_equal(add(t, 2, 0), STATUS_OK);
	assert_int_equal(add(t, 3, 0), STATUS_TOO_MANY);
	connections_remove(t, 3);
	connections_check(t);
	assert_int_equal(connections_count(t), 2);
	assert_int_equal(add(t, 4, ACCESS_NONE), STATUS_OK);
	assert_int_equal(add(t, 5, ACCESS_NONE), STATUS_OK);
	assert_int_equal(add(t, 6, ACCESS_NONE), STATUS_TOO_MANY);
	assert_int_equal(add(t, 7, 2), STATUS_OK);
	assert_int_equal(add(t, 8, 2), STATUS_BUSY);
	connections_remove(t, 1);
	connections_remove(t, 1);
	assert_int_equal(add(t, 8, 2), STATUS_OK);
	assert_int_equal(add(t, 9, 0), STATUS_BUSY);
	connections_free(t);
	connections_free(NULL);
}

static void
sum(struct connection *c, void *arg)
{
	*(uint32_t *)arg += c->pipe;
}

static void
remove_it(struct connection *c, void *arg)
{
	connections_remove(arg, c->pipe);
	assert_int_equal(atomic_load(&c->holders), 1);	/* ours */
}

static void
test_each(void **state)
{
	struct connections *t = fresh(wide);
	uint32_t total = 0, i;

	(void)state;
	for (i = 1; i <= 200; i++)
		assert_int_equal(add(t, i, 1), STATUS_OK);
	connections_each(t, sum, &total);
	assert_int_equal(total, 200 * 201 / 2);
	connections_each(t, remove_it, t);	/* no lock is held meanwhile */
	assert_int_equal(connections_count(t), 0);
	connections_check(t);
	connections_free(t);
}

struct worker {
	struct connections *t;
	uint32_t first;
};

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct connection *c;
	uint32_t i, pipe;

	for (i = 0; i < ROUNDS; i++) {
		struct connection from = { .pipe = w->first + i % 7, .principal = (int)(i % 3) };

		if (connections_take(w->t, from.pipe) != NULL)
			return arg;
		if (connections_add(w->t, &from) != STATUS_OK)
			return arg;
		/* Some other's, which may go at any time. */
		for (pipe = 1; pipe < 40; pipe += 5) {
			c = connections_take(w->t, pipe);
			if (c != NULL && c->pipe != pipe)
				return arg;
			connections_drop(c);
		}
		connections_remove(w->t, from.pipe);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	struct connections *t = fresh(wide);
	struct worker w[THREADS];
	pthread_t id[THREADS];
	void *failed;
	unsigned i;

	(void)state;
	for (i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ t, 1 + i * 10 };
		assert_int_equal(pthread_create(&id[i], NULL, work, &w[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(id[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(connections_count(t), 0);
	connections_check(t);
	connections_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
