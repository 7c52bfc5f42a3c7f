/* Subjects and their identity, method by method, with every status that each can answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "scratch.h"
#include "server/methods.h"
#include "server/store/lookup.h"
#include "server/store/vault_internal.h"
#include "vault_bed.h"

static struct vault_bed bed;
static const uint8_t nobody[16] = { 0, 7, 1, 2, 3 }, elsewhere[16] = { 0, 8, 1, 2, 3 };

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

/* Every method has its row: what it needs is there, and only mutations go to the writer. */
static void
table(void **state)
{
	static const char *const writers[] = { "CreateKeyBackup", "DestroyKeyBackup",
		"FinishBackup", "NoteBackupCheck", "AddSeal", "ControlJob", "RemoveSeal", "StartRotation",
		"EraseSubject", "AppendTransactions", "CreateSubject",
		"UpdateBilling", "UpdateIdentity" };
	unsigned count, writing = 0;
	const struct method *m = methods_table(&count);

	(void)state;
	assert_int_equal(count, 32);
	for (unsigned i = 0; i < count; i++) {
		bool writes = m[i].room == METHOD_WRITER;

		assert_true(i == 0 || strcmp(m[i - 1].name, m[i].name) < 0);
		assert_non_null(m[i].request);
		assert_true((m[i].read != NULL) == !writes);
		assert_true((m[i].write != NULL) ==
		    (writes || strcmp(m[i].name, "/pdvault.v1.Vault/GenerateDataKeys") == 0));
		assert_true(!m[i].erasure || strcmp(m[i].name, "/pdvault.v1.Rights/EraseSubject") == 0 ||
		    strcmp(m[i].name, "/pdvault.v1.Backups/DestroyKeyBackup") == 0);
		if (writes)
			assert_non_null(strstr(m[i].name, writers[writing++]));
	}
	assert_int_equal(writing, 13);
}

static enum status
create(struct vault_bed_person *p, uint8_t id[static 16])
{
	struct vault_call c;
	enum status rc = vault_bed_call(&bed, "Vault.CreateSubject", &p->request, &c);

	if (rc == STATUS_OK)
		memcpy(id, VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
	vault_bed_done(&c);
	return rc;
}

/* All methods that name a subject, on one that is not there, of another vault, or of wrong length. */
static void
no_such_subject(void **state)
{
	static const char *const methods[] = { "Vault.GetSubject", "Vault.GetIdentity",
		"Vault.GetBilling", "Vault.ListTransactions", "Vault.UpdateIdentity",
		"Vault.UpdateBilling", "Vault.AppendTransactions", "Rights.EraseSubject" };
	Pdvault__V1__GetSubjectRequest get = PDVAULT__V1__GET_SUBJECT_REQUEST__INIT;
	Pdvault__V1__UpdateIdentityRequest update = PDVAULT__V1__UPDATE_IDENTITY_REQUEST__INIT;
	Pdvault__V1__Identity identity = PDVAULT__V1__IDENTITY__INIT;
	Pdvault__V1__AppendTransactionsRequest append =
	    PDVAULT__V1__APPEND_TRANSACTIONS_REQUEST__INIT;
	Pdvault__V1__Transaction t = PDVAULT__V1__TRANSACTION__INIT, *list = &t;
	Pdvault__V1__Timestamp time = PDVAULT__V1__TIMESTAMP__INIT;

	(void)state;
	t.id = VAULT_BED_TEXT("t");
	t.currency = VAULT_BED_TEXT("EUR");
	t.time = &time;
	append.n_transactions = 1;
	append.transactions = &list;
	update.identity = &identity;
	for (unsigned i = 0; i < 8; i++) {
		/* The subject is field 1 of all of them, and an empty field 2 is the same for both updates. */
		const void *q = i < 4 || i == 7 ? (void *)&get : i == 6 ? (void *)&append : (void *)&update;

		get.subject = update.subject = append.subject = VAULT_BED_ID(nobody);
		assert_int_equal(vault_bed_status(&bed, methods[i], q), STATUS_NO_SUBJECT);
		get.subject = update.subject = append.subject = VAULT_BED_ID(elsewhere);
		assert_int_equal(vault_bed_status(&bed, methods[i], q), STATUS_OTHER_VAULT);
		get.subject.len = update.subject.len = append.subject.len = 15;
		assert_int_equal(vault_bed_status(&bed, methods[i], q), STATUS_INVALID);
		get.subject.len = update.subject.len = append.subject.len = 0;
		assert_int_equal(vault_bed_status(&bed, methods[i], q), STATUS_INVALID);
	}
}

/* Everything that an identity can hold comes back as it was. */
static void
all_fields_come_back(void **state)
{
	Pdvault__V1__PostalAddress home = PDVAULT__V1__POSTAL_ADDRESS__INIT, *homes = &home;
	Pdvault__V1__Attribute a = PDVAULT__V1__ATTRIBUTE__INIT, *list = &a;
	Pdvault__V1__GetIdentityRequest q = PDVAULT__V1__GET_IDENTITY_REQUEST__INIT;
	char *lines[] = { VAULT_BED_TEXT("Stra\xC3\x9F" "e 1 "), VAULT_BED_TEXT("") };
	struct vault_bed_person p;
	struct vault_call c;
	uint8_t id[16], sent[4096], got[4096];
	size_t len;

	(void)state;
	vault_bed_person(1, &p);
	home.label = VAULT_BED_TEXT("home");
	home.n_lines = 2;
	home.lines = lines;
	home.country = VAULT_BED_TEXT("DE");
	a.key = VAULT_BED_TEXT("shoe.size_eu");
	a.value = VAULT_BED_TEXT(" 43 ");
	p.identity.n_postal_addresses = p.identity.n_attributes = 1;
	p.identity.postal_addresses = &homes;
	p.identity.attributes = &list;
	p.identity.locale = VAULT_BED_TEXT("de-DE");
	p.identity.date_of_birth = VAULT_BED_TEXT("1980-02-29");
	assert_int_equal(create(&p, id), STATUS_OK);
	vault_bed_restart(&bed);
	q.subject = VAULT_BED_ID(id);
	assert_int_equal(vault_bed_call(&bed, "Vault.GetIdentity", &q, &c), STATUS_OK);
	assert_string_equal(VAULT_BED_ANSWER(GetIdentityResponse, &c)->etag, "1");
	len = pdvault__v1__identity__pack(&p.identity, sent);
	assert_int_equal(pdvault__v1__identity__pack(
	    VAULT_BED_ANSWER(GetIdentityResponse, &c)->identity, got), len);
	assert_memory_equal(sent, got, len);
	vault_bed_done(&c);
}

/* The id names the vault and says nothing else. */
static void
subject_ids(void **state)
{
	uint8_t a[16], b[16];

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 1, a), STATUS_OK);
	assert_int_equal(vault_bed_create(&bed, 2, b), STATUS_OK);
	assert_int_equal(bytes_get16(a), bed.options.number);
	assert_memory_equal(a, b, 2);
	assert_memory_not_equal(a + 2, b + 2, 14);
}

