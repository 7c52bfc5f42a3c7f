/* Opened keys: how long they are kept, and who is asked how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <pthread.h>
#include <sodium.h>

#include "client/blob/keycache.h"

#define LONG_MS 3600000u
#define THREADS 8

static void
pause_ms(unsigned ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)nanosleep(&t, NULL);
}

/* A vault of one function. */
struct vault {
	atomic_uint asked;
	atomic_uint entered; /* questions under way */
	atomic_bool held;    /* they wait as long as this is set */
	enum pdv_code code;
};

static void
answer(void *arg, const struct keycache_asked *q, struct keycache_answer *out)
{
	struct vault *v = arg;

	(void)atomic_fetch_add(&v->asked, 1);
	(void)atomic_fetch_add(&v->entered, 1);
	while (atomic_load(&v->held))
		pause_ms(1);
	(void)atomic_fetch_sub(&v->entered, 1);
	memset(out, 0, sizeof(*out));
	out->code = v->code;
	(void)snprintf(out->reason, sizeof(out->reason), "%s", v->code == PDV_OK ? "" : "WHY");
	if (v->code == PDV_OK)
		memset(out->key, q->wrapped.bytes[0], sizeof(out->key));
}

static struct vault vault;
static const struct keycache_fetch fetch = {answer, &vault};

/* Key ${n} of subject ${who}. */
struct which {
	struct pdv_blob_place place;
	uint8_t wrapped[2];
	struct keycache_asked q;
};

static void
which(struct which *w, unsigned who, unsigned n)
{
	memset(w, 0, sizeof(*w));
	w->place.subject.bytes[0] = (uint8_t)who;
	w->place.category = PDV_CATEGORY_USAGE;
	w->wrapped[0] = (uint8_t)n;
	w->wrapped[1] = (uint8_t)(n >> 8);
	w->q = (struct keycache_asked){&w->place, {w->wrapped, 2}};
}

/* True: the key came, the right one. */
static bool
get(struct keycache *c, unsigned who, unsigned n)
{
	struct keycache_answer a;
	struct which w;

	which(&w, who, n);
	keycache_get(c, &w.q, &fetch, &a);
	if (a.code != PDV_OK)
		return strcmp(a.reason, "WHY") != 0;
	for (unsigned i = 0; i < PDV_DATA_KEY_LEN; i++)
		assert_int_equal(a.key[i], (uint8_t)n);
	return true;
}

static struct keycache *
make(unsigned keys, uint32_t ms)
{
	struct keycache *c;

	memset(&vault, 0, sizeof(vault));
	assert_int_equal(keycache_new(keys, ms, &c), PDV_OK);
	return c;
}

static void
kept(void **state)
{
	struct keycache *c = make(4, LONG_MS);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_true(get(c, 1, 5));
	assert_int_equal(vault.asked, 1);
	assert_int_equal(keycache_test_kept(c), 1);
	/* Everything that it is for makes it another. */
	assert_true(get(c, 2, 5));
	assert_true(get(c, 1, 6));
	assert_int_equal(vault.asked, 3);
	assert_int_equal(keycache_test_kept(c), 3);
	keycache_free(c);
	keycache_free(NULL);
}

/* Injective: a context that ends as the wrapped form begins. */
static void
by_all_of_it(void **state)
{
	struct keycache *c = make(16, LONG_MS);
	static const uint8_t bytes[] = "\5\5\5\5\5\5";
	struct keycache_answer a;
	struct which w;

	(void)state;
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 5; i++) {
			which(&w, 1, 5);
			w.place.category = i == 4 ? PDV_CATEGORY_CONTENT : PDV_CATEGORY_USAGE;
			w.place.context = bytes;
			w.place.context_length = i % 4;
			w.q.wrapped = (struct pdv_wrapped_key){bytes + i % 4, 5 - i % 4};
			keycache_get(c, &w.q, &fetch, &a);
		}
	assert_int_equal(vault.asked, 5);
	keycache_free(c);
}

static void
expires(void **state)
{
	struct keycache *c = make(4, 150);

	(void)state;
	assert_true(get(c, 1, 5));
	pause_ms(20);
	assert_true(get(c, 1, 6));
	/* The keeper wipes them, though nobody asks. */
	for (unsigned i = 0; i < 10000 && keycache_test_kept(c) > 0; i++)
		pause_ms(1);
	assert_int_equal(keycache_test_kept(c), 0);
	assert_true(get(c, 1, 5));
	assert_int_equal(vault.asked, 3);
	keycache_free(c);
}

/* The time runs from before the question: what the vault took too long for is not kept. */
static void *
slow_get(void *arg)
{
	assert_true(get(arg, 1, 5));
	return NULL;
}

static void *
slow_failure(void *arg)
{
	assert_false(get(arg, 1, 5));
	return NULL;
}

static void
counted_from_the_question(void **state)
{
	struct keycache *c = make(4, 50);
	pthread_t t;

	(void)state;
	atomic_store(&vault.held, true);
	assert_int_equal(pthread_create(&t, NULL, slow_get, c), 0);
	pause_ms(120);
	atomic_store(&vault.held, false);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(keycache_test_kept(c), 0);
	keycache_free(c);
}

