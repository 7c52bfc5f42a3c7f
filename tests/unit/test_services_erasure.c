/* Erasing by E1, E2 and E3, whole and by category, and transactions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "raw_store.h"
#include "scratch.h"
#include "server/store/reader.h"
#include "server/store/subject.h"
#include "vault_bed.h"

static struct vault_bed bed;
static uint8_t id[16];

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	scratch_log_begin();
	return vault_bed_create(&bed, 1, id) == STATUS_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	free(scratch_log_end(NULL));
	vault_bed_free(&bed);
	return 0;
}

/* --- transactions --- */

#define MANY 100u

struct batch {
	Pdvault__V1__AppendTransactionsRequest q;
	Pdvault__V1__Transaction t[MANY + 1], *list[MANY + 1];
	Pdvault__V1__Timestamp time;
	char ids[MANY + 1][16];
};

static void
make(struct batch *b, unsigned first, unsigned count)
{
	pdvault__v1__append_transactions_request__init(&b->q);
	pdvault__v1__timestamp__init(&b->time);
	b->time.seconds = 1700000000;
	for (unsigned i = 0; i < count; i++) {
		pdvault__v1__transaction__init(&b->t[i]);
		(void)snprintf(b->ids[i], sizeof(b->ids[i]), "t%u", first + i);
		b->t[i].id = b->ids[i];
		b->t[i].currency = VAULT_BED_TEXT("EUR");
		b->t[i].amount_minor = (int64_t)first + i;
		b->t[i].time = &b->time;
		b->list[i] = &b->t[i];
	}
	b->q.subject = VAULT_BED_ID(id);
	b->q.transactions = b->list;
	b->q.n_transactions = count;
}

static void
append(const struct batch *b, enum status want, unsigned appended, unsigned unchanged)
{
	struct vault_call c;

	assert_int_equal(vault_bed_call(&bed, "Vault.AppendTransactions", &b->q, &c), want);
	if (want == STATUS_OK) {
		assert_int_equal(VAULT_BED_ANSWER(AppendTransactionsResponse, &c)->appended, appended);
		assert_int_equal(VAULT_BED_ANSWER(AppendTransactionsResponse, &c)->unchanged, unchanged);
	}
	vault_bed_done(&c);
}

static enum status
list(unsigned size, const char *token, struct vault_call *c)
{
	Pdvault__V1__ListTransactionsRequest q = PDVAULT__V1__LIST_TRANSACTIONS_REQUEST__INIT;

	q.subject = VAULT_BED_ID(id);
	q.page_size = size;
	q.page_token = VAULT_BED_TEXT(token);
	return vault_bed_call(&bed, "Vault.ListTransactions", &q, c);
}

/* All pages of that size hold t0 to t(count - 1) in the order of appending. */
static void
assert_listed(unsigned size, unsigned count)
{
	char token[64] = "", want[16];
	unsigned seen = 0, pages = 0;
	struct vault_call c;

	do {
		const Pdvault__V1__ListTransactionsResponse *r;

		assert_int_equal(list(size, token, &c), STATUS_OK);
		r = VAULT_BED_ANSWER(ListTransactionsResponse, &c);
		assert_true(r->n_transactions <= (size == 0 ? 50 : size));
		for (size_t i = 0; i < r->n_transactions; i++) {
			(void)snprintf(want, sizeof(want), "t%u", seen);
			assert_string_equal(r->transactions[i]->id, want);
			assert_int_equal(r->transactions[i]->amount_minor, seen++);
		}
		(void)snprintf(token, sizeof(token), "%s", r->next_page_token);
		vault_bed_done(&c);
		assert_true(++pages < 1000);
	} while (token[0] != '\0');
	assert_int_equal(seen, count);
}

static void
transactions_in_pages(void **state)
{
	static struct batch b;

	(void)state;
	assert_listed(0, 0);
	make(&b, 0, MANY);
	append(&b, STATUS_OK, MANY, 0);
	make(&b, MANY, 20);
	append(&b, STATUS_OK, 20, 0);
	for (unsigned size = 0; size <= 200; size = size == 0 ? 1 : size * 3 + 1)
		assert_listed(size, 120);
	assert_listed(60, 120);
	assert_listed(200, 120);
	vault_bed_restart(&bed);
	make(&b, 120, 1);
	append(&b, STATUS_OK, 1, 0);
	assert_listed(7, 121);
}