static void
create_refused(void **state)
{
	struct vault_bed_person p;
	struct vault_call c;
	uint8_t id[16];
	uint64_t epoch = vault_epoch(bed.vault);

	(void)state;
	/* With a country code in front it has more digits than a phone can have. */
	vault_bed_person(1, &p);
	p.phone = VAULT_BED_TEXT("123456789012345");
	assert_int_equal(vault_bed_call(&bed, "Vault.CreateSubject", &p.request, &c), STATUS_INVALID);
	assert_int_equal(c.call.violation_count, 1);
	assert_string_equal(c.call.violations[0].field, "identity.phones[0]");
	assert_string_equal(c.call.violations[0].rule, "NOT_A_PHONE");
	vault_bed_done(&c);
	assert_int_equal(vault_epoch(bed.vault), epoch);
	/* A person of whom nothing is said is one. */
	for (int i = 0; i < 2; i++) {
		pdvault__v1__identity__init(&p.identity);
		p.request.identity = i == 0 ? NULL : &p.identity;
		assert_int_equal(create(&p, id), STATUS_OK);
		assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	}
}

/* Email and account id are one subject's; the refused one has taken neither. */
static void
taken(void **state)
{
	struct vault_bed_person p;
	uint8_t a[16], b[16];

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 1, a), STATUS_OK);
	vault_bed_person(2, &p);
	p.account = VAULT_BED_TEXT(" account-1 ");
	assert_int_equal(create(&p, b), STATUS_LOOKUP_TAKEN);
	p.account = VAULT_BED_TEXT("account-2");
	p.email = VAULT_BED_TEXT("PERSON.1@example.ORG");
	assert_int_equal(create(&p, b), STATUS_LOOKUP_TAKEN);
	assert_int_equal(vault_bed_create(&bed, 2, b), STATUS_OK);
	assert_int_equal(vault_bed_change_email(&bed, 1, a), STATUS_OK);
	assert_int_equal(vault_bed_change_email(&bed, 1, b), STATUS_LOOKUP_TAKEN);
	/* The same look-up twice in one person is one; case counts in account ids. */
	vault_bed_person(3, &p);
	p.account = VAULT_BED_TEXT("Account-2");
	char *emails[] = { VAULT_BED_TEXT("x@y.z"), VAULT_BED_TEXT("X@Y.Z") };

	p.identity.n_emails = 2;
	p.identity.emails = emails;
	assert_int_equal(create(&p, b), STATUS_OK);
}

