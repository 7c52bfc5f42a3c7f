/* Copies of the ledger are kept while erasures go on, and hold all of them at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "pdvault/v1/rights.pb-c.h"
#include "server/ledger_copies.h"
#include "server/store/ledger.h"
#include "vault_bed.h"

enum { HEAD = 64, ITEM = LEDGER_ENTRY_LEN + SEAL_SIGNATURE_LEN, MANY = 300 };

static struct vault_bed bed;
static char paths[2][320];

static int
setup(void **state)
{
	(void)state;
	vault_bed_new(&bed);
	for (unsigned i = 0; i < 2; i++)
		(void)snprintf(paths[i], sizeof(paths[i]), "%s/ledger%u", bed.dir, i);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	vault_bed_free(&bed);
	return 0;
}

static struct ledger_copies *
start(void)
{
	static const char *const both[] = { paths[0], paths[1] };
	const struct ledger_copies_options o = { .path = both, .count = 2, .late_ms = 60000 };
	struct ledger_copies *l = NULL;

	assert_int_equal(ledger_copies_start(bed.vault, &o, &l), STATUS_OK);
	return l;
}

/* Each entry once, in order. */
static void
assert_holds(const char *path, uint64_t entries)
{
	static uint8_t bytes[HEAD + (MANY + 1) * ITEM];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, bytes, sizeof(bytes));
	(void)close(fd);
	assert_int_equal(n, HEAD + entries * ITEM);
	for (uint64_t i = 0; i < entries; i++)
		assert_int_equal(bytes_get64(bytes + HEAD + i * ITEM), i + 1);
}

/* Begun behind, on and on, and ended while the last ones are just answered. */
static void
kept(void **state)
{
	static struct vault_call calls[MANY];
	static uint8_t id[MANY][16];
	Pdvault__V1__EraseSubjectRequest q = PDVAULT__V1__ERASE_SUBJECT_REQUEST__INIT;
	struct ledger_copies *l;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(vault_bed_create(&bed, i, id[i]), STATUS_OK);
	for (unsigned i = 0; i < MANY / 2; i++)
		assert_int_equal(vault_bed_erase(&bed, id[i]), STATUS_OK);
	l = start();
	for (unsigned i = MANY / 2; i < MANY; i++) {
		q.subject = VAULT_BED_ID(id[i]);
		vault_bed_submit(&bed, "Rights.EraseSubject", &q, &calls[i]);
	}
	for (unsigned i = MANY / 2; i < MANY; i++) {
		assert_int_equal(vault_bed_wait(&calls[i]), STATUS_OK);
		vault_bed_done(&calls[i]);
	}
	ledger_copies_stop(l);
	assert_holds(paths[0], MANY);
	assert_holds(paths[1], MANY);
	l = start();
	assert_false(ledger_copies_late(l));
	ledger_copies_stop(l);
	assert_holds(paths[0], MANY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kept, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
