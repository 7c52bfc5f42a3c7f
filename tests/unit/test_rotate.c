/*
 * Rotations of the keys of subjects: all get new keys, nothing that is kept changes, and what is damaged or
 * erased stays as it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>

#include "raw_store.h"
#include "rotate_bed.h"
#include "scratch.h"
#include "server/store/record.h"

#define PEOPLE 40u		/* more than a page of tree S */
#define TRANSACTIONS 3u

static struct vault_bed bed;
static uint8_t id[PEOPLE][16], made_with[PEOPLE][16];
static struct rotate_bed_keys before, after;

/* Person n with billing, unless n is a multiple of 5. */
static enum status
create(unsigned n, const uint8_t key[16], uint8_t out[static 16])
{
	Pdvault__V1__Billing billing = PDVAULT__V1__BILLING__INIT;
	struct vault_bed_person p;
	struct vault_call c;
	char tax[32];
	enum status rc;

	vault_bed_person(n, &p);
	(void)snprintf(tax, sizeof(tax), "TAX%u", n);
	billing.tax_id = tax;
	if (n % 5 != 0)
		p.request.billing = &billing;
	rc = vault_bed_call_again(&bed, "Vault.CreateSubject", &p.request, key, &c);
	if (rc == STATUS_OK)
		memcpy(out, VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
	vault_bed_done(&c);
	return rc;
}

static enum status
append_amount(unsigned n, unsigned t, int64_t amount)
{
	Pdvault__V1__AppendTransactionsRequest q = PDVAULT__V1__APPEND_TRANSACTIONS_REQUEST__INIT;
	Pdvault__V1__Transaction transaction = PDVAULT__V1__TRANSACTION__INIT, *list = &transaction;
	Pdvault__V1__Timestamp time = PDVAULT__V1__TIMESTAMP__INIT;
	char name[32];

	(void)snprintf(name, sizeof(name), "INV-%u-%u", n, t);
	time.seconds = 1700000000;
	transaction.id = name;
	transaction.time = &time;
	transaction.currency = VAULT_BED_TEXT("EUR");
	transaction.amount_minor = amount;
	q.subject = VAULT_BED_ID(id[n]);
	q.transactions = &list;
	q.n_transactions = 1;
	return vault_bed_status(&bed, "Vault.AppendTransactions", &q);
}

static enum status
append(unsigned n, unsigned t)
{
	return append_amount(n, t, t);
}

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	scratch_log_begin();
	for (unsigned i = 0; i < PEOPLE; i++) {
		randombytes_buf(made_with[i], 16);
		if (create(i, made_with[i], id[i]) != STATUS_OK)
			return -1;
		for (unsigned t = 0; t < TRANSACTIONS && i % 5 != 0; t++)
			if (append(i, t) != STATUS_OK)
				return -1;
	}
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

/* All that is told of a person, etags with it. */
static void
digest_of(unsigned n, uint8_t out[static 32])
{
	static const char *const methods[] = { "Vault.GetIdentity", "Vault.GetBilling",
		"Vault.ListTransactions" };
	Pdvault__V1__GetIdentityRequest q = PDVAULT__V1__GET_IDENTITY_REQUEST__INIT;
	crypto_generichash_state h;

	q.subject = VAULT_BED_ID(id[n]);
	(void)crypto_generichash_init(&h, NULL, 0, 32);
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		struct vault_call c;
		enum status rc = vault_bed_call(&bed, methods[i], &q, &c);
		uint8_t word = (uint8_t)rc, packed[4096];
		size_t len = 0;

		if (rc == STATUS_OK) {
			assert_true(protobuf_c_message_get_packed_size(c.call.response) <= sizeof(packed));
			len = protobuf_c_message_pack(c.call.response, packed);
			if (i == 2)
				assert_int_equal(VAULT_BED_ANSWER(ListTransactionsResponse, &c)->n_transactions,
				    n % 5 != 0 ? TRANSACTIONS : 0);
		}
		(void)crypto_generichash_update(&h, &word, 1);
		(void)crypto_generichash_update(&h, packed, len);
		vault_bed_done(&c);
	}
	(void)crypto_generichash_final(&h, out, 32);
}

static void
digests(uint8_t out[static PEOPLE][32])
{
	for (unsigned i = 0; i < PEOPLE; i++)
		digest_of(i, out[i]);
}

static bool
same_key(const struct keyring_category *a, const struct keyring_category *b)
{
	return memcmp(&a->key, &b->key, sizeof(a->key)) == 0;
}

