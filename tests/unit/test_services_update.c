/* Changing identity and billing: masks, etags, look-ups, and requests that are sent twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "scratch.h"
#include "server/store/record.h"
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

/* An update of the identity, ready to be filled. */
struct update {
	Pdvault__V1__UpdateIdentityRequest q;
	Pdvault__V1__Identity identity;
	Pdvault__V1__FieldMask mask;
	char *paths[17];
};

static void
prepare(struct update *u)
{
	memset(u, 0, sizeof(*u));
	pdvault__v1__update_identity_request__init(&u->q);
	pdvault__v1__identity__init(&u->identity);
	pdvault__v1__field_mask__init(&u->mask);
	u->q.subject = VAULT_BED_ID(id);
	u->q.identity = &u->identity;
	u->mask.paths = u->paths;
}

static void
add_path(struct update *u, const char *path)
{
	u->paths[u->mask.n_paths++] = VAULT_BED_TEXT(path);
	u->q.update_mask = &u->mask;
}

/* The etag after it, 0 when it was refused with that status. */
static void
update(const struct update *u, enum status want, const char *etag)
{
	struct vault_call c;

	assert_int_equal(vault_bed_call(&bed, "Vault.UpdateIdentity", &u->q, &c), want);
	if (want == STATUS_OK)
		assert_string_equal(VAULT_BED_ANSWER(UpdateIdentityResponse, &c)->etag, etag);
	vault_bed_done(&c);
}

/* The present identity, until vault_bed_done(). */
static const Pdvault__V1__Identity *
identity(struct vault_call *c)
{
	Pdvault__V1__GetIdentityRequest q = PDVAULT__V1__GET_IDENTITY_REQUEST__INIT;

	q.subject = VAULT_BED_ID(id);
	assert_int_equal(vault_bed_call(&bed, "Vault.GetIdentity", &q, c), STATUS_OK);
	return VAULT_BED_ANSWER(GetIdentityResponse, c)->identity;
}

static void
masks(void **state)
{
	const Pdvault__V1__Identity *now;
	struct vault_call c;
	struct update u;

	(void)state;
	/* Without a mask: what is set; the rest stays. */
	prepare(&u);
	u.identity.locale = VAULT_BED_TEXT("fr");
	update(&u, STATUS_OK, "2");
	now = identity(&c);
	assert_string_equal(now->locale, "fr");
	assert_int_equal(now->n_emails, 1);
	vault_bed_done(&c);
	/* A field that is named and not set is taken away. */
	add_path(&u, "locale");
	add_path(&u, "name");
	u.identity.locale = VAULT_BED_TEXT("");
	u.identity.date_of_birth = VAULT_BED_TEXT("2000-01-01");
	update(&u, STATUS_OK, "3");
	now = identity(&c);
	assert_string_equal(now->locale, "");
	assert_string_equal(now->date_of_birth, "");
	assert_null(now->name);
	vault_bed_done(&c);
	/* "*": all. */
	prepare(&u);
	add_path(&u, "*");
	u.identity.locale = VAULT_BED_TEXT("it");
	update(&u, STATUS_OK, "4");
	now = identity(&c);
	assert_string_equal(now->locale, "it");
	assert_int_equal(now->n_emails + now->n_phones + now->n_account_ids, 0);
	vault_bed_done(&c);
}

static void
masks_refused(void **state)
{
	static const char *const paths[] = { "shoe_size", "name.full", "", "Name", "subject" };
	struct vault_call c;
	struct update u;

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		prepare(&u);
		add_path(&u, "locale");
		add_path(&u, paths[i]);
		assert_int_equal(vault_bed_call(&bed, "Vault.UpdateIdentity", &u.q, &c), STATUS_INVALID);
		assert_int_equal(c.call.violation_count, 1);
		assert_string_equal(c.call.violations[0].field, "update_mask.paths[1]");
		vault_bed_done(&c);
	}
	prepare(&u);
	for (unsigned i = 0; i < 16; i++)
		add_path(&u, "locale");
	update(&u, STATUS_OK, "2");
	add_path(&u, "locale");
	update(&u, STATUS_INVALID, NULL);
	u.q.identity = NULL;
	update(&u, STATUS_INVALID, NULL);
}

static void
etags(void **state)
{
	static const char *const wrong[] = { "0", "2", "01", " 1", "1 ", "x", "18446744073709551617" };
	struct update u;

	(void)state;
	prepare(&u);
	u.identity.locale = VAULT_BED_TEXT("fr");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		u.q.etag = VAULT_BED_TEXT(wrong[i]);
		update(&u, STATUS_ETAG, NULL);
	}
	u.q.etag = VAULT_BED_TEXT("184467440737095516170");
	update(&u, STATUS_INVALID, NULL);
	u.q.etag = VAULT_BED_TEXT("1");
	update(&u, STATUS_OK, "2");
	update(&u, STATUS_ETAG, NULL);
	u.q.etag = VAULT_BED_TEXT("");
	update(&u, STATUS_OK, "3");
}

