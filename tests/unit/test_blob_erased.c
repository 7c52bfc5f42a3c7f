/* Opened keys that are kept go with any answer that tells of an erasure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sodium.h>

#include "data_key_vault.h"
#include "plan.h"

#define LONG_MS 3600000u
#define THREADS 8

static struct fake *fake;
static struct pdv_client *client;
static struct pdv_blobs *blobs;
static uint8_t sealed[PDV_BLOB_ROOM(10)], opened[PDV_BLOB_ROOM(sizeof(sealed))];
static size_t sealed_length;
static const struct pdv_blob_place place = {.subject = {"the subject's id"},
    .category = PDV_CATEGORY_CONTENT};

static int
setup(void **state)
{
	const struct pdv_blob_options o = {.cache_ms = LONG_MS};
	struct pdv_blob_buffer b = {.data = sealed, .size = sizeof(sealed)};

	(void)state;
	data_key_vault_empty();
	fake = fake_new(plan_pki, 0, data_key_vault_serve, NULL);
	client = plan_client_of(fake);
	assert_int_equal(pdv_blobs_new(client, &o, &blobs), PDV_OK);
	assert_int_equal(pdv_blob_seal(blobs, &place, "0123456789", 10, &b), PDV_OK);
	sealed_length = b.length;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pdv_blobs_free(blobs);
	pdv_client_free(client);
	fake_free(fake);
	return 0;
}

static enum pdv_code
open_sealed(void)
{
	struct pdv_blob_buffer b = {.data = opened, .size = sizeof(opened)};

	return pdv_blob_open(blobs, &place, sealed, sealed_length, &b);
}

/* Whether the key is kept: an erased vault would not open it again. */
static bool
is_kept(void)
{
	unsigned before = data_key_vault.opened;
	bool erased = data_key_vault.erased, part = data_key_vault.erased_in_part, is;

	data_key_vault.erased = data_key_vault.erased_in_part = false;
	assert_int_equal(open_sealed(), PDV_OK);
	is = data_key_vault.opened == before;
	data_key_vault.erased = erased;
	data_key_vault.erased_in_part = part;
	return is;
}

enum asking { GENERATE, OPEN, IDENTITY, BATCH, SUBJECT, ERASURE, ERASE, ASKINGS };

static void
ask(enum asking how, struct pdv_result **r)
{
	struct pdv_data_key_request generate = {
	    .subject = place.subject, .category = place.category, .count = 1};
	struct pdv_wrapped_key wrapped = {sealed, 5};
	struct pdv_data_key_opening opening = {.subject = place.subject, .category = place.category,
	    .wrapped = &wrapped, .count = 1};
	struct pdv_subject_id ids[2] = {{"another subject"}, place.subject};
	struct pdv_subject_list list = {ids, 2};
	struct pdv_erase erase = {.subject = place.subject};
	struct pdv_erasure_id erasure;

	memcpy(erasure.bytes, place.subject.bytes, PDV_ID_LEN);
	switch (how) {
	case GENERATE:
		(void)pdv_generate_data_keys(client, &generate, NULL, r);
		break;
	case OPEN:
		(void)pdv_open_data_keys(client, &opening, NULL, r);
		break;
	case IDENTITY:
		(void)pdv_get_identity(client, &ids[1], NULL, r);
		break;
	case BATCH:
		(void)pdv_batch_get_identity(client, &list, NULL, r);
		break;
	case SUBJECT:
		(void)pdv_get_subject(client, &ids[1], NULL, r);
		break;
	case ERASURE:
		(void)pdv_get_erasure(client, &erasure, NULL, r);
		break;
	default:
		(void)pdv_erase_subject(client, &erase, NULL, r);
	}
}

static void
gone_with_any_answer(void **state)
{
	(void)state;
	for (int how = 0; how < ASKINGS; how++)
		for (int part = 0; part < 2; part++) {
			/* Of a part that is erased these tell nothing, since they are about another. */
			bool tells = part == 0 || (how != IDENTITY && how != BATCH);
			struct pdv_result *r;

			data_key_vault.erased = data_key_vault.erased_in_part = false;
			assert_int_equal(open_sealed(), PDV_OK);
			assert_true(is_kept());
			if (how < ERASURE) {	/* these two tell of an erasure whatever the vault holds */
				ask((enum asking)how, &r);
				pdv_result_free(r);
				assert_true(is_kept());
			}
			data_key_vault.erased = part == 0;
			data_key_vault.erased_in_part = part == 1;
			/* It is kept: the vault was not asked. */
			assert_int_equal(open_sealed(), PDV_OK);
			ask((enum asking)how, &r);
			pdv_result_free(r);
			assert_true(is_kept() != tells);
		}
}

/* What fails otherwise, or is about another subject, forgets nothing; a request to erase does, always. */
static void
not_without_reason(void **state)
{
	struct pdv_subject_id other = {"another subject"};
	struct pdv_result *r;

	(void)state;
	assert_int_equal(open_sealed(), PDV_OK);
	data_key_vault.erased = true;
	(void)pdv_get_identity(client, &other, NULL, &r);
	pdv_result_free(r);
	assert_true(is_kept());
	data_key_vault.erased = false;
	data_key_vault.code = PDV_NOT_FOUND;
	data_key_vault.reason = "SUBJECT_NOT_FOUND";
	ask(IDENTITY, &r);
	pdv_result_free(r);
	data_key_vault.code = 0;
	assert_true(is_kept());
	pdv_blobs_forget(blobs, &other);
	assert_true(is_kept());
	pdv_blobs_forget(blobs, &place.subject);
	assert_false(is_kept());
	assert_true(is_kept());
	pdv_blobs_forget(blobs, NULL);
	assert_false(is_kept());
}

static void *
open_one(void *arg)
{
	struct pdv_blob_buffer b = {.size = sizeof(opened)};
	atomic_uint *good = arg;

	assert_non_null(b.data = malloc(b.size));
	if (pdv_blob_open(blobs, &place, sealed, sealed_length, &b) == PDV_OK && b.length == 10 &&
	    memcmp(b.data, "0123456789", 10) == 0)
		(void)atomic_fetch_add(good, 1);
	free(b.data);
	return NULL;
}

static void
many_threads(void **state)
{
	atomic_uint good = 0;
	pthread_t t[THREADS];

	(void)state;
	data_key_vault.delay_ms = 100;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, open_one, &good), 0);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_int_equal(good, THREADS);
	assert_int_equal(data_key_vault.opened, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gone_with_any_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(not_without_reason, setup, teardown),
		cmocka_unit_test_setup_teardown(many_threads, setup, teardown),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, plan_set_up, plan_tear_down);
}
