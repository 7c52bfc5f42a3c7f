/* Making a vault: all of it, or nothing that stands in the way of the next try. */
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

#include "scratch.h"
#include "vault_bed.h"

static struct vault_bed bed;
static char data[400];

static int
setup(void **state)
{
	(void)state;
	vault_bed_make(&bed, 1u << 28, 1u << 20);
	(void)snprintf(data, sizeof(data), "%s/data.mdb", bed.store);
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

static bool
is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void
assert_nothing_but(const char *path)
{
	const char *const parts[] = { data, bed.anchor, bed.key };

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(is_there(parts[i]), path != NULL && strcmp(parts[i], path) == 0);
}

/* Each of the three is there already: refused, that one is as it was, and nothing else is left. */
static void
in_the_way(void **state)
{
	const char *const parts[] = { data, bed.anchor, bed.key };

	(void)state;
	assert_int_equal(vault_init(&bed.options), STATUS_REFUSED);
	for (unsigned i = 0; i < 3; i++)
		assert_true(is_there(parts[i]));
	for (unsigned kept = 0; kept < 3; kept++) {
		for (unsigned i = 0; i < 3; i++)
			assert_true(i == kept || unlink(parts[i]) == 0);
		assert_int_equal(vault_init(&bed.options), STATUS_REFUSED);
		assert_nothing_but(parts[kept]);
		assert_int_equal(unlink(parts[kept]), 0);
		assert_int_equal(vault_init(&bed.options), STATUS_OK);
	}
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

/* What an operator had begun in a vault that was given up would keep the new one from starting. */
static void
remains(void **state)
{
	static const char *const names[] = { "anchor.moving", "newest.meta" };
	const char *path;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		(void)unlink(data);
		(void)unlink(bed.anchor);
		(void)unlink(bed.key);
		path = scratch_path(bed.options.store_path, names[i]);
		scratch_write(path, "", 0);
		assert_int_equal(vault_init(&bed.options), STATUS_REFUSED);
		assert_int_equal(unlink(path), 0);
		assert_nothing_but(NULL);
		assert_int_equal(vault_init(&bed.options), STATUS_OK);
	}
}

/* A place that cannot be made: the next try, where it can, finds the others empty. */
static void
no_such_folder(void **state)
{
	struct vault_options o = bed.options;
	char nowhere[400];

	(void)state;
	(void)snprintf(nowhere, sizeof(nowhere), "%s/none/file", bed.dir);
	assert_int_equal(unlink(data) | unlink(bed.anchor) | unlink(bed.key), 0);
	o.anchor.path[0] = nowhere;
	assert_true(vault_init(&o) != STATUS_OK);
	assert_nothing_but(NULL);
	o = bed.options;
	o.seal[0].path = nowhere;
	assert_true(vault_init(&o) != STATUS_OK);
	assert_nothing_but(NULL);
	o = bed.options;
	o.store_path = nowhere;
	assert_true(vault_init(&o) != STATUS_OK);
	assert_nothing_but(NULL);
	assert_int_equal(vault_init(&bed.options), STATUS_OK);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(in_the_way, setup, teardown),
		cmocka_unit_test_setup_teardown(remains, setup, teardown),
		cmocka_unit_test_setup_teardown(no_such_folder, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