/* Of each keyring of before, category ${c} (0: each that is live) has another key, made since the floor. */
static unsigned
assert_rotated(const struct job *j, unsigned c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < before.count; i++) {
		const struct keyring *old = &before.keyring[i], *now = rotate_bed_keyring(&after, old->subject);

		assert_non_null(now);
		for (unsigned k = 1; k <= CATEGORY_COUNT; k++) {
			const struct keyring_category *a = &old->category[k - 1], *b = &now->category[k - 1];

			if (a->state != CATEGORY_LIVE || (c != 0 && k != c)) {
				assert_memory_equal(a, b, sizeof(*a));
				continue;
			}
			assert_false(same_key(a, b));
			assert_int_equal(bytes_get16(b->version), bytes_get16(a->version) + 1);
			assert_true((int64_t)bytes_get32(b->made) * 1000 + 999 >= j->floor_ms);
			assert_false(seal_key_is_zero(&b->key));
			n++;
		}
	}
	return n;
}

static void
all_subjects(void **state)
{
	uint8_t was[PEOPLE][32], is[PEOPLE][32], again[16];
	struct job j;

	(void)state;
	rotate_bed_look(&bed, &before);
	digests(was);
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_SUBJECTS }, 7, &j);
	rotate_bed_look(&bed, &after);
	rotate_bed_assert_done(&bed, &j);
	assert_int_equal(j.done, PEOPLE);
	assert_int_equal(j.damaged, 0);
	assert_int_equal(before.count, PEOPLE);
	assert_int_equal(assert_rotated(&j, 0), PEOPLE + PEOPLE * 4 / 5);
	digests(is);
	assert_memory_equal(was, is, sizeof(was));
	for (unsigned i = 0; i < PEOPLE; i++) {
		/* The ids of transactions are found under the new key. */
		if (i % 5 != 0)
			assert_int_equal(append_amount(i, 1, 77), STATUS_TRANSACTION_TAKEN);
		/* A retry of the request that made them. */
		assert_int_equal(create(i, made_with[i], again), STATUS_OK);
		assert_memory_equal(again, id[i], 16);
	}
	/* And once more, through a restart. */
	vault_bed_restart(&bed);
	digests(is);
	assert_memory_equal(was, is, sizeof(was));
	before = after;
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_SUBJECTS }, 256, &j);
	rotate_bed_look(&bed, &after);
	assert_int_equal(assert_rotated(&j, 0), PEOPLE + PEOPLE * 4 / 5);
}

/* What is written between two steps, before and behind the cursor, is whole afterwards. */
static void
work_meanwhile(void **state)
{
	struct job j;
	uint8_t more[16];
	unsigned turn = 0;

	(void)state;
	assert_int_equal(rotate_bed_ask(&bed, &(struct job){ .kind = JOB_SUBJECTS }, &j), STATUS_OK);
	while (job_is_open(&j)) {
		assert_int_equal(rotate_bed_step(&bed, &j, 1), STATUS_OK);
		if (turn < PEOPLE) {
			unsigned n = turn * 17 % PEOPLE;

			if (n % 5 != 0)
				assert_int_equal(append(n, 100 + turn), STATUS_OK);
			assert_int_equal(vault_bed_change_email(&bed, n, id[n]), STATUS_OK);
			assert_int_equal(vault_bed_create(&bed, 1000 + turn, more), STATUS_OK);
		}
		turn++;
	}
	rotate_bed_assert_done(&bed, &j);
	rotate_bed_look(&bed, &after);
	assert_int_equal(after.count, 2 * PEOPLE);
	for (unsigned i = 0; i < PEOPLE; i++) {
		assert_int_equal(vault_bed_get(&bed, id[i]), STATUS_OK);
		if (i % 5 != 0)
			assert_int_equal(append_amount(i, 2, 77), STATUS_TRANSACTION_TAKEN);
	}
}

static void
make_old(struct keyring *k, void *arg)
{
	for (unsigned c = 0; c < CATEGORY_COUNT; c++)
		if (k->category[c].state == CATEGORY_LIVE)
			bytes_put32(k->category[c].made,
			    bytes_get32(k->category[c].made) - *(const uint32_t *)arg);
}

