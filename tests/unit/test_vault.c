/*
 * The life of subjects through the real store, anchor and writer: K1 to K7.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include <sched.h>

#include "server/clock.h"
#include "server/keys/secret.h"
#include "server/store/path.h"
#include "vault_bed.h"

#include "server/store/vault_internal.h"

static struct vault_bed bed;

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vault_bed_free(&bed);
	return 0;
}

static void
test_life(void **state)
{
	uint8_t a[16], found[16];
	uint64_t before = vault_epoch(bed.vault);

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 1, a), STATUS_OK);
	assert_int_equal(vault_epoch(bed.vault), before + 1);
	assert_int_equal(vault_settled(bed.vault), before + 1);
	assert_int_equal(vault_bed_get(&bed, a), STATUS_OK);
	assert_int_equal(vault_bed_find_email(&bed, 1, found), STATUS_OK);
	assert_memory_equal(found, a, 16);
	assert_int_equal(vault_bed_find_email(&bed, 2, found), STATUS_NO_SUBJECT);
	assert_int_equal(vault_bed_erase(&bed, a), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, a), STATUS_ERASED);
	assert_int_equal(vault_bed_find_email(&bed, 1, found), STATUS_NO_SUBJECT);
	/* Erasing again is the same erasure; the email is free for others. */
	assert_int_equal(vault_bed_erase(&bed, a), STATUS_OK);
	assert_int_equal(vault_bed_create(&bed, 1, found), STATUS_OK);
	assert_memory_not_equal(found, a, 16);
	epoch_check(bed.vault->epochs);
}

static void
test_taken(void **state)
{
	uint8_t a[16], b[16];
	uint64_t epoch;

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 1, a), STATUS_OK);
	epoch = vault_epoch(bed.vault);
	assert_int_equal(vault_bed_create(&bed, 1, b), STATUS_LOOKUP_TAKEN);
	/* A refused request changes no key. */
	assert_int_equal(vault_epoch(bed.vault), epoch);
	assert_int_equal(vault_bed_get(&bed, a), STATUS_OK);
}

/* Enough people that tree S has two levels and buckets split; then a restart. */
#define PEOPLE 1200u

static void
test_many(void **state)
{
	static uint8_t id[PEOPLE][16];
	uint8_t found[16];

	(void)state;
	for (unsigned i = 0; i < PEOPLE; i++)
		assert_int_equal(vault_bed_create(&bed, i, id[i]), STATUS_OK);
	for (unsigned i = 0; i < PEOPLE; i += 3)
		assert_int_equal(vault_bed_erase(&bed, id[i]), STATUS_OK);
	vault_bed_restart(&bed);
	for (unsigned i = 0; i < PEOPLE; i++) {
		bool gone = i % 3 == 0;

		assert_int_equal(vault_bed_get(&bed, id[i]), gone ? STATUS_ERASED : STATUS_OK);
		assert_int_equal(vault_bed_find_email(&bed, i, found), gone ? STATUS_NO_SUBJECT :
		    STATUS_OK);
		if (!gone)
			assert_memory_equal(found, id[i], 16);
	}
}

#define BATCH 64u

static void
test_group_commit(void **state)
{
	static struct vault_call call[BATCH];
	Pdvault__V1__CreateSubjectRequest q = PDVAULT__V1__CREATE_SUBJECT_REQUEST__INIT;
	Pdvault__V1__Identity person = PDVAULT__V1__IDENTITY__INIT;
	char email[64], *emails = email;
	uint64_t before = vault_epoch(bed.vault);
	unsigned ok = 0;

	(void)state;
	person.n_emails = 1;
	person.emails = &emails;
	q.identity = &person;
	/* Every second one wants an email that the one before it took, in the same batch or not. */
	for (unsigned i = 0; i < BATCH; i++) {
		(void)snprintf(email, sizeof(email), "batch%u@example.org", i / 2);
		vault_bed_submit(&bed, "Vault.CreateSubject", &q, &call[i]);
	}
	for (unsigned i = 0; i < BATCH; i++) {
		assert_int_equal(vault_bed_wait(&call[i]), i % 2 == 0 ? STATUS_OK : STATUS_LOOKUP_TAKEN);
		ok += call[i].rc == STATUS_OK;
		vault_bed_done(&call[i]);
	}
	assert_int_equal(ok, BATCH / 2);
	assert_true(vault_epoch(bed.vault) - before < ok);
}