static void
transactions_again(void **state)
{
	static struct batch b;
	struct vault_call c;

	(void)state;
	make(&b, 0, 10);
	append(&b, STATUS_OK, 10, 0);
	append(&b, STATUS_OK, 0, 10);
	make(&b, 5, 10);
	append(&b, STATUS_OK, 5, 5);
	/* Another content refuses all of the request. */
	make(&b, 14, 3);
	b.t[0].amount_minor++;
	append(&b, STATUS_TRANSACTION_TAKEN, 0, 0);
	assert_listed(50, 15);
	b.t[0].amount_minor--;
	b.t[0].description = VAULT_BED_TEXT("x");
	append(&b, STATUS_TRANSACTION_TAKEN, 0, 0);
	assert_int_equal(list(50, "", &c), STATUS_OK);
	assert_int_equal(VAULT_BED_ANSWER(ListTransactionsResponse, &c)->n_transactions, 15);
	vault_bed_done(&c);
}

static void
transactions_refused(void **state)
{
	static const char *const tokens[] = { "x", "-1", " 1", "1 ", "99999999999999999999", "0x1" };
	static struct batch b;
	struct vault_call c;

	(void)state;
	make(&b, 0, MANY + 1);
	append(&b, STATUS_INVALID, 0, 0);
	make(&b, 0, 0);
	append(&b, STATUS_INVALID, 0, 0);
	make(&b, 0, 2);
	b.t[1].id = b.t[0].id;
	append(&b, STATUS_INVALID, 0, 0);
	make(&b, 0, 1);
	b.t[0].time = NULL;
	append(&b, STATUS_INVALID, 0, 0);
	for (int i = 0; i < 4; i++) {
		static const int64_t seconds[] = { -62135596801, 253402300800, 0, 0 };
		static const int32_t nanos[] = { 0, 0, -1, 1000000000 };

		make(&b, 0, 1);
		b.time.seconds = seconds[i];
		b.time.nanos = nanos[i];
		append(&b, STATUS_INVALID, 0, 0);
	}
	b.time.seconds = -62135596800;
	b.time.nanos = 999999999;
	append(&b, STATUS_OK, 1, 0);
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		assert_int_equal(list(10, tokens[i], &c), STATUS_INVALID);
		vault_bed_done(&c);
	}
	assert_int_equal(list(201, "", &c), STATUS_INVALID);
	vault_bed_done(&c);
	assert_int_equal(list(10, "9999999999999999999", &c), STATUS_OK);
	assert_int_equal(VAULT_BED_ANSWER(ListTransactionsResponse, &c)->n_transactions, 0);
	vault_bed_done(&c);
}

/* --- erasing --- */

/* Erases; the id of the erasure. */
static enum status
erase(unsigned n, const Pdvault__V1__Category *categories, uint8_t erasure[static 16])
{
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	struct vault_call c;
	enum status rc;

	q.subject = VAULT_BED_ID(id);
	q.n_categories = n;
	q.categories = (Pdvault__V1__Category *)(uintptr_t)categories;
	rc = vault_bed_call(&bed, "Rights.EraseSubject", &q, &c);
	if (rc == STATUS_OK) {
		const Pdvault__V1__EraseSubjectResponse *r = VAULT_BED_ANSWER(EraseSubjectResponse, &c);

		/* K7: it is said when it is so. */
		assert_int_equal(r->state, PDVAULT__V1__ERASURE_STATE__SHREDDED);
		assert_true(r->epoch <= vault_settled(bed.vault));
		memcpy(erasure, r->erasure.data, 16);
	}
	vault_bed_done(&c);
	return rc;
}

static const Pdvault__V1__Category identity[] = { PDVAULT__V1__CATEGORY__IDENTITY },
    billing[] = { PDVAULT__V1__CATEGORY__BILLING },
    both[] = { PDVAULT__V1__CATEGORY__IDENTITY, PDVAULT__V1__CATEGORY__BILLING },
    content[] = { PDVAULT__V1__CATEGORY__CONTENT };

static size_t
rows(const char *table)
{
	struct raw_store r;
	size_t n;

	vault_bed_stop(&bed);
	raw_store_open(&r, bed.store);
	n = raw_store_count(&r, table);
	raw_store_close(&r);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	return n;
}

static void
erased_for_every_method(void **state)
{
	static struct batch b;
	static const char *const gets[] = { "Vault.GetSubject", "Vault.GetIdentity",
		"Vault.GetBilling", "Vault.ListTransactions" };
	Pdvault__V1__GetSubjectRequest q = PDVAULT__V1__GET_SUBJECT_REQUEST__INIT;
	Pdvault__V1__UpdateBillingRequest u = PDVAULT__V1__UPDATE_BILLING_REQUEST__INIT;
	Pdvault__V1__Billing empty = PDVAULT__V1__BILLING__INIT;
	uint8_t first[16], again[16], found[16];

	(void)state;
	make(&b, 0, 30);
	append(&b, STATUS_OK, 30, 0);
	assert_int_equal(erase(0, NULL, first), STATUS_OK);
	for (int round = 0; round < 2; round++) {
		q.subject = u.subject = VAULT_BED_ID(id);
		u.billing = &empty;
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(vault_bed_status(&bed, gets[i], &q), STATUS_ERASED);
		assert_int_equal(vault_bed_change_email(&bed, 1, id), STATUS_ERASED);
		assert_int_equal(vault_bed_status(&bed, "Vault.UpdateBilling", &u), STATUS_ERASED);
		append(&b, STATUS_ERASED, 0, 0);
		assert_int_equal(vault_bed_find_email(&bed, 1, found), STATUS_NO_SUBJECT);
		/* Erasing again is the same erasure. */
		assert_int_equal(erase(0, NULL, again), STATUS_OK);
		assert_memory_equal(again, first, 16);
		assert_int_equal(erase(1, billing, again), STATUS_OK);
		assert_memory_equal(again, first, 16);
		vault_bed_restart(&bed);
	}
	/* Nothing of the subject but the tombstone. */
	assert_int_equal(rows("records") + rows("transactions") + rows("keyrings") + rows("buckets"), 0);
	assert_int_equal(rows("subjects"), 1);
	assert_int_equal(rows("erasures"), 1);
}

