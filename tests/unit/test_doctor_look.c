/* What doctor looks at: devices on devices, small files, and flushes, which leave nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratch.h"
#include "server/doctor_crypt.h"
#include "server/doctor_flush.h"
#include "server/doctor_text.h"

/* A device of a tree like that of /sys; below: of which it is made, in the same tree, or NULL. */
static void
device(const char *tree, const char *name, const char *uuid, const char *below)
{
	char path[600], target[300];

	(void)snprintf(path, sizeof(path), "%s/%s", tree, name);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "%s/%s/dm", tree, name);
	(void)mkdir(path, 0700);
	if (uuid != NULL) {
		(void)snprintf(path, sizeof(path), "%s/%s/dm/uuid", tree, name);
		scratch_write(path, uuid, strlen(uuid));
	}
	(void)snprintf(path, sizeof(path), "%s/%s/slaves", tree, name);
	(void)mkdir(path, 0700);
	if (below == NULL)
		return;
	(void)snprintf(path, sizeof(path), "%s/%s/slaves/%s", tree, name, below);
	(void)snprintf(target, sizeof(target), "../../%s", below);
	assert_int_equal(symlink(target, path), 0);
}

static void
crypt_devices(void **state)
{
	char tree[256];

	(void)state;
	scratch_make(tree);
	device(tree, "sda", NULL, NULL);
	device(tree, "crypt", "CRYPT-LUKS2-ab-swap\n", "sda");
	device(tree, "lvm-plain", "LVM-ab\n", "sda");
	device(tree, "lvm", "LVM-ab\n", "crypt");
	device(tree, "both", "LVM-ab\n", "crypt");
	device(tree, "both", NULL, "sda");
	device(tree, "two", NULL, "crypt");
	device(tree, "two", NULL, "lvm");
	assert_true(doctor_crypt(scratch_path(tree, "crypt")));
	assert_true(doctor_crypt(scratch_path(tree, "lvm")));
	assert_true(doctor_crypt(scratch_path(tree, "two")));
	assert_false(doctor_crypt(scratch_path(tree, "sda")));
	assert_false(doctor_crypt(scratch_path(tree, "lvm-plain")));
	assert_false(doctor_crypt(scratch_path(tree, "both")));
	assert_false(doctor_crypt(scratch_path(tree, "nowhere")));
	/* Layers, up to the last one and one more; and one that lies on itself. */
	device(tree, "a1", NULL, "crypt");
	device(tree, "a2", NULL, "a1");
	device(tree, "a3", NULL, "a2");
	device(tree, "a4", NULL, "a3");
	device(tree, "a5", NULL, "a4");
	device(tree, "self", NULL, "self");
	assert_true(doctor_crypt(scratch_path(tree, "a3")));
	assert_true(doctor_crypt(scratch_path(tree, "a4")));
	assert_false(doctor_crypt(scratch_path(tree, "a5")));
	assert_false(doctor_crypt(scratch_path(tree, "self")));
	scratch_remove(tree);
}

static void
small_files(void **state)
{
	static char large[DOCTOR_TEXT_FILE + 10];
	char folder[256], *text;

	(void)state;
	scratch_make(folder);
	assert_string_equal(text = doctor_text(scratch_path(folder, "nowhere")), "");
	free(text);
	scratch_write(scratch_path(folder, "a"), "1\n2\n", 4);
	assert_string_equal(text = doctor_text(scratch_path(folder, "a")), "1\n2");
	free(text);
	memset(large, 'x', sizeof(large));
	scratch_write(scratch_path(folder, "a"), large, sizeof(large));
	assert_int_equal(strlen(text = doctor_text(scratch_path(folder, "a"))), DOCTOR_TEXT_FILE - 1);
	free(text);
	/* What the kernel gives in pieces. */
	assert_true(strlen(text = doctor_text("/proc/self/smaps")) > 8192);
	free(text);
	scratch_remove(folder);
}

static void
medians(void **state)
{
	uint64_t odd[] = { 9, 1, 5 }, even[] = { 4, 3, 2, 1 }, one[] = { 8 };
	uint64_t large[] = { UINT64_MAX, 0, UINT64_C(1) << 32, 1, 2 };

	(void)state;
	assert_int_equal(doctor_flush_median(odd, 3), 5);
	assert_int_equal(doctor_flush_median(even, 4), 3);
	assert_int_equal(doctor_flush_median(one, 1), 8);
	assert_int_equal(doctor_flush_median(large, 5), 2);
}

static unsigned
entries_of(const char *folder)
{
	DIR *dir = opendir(folder);
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n - 2;
}

static void
measured(void **state)
{
	struct doctor_flush out = { 0 };
	char folder[256];

	(void)state;
	scratch_make(folder);
	assert_int_equal(doctor_flush_measure(folder, &out), 0);
	assert_true(out.rounds >= 1 && out.rounds <= DOCTOR_FLUSH_ROUNDS && out.median_ns > 0);
	assert_int_equal(entries_of(folder), 0);
	assert_int_equal(doctor_flush_measure(scratch_path(folder, "nowhere"), &out), ENOENT);
	/* A device that takes nothing. */
	assert_int_not_equal(doctor_flush_measure("/proc/self", &out), 0);
	scratch_remove(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crypt_devices),
		cmocka_unit_test(small_files),
		cmocka_unit_test(medians),
		cmocka_unit_test(measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
