/* Opened pages in secret memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sodium.h>

#include "server/keys/cache.h"
#include "server/keys/secret.h"

#define SMALL (4 * sizeof(struct page))	/* one set of four ways */

static uint8_t nonce[2][SEAL_NONCE_LEN] = { { 1 }, { 2 } };

static int
begin(void **state)
{
	(void)state;
	return seal_init() == STATUS_OK && secret_init(1u << 20) == STATUS_OK ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	assert_int_equal(secret_used(), 0);
	secret_end();
	return 0;
}

static struct page
page_of(unsigned n)
{
	struct page pg = { .epoch = { 0 } };

	for (unsigned p = 0; p < NODE_FANOUT; p++)
		memset(pg.key[p].b, (int)(n * NODE_FANOUT + p), SEAL_KEY_LEN);
	return pg;
}

static bool
has(struct cache *c, struct node n, const uint8_t *version)
{
	struct page pg;

	return cache_page(c, n, version, &pg);
}

static void
finds_exactly_the_version(void **state)
{
	const struct node n = { NODE_S, 1, 7 };
	struct page pg = page_of(1), got;
	struct cache *c;
	struct key k;

	(void)state;
	assert_int_equal(cache_new(64u << 10, &c), STATUS_OK);
	assert_false(cache_key(c, n, nonce[0], 0, &k));
	cache_put(c, n, nonce[0], &pg);
	for (unsigned p = 0; p < NODE_FANOUT; p++) {
		assert_true(cache_key(c, n, nonce[0], p, &k));
		assert_memory_equal(&k, &pg.key[p], sizeof(k));
	}
	assert_true(cache_page(c, n, nonce[0], &got));
	assert_memory_equal(&got, &pg, sizeof(pg));
	assert_false(has(c, n, nonce[1]));
	assert_false(has(c, (struct node){ NODE_B, 1, 7 }, nonce[0]));
	assert_false(has(c, (struct node){ NODE_S, 2, 7 }, nonce[0]));
	assert_false(has(c, (struct node){ NODE_S, 1, 8 }, nonce[0]));
	cache_free(c);
}

/* K6: no version of what a switch replaced may stay. */
static void
evicts_all_versions(void **state)
{
	const struct node n = { NODE_S, 1, 7 }, other = { NODE_S, 1, 9 };
	struct page pg = page_of(1);
	struct cache *c;

	(void)state;
	assert_int_equal(cache_new(SMALL, &c), STATUS_OK);
	/* An empty way before the old version: both are there then. */
	cache_put(c, other, nonce[0], &pg);
	cache_put(c, n, nonce[0], &pg);
	cache_evict(c, other);
	cache_put(c, n, nonce[1], &pg);
	cache_evict(c, n);
	assert_false(has(c, n, nonce[0]) || has(c, n, nonce[1]));
	cache_free(c);
}

/* Wiped when it goes, and when the cache goes. */
static void
wipes(void **state)
{
	const struct node n = { NODE_S, 1, 7 };
	struct page pg = page_of(3), *probe;
	struct cache *c;

	(void)state;
	assert_int_equal(cache_new(SMALL, &c), STATUS_OK);
	cache_put(c, n, nonce[0], &pg);
	cache_free(c);
	assert_non_null(probe = secret_alloc(SMALL));
	assert_true(sodium_is_zero((const uint8_t *)probe, SMALL));
	secret_free(probe, SMALL);
}

/* Of one level the page that was not used for longest goes, never the one just used. */
static void
oldest_goes(void **state)
{
	struct page pg = page_of(1);
	struct cache *c;
	struct key k;

	(void)state;
	assert_int_equal(cache_new(SMALL, &c), STATUS_OK);
	for (uint64_t i = 0; i < 4; i++)
		cache_put(c, (struct node){ NODE_S, 1, i }, nonce[0], &pg);
	assert_true(cache_key(c, (struct node){ NODE_S, 1, 0 }, nonce[0], 0, &k));
	cache_put(c, (struct node){ NODE_S, 1, 4 }, nonce[0], &pg);
	assert_true(has(c, (struct node){ NODE_S, 1, 0 }, nonce[0]));
	assert_false(has(c, (struct node){ NODE_S, 1, 1 }, nonce[0]));
	for (uint64_t i = 2; i <= 4; i++)
		assert_true(has(c, (struct node){ NODE_S, 1, i }, nonce[0]));
	cache_free(c);
}

