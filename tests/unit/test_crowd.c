/*
 * A batch whose memory is scarce: what does not fit beside others is done after them, what others failed with
 * hurts nobody, and whoever shares phones with as many as may can be erased.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "scratch.h"
#include "server/store/lookup.h"
#include "server/store/overlay.h"
#include "vault_bed.h"

#define PHONES 8u
#define SCARCE (192u << 10)	/* a request of somebody with eight shared phones fits, not two */
#define ROUNDS 24u

static struct vault_bed bed;
static uint8_t sharer[LOOKUP_SHARED_MAX][16];
static char phone_text[PHONES][24], *phones[PHONES];

static enum status
create_sharer(unsigned n, uint8_t *id)
{
	struct vault_bed_person p;
	struct vault_call c;
	enum status rc;

	vault_bed_person(n, &p);
	p.identity.n_phones = PHONES;
	p.identity.phones = phones;
	rc = vault_bed_call(&bed, "Vault.CreateSubject", &p.request, &c);
	if (rc == STATUS_OK)
		memcpy(id, VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
	vault_bed_done(&c);
	return rc;
}

static int
setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PHONES; i++) {
		(void)snprintf(phone_text[i], sizeof(phone_text[i]), "+49 30 555%04u", i);
		phones[i] = phone_text[i];
	}
	vault_bed_new(&bed);
	scratch_log_begin();
	overlay_test_limit(SCARCE);
	for (unsigned i = 0; i < LOOKUP_SHARED_MAX; i++)
		if (create_sharer(i, sharer[i]) != STATUS_OK)
			return -1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	overlay_test_limit(OVERLAY_SECRET);
	free(scratch_log_end(NULL));
	vault_bed_free(&bed);
	return 0;
}

static unsigned
count_sharers(unsigned phone)
{
	Pdvault__V1__FindSubjectRequest q = PDVAULT__V1__FIND_SUBJECT_REQUEST__INIT;
	struct vault_call c;
	unsigned n = 0;

	q.lookup_case = PDVAULT__V1__FIND_SUBJECT_REQUEST__LOOKUP_PHONE;
	q.phone = phones[phone];
	if (vault_bed_call(&bed, "Vault.FindSubject", &q, &c) == STATUS_OK)
		n = (unsigned)VAULT_BED_ANSWER(FindSubjectResponse, &c)->n_subjects;
	vault_bed_done(&c);
	return n;
}

static void
all_can_be_erased(void **state)
{
	uint8_t id[16];

	(void)state;
	assert_int_equal(create_sharer(900, id), STATUS_CROWDED);
	for (unsigned i = 0; i < LOOKUP_SHARED_MAX; i++) {
		assert_int_equal(count_sharers(i % PHONES), LOOKUP_SHARED_MAX - i);
		assert_int_equal(vault_bed_erase(&bed, sharer[i]), STATUS_OK);
	}
	assert_int_equal(count_sharers(0), 0);
	assert_int_equal(create_sharer(900, id), STATUS_OK);
}

/* Many at once: some that fail after having looked at a lot, some that fit together, some that do not. */
static void
nobody_pays_for_others(void **state)
{
	static struct vault_call crowded[ROUNDS], ordinary[ROUNDS], erased[ROUNDS];
	static struct vault_bed_person who[ROUNDS], extra[ROUNDS];
	static Pdvault__V1__EraseSubjectRequest q[ROUNDS];
	unsigned came = 0;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		vault_bed_person(1000 + i, &extra[i]);
		extra[i].identity.n_phones = PHONES;
		extra[i].identity.phones = phones;
		vault_bed_submit(&bed, "Vault.CreateSubject", &extra[i].request, &crowded[i]);
		vault_bed_person(2000 + i, &who[i]);
		vault_bed_submit(&bed, "Vault.CreateSubject", &who[i].request, &ordinary[i]);
		pdvault__v1__erase_subject_request__init(&q[i]);
		q[i].subject = VAULT_BED_ID(sharer[i]);
		vault_bed_submit(&bed, "Rights.EraseSubject", &q[i], &erased[i]);
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		enum status rc = vault_bed_wait(&crowded[i]);

		/* It came before those who left, or after. */
		assert_true(rc == STATUS_CROWDED || rc == STATUS_OK);
		came += rc == STATUS_OK;
		assert_int_equal(vault_bed_wait(&ordinary[i]), STATUS_OK);
		assert_int_equal(vault_bed_wait(&erased[i]), STATUS_OK);
		vault_bed_done(&crowded[i]);
		vault_bed_done(&ordinary[i]);
		vault_bed_done(&erased[i]);
	}
	for (unsigned i = 0; i < PHONES; i++)
		assert_int_equal(count_sharers(i), LOOKUP_SHARED_MAX - ROUNDS + came);
}

/* What does not fit even alone is refused, and what comes after it goes on. */
static void
too_large_alone(void **state)
{
	uint8_t id[16];

	(void)state;
	assert_int_equal(vault_bed_erase(&bed, sharer[0]), STATUS_OK);
	overlay_test_limit(40u << 10);
	assert_int_equal(create_sharer(900, id), STATUS_NO_MEMORY);
	assert_int_equal(vault_bed_create(&bed, 901, id), STATUS_OK);
	overlay_test_limit(SCARCE);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	assert_int_equal(create_sharer(900, id), STATUS_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_can_be_erased, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_pays_for_others, setup, teardown),
		cmocka_unit_test_setup_teardown(too_large_alone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