static void
test_idempotency(void **state)
{
	static const uint8_t key[16] = "0123456789abcde";
	Pdvault__V1__CreateSubjectRequest q = PDVAULT__V1__CREATE_SUBJECT_REQUEST__INIT;
	Pdvault__V1__Identity person = PDVAULT__V1__IDENTITY__INIT;
	struct vault_call c;
	uint8_t id[16];
	char *email;

	(void)state;
	email = VAULT_BED_TEXT("once@example.org");
	person.n_emails = 1;
	person.emails = &email;
	q.identity = &person;
	assert_int_equal(vault_bed_call_again(&bed, "Vault.CreateSubject", &q, key, &c), STATUS_OK);
	memcpy(id, ((const Pdvault__V1__CreateSubjectResponse *)(const void *)
	    c.call.response)->subject.data, 16);
	vault_bed_done(&c);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vault_bed_call_again(&bed, "Vault.CreateSubject", &q, key, &c), STATUS_OK);
		assert_memory_equal(((const Pdvault__V1__CreateSubjectResponse *)(const void *)
		    c.call.response)->subject.data, id, 16);
		vault_bed_done(&c);
		vault_bed_restart(&bed);
	}
	person.locale = VAULT_BED_TEXT("de");
	assert_int_equal(vault_bed_call_again(&bed, "Vault.CreateSubject", &q, key, &c),
	    STATUS_KEY_REUSED);
	vault_bed_done(&c);
	/* After a shred only key and method are compared: the outcome, not another subject. */
	assert_int_equal(vault_bed_erase(&bed, id), STATUS_OK);
	assert_int_equal(vault_bed_call_again(&bed, "Vault.CreateSubject", &q, key, &c), STATUS_OK);
	assert_memory_equal(((const Pdvault__V1__CreateSubjectResponse *)(const void *)
	    c.call.response)->subject.data, id, 16);
	vault_bed_done(&c);
}

static void
test_update(void **state)
{
	Pdvault__V1__UpdateIdentityRequest q = PDVAULT__V1__UPDATE_IDENTITY_REQUEST__INIT;
	Pdvault__V1__Identity person = PDVAULT__V1__IDENTITY__INIT;
	char *email = VAULT_BED_TEXT("new@example.org"), *path = VAULT_BED_TEXT("emails");
	Pdvault__V1__FieldMask mask = PDVAULT__V1__FIELD_MASK__INIT;
	uint64_t epoch;
	uint8_t id[16], found[16];
	struct vault_call c;

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 5, id), STATUS_OK);
	epoch = vault_epoch(bed.vault);
	q.subject = (ProtobufCBinaryData){ 16, id };
	q.identity = &person;
	person.locale = VAULT_BED_TEXT("fr-CA");
	q.etag = VAULT_BED_TEXT("1");
	assert_int_equal(vault_bed_call(&bed, "Vault.UpdateIdentity", &q, &c), STATUS_OK);
	assert_string_equal(((const Pdvault__V1__UpdateIdentityResponse *)(const void *)
	    c.call.response)->etag, "2");
	vault_bed_done(&c);
	/* No key was touched, so there was no switch. */
	assert_int_equal(vault_epoch(bed.vault), epoch);
	assert_int_equal(vault_bed_call(&bed, "Vault.UpdateIdentity", &q, &c), STATUS_ETAG);
	vault_bed_done(&c);
	q.etag = VAULT_BED_TEXT("");
	person.n_emails = 1;
	person.emails = &email;
	mask.n_paths = 1;
	mask.paths = &path;
	q.update_mask = &mask;
	assert_int_equal(vault_bed_call(&bed, "Vault.UpdateIdentity", &q, &c), STATUS_OK);
	vault_bed_done(&c);
	assert_int_equal(vault_epoch(bed.vault), epoch + 1);
	assert_int_equal(vault_bed_find_email(&bed, 5, found), STATUS_NO_SUBJECT);
	path = VAULT_BED_TEXT("shoe_size");
	assert_int_equal(vault_bed_call(&bed, "Vault.UpdateIdentity", &q, &c), STATUS_INVALID);
	assert_string_equal(c.call.violations[0].field, "update_mask.paths[0]");
	vault_bed_done(&c);
}