static void
scopes(void **state)
{
	uint32_t hour = 3600;
	struct job j;

	(void)state;
	rotate_bed_look(&bed, &before);
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_SUBJECTS, .category = SUBJECT_BILLING }, 9, &j);
	rotate_bed_look(&bed, &after);
	assert_int_equal(assert_rotated(&j, SUBJECT_BILLING), PEOPLE * 4 / 5);
	assert_int_equal(j.done, PEOPLE * 4 / 5);

	/* One alone. */
	before = after;
	j = (struct job){ .kind = JOB_SUBJECTS };
	memcpy(j.subject, id[7], 16);
	rotate_bed_run(&bed, &j, 9, &j);
	rotate_bed_assert_done(&bed, &j);
	rotate_bed_look(&bed, &after);
	assert_int_equal(j.done, 1);
	for (unsigned i = 0; i < PEOPLE; i++) {
		const struct keyring *a = rotate_bed_keyring(&before, id[i]);
		const struct keyring *b = rotate_bed_keyring(&after, id[i]);

		assert_int_equal(same_key(&a->category[0], &b->category[0]), i != 7);
		assert_int_equal(same_key(&a->category[2], &b->category[2]), i != 7);
	}

	/* Those that are older than two hours: of three people one is. */
	rotate_bed_edit(&bed, id[3], make_old, &hour);
	hour *= 3;
	rotate_bed_edit(&bed, id[4], make_old, &hour);
	rotate_bed_look(&bed, &before);
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_SUBJECTS, .older_s = 7200 }, 9, &j);
	rotate_bed_assert_done(&bed, &j);
	rotate_bed_look(&bed, &after);
	assert_int_equal(j.done, 1);
	for (unsigned i = 0; i < PEOPLE; i++)
		assert_int_equal(same_key(&rotate_bed_keyring(&before, id[i])->category[0],
		    &rotate_bed_keyring(&after, id[i])->category[0]), i != 4);
}

static void
give_content(struct keyring *k, void *arg)
{
	(void)arg;
	subject_use_category(k, CATEGORY_CONTENT);
}

/* Of content and usage one version before is kept, until it is retired. */
static void
kept_before(void **state)
{
	const struct keyring *k, *old;
	struct job j;

	(void)state;
	rotate_bed_edit(&bed, id[6], give_content, NULL);
	/* Not without being asked for. */
	rotate_bed_look(&bed, &before);
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_SUBJECTS }, 9, &j);
	rotate_bed_look(&bed, &after);
	k = rotate_bed_keyring(&after, id[6]);
	old = rotate_bed_keyring(&before, id[6]);
	assert_true(same_key(&k->category[CATEGORY_CONTENT - 1], &old->category[CATEGORY_CONTENT - 1]));
	assert_int_equal(k->before[0].state, CATEGORY_UNUSED);

	before = after;
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_SUBJECTS, .category = CATEGORY_CONTENT }, 9, &j);
	rotate_bed_look(&bed, &after);
	rotate_bed_assert_done(&bed, &j);
	assert_int_equal(j.done, 1);
	k = rotate_bed_keyring(&after, id[6]);
	old = rotate_bed_keyring(&before, id[6]);
	assert_memory_equal(&k->before[0], &old->category[CATEGORY_CONTENT - 1], sizeof(k->before[0]));
	assert_false(same_key(&k->category[CATEGORY_CONTENT - 1], &old->category[CATEGORY_CONTENT - 1]));

	/* A second time would lose what the version before still opens. */
	before = after;
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_SUBJECTS, .category = CATEGORY_CONTENT }, 9, &j);
	rotate_bed_look(&bed, &after);
	assert_int_equal(j.done, 0);
	assert_int_equal(j.damaged, 1);
	k = rotate_bed_keyring(&after, id[6]);
	old = rotate_bed_keyring(&before, id[6]);
	assert_memory_equal(k->category, old->category, sizeof(k->category));
	assert_memory_equal(k->before, old->before, sizeof(k->before));

	j = (struct job){ .kind = JOB_SUBJECTS, .category = CATEGORY_CONTENT, .retire = true };
	rotate_bed_run(&bed, &j, 9, &j);
	rotate_bed_look(&bed, &after);
	rotate_bed_assert_done(&bed, &j);
	assert_int_equal(j.done, 1);
	assert_int_equal(j.floor_ms, 0);	/* of the keys that stay it says nothing */
	k = rotate_bed_keyring(&after, id[6]);
	assert_memory_equal(k->category, old->category, sizeof(k->category));
	assert_int_equal(k->before[0].state, CATEGORY_UNUSED);
	assert_true(seal_key_is_zero(&k->before[0].key));
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_SUBJECTS, .category = CATEGORY_CONTENT }, 9, &j);
	assert_int_equal(j.done, 1);
}

static enum status
erase_billing(unsigned n)
{
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	Pdvault__V1__Category billing = PDVAULT__V1__CATEGORY__BILLING;

	q.subject = VAULT_BED_ID(id[n]);
	q.categories = &billing;
	q.n_categories = 1;
	return vault_bed_status(&bed, "Rights.EraseSubject", &q);
}