static void
least_used_goes(void **state)
{
	struct keycache *c = make(3, LONG_MS);

	(void)state;
	for (unsigned n = 0; n < 3; n++)
		assert_true(get(c, 1, n));
	assert_true(get(c, 1, 0));
	assert_true(get(c, 1, 3));	/* in place of 1 */
	assert_int_equal(vault.asked, 4);
	assert_true(get(c, 1, 0));
	assert_true(get(c, 1, 2));
	assert_true(get(c, 1, 3));
	assert_int_equal(vault.asked, 4);
	assert_true(get(c, 1, 1));
	assert_int_equal(vault.asked, 5);
	assert_int_equal(keycache_test_kept(c), 3);
	keycache_free(c);
}

static void
failures_are_not_kept(void **state)
{
	struct keycache *c = make(3, LONG_MS);

	(void)state;
	vault.code = PDV_UNAVAILABLE;
	assert_false(get(c, 1, 5));
	assert_false(get(c, 1, 5));
	assert_int_equal(vault.asked, 2);
	vault.code = PDV_OK;
	assert_true(get(c, 1, 5));
	assert_true(get(c, 1, 5));
	assert_int_equal(vault.asked, 3);
	keycache_free(c);
}

static void
forgotten(void **state)
{
	struct keycache *c = make(8, LONG_MS);
	uint8_t who[PDV_ID_LEN] = {1};

	(void)state;
	for (unsigned n = 0; n < 3; n++) {
		assert_true(get(c, 1, n));
		assert_true(get(c, 2, n));
	}
	keycache_forget(c, who);
	assert_int_equal(keycache_test_kept(c), 3);
	assert_true(get(c, 2, 1));
	assert_int_equal(vault.asked, 6);
	assert_true(get(c, 1, 1));
	assert_int_equal(vault.asked, 7);
	keycache_forget(c, NULL);
	assert_int_equal(keycache_test_kept(c), 0);
	keycache_free(c);
}

static void
wait_entered(unsigned n)
{
	while (atomic_load(&vault.entered) < n)
		pause_ms(1);
}

/* Many who ask for one key: one question, and the same answer for all, good or bad. */
static void
one_question(void **state)
{
	(void)state;
	for (unsigned bad = 0; bad < 2; bad++) {
		struct keycache *c = make(4, LONG_MS);
		pthread_t t[THREADS];

		vault.code = bad ? PDV_UNAVAILABLE : PDV_OK;
		atomic_store(&vault.held, true);
		for (unsigned i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&t[i], NULL, bad ? slow_failure : slow_get, c), 0);
		wait_entered(1);
		pause_ms(50);
		assert_int_equal(atomic_load(&vault.entered), 1);
		atomic_store(&vault.held, false);
		for (unsigned i = 0; i < THREADS; i++)
			assert_int_equal(pthread_join(t[i], NULL), 0);
		assert_int_equal(vault.asked, 1);
		assert_int_equal(keycache_test_kept(c), !bad);
		keycache_free(c);
	}
}

/* Forgotten while it is asked for: whoever asked has it, and it is not kept. */
static void
forgotten_meanwhile(void **state)
{
	struct keycache *c = make(4, LONG_MS);
	pthread_t t;

	(void)state;
	atomic_store(&vault.held, true);
	assert_int_equal(pthread_create(&t, NULL, slow_get, c), 0);
	wait_entered(1);
	keycache_forget(c, (const uint8_t[PDV_ID_LEN]){1});
	atomic_store(&vault.held, false);
	assert_int_equal(pthread_join(t, NULL), 0);
	assert_int_equal(keycache_test_kept(c), 0);
	keycache_free(c);
}

struct crowd {
	struct keycache *cache;
	unsigned seed;
};

static void *
crowd(void *arg)
{
	struct crowd *w = arg;

	for (unsigned i = 0; i < 3000; i++) {
		w->seed = w->seed * 1103515245 + 12345;
		if (w->seed >> 16 & 63)
			assert_true(get(w->cache, w->seed >> 22 & 3, w->seed >> 24 & 31));
		else
			keycache_forget(w->cache, (const uint8_t[PDV_ID_LEN]){(uint8_t)(w->seed >> 22 & 3)});
	}
	return NULL;
}

/* More keys than places, more threads than places, and a short time. */
static void
crowded(void **state)
{
	struct keycache *c = make(2, 5);
	struct crowd w[THREADS];
	pthread_t t[THREADS];

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		w[i] = (struct crowd){c, i + 1};
		assert_int_equal(pthread_create(&t[i], NULL, crowd, &w[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_true(keycache_test_kept(c) <= 2);
	keycache_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kept),
		cmocka_unit_test(by_all_of_it),
		cmocka_unit_test(expires),
		cmocka_unit_test(counted_from_the_question),
		cmocka_unit_test(least_used_goes),
		cmocka_unit_test(failures_are_not_kept),
		cmocka_unit_test(forgotten),
		cmocka_unit_test(one_question),
		cmocka_unit_test(forgotten_meanwhile),
		cmocka_unit_test(crowded),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