/* E2: a shredded category has no key any more, a live one has. */
static void
assert_keys(unsigned live)
{
	struct reader *rd = NULL;
	struct reader_subject s;

	assert_int_equal(reader_begin(bed.vault, &rd), STATUS_OK);
	assert_int_equal(reader_subject(rd, id, &s), STATUS_OK);
	for (unsigned c = 1; c <= CATEGORY_COUNT; c++)
		assert_int_equal(seal_key_is_zero(&s.keyring->category[c - 1].key), (live >> c & 1) == 0);
	reader_end(rd);
}

static void
assert_state(unsigned n, const Pdvault__V1__SubjectState *states)
{
	Pdvault__V1__GetSubjectRequest q = PDVAULT__V1__GET_SUBJECT_REQUEST__INIT;
	const Pdvault__V1__GetSubjectResponse *r;
	struct vault_call c;

	q.subject = VAULT_BED_ID(id);
	assert_int_equal(vault_bed_call(&bed, "Vault.GetSubject", &q, &c), STATUS_OK);
	r = VAULT_BED_ANSWER(GetSubjectResponse, &c);
	assert_int_equal(r->n_categories, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(r->categories[i]->state, states[i]);
	vault_bed_done(&c);
}

/* Identity goes, billing is retained: readable, and takes no ordinary writes. Then billing goes. */
static void
category_by_category(void **state)
{
	static const Pdvault__V1__SubjectState partly[] = { PDVAULT__V1__SUBJECT_STATE__ERASED,
		PDVAULT__V1__SUBJECT_STATE__ACTIVE };
	static struct batch b;
	Pdvault__V1__UpdateBillingRequest u = PDVAULT__V1__UPDATE_BILLING_REQUEST__INIT;
	Pdvault__V1__GetBillingRequest g = PDVAULT__V1__GET_BILLING_REQUEST__INIT;
	Pdvault__V1__Billing empty = PDVAULT__V1__BILLING__INIT;
	uint8_t first[16], second[16], found[16];

	(void)state;
	u.subject = g.subject = VAULT_BED_ID(id);
	u.billing = &empty;
	assert_int_equal(vault_bed_status(&bed, "Vault.UpdateBilling", &u), STATUS_OK);
	make(&b, 0, 5);
	append(&b, STATUS_OK, 5, 0);
	assert_int_equal(erase(1, content, first), STATUS_NO_RECORD);
	assert_int_equal(erase(1, identity, first), STATUS_OK);
	for (int round = 0; round < 2; round++) {
		assert_state(2, partly);
		assert_keys(1u << SUBJECT_BILLING);
		assert_int_equal(vault_bed_get(&bed, id), STATUS_CATEGORY_ERASED);
		assert_int_equal(vault_bed_find_email(&bed, 1, found), STATUS_NO_SUBJECT);
		assert_int_equal(vault_bed_change_email(&bed, 1, id), STATUS_CATEGORY_ERASED);
		assert_int_equal(vault_bed_status(&bed, "Vault.GetBilling", &g), STATUS_OK);
		assert_listed(3, 5);
		assert_int_equal(vault_bed_status(&bed, "Vault.UpdateBilling", &u), STATUS_RETAINED);
		append(&b, STATUS_RETAINED, 0, 0);
		assert_int_equal(erase(1, identity, second), STATUS_CATEGORY_ERASED);
		vault_bed_restart(&bed);
	}
	/* The email is free for another. */
	assert_int_equal(vault_bed_create(&bed, 1, found), STATUS_OK);
	/* The last category takes the subject with it. */
	assert_int_equal(erase(2, both, second), STATUS_OK);
	assert_memory_not_equal(first, second, 16);
	assert_int_equal(vault_bed_status(&bed, "Vault.GetBilling", &g), STATUS_ERASED);
	assert_int_equal(vault_bed_get(&bed, found), STATUS_OK);
	assert_int_equal(rows("keyrings"), 1);
	assert_int_equal(rows("transactions"), 0);
	assert_int_equal(rows("records"), 1);
}

static void
billing_first(void **state)
{
	static struct batch b;
	Pdvault__V1__GetBillingRequest g = PDVAULT__V1__GET_BILLING_REQUEST__INIT;
	uint8_t erasure[16], found[16];
	struct vault_call c;

	(void)state;
	make(&b, 0, 5);
	append(&b, STATUS_OK, 5, 0);
	assert_int_equal(erase(1, billing, erasure), STATUS_OK);
	g.subject = VAULT_BED_ID(id);
	assert_int_equal(vault_bed_status(&bed, "Vault.GetBilling", &g), STATUS_CATEGORY_ERASED);
	assert_int_equal(list(0, "", &c), STATUS_CATEGORY_ERASED);
	vault_bed_done(&c);
	append(&b, STATUS_CATEGORY_ERASED, 0, 0);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	assert_int_equal(vault_bed_find_email(&bed, 1, found), STATUS_OK);
	assert_int_equal(vault_bed_change_email(&bed, 1, id), STATUS_RETAINED);
	assert_int_equal(rows("transactions"), 0);
}

/*
 * The identity does not open, so nobody knows what it was found by. Erased all the same: its entry leads
 * nowhere, and its email is free for the next.
 */
static void
damaged_identity_of_one_retained(void **state)
{
	static struct batch b;
	struct raw_store r;
	struct raw_row row;
	uint8_t erasure[16], found[16];

	(void)state;
	make(&b, 0, 1);
	append(&b, STATUS_OK, 1, 0);
	vault_bed_stop(&bed);
	raw_store_open(&r, bed.store);
	raw_store_nth(&r, "records", 0, &row);
	row.value[70] ^= 1;
	raw_store_write(&r, "records", &row);
	raw_store_close(&r);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_FORGED);
	assert_int_equal(erase(1, identity, erasure), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_CATEGORY_ERASED);
	assert_int_equal(vault_bed_find_email(&bed, 1, found), STATUS_NO_SUBJECT);
	assert_int_equal(vault_bed_create(&bed, 1, erasure), STATUS_OK);
	assert_int_equal(vault_bed_find_email(&bed, 1, found), STATUS_OK);
	assert_memory_equal(found, erasure, 16);
	assert_listed(0, 1);
}