/* A value that goes is free for others, one that comes must be free; the refused update took nothing. */
static void
look_ups_follow(void **state)
{
	char *emails[] = { VAULT_BED_TEXT("person.1@example.org"), VAULT_BED_TEXT("two@example.org") };
	uint8_t other[16], found[16];
	struct update u;

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 2, other), STATUS_OK);
	prepare(&u);
	u.identity.emails = emails;
	u.identity.n_emails = 2;
	update(&u, STATUS_OK, "2");
	assert_int_equal(vault_bed_find(&bed, "TWO@example.org", found), STATUS_OK);
	assert_memory_equal(found, id, 16);
	emails[0] = VAULT_BED_TEXT("Person.2@example.org");
	emails[1] = VAULT_BED_TEXT("three@example.org");
	update(&u, STATUS_LOOKUP_TAKEN, NULL);
	assert_int_equal(vault_bed_find(&bed, "three@example.org", found), STATUS_NO_SUBJECT);
	assert_int_equal(vault_bed_find(&bed, "two@example.org", found), STATUS_OK);
	emails[0] = VAULT_BED_TEXT("two@example.org");
	update(&u, STATUS_OK, "3");
	assert_int_equal(vault_bed_find_email(&bed, 1, found), STATUS_NO_SUBJECT);
	assert_int_equal(vault_bed_find(&bed, "three@example.org", found), STATUS_OK);
	assert_int_equal(vault_bed_create(&bed, 3, other), STATUS_OK);
	assert_int_equal(vault_bed_change_email(&bed, 1, other), STATUS_OK);
	/* The same values in another order or writing are the same. */
	emails[0] = VAULT_BED_TEXT("THREE@example.org");
	emails[1] = VAULT_BED_TEXT(" two@example.org");
	uint64_t epoch = vault_epoch(bed.vault);

	update(&u, STATUS_OK, "4");
	assert_int_equal(vault_epoch(bed.vault), epoch);
}

/* A retry gets the first answer; another request under the same key does not. */
static void
sent_twice(void **state)
{
	static const uint8_t key[16] = "0123456789abcde";
	Pdvault__V1__UpdateBillingRequest b = PDVAULT__V1__UPDATE_BILLING_REQUEST__INIT;
	Pdvault__V1__Billing billing = PDVAULT__V1__BILLING__INIT;
	uint8_t other[16];
	struct vault_call c;
	struct update u;

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 2, other), STATUS_OK);
	prepare(&u);
	u.identity.locale = VAULT_BED_TEXT("fr");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(vault_bed_call_again(&bed, "Vault.UpdateIdentity", &u.q, key, &c),
		    STATUS_OK);
		assert_string_equal(VAULT_BED_ANSWER(UpdateIdentityResponse, &c)->etag, "2");
		vault_bed_done(&c);
		if (i == 1)
			vault_bed_restart(&bed);
	}
	u.identity.locale = VAULT_BED_TEXT("it");
	assert_int_equal(vault_bed_call_again(&bed, "Vault.UpdateIdentity", &u.q, key, &c),
	    STATUS_KEY_REUSED);
	vault_bed_done(&c);
	u.identity.locale = VAULT_BED_TEXT("fr");
	u.q.subject = VAULT_BED_ID(other);
	assert_int_equal(vault_bed_call_again(&bed, "Vault.UpdateIdentity", &u.q, key, &c),
	    STATUS_KEY_REUSED);
	vault_bed_done(&c);
	b.subject = VAULT_BED_ID(id);
	b.billing = &billing;
	assert_int_equal(vault_bed_call_again(&bed, "Vault.UpdateBilling", &b, key, &c),
	    STATUS_KEY_REUSED);
	vault_bed_done(&c);
}

/* A failed request leaves no row: under the same key it can be tried again. */
static void
failed_ones_leave_no_row(void **state)
{
	static const uint8_t key[16] = "0123456789abcde";
	struct vault_bed_person p;
	struct vault_call c;

	(void)state;
	vault_bed_person(1, &p);
	assert_int_equal(vault_bed_call_again(&bed, "Vault.CreateSubject", &p.request, key, &c),
	    STATUS_LOOKUP_TAKEN);
	vault_bed_done(&c);
	assert_int_equal(vault_bed_erase(&bed, id), STATUS_OK);
	assert_int_equal(vault_bed_call_again(&bed, "Vault.CreateSubject", &p.request, key, &c),
	    STATUS_OK);
	vault_bed_done(&c);
}

/* --- billing --- */

static enum status
get_billing(struct vault_call *c)
{
	Pdvault__V1__GetBillingRequest q = PDVAULT__V1__GET_BILLING_REQUEST__INIT;

	q.subject = VAULT_BED_ID(id);
	return vault_bed_call(&bed, "Vault.GetBilling", &q, c);
}