/* Every request needs the pages near the root: those near the leaves do not push them out. */
static void
root_side_stays(void **state)
{
	struct page pg = page_of(1);
	struct cache *c;

	(void)state;
	assert_int_equal(cache_new(SMALL, &c), STATUS_OK);
	for (uint64_t i = 0; i < 3; i++)
		cache_put(c, (struct node){ NODE_S, 3, i }, nonce[0], &pg);
	for (uint64_t i = 0; i < 100; i++)
		cache_put(c, (struct node){ NODE_S, 1, i }, nonce[0], &pg);
	for (uint64_t i = 0; i < 3; i++)
		assert_true(has(c, (struct node){ NODE_S, 3, i }, nonce[0]));
	assert_true(has(c, (struct node){ NODE_S, 1, 99 }, nonce[0]));
	/* A fourth of the upper level takes the last way; then the lower one finds no room at all. */
	cache_put(c, (struct node){ NODE_S, 3, 3 }, nonce[0], &pg);
	cache_put(c, (struct node){ NODE_S, 1, 5 }, nonce[0], &pg);
	assert_false(has(c, (struct node){ NODE_S, 1, 5 }, nonce[0]));
	assert_true(has(c, (struct node){ NODE_S, 3, 3 }, nonce[0]));
	cache_free(c);
}

static void
bounded(void **state)
{
	struct page pg = page_of(1);
	struct cache *c;
	unsigned held = 0;

	(void)state;
	assert_int_equal(cache_new(64u << 10, &c), STATUS_OK);
	assert_true(secret_used() <= 64u << 10);
	for (uint64_t i = 0; i < 1000; i++)
		cache_put(c, (struct node){ NODE_S, 1, i }, nonce[0], &pg);
	for (uint64_t i = 0; i < 1000; i++)
		held += has(c, (struct node){ NODE_S, 1, i }, nonce[0]);
	assert_true(held > 32 && held <= 64);
	cache_free(c);
	assert_int_equal(cache_new(64u << 20, &c), STATUS_NO_MEMORY);
}

#define ROUNDS 20000u

/* Each page says in every key which node and version it is; a mixture would show. */
static void *
hammer(void *arg)
{
	struct cache *c = arg;
	struct page pg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned n = i % 16, version = (i / 16) % 2;
		struct node at = { NODE_S, (uint8_t)(1 + n % 3), n };
		struct page want = page_of(n * 2 + version);

		if (i % 7 == 0)
			cache_evict(c, at);
		if (cache_page(c, at, nonce[version], &pg))
			must(memcmp(&pg, &want, sizeof(pg)) == 0);
		else
			cache_put(c, at, nonce[version], &want);
	}
	return NULL;
}

static void
threads(void **state)
{
	pthread_t t[4];
	struct cache *c;

	(void)state;
	assert_int_equal(cache_new(SMALL * 2, &c), STATUS_OK);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, hammer, c), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	cache_free(c);
}

/* Levels of tree B are numbered from its leaves, which it seldom has: they are no reason to stay. */
static void
neither_tree_pushes_out_the_other(void **state)
{
	struct page pg = page_of(1);
	struct cache *c;

	(void)state;
	assert_int_equal(cache_new(SMALL, &c), STATUS_OK);
	for (unsigned i = 0; i < 8; i++)
		cache_put(c, (struct node){ NODE_B, NODE_B_TOP - 2, i }, nonce[0], &pg);
	for (unsigned i = 0; i < 4; i++) {
		cache_put(c, (struct node){ NODE_S, 1, i }, nonce[0], &pg);
		assert_true(has(c, (struct node){ NODE_S, 1, i }, nonce[0]));
	}
	cache_put(c, (struct node){ NODE_S, 2, 0 }, nonce[0], &pg);
	for (unsigned i = 0; i < 8; i++)
		cache_put(c, (struct node){ NODE_B, NODE_B_TOP - 2, i }, nonce[0], &pg);
	assert_true(has(c, (struct node){ NODE_S, 2, 0 }, nonce[0]));
	cache_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_exactly_the_version),
		cmocka_unit_test(evicts_all_versions),
		cmocka_unit_test(wipes),
		cmocka_unit_test(oldest_goes),
		cmocka_unit_test(root_side_stays),
		cmocka_unit_test(neither_tree_pushes_out_the_other),
		cmocka_unit_test(bounded),
		cmocka_unit_test(threads),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