/* --- finding --- */

static enum status
find_phone(const char *phone, uint8_t ids[][16], size_t *count)
{
	Pdvault__V1__FindSubjectRequest q = PDVAULT__V1__FIND_SUBJECT_REQUEST__INIT;
	struct vault_call c;
	enum status rc;

	q.lookup_case = PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_PHONE;
	q.phone = VAULT_BED_TEXT(phone);
	*count = 0;
	rc = vault_bed_call(&bed, "Vault.FindSubject", &q, &c);
	if (rc == STATUS_OK) {
		const Pdvault__V1__FindSubjectResponse *r = VAULT_BED_ANSWER(FindSubjectResponse, &c);

		*count = r->n_subjects;
		for (size_t i = 0; i < r->n_subjects; i++)
			memcpy(ids[i], r->subjects[i].data, 16);
	}
	vault_bed_done(&c);
	return rc;
}

static void
find(void **state)
{
	Pdvault__V1__FindSubjectRequest q = PDVAULT__V1__FIND_SUBJECT_REQUEST__INIT;
	uint8_t id[16], found[64][16];
	size_t count;

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	assert_int_equal(find_phone("0049/30/0000001", found, &count), STATUS_OK);
	assert_int_equal(count, 1);
	assert_memory_equal(found[0], id, 16);
	assert_int_equal(find_phone("030 0000001", found, &count), STATUS_OK);
	assert_int_equal(find_phone("+49 30 0000002", found, &count), STATUS_NO_SUBJECT);
	assert_int_equal(find_phone("not a phone", found, &count), STATUS_NO_SUBJECT);
	assert_int_equal(find_phone(" ", found, &count), STATUS_INVALID);
	assert_int_equal(vault_bed_find(&bed, "account-1", found[0]), STATUS_NO_SUBJECT);
	assert_int_equal(vault_bed_status(&bed, "Vault.FindSubject", &q), STATUS_INVALID);
	q.lookup_case = PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_ACCOUNT_ID;
	q.account_id = VAULT_BED_TEXT("account-1");
	assert_int_equal(vault_bed_status(&bed, "Vault.FindSubject", &q), STATUS_OK);
	q.account_id = VAULT_BED_TEXT("ACCOUNT-1");
	assert_int_equal(vault_bed_status(&bed, "Vault.FindSubject", &q), STATUS_NO_SUBJECT);
}

static enum status
create_sharing(unsigned n, uint8_t id[static 16])
{
	struct vault_bed_person p;

	vault_bed_person(n, &p);
	p.phone = VAULT_BED_TEXT("+49 30 555");
	return create(&p, id);
}

/* As many as may share a phone do; one leaves, in every position, and no gap hides the rest. */
static void
shared_phones(void **state)
{
	static uint8_t id[LOOKUP_SHARED_MAX + 1][16], found[LOOKUP_SHARED_MAX][16];
	unsigned left = LOOKUP_SHARED_MAX;
	size_t count;

	(void)state;
	for (unsigned i = 0; i < LOOKUP_SHARED_MAX; i++)
		assert_int_equal(create_sharing(i, id[i]), STATUS_OK);
	assert_int_equal(create_sharing(LOOKUP_SHARED_MAX, id[LOOKUP_SHARED_MAX]), STATUS_CROWDED);
	assert_int_equal(find_phone("+4930555", found, &count), STATUS_OK);
	assert_int_equal(count, LOOKUP_SHARED_MAX);
	/* The first, the last, and some between. */
	while (left > 0) {
		unsigned gone = left % 3 == 0 ? 0 : left % 3 == 1 ? left - 1 : left / 2;

		assert_int_equal(vault_bed_erase(&bed, id[gone]), STATUS_OK);
		memcpy(id[gone], id[--left], 16);
		assert_int_equal(find_phone("+4930555", found, &count),
		    left > 0 ? STATUS_OK : STATUS_NO_SUBJECT);
		assert_int_equal(count, left);
		for (unsigned i = 0; i < left; i++) {
			unsigned hits = 0;

			for (unsigned j = 0; j < left; j++)
				hits += memcmp(id[i], found[j], 16) == 0;
			assert_int_equal(hits, 1);
		}
	}
	assert_int_equal(create_sharing(100, id[0]), STATUS_OK);
}

