/* What is kept of a request, so that it is executed once, says nothing when its category is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "raw_store.h"
#include "scratch.h"
#include "server/store/idempotency.h"
#include "server/store/reader.h"
#include "server/store/subject.h"
#include "vault_bed.h"

static struct vault_bed bed;
static const uint8_t key[16] = "a creation", other_key[16] = "an erasure";
static const Pdvault__V1__Category identity = PDVAULT__V1__CATEGORY__IDENTITY,
    billing = PDVAULT__V1__CATEGORY__BILLING;

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
	free(scratch_log_end(NULL));
	vault_bed_free(&bed);
	return 0;
}

/* A creation with billing, under one idempotency key for all. */
static enum status
create(const char *tax_id, struct vault_call *c)
{
	static Pdvault__V1__Billing bill;
	static struct vault_bed_person p;

	vault_bed_person(2, &p);
	pdvault__v1__billing__init(&bill);
	bill.tax_id = VAULT_BED_TEXT(tax_id);
	p.request.billing = &bill;
	return vault_bed_call_again(&bed, "Vault.CreateSubject", &p.request, key, c);
}

static enum status
erase_again(const uint8_t *id, const Pdvault__V1__Category *category, const uint8_t *once)
{
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	struct vault_call c;
	enum status rc;

	q.subject = VAULT_BED_ID(id);
	q.n_categories = 1;
	q.categories = (Pdvault__V1__Category *)(uintptr_t)category;
	rc = vault_bed_call_again(&bed, "Rights.EraseSubject", &q, once, &c);
	vault_bed_done(&c);
	return rc;
}

/* The fingerprint as the store has it; the vault is stopped for it. */
static void
stored(uint8_t out[static IDEMPOTENCY_FINGERPRINT_LEN])
{
	uint8_t row_key[20];
	struct raw_store r;
	struct raw_row row;

	memcpy(row_key, key, 16);
	memcpy(row_key + 16, "test", 4);
	vault_bed_stop(&bed);
	raw_store_open(&r, bed.store);
	assert_true(raw_store_get(&r, "idempotency", bytes_of(row_key, sizeof(row_key)), &row));
	raw_store_close(&r);
	memcpy(out, row.value + 12, IDEMPOTENCY_FINGERPRINT_LEN);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

/*
 * The fingerprint of a creation with billing is a function of both keys: with that of the identity alone,
 * which lives on, nobody can try out what the billing was.
 */
static void
dies_with_either(void **state)
{
	struct idempotency_request asked = { key, "test", "/pdvault.v1.Vault/CreateSubject", { NULL, 0 } };
	uint8_t id[16], alone[IDEMPOTENCY_FINGERPRINT_LEN], both[sizeof(alone)], kept[sizeof(alone)];
	const struct keyring_category *of;
	struct reader *rd = NULL;
	struct reader_subject s;
	struct vault_call c;

	(void)state;
	assert_int_equal(create("DE1", &c), STATUS_OK);
	memcpy(id, VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
	asked.message = c.packed;
	assert_int_equal(reader_begin(bed.vault, &rd), STATUS_OK);
	assert_int_equal(reader_subject(rd, id, &s), STATUS_OK);
	of = s.keyring->category;
	idempotency_fingerprint(&of[SUBJECT_IDENTITY - 1].key, NULL, &asked, alone);
	idempotency_fingerprint(&of[SUBJECT_IDENTITY - 1].key, &of[SUBJECT_BILLING - 1].key, &asked, both);
	reader_end(rd);
	vault_bed_done(&c);
	stored(kept);
	assert_memory_equal(kept, both, sizeof(both));
	assert_memory_not_equal(kept, alone, sizeof(alone));
}

static void
compared_while_both_live(void **state)
{
	uint8_t id[16];
	struct vault_call c;

	(void)state;
	assert_int_equal(create("DE1", &c), STATUS_OK);
	memcpy(id, VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
	vault_bed_done(&c);
	assert_int_equal(create("DE2", &c), STATUS_KEY_REUSED);
	vault_bed_done(&c);
	assert_int_equal(erase_again(id, &billing, other_key), STATUS_OK);
	/* From now on key and method alone are compared. */
	assert_int_equal(create("DE2", &c), STATUS_OK);
	assert_memory_equal(VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, id, 16);
	vault_bed_done(&c);
}

/* A key that was used for one subject's erasure must never say "done" of another's. */
static void
erased_twice_under_one_key(void **state)
{
	uint8_t id[16], other[16];
	struct vault_call c;

	(void)state;
	assert_int_equal(create("DE1", &c), STATUS_OK);
	memcpy(id, VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
	vault_bed_done(&c);
	assert_int_equal(vault_bed_create(&bed, 3, other), STATUS_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(erase_again(id, &identity, other_key), STATUS_OK);
		assert_int_equal(erase_again(other, &identity, other_key), STATUS_KEY_REUSED);
	}
	assert_int_equal(vault_bed_get(&bed, other), STATUS_OK);
	/* Nor of another category of the same. */
	assert_int_equal(erase_again(id, &billing, other_key), STATUS_KEY_REUSED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(dies_with_either, setup, teardown),
		cmocka_unit_test_setup_teardown(compared_while_both_live, setup, teardown),
		cmocka_unit_test_setup_teardown(erased_twice_under_one_key, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