/* The nonce of tree S's first page, as the store holds it. */
static void
first_page(uint8_t nonce[static SEAL_NONCE_LEN])
{
	uint8_t key[NODE_KEY_LEN];
	struct store_snapshot *s;
	struct bytes box;

	node_key((struct node){ NODE_S, 1, 0 }, key);
	assert_int_equal(store_snapshot_new(bed.vault->store, &s), STATUS_OK);
	assert_int_equal(store_snapshot_begin(s), STATUS_OK);
	assert_int_equal(store_get(s, STORE_NODES, bytes_of(key, sizeof(key)), &box), STATUS_OK);
	memcpy(nonce, seal_nonce(box), SEAL_NONCE_LEN);
	store_snapshot_end(s);
	store_snapshot_free(s);
}

/* K6: the page that held the key of the erased leaves the cache, the one that does not is there. */
static void
test_keys_leave_the_cache(void **state)
{
	const struct node n = { NODE_S, 1, 0 };
	uint8_t id[2][16], old[SEAL_NONCE_LEN], new[SEAL_NONCE_LEN];
	struct page pg;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(vault_bed_create(&bed, i, id[i]), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, id[0]), STATUS_OK);
	first_page(old);
	assert_true(cache_page(bed.vault->cache, n, old, &pg));
	assert_false(seal_key_is_zero(&pg.key[0]));
	assert_int_equal(vault_bed_erase(&bed, id[0]), STATUS_OK);
	first_page(new);
	assert_memory_not_equal(old, new, sizeof(old));
	assert_false(cache_page(bed.vault->cache, n, old, &pg));
	assert_true(cache_page(bed.vault->cache, n, new, &pg));
	assert_true(seal_key_is_zero(&pg.key[0]));
	assert_false(seal_key_is_zero(&pg.key[1]));
	assert_null(epoch_root(bed.vault->epochs, vault_epoch(bed.vault) - 1));
}

/*
 * K6: a reader of the old epoch that opens its page late, after the switch has begun to wait for it, puts an
 * old page into the cache: it is cleared after that.
 */
static void
test_late_reader(void **state)
{
	const unsigned number = EPOCH_READERS_MAX - 1;
	const struct node n = { NODE_S, 1, 0 };
	static struct path path;
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	struct path_source src = { .cache = bed.vault->cache };
	uint8_t id[16], old[SEAL_NONCE_LEN], *keyring = secret_alloc(PAGE_BUFFER_LEN);
	uint64_t epoch, until;
	struct vault_call c;
	struct page pg;

	(void)state;
	assert_non_null(keyring);
	assert_non_null(path.secret = secret_alloc(sizeof(*path.secret)));
	assert_int_equal(vault_bed_create(&bed, 0, id), STATUS_OK);
	first_page(old);
	epoch = vault_epoch(bed.vault);
	cache_evict(bed.vault->cache, n);
	epoch_pin(bed.vault->epochs, number);
	src.root = epoch_root(bed.vault->epochs, epoch);
	assert_int_equal(store_snapshot_new(bed.vault->store, &src.snapshot), STATUS_OK);
	assert_int_equal(store_snapshot_begin(src.snapshot), STATUS_OK);
	assert_int_equal(path_fetch_slot(&src, 0, &path), STATUS_OK);
	store_snapshot_end(src.snapshot);
	store_snapshot_free(src.snapshot);
	q.subject = VAULT_BED_ID(id);
	vault_bed_submit(&bed, "Rights.EraseSubject", &q, &c);
	until = clock_monotonic_ns() + UINT64_C(30000000000);
	while (vault_epoch(bed.vault) == epoch) {
		assert_true(clock_monotonic_ns() < until);
		(void)sched_yield();
	}
	assert_int_equal(path_open(&path, bed.vault->id, bed.vault->cache, keyring), STATUS_OK);
	epoch_unpin(bed.vault->epochs, number);
	assert_int_equal(vault_bed_wait(&c), STATUS_OK);
	vault_bed_done(&c);
	assert_false(cache_page(bed.vault->cache, n, old, &pg));
	secret_free(path.secret, sizeof(*path.secret));
	secret_free(keyring, PAGE_BUFFER_LEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_group_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idempotency, setup, teardown),
		cmocka_unit_test_setup_teardown(test_update, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys_leave_the_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_reader, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
