/* A store without room: writes are refused, reading and erasing go on, and room helps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "fault.h"
#include "rotate_bed.h"
#include "scratch.h"
#include "server/clock.h"

#define MIB (UINT64_C(1) << 20)
#define ATTRIBUTES 30u
#define PEOPLE_MAX 2000u

static struct vault_bed bed;
static uint8_t ids[PEOPLE_MAX][16];
static unsigned people;

static int
setup(void **state)
{
	(void)state;
	people = 0;
	vault_bed_make(&bed, 16 * MIB, 1 * MIB);
	scratch_log_begin();
	return vault_bed_start(&bed) == STATUS_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	fault_none();
	free(scratch_log_end(NULL));
	vault_bed_free(&bed);
	return 0;
}

/* Person n with some thirty kilobytes of attributes. */
static enum status
create_large(unsigned n, uint8_t id[static 16])
{
	static Pdvault__V1__Attribute attribute[ATTRIBUTES];
	static Pdvault__V1__Attribute *list[ATTRIBUTES];
	static char key[ATTRIBUTES][8], value[1001];
	struct vault_bed_person p;
	struct vault_call c;
	enum status rc;

	memset(value, 'v', sizeof(value) - 1);
	vault_bed_person(n, &p);
	for (unsigned i = 0; i < ATTRIBUTES; i++) {
		(void)snprintf(key[i], sizeof(key[i]), "a%u", i);
		attribute[i] = (Pdvault__V1__Attribute)PDVAULT__V1__ATTRIBUTE__INIT;
		attribute[i].key = key[i];
		attribute[i].value = value;
		list[i] = &attribute[i];
	}
	p.identity.n_attributes = ATTRIBUTES;
	p.identity.attributes = list;
	rc = vault_bed_call(&bed, "Vault.CreateSubject", &p.request, &c);
	if (rc == STATUS_OK)
		memcpy(id, VAULT_BED_ANSWER(CreateSubjectResponse, &c)->subject.data, 16);
	vault_bed_done(&c);
	return rc;
}

static void
fill(void)
{
	enum status rc;

	while ((rc = create_large(people, ids[people])) == STATUS_OK)
		assert_true(++people < PEOPLE_MAX);
	assert_int_equal(rc, STATUS_FULL);
}

/* Room is asked for once a second. */
static bool
becomes_writable(unsigned n)
{
	uint64_t end = clock_monotonic_ns() + UINT64_C(60000000000);
	const struct timespec pause = { .tv_nsec = 50000000 };
	uint8_t id[16];

	while (clock_monotonic_ns() < end) {
		enum status rc = vault_bed_create(&bed, n, id);

		if (rc == STATUS_OK)
			return true;
		assert_int_equal(rc, STATUS_FULL);
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

static void
full_map(void **state)
{
	uint8_t found[16];
	unsigned i;

	(void)state;
	fill();
	assert_true(people > 100);
	assert_string_equal(vault_read_only(bed.vault), "STORE_FULL");
	for (i = 0; i < people; i += 7) {
		assert_int_equal(vault_bed_get(&bed, ids[i]), STATUS_OK);
		assert_int_equal(vault_bed_find_email(&bed, i, found), STATUS_OK);
	}
	assert_int_equal(vault_bed_change_email(&bed, 0, ids[0]), STATUS_FULL);
	/* Erasing needs no room of others, also after a restart. */
	for (i = 0; i < 20; i++) {
		assert_int_equal(vault_bed_erase(&bed, ids[i]), STATUS_OK);
		assert_int_equal(vault_bed_get(&bed, ids[i]), STATUS_ERASED);
		if (i == 10)
			vault_bed_restart(&bed);
	}
	/* Refused writes all the while do not keep it from seeing that there is room. */
	assert_true(becomes_writable(5000));
	assert_null(vault_read_only(bed.vault));
	assert_int_equal(vault_bed_get(&bed, ids[people - 1]), STATUS_OK);
	/* And again, as often as one likes. */
	fill();
	for (i = 20; i < people; i++)
		assert_int_equal(vault_bed_erase(&bed, ids[i]), STATUS_OK);
	assert_true(becomes_writable(6000));
}

/* K3: the disk is full, though the map is not. Nothing is half done, and the reserve serves erasures. */
static void
full_disk(void **state)
{
	uint8_t id[16];
	enum status rc = STATUS_OK;

	(void)state;
	for (; people < 30; people++)
		assert_int_equal(create_large(people, ids[people]), STATUS_OK);
	vault_bed_restart(&bed);
	/* No call makes the file longer any more; those that only write go through. */
	fault_allocation(ENOSPC);
	for (unsigned n = 100; rc == STATUS_OK && n < 1000; n++)
		rc = create_large(n, id);
	assert_int_equal(rc, STATUS_FULL);
	assert_int_equal(vault_bed_get(&bed, ids[3]), STATUS_OK);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(vault_bed_erase(&bed, ids[i]), STATUS_OK);
	fault_allocation(0);
	assert_true(becomes_writable(5000));
	vault_bed_restart(&bed);
	for (unsigned i = 0; i < 30; i++)
		assert_int_equal(vault_bed_get(&bed, ids[i]), i < 20 ? STATUS_ERASED : STATUS_OK);
}

/* A step that needs more room than there is takes less of it: who writes meanwhile is not refused. */
static void
rotation(void **state)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	struct job j = { .kind = JOB_SUBJECTS };
	struct rotate *r;
	uint8_t id[16];

	(void)state;
	fill();
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(vault_bed_erase(&bed, ids[i]), STATUS_OK);
	assert_true(becomes_writable(5000));
	assert_int_equal(rotate_bed_ask(&bed, &j, &j), STATUS_OK);
	r = rotate_bed_runner(&bed, ROTATE_FULL);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(vault_bed_create(&bed, 6000 + i, id), STATUS_OK);
		(void)nanosleep(&pause, NULL);
	}
	rotate_bed_wait(&bed, &j);
	assert_true(rotate_stop(r, 30000));
	rotate_bed_assert_done(&bed, &j);
	assert_int_equal(j.damaged, 0);
	assert_null(vault_read_only(bed.vault));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(full_map, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(rotation, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
