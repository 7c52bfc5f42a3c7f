/* Reading many at once: one outcome each, as far as an answer has room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "scratch.h"
#include "vault_bed.h"

#define ATTRIBUTES 32u		/* the most that an identity may have, */
#define VALUE 1024u		/* and the longest */

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

static void
batch_get(void **state)
{
	Pdvault__V1__BatchGetIdentityRequest q = PDVAULT__V1__BATCH_GET_IDENTITY_REQUEST__INIT;
	const Pdvault__V1__BatchGetIdentityResponse *r;
	ProtobufCBinaryData list[65];
	uint8_t live[16], erased[16];
	struct vault_call c;

	(void)state;
	assert_int_equal(vault_bed_create(&bed, 1, live), STATUS_OK);
	assert_int_equal(vault_bed_create(&bed, 2, erased), STATUS_OK);
	assert_int_equal(vault_bed_erase(&bed, erased), STATUS_OK);
	for (unsigned i = 0; i < 65; i++)
		list[i] = VAULT_BED_ID(live);
	list[1] = VAULT_BED_ID(nobody);
	list[2] = VAULT_BED_ID(erased);
	list[3] = VAULT_BED_ID(elsewhere);
	q.subjects = list;
	assert_int_equal(vault_bed_status(&bed, "Vault.BatchGetIdentity", &q), STATUS_INVALID);
	q.n_subjects = 65;
	assert_int_equal(vault_bed_status(&bed, "Vault.BatchGetIdentity", &q), STATUS_INVALID);
	q.n_subjects = 64;
	assert_int_equal(vault_bed_call(&bed, "Vault.BatchGetIdentity", &q, &c), STATUS_OK);
	r = VAULT_BED_ANSWER(BatchGetIdentityResponse, &c);
	assert_int_equal(r->n_outcomes, 64);
	for (unsigned i = 0; i < 64; i++) {
		const Pdvault__V1__IdentityOutcome *o = r->outcomes[i];
		enum status want = i == 1 ? STATUS_NO_SUBJECT : i == 2 ? STATUS_ERASED :
		    i == 3 ? STATUS_OTHER_VAULT : STATUS_OK;

		assert_memory_equal(o->subject.data, list[i].data, 16);
		assert_int_equal(o->code, status_code(want));
		assert_string_equal(o->reason, status_reason(want));
		assert_true((o->result != NULL) == (want == STATUS_OK));
		if (want == STATUS_OK)
			assert_string_equal(o->result->identity->name->full, "Person Number 1");
	}
	vault_bed_done(&c);
}

static void
create_large(unsigned n, uint8_t *id)
{
	static Pdvault__V1__Attribute attribute[ATTRIBUTES], *list[ATTRIBUTES];
	static char key[ATTRIBUTES][8], value[VALUE + 1];
	struct vault_bed_person p;
	struct vault_call c;

	vault_bed_person(n, &p);
	memset(value, 'v', VALUE);
	for (unsigned i = 0; i < ATTRIBUTES; i++) {
		(void)snprintf(key[i], sizeof(key[i]), "a%u", i);
		pdvault__v1__attribute__init(&attribute[i]);
		attribute[i].key = key[i];
		attribute[i].value = value;
		list[i] = &attribute[i];
	}
	p.identity.n_attributes = ATTRIBUTES;
	p.identity.attributes = list;
	assert_int_equal(vault_bed_call(&bed, "Vault.CreateSubject", &p.request, &c), STATUS_OK);
	memcpy(id, VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
	vault_bed_done(&c);
}

/* More than an answer holds: those that fit are there in whole, the others say so, and can be had. */
static void
batch_full(void **state)
{
	Pdvault__V1__BatchGetIdentityRequest q = PDVAULT__V1__BATCH_GET_IDENTITY_REQUEST__INIT;
	const Pdvault__V1__BatchGetIdentityResponse *r;
	ProtobufCBinaryData list[64];
	uint8_t large[16], small[16];
	unsigned full = 0, whole = 0;
	struct vault_call c;

	(void)state;
	create_large(1, large);
	assert_int_equal(vault_bed_create(&bed, 2, small), STATUS_OK);
	for (unsigned i = 0; i < 64; i++)
		list[i] = VAULT_BED_ID(i == 40 ? small : large);
	q.subjects = list;
	q.n_subjects = 64;
	assert_int_equal(vault_bed_call(&bed, "Vault.BatchGetIdentity", &q, &c), STATUS_OK);
	r = VAULT_BED_ANSWER(BatchGetIdentityResponse, &c);
	assert_true(protobuf_c_message_get_packed_size(&r->base) <= CALL_ANSWER_MAX);
	assert_int_equal(r->n_outcomes, 64);
	for (unsigned i = 0; i < 64; i++) {
		const Pdvault__V1__IdentityOutcome *o = r->outcomes[i];

		if (o->code != PDV_OK) {
			assert_string_equal(o->reason, "ANSWER_FULL");
			assert_null(o->result);
			full++;
			continue;
		}
		whole += o->result->identity->n_attributes == ATTRIBUTES &&
		    strlen(o->result->identity->attributes[ATTRIBUTES - 1]->value) == VALUE;
	}
	vault_bed_done(&c);
	/* As many as fit: one more of them would not have. */
	assert_true(whole >= CALL_ANSWER_MAX / (ATTRIBUTES * (VALUE + 64)) - 1);
	assert_true(full > 0 && full + whole >= 63);
	q.subjects = list + 63;
	q.n_subjects = 1;
	assert_int_equal(vault_bed_call(&bed, "Vault.BatchGetIdentity", &q, &c), STATUS_OK);
	assert_int_equal(VAULT_BED_ANSWER(BatchGetIdentityResponse, &c)->outcomes[0]->code, PDV_OK);
	vault_bed_done(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(batch_get, setup, teardown),
		cmocka_unit_test_setup_teardown(batch_full, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