/* What is erased gets no key, whatever is rotated. */
static void
erased(void **state)
{
	static const enum job_kind kinds[] = { JOB_SUBJECTS, JOB_INDEX, JOB_TREE, JOB_SIGNING };
	struct job j;

	(void)state;
	assert_int_equal(erase_billing(1), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, id[2]), STATUS_OK);
	for (unsigned round = 0; round < 2; round++)
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			const struct keyring *k;

			rotate_bed_run(&bed, &(struct job){ .kind = kinds[i] }, 11, &j);
			rotate_bed_assert_done(&bed, &j);
			assert_int_equal(j.damaged, 0);
			rotate_bed_look(&bed, &after);
			assert_int_equal(after.count, PEOPLE - 1);
			assert_null(rotate_bed_keyring(&after, id[2]));
			k = rotate_bed_keyring(&after, id[1]);
			assert_int_equal(k->category[SUBJECT_BILLING - 1].state, CATEGORY_SHREDDED);
			assert_true(seal_key_is_zero(&k->category[SUBJECT_BILLING - 1].key));
			assert_int_equal(bytes_get16(k->category[SUBJECT_BILLING - 1].version), 1);
			assert_int_equal(vault_bed_get(&bed, id[2]), STATUS_ERASED);
			assert_int_equal(vault_bed_get(&bed, id[1]), STATUS_OK);
		}
	/* By name, too. */
	j = (struct job){ .kind = JOB_SUBJECTS };
	memcpy(j.subject, id[2], 16);
	rotate_bed_run(&bed, &j, 9, &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_string_equal(j.failure, "SUBJECT_ERASED");
	assert_int_equal(j.signer, 0);
}

static void
read_row(const char *table, struct bytes key, struct raw_row *out)
{
	struct raw_store raw;

	raw_store_open(&raw, bed.store);
	assert_true(raw_store_get(&raw, table, key, out));
	raw_store_close(&raw);
}

/* What does not open is counted and left as it is; the others are rotated. */
static void
damaged(void **state)
{
	static struct raw_row was[3], is[3];
	uint8_t record[RECORD_KEY_LEN] = { 0 }, slot[8] = { 0 };
	uint8_t transaction[RECORD_TRANSACTION_KEY_LEN] = { 0 };
	struct { const char *table; struct bytes key; } rows[] = {
		{ "records", bytes_of(record, sizeof(record)) }, { "keyrings", bytes_of(slot, 8) },
		{ "transactions", bytes_of(transaction, sizeof(transaction)) } };
	struct job j;

	(void)state;
	rotate_bed_look(&bed, &before);
	record_key(4, SUBJECT_IDENTITY, 0, record);
	bytes_put64(slot, 8);
	record_transaction_key(12, 0, transaction);
	vault_bed_stop(&bed);
	{
		struct raw_store raw;
		struct raw_row row;
		size_t n = 0;

		/* The first transaction of slot 12. */
		raw_store_open(&raw, bed.store);
		do
			raw_store_nth(&raw, "transactions", n++, &row);
		while (memcmp(row.key, transaction, 9) != 0);
		memcpy(transaction, row.key, sizeof(transaction));
		raw_store_close(&raw);
	}
	for (size_t i = 0; i < 3; i++) {
		raw_store_flip(bed.store, rows[i].table, rows[i].key);
		read_row(rows[i].table, rows[i].key, &was[i]);
	}
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_SUBJECTS }, 6, &j);
	rotate_bed_assert_done(&bed, &j);
	assert_int_equal(j.done, PEOPLE - 3);
	assert_int_equal(j.damaged, 3);
	rotate_bed_look(&bed, &after);
	for (unsigned i = 0; i < PEOPLE; i++) {
		const struct keyring *a = rotate_bed_keyring(&before, id[i]);
		const struct keyring *b = rotate_bed_keyring(&after, id[i]);

		if (i == 8) {
			assert_null(b);
			continue;
		}
		assert_int_equal(same_key(&a->category[0], &b->category[0]), i == 4 || i == 12);
	}
	rotate_bed_run(&bed, &(struct job){ .kind = JOB_TREE }, 6, &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_int_equal(j.damaged, 1);
	vault_bed_stop(&bed);
	for (size_t i = 0; i < 3; i++) {
		read_row(rows[i].table, rows[i].key, &is[i]);
		assert_int_equal(was[i].value_len, is[i].value_len);
		assert_memory_equal(was[i].value, is[i].value, was[i].value_len);
	}
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(all_subjects), TEST(work_meanwhile), TEST(scopes),
		TEST(kept_before), TEST(erased), TEST(damaged) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