static void
get_erasure(void **state)
{
	Pdvault__V1__GetErasureRequest q = PDVAULT__V1__GET_ERASURE_REQUEST__INIT;
	const Pdvault__V1__GetErasureResponse *r;
	uint8_t erasure[16], none[16] = { 1 };
	struct vault_call c;

	(void)state;
	assert_int_equal(erase(0, NULL, erasure), STATUS_OK);
	q.erasure = VAULT_BED_ID(erasure);
	assert_int_equal(vault_bed_call(&bed, "Rights.GetErasure", &q, &c), STATUS_OK);
	r = VAULT_BED_ANSWER(GetErasureResponse, &c);
	assert_memory_equal(r->erasure.data, erasure, 16);
	assert_memory_equal(r->subject.data, id, 16);
	assert_int_equal(r->state, PDVAULT__V1__ERASURE_STATE__FINAL);
	assert_int_equal(r->epoch, vault_epoch(bed.vault));
	assert_int_equal(r->n_categories, 1);
	assert_int_equal(r->categories[0], PDVAULT__V1__CATEGORY__IDENTITY);
	assert_true(r->time->seconds > 1600000000);
	vault_bed_done(&c);
	q.erasure = VAULT_BED_ID(none);
	assert_int_equal(vault_bed_status(&bed, "Rights.GetErasure", &q), STATUS_NO_ERASURE);
	q.erasure.len = 15;
	assert_int_equal(vault_bed_status(&bed, "Rights.GetErasure", &q), STATUS_INVALID);
}

static void
erase_refused(void **state)
{
	static const Pdvault__V1__Category bad[] = { 0, 9, 255 };
	static const Pdvault__V1__Category nine[9] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	uint8_t erasure[16];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(erase(1, &bad[i], erasure), STATUS_INVALID);
	assert_int_equal(erase(9, nine, erasure), STATUS_INVALID);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	assert_int_equal(erase(8, nine, erasure), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_ERASED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(transactions_in_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(transactions_again, setup, teardown),
		cmocka_unit_test_setup_teardown(transactions_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(erased_for_every_method, setup, teardown),
		cmocka_unit_test_setup_teardown(category_by_category, setup, teardown),
		cmocka_unit_test_setup_teardown(billing_first, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_identity_of_one_retained, setup, teardown),
		cmocka_unit_test_setup_teardown(get_erasure, setup, teardown),
		cmocka_unit_test_setup_teardown(erase_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