/* Two who share a phone leave it in one batch, by an update and by an erasure. */
static void
shared_phone_in_one_batch(void **state)
{
	Pdvault__V1__UpdateIdentityRequest u = PDVAULT__V1__UPDATE_IDENTITY_REQUEST__INIT;
	Pdvault__V1__EraseSubjectRequest e = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	Pdvault__V1__FieldMask mask = PDVAULT__V1__FIELD_MASK__INIT;
	Pdvault__V1__Identity none = PDVAULT__V1__IDENTITY__INIT;
	char *path = VAULT_BED_TEXT("phones");
	struct vault_call c[2];
	uint8_t id[4][16], found[64][16];
	size_t count;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(create_sharing(i, id[i]), STATUS_OK);
	mask.n_paths = 1;
	mask.paths = &path;
	u.identity = &none;
	u.update_mask = &mask;
	u.subject = VAULT_BED_ID(id[0]);
	e.subject = VAULT_BED_ID(id[1]);
	vault_bed_submit(&bed, "Vault.UpdateIdentity", &u, &c[0]);
	vault_bed_submit(&bed, "Rights.EraseSubject", &e, &c[1]);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(vault_bed_wait(&c[i]), STATUS_OK);
		vault_bed_done(&c[i]);
	}
	assert_int_equal(find_phone("+4930555", found, &count), STATUS_OK);
	assert_int_equal(count, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_true(memcmp(found[i], id[2], 16) == 0 || memcmp(found[i], id[3], 16) == 0);
	assert_memory_not_equal(found[0], found[1], 16);
}

static void
get_subject(void **state)
{
	Pdvault__V1__GetSubjectRequest q = PDVAULT__V1__GET_SUBJECT_REQUEST__INIT;
	const Pdvault__V1__GetSubjectResponse *r;
	struct vault_call c;
	uint8_t id[16];

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	q.subject = VAULT_BED_ID(id);
	assert_int_equal(vault_bed_call(&bed, "Vault.GetSubject", &q, &c), STATUS_OK);
	r = VAULT_BED_ANSWER(GetSubjectResponse, &c);
	assert_memory_equal(r->subject.data, id, 16);
	assert_int_equal(r->state, PDVAULT__V1__SUBJECT_STATE__ACTIVE);
	assert_int_equal(r->n_categories, 1);
	assert_int_equal(r->categories[0]->category, PDVAULT__V1__CATEGORY__IDENTITY);
	assert_int_equal(r->categories[0]->state, PDVAULT__V1__SUBJECT_STATE__ACTIVE);
	assert_true(r->create_time->seconds > 1600000000);
	vault_bed_done(&c);
	assert_int_equal(vault_bed_erase(&bed, id), STATUS_OK);
	assert_int_equal(vault_bed_status(&bed, "Vault.GetSubject", &q), STATUS_ERASED);
}

static void
status_and_health(void **state)
{
	Pdvault__V1__GetStatusRequest q = PDVAULT__V1__GET_STATUS_REQUEST__INIT;
	Pdvault__V1__CheckRequest h = PDVAULT__V1__CHECK_REQUEST__INIT;
	const Pdvault__V1__GetStatusResponse *r;
	struct vault_call c;
	uint8_t id[16];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(vault_bed_create(&bed, i, id), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, id), STATUS_OK);
	assert_int_equal(vault_bed_call(&bed, "Admin.GetStatus", &q, &c), STATUS_OK);
	r = VAULT_BED_ANSWER(GetStatusResponse, &c);
	assert_int_equal(r->subjects, 2);
	assert_int_equal(r->erased, 1);
	assert_int_equal(r->epoch, vault_epoch(bed.vault));
	assert_int_equal(r->settled_epoch, r->epoch);
	assert_int_equal(r->vault_number, 7);
	assert_memory_equal(r->vault.data, vault_id(bed.vault), 16);
	assert_int_equal(strlen(r->anchor_class), 1);
	assert_false(r->read_only);
	assert_true(r->store_bytes > 0 && r->store_bytes < r->store_limit_bytes);
	assert_int_equal(r->n_seals, 1);
	assert_string_equal(r->seals[0], "file");
	vault_bed_done(&c);
	assert_int_equal(vault_bed_call(&bed, "Health.Check", &h, &c), STATUS_OK);
	assert_int_equal(VAULT_BED_ANSWER(CheckResponse, &c)->status,
	    PDVAULT__V1__SERVING_STATUS__SERVING);
	vault_bed_done(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test_setup_teardown(no_such_subject, setup, teardown),
		cmocka_unit_test_setup_teardown(all_fields_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(subject_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(create_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(taken, setup, teardown),
		cmocka_unit_test_setup_teardown(find, setup, teardown),
		cmocka_unit_test_setup_teardown(shared_phones, setup, teardown),
		cmocka_unit_test_setup_teardown(shared_phone_in_one_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(get_subject, setup, teardown),
		cmocka_unit_test_setup_teardown(status_and_health, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
