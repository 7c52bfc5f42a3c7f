/* Every system call of K3 and K5 on the anchor, failing in every way at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

#include "scratch.h"
#include "server/keys/anchor_internal.h"
#include "server/keys/secret.h"

static char folder[256];
static const char *path;
static const struct provider_kek kek = { .id = { 7 }, .key = { { 1 } } };
static const struct anchor_seals seals = { .count = 1,
	.seal = { { .kind = ANCHOR_SEAL_KEK, .id = { 7 }, .name = "test", .key = { { 1 } } } } };
static struct root roots[4];
static uint8_t image[ANCHOR_LEN], before[ANCHOR_LEN];

static int
begin(void **state)
{
	(void)state;
	scratch_make(folder);
	path = scratch_path(folder, "anchor");
	for (uint8_t i = 0; i < 4; i++) {
		roots[i].self.b[0] = i + 2;
		roots[i].epoch = i;
		roots[i].commitment[0] = 6;
	}
	return seal_init() == STATUS_OK && secret_init(SECRET_DEFAULT) == STATUS_OK &&
	    anchor_create(path) == STATUS_OK ? 0 : -1;
}

static int
end(void **state)
{
	(void)state;
	secret_end();
	scratch_remove(folder);
	return 0;
}

static void
read_image(uint8_t *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, out, ANCHOR_LEN), ANCHOR_LEN);
	(void)close(fd);
}

static enum status
prepare(struct anchor *a, uint64_t epoch)
{
	return anchor_prepare(a, &roots[epoch]);
}

static void
assert_opens(struct anchor *a, uint64_t epoch)
{
	struct key got;

	assert_int_equal(anchor_load(a, 0, epoch, &got), STATUS_OK);
	assert_memory_equal(&got, &roots[epoch].self, sizeof(got));
}

static void
assert_wiped(const struct anchor *a)
{
	assert_true(sodium_is_zero(a->out, ANCHOR_SLOT_LEN));
	assert_true(sodium_is_zero(a->in, ANCHOR_SLOT_LEN));
}

struct step {
	enum anchor_test_call call;
	int error;
	bool survives;		/* the call is repeated until all is done */
};

static const struct step steps[] = {
	{ ANCHOR_TEST_PWRITE, EIO, false },
	{ ANCHOR_TEST_PWRITE, ENOSPC, false },
	{ ANCHOR_TEST_PWRITE, ANCHOR_TEST_TORN, false },
	{ ANCHOR_TEST_PWRITE, ANCHOR_TEST_LOST, false },
	{ ANCHOR_TEST_PWRITE, ANCHOR_TEST_SHORT, true },
	{ ANCHOR_TEST_PWRITE, EINTR, true },
	{ ANCHOR_TEST_FDATASYNC, EIO, false },
	{ ANCHOR_TEST_FDATASYNC, ENOSPC, false },
	{ ANCHOR_TEST_PREAD, EIO, false },
	{ ANCHOR_TEST_PREAD, ANCHOR_TEST_LOST, false },
	{ ANCHOR_TEST_PREAD, ANCHOR_TEST_SHORT, true },
	{ ANCHOR_TEST_PREAD, EINTR, true },
};

/* K3: a batch that fails here leaves the live slot as it was, and the next one succeeds. */
static void
fail_prepare(struct anchor *a, const struct step *s, unsigned n)
{
	assert_int_equal(prepare(a, 2), STATUS_OK);
	assert_int_equal(anchor_settle(a, 2), STATUS_OK);
	read_image(before);
	anchor_test_fault(s->call, n, s->error);
	assert_int_equal(prepare(a, 3), s->survives ? STATUS_OK : STATUS_ANCHOR);
	assert_wiped(a);
	anchor_test_fault(s->call, 0, 0);
	read_image(image);
	assert_memory_equal(image, before, ANCHOR_SLOT_LEN);
	assert_opens(a, 2);
	assert_int_equal(prepare(a, 3), STATUS_OK);
	assert_opens(a, 3);
}

/* K5: one that fails says so, leaves the new slot alone, and can be done again. */
static void
fail_settle(struct anchor *a, const struct step *s, unsigned n)
{
	read_image(before);
	anchor_test_fault(s->call, n, s->error);
	assert_int_equal(anchor_settle(a, 3), s->survives ? STATUS_OK : STATUS_ANCHOR);
	assert_wiped(a);
	anchor_test_fault(s->call, 0, 0);
	read_image(image);
	assert_memory_equal(image + ANCHOR_SLOT_LEN, before + ANCHOR_SLOT_LEN, ANCHOR_SLOT_LEN);
	assert_int_equal(anchor_settle(a, 3), STATUS_OK);
	assert_int_equal(anchor_load(a, 0, 2, &(struct key){ { 0 } }), STATUS_ABSENT);
	assert_opens(a, 3);
}

/* Reading alone: load, survey and verify say what happened. */
static void
fail_reading(struct anchor *a, const struct step *s)
{
	enum status want = s->survives ? STATUS_OK : STATUS_IO;
	struct anchor_slot found[2];
	struct key got;
	unsigned n;

	if (s->call != ANCHOR_TEST_PREAD)
		return;
	anchor_test_fault(s->call, 1, s->error);
	assert_int_equal(anchor_load(a, 0, 3, &got), want);
	anchor_test_fault(s->call, 1, s->error);
	assert_int_equal(anchor_verify(a, &roots[3]), want);
	for (n = 1; n <= 2; n++) {
		anchor_test_fault(s->call, n, s->error);
		assert_int_equal(anchor_survey(a, 0, found), want);
		assert_wiped(a);
	}
	anchor_test_fault(s->call, 0, 0);
}

static unsigned
count_calls(struct anchor *a, enum anchor_test_call call)
{
	anchor_test_fault(call, 0, 0);
	assert_int_equal(prepare(a, 3), STATUS_OK);
	assert_true(anchor_test_count(call) > 0);
	return anchor_test_count(call);
}

static void
try_all(struct anchor *a)
{
	unsigned n, calls;
	char *text;
	size_t i;

	scratch_log_begin();
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		calls = count_calls(a, steps[i].call);
		for (n = 1; n <= calls; n++) {
			fail_prepare(a, &steps[i], n);
			fail_settle(a, &steps[i], n);
		}
		fail_reading(a, &steps[i]);
	}
	text = scratch_log_end(NULL);
	assert_non_null(strstr(text, "\"errno\":\"ENOSPC\""));
	assert_non_null(strstr(text, "other bytes came back"));
	assert_non_null(strstr(text, "the file ends early"));
	assert_non_null(strstr(text, path));
	free(text);
}

static void
every_failing_call(void **state)
{
	struct anchor_options o = { .files = { { path }, 1 }, .keks = &kek, .kek_count = 1 };
	struct anchor *a = NULL;
	int cached;

	(void)state;
	for (cached = 0; cached < 2; cached++) {
		anchor_test_cached(cached != 0);
		assert_int_equal(anchor_open(&o, &a), STATUS_OK);
		assert_true(!cached || !a->file[0].direct);
		anchor_reseal(a, &seals);
		try_all(a);
		anchor_close(a);
	}
	anchor_test_cached(false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failing_call),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