static void
billing(void **state)
{
	Pdvault__V1__UpdateBillingRequest q = PDVAULT__V1__UPDATE_BILLING_REQUEST__INIT;
	Pdvault__V1__PaymentMethod card = PDVAULT__V1__PAYMENT_METHOD__INIT, *cards = &card;
	Pdvault__V1__Billing b = PDVAULT__V1__BILLING__INIT;
	const Pdvault__V1__GetBillingResponse *r;
	uint64_t epoch = vault_epoch(bed.vault);
	struct vault_call c;

	(void)state;
	assert_int_equal(get_billing(&c), STATUS_NO_RECORD);
	vault_bed_done(&c);
	q.subject = VAULT_BED_ID(id);
	q.billing = &b;
	q.etag = VAULT_BED_TEXT("1");
	b.legal_name = VAULT_BED_TEXT("Person GmbH");
	assert_int_equal(vault_bed_status(&bed, "Vault.UpdateBilling", &q), STATUS_ETAG);
	q.etag = VAULT_BED_TEXT("0");
	assert_int_equal(vault_bed_status(&bed, "Vault.UpdateBilling", &q), STATUS_OK);
	/* The first billing record makes a key, the second does not. */
	assert_int_equal(vault_epoch(bed.vault), epoch + 1);
	q.etag = VAULT_BED_TEXT("1");
	b.legal_name = VAULT_BED_TEXT("");
	card.last_four = VAULT_BED_TEXT("4242");
	card.expiry_month = 12;
	card.expiry_year = 2031;
	b.n_payment_methods = 1;
	b.payment_methods = &cards;
	assert_int_equal(vault_bed_status(&bed, "Vault.UpdateBilling", &q), STATUS_OK);
	assert_int_equal(vault_epoch(bed.vault), epoch + 1);
	assert_int_equal(get_billing(&c), STATUS_OK);
	r = VAULT_BED_ANSWER(GetBillingResponse, &c);
	assert_string_equal(r->etag, "2");
	assert_string_equal(r->billing->legal_name, "Person GmbH");
	assert_string_equal(r->billing->payment_methods[0]->last_four, "4242");
	assert_int_equal(r->billing->payment_methods[0]->expiry_year, 2031);
	vault_bed_done(&c);
	q.billing = NULL;
	assert_int_equal(vault_bed_status(&bed, "Vault.UpdateBilling", &q), STATUS_INVALID);
}

static void
billing_made_with_the_subject(void **state)
{
	Pdvault__V1__Billing b = PDVAULT__V1__BILLING__INIT;
	struct vault_bed_person p;
	struct vault_call c;

	(void)state;
	vault_bed_person(5, &p);
	b.tax_id = VAULT_BED_TEXT("DE123");
	p.request.billing = &b;
	assert_int_equal(vault_bed_call(&bed, "Vault.CreateSubject", &p.request, &c), STATUS_OK);
	memcpy(id, VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
	vault_bed_done(&c);
	assert_int_equal(get_billing(&c), STATUS_OK);
	assert_string_equal(VAULT_BED_ANSWER(GetBillingResponse, &c)->billing->tax_id, "DE123");
	vault_bed_done(&c);
}

/* As much as the rules let one identity hold; a key twice is not among it. */
static void
largest_record(void **state)
{
	static Pdvault__V1__PostalAddress address[8];
	static Pdvault__V1__PostalAddress *addresses[8];
	static Pdvault__V1__Attribute attribute[32];
	static Pdvault__V1__Attribute *attributes[32];
	static char key[32][8], value[1025], line[257], *lines[6];
	struct update u;

	(void)state;
	memset(value, 'v', 1024);
	memset(line, 'l', 256);
	for (unsigned i = 0; i < 6; i++)
		lines[i] = line;
	prepare(&u);
	for (unsigned i = 0; i < 8; i++) {
		pdvault__v1__postal_address__init(&address[i]);
		address[i].n_lines = 6;
		address[i].lines = lines;
		address[i].recipient = address[i].organization = line;
		addresses[i] = &address[i];
	}
	for (unsigned i = 0; i < 32; i++) {
		(void)snprintf(key[i], sizeof(key[i]), "k%u", i);
		pdvault__v1__attribute__init(&attribute[i]);
		attribute[i].key = key[i];
		attribute[i].value = value;
		attributes[i] = &attribute[i];
	}
	u.identity.n_postal_addresses = 8;
	u.identity.postal_addresses = addresses;
	u.identity.n_attributes = 32;
	u.identity.attributes = attributes;
	/* All limits together stay below what a record can hold: no update can be too large. */
	assert_true(pdvault__v1__identity__get_packed_size(&u.identity) < RECORD_MESSAGE_MAX);
	update(&u, STATUS_OK, "2");
	attribute[31].key = key[0];
	update(&u, STATUS_INVALID, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(masks, setup, teardown),
		cmocka_unit_test_setup_teardown(masks_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(etags, setup, teardown),
		cmocka_unit_test_setup_teardown(look_ups_follow, setup, teardown),
		cmocka_unit_test_setup_teardown(sent_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(failed_ones_leave_no_row, setup, teardown),
		cmocka_unit_test_setup_teardown(billing, setup, teardown),
		cmocka_unit_test_setup_teardown(billing_made_with_the_subject, setup, teardown),
		cmocka_unit_test_setup_teardown(largest_record, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
