#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratch.h"
#include "server/keys/anchor_internal.h"
#include "server/keys/secret.h"

static char folder[256], path[512];
static struct provider_kek kek, kek2;
static struct anchor_seals seals;
static struct root roots[16];
static uint8_t image[ANCHOR_LEN + 1], before[ANCHOR_LEN + 1];

static void
new_kek(struct provider_kek *k)
{
	seal_random(k->id, sizeof(k->id));
	seal_key_new(&k->key, SEAL_FOR_KEK);
}

static void
fill(struct anchor_seal *s, const char *name, const struct provider_kek *k)
{
	*s = (struct anchor_seal){ .kind = ANCHOR_SEAL_KEK, .key = k->key, .since = 1 };
	memcpy(s->id, k->id, sizeof(s->id));
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
}

static int
begin(void **state)
{
	size_t i;

	(void)state;
	scratch_make(folder);
	if (seal_init() != STATUS_OK || secret_init(SECRET_DEFAULT) != STATUS_OK)
		return -1;
	new_kek(&kek);
	new_kek(&kek2);
	seals.count = 1;
	fill(&seals.seal[0], "one", &kek);
	for (i = 0; i < 16; i++) {
		seal_key_new(&roots[i].self, SEAL_FOR_ROOT);
		roots[i].epoch = i;
		memset(roots[i].commitment, (int)i + 1, SEAL_DIGEST_LEN);
	}
	return 0;
}

static int
end(void **state)
{
	(void)state;
	secret_end();
	scratch_remove(folder);
	return 0;
}

static struct anchor_options
options(void)
{
	struct anchor_options o = { .files = { { path }, 1 }, .keks = &kek, .kek_count = 1 };

	memset(o.vault, 0x22, sizeof(o.vault));
	return o;
}

/* Each test has a file of its own. */
static int
new_file(void **state)
{
	static int count;
	char name[32];

	(void)state;
	(void)snprintf(name, sizeof(name), "anchor-%d", count++);
	(void)snprintf(path, sizeof(path), "%s", scratch_path(folder, name));
	return anchor_create(path) == STATUS_OK ? 0 : -1;
}

static struct anchor *
open_it(void)
{
	struct anchor_options o = options();
	struct anchor *a = NULL;

	assert_int_equal(anchor_open(&o, &a), STATUS_OK);
	anchor_reseal(a, &seals);
	return a;
}

static void
switch_to(struct anchor *a, uint64_t epoch)
{
	assert_int_equal(anchor_prepare(a, &roots[epoch]), STATUS_OK);
	assert_int_equal(anchor_settle(a, epoch), STATUS_OK);
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

static void
read_image(uint8_t *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, out, ANCHOR_LEN + 1), ANCHOR_LEN);
	(void)close(fd);
}

static void
a_new_anchor_is_random_and_private(void **state)
{
	struct anchor_slot s[2];
	struct anchor *a;
	struct stat st;
	char *text;
	size_t i, sum = 0;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true((size_t)st.st_blocks * 512 >= ANCHOR_LEN);
	read_image(image);
	for (i = 0; i < ANCHOR_LEN; i++)
		sum += image[i];
	assert_true(sum > 127 * (size_t)ANCHOR_LEN - ANCHOR_LEN &&
	    sum < 128 * (size_t)ANCHOR_LEN + ANCHOR_LEN);
	scratch_log_begin();
	assert_int_equal(anchor_create(path), STATUS_REFUSED);
	text = scratch_log_end(NULL);
	assert_non_null(strstr(text, "\"event\":\"anchor_error\""));
	free(text);
	read_image(before);
	assert_memory_equal(before, image, ANCHOR_LEN);
	a = open_it();
	assert_int_equal(anchor_survey(a, 0, s), STATUS_OK);
	assert_false(s[0].valid || s[1].valid);
	assert_int_equal(anchor_load(a, 0, 0, &(struct key){ { 0 } }), STATUS_ABSENT);
	anchor_close(a);
	anchor_close(NULL);
}

/* K3 and K5, over both places. */
static void
epochs_take_turns(void **state)
{
	struct root other;
	struct anchor_slot s[2];
	struct anchor *a = open_it();
	struct key got;
	uint64_t e;

	(void)state;
	for (e = 1; e < 12; e++) {
		assert_int_equal(anchor_prepare(a, &roots[e]), STATUS_OK);
		assert_wiped(a);
		assert_opens(a, e);
		if (e > 1)
			assert_opens(a, e - 1);
		assert_int_equal(anchor_settle(a, e), STATUS_OK);
		assert_wiped(a);
		assert_int_equal(anchor_load(a, 0, e - 1, &got), STATUS_ABSENT);
		assert_int_equal(anchor_load(a, 0, e + 2, &got), STATUS_ABSENT);
		assert_int_equal(anchor_survey(a, 0, s), STATUS_OK);
		assert_wiped(a);
		assert_true(s[e % 2].valid && !s[(e + 1) % 2].valid);
		assert_true(s[e % 2].epoch == e);
		assert_memory_equal(s[e % 2].commitment, roots[e].commitment, SEAL_DIGEST_LEN);
		assert_int_equal(anchor_verify(a, &roots[e]), STATUS_OK);
		assert_wiped(a);
		if (e % 4 == 0) {
			anchor_close(a);
			a = open_it();
		}
	}
	scratch_log_begin();
	other = roots[10];
	other.epoch = 11;
	assert_int_equal(anchor_verify(a, &other), STATUS_FORGED);
	assert_int_equal(anchor_verify(a, &roots[10]), STATUS_ABSENT);
	free(scratch_log_end(NULL));
	anchor_close(a);
}

/* K5: not one stretch of 16 bytes of the old slot is left in place or elsewhere in the file. */
static void
settling_overwrites_every_byte(void **state)
{
	struct anchor *a = open_it();
	size_t i, at;

	(void)state;
	switch_to(a, 2);
	read_image(before);
	assert_int_equal(anchor_prepare(a, &roots[3]), STATUS_OK);
	read_image(image);
	/* K3 leaves the live slot alone. */
	assert_memory_equal(image, before, ANCHOR_SLOT_LEN);
	assert_int_equal(anchor_settle(a, 3), STATUS_OK);
	memcpy(before, image, sizeof(before));
	read_image(image);
	assert_memory_equal(image + ANCHOR_SLOT_LEN, before + ANCHOR_SLOT_LEN, ANCHOR_SLOT_LEN);
	for (i = 0; i + 16 <= ANCHOR_SLOT_LEN; i += 16)
		assert_memory_not_equal(image + i, before + i, 16);
	/* The boxes of the dead root are nowhere. */
	for (at = 144; at + 16 < 265; at++)
		assert_null(memmem(image, ANCHOR_LEN, before + at, 16));
	anchor_close(a);
}

/* F29: in place means the same blocks, the same length, the same file. */
static void
the_file_stays_where_it_is(void **state)
{
	uint8_t first[SEAL_DIGEST_LEN], now[SEAL_DIGEST_LEN];
	struct anchor *a = open_it();
	struct stat st, after;
	bool known;
	int i;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	known = anchor_place_extents(a->file[0].fd, first, NULL);
	for (i = 0; i < 100; i++)
		switch_to(a, 2 + (uint64_t)i % 2);
	assert_int_equal(stat(path, &after), 0);
	assert_true(after.st_ino == st.st_ino && after.st_size == st.st_size);
	assert_int_equal(after.st_blocks, st.st_blocks);
	if (known) {
		assert_true(anchor_place_extents(a->file[0].fd, now, NULL));
		assert_memory_equal(now, first, sizeof(now));
	}
	anchor_close(a);
}

static void
the_wrong_provider_or_vault(void **state)
{
	struct anchor_options o = options();
	struct anchor *a = open_it();
	struct key got;
	char *text;

	(void)state;
	switch_to(a, 5);
	anchor_close(a);
	o.keks = &kek2;
	assert_int_equal(anchor_open(&o, &a), STATUS_OK);
	scratch_log_begin();
	assert_int_equal(anchor_load(a, 0, 5, &got), STATUS_FORGED);
	text = scratch_log_end(NULL);
	assert_non_null(strstr(text, "no configured provider opens the slot"));
	free(text);
	anchor_close(a);
	o = options();
	o.vault[0] ^= 1;
	assert_int_equal(anchor_open(&o, &a), STATUS_OK);
	assert_int_equal(anchor_load(a, 0, 5, &got), STATUS_ABSENT);
	anchor_close(a);
}

static void
assert_loads(const struct anchor_options *o, uint64_t epoch, enum status want)
{
	struct anchor *a = NULL;
	struct key got = { { 0 } };

	assert_int_equal(anchor_open(o, &a), STATUS_OK);
	scratch_log_begin();
	assert_int_equal(anchor_load(a, 0, epoch, &got), want);
	free(scratch_log_end(NULL));
	if (want == STATUS_OK) {
		assert_memory_equal(&got, &roots[epoch].self, sizeof(got));
		assert_true(anchor_seals(a)->count > 0);
	}
	anchor_close(a);
}

/* Of two seals each opens; a switch by who has only one wraps for both; one that is taken out opens no more. */
static void
two_seals_each_open_it(void **state)
{
	struct anchor_options mine = options(), other = options();
	struct anchor_seals both = seals;
	struct anchor *a = open_it();
	struct key got = { { 0 } };

	(void)state;
	fill(&both.seal[both.count++], "two", &kek2);
	other.keks = &kek2;
	anchor_reseal(a, &both);
	switch_to(a, 6);
	anchor_close(a);
	assert_loads(&mine, 6, STATUS_OK);
	assert_loads(&other, 6, STATUS_OK);
	assert_int_equal(anchor_open(&other, &a), STATUS_OK);
	assert_int_equal(anchor_load(a, 0, 6, &got), STATUS_OK);
	assert_int_equal(anchor_seals(a)->count, 2);
	switch_to(a, 7);
	assert_int_equal(anchor_verify(a, &roots[7]), STATUS_OK);
	anchor_reseal(a, &seals);
	assert_int_equal(anchor_verify(a, &roots[7]), STATUS_FORGED);
	anchor_close(a);
	assert_loads(&mine, 7, STATUS_OK);
	a = open_it();
	switch_to(a, 8);
	anchor_close(a);
	assert_loads(&mine, 8, STATUS_OK);
	assert_loads(&other, 8, STATUS_FORGED);
}

/* The recovery key's secret half opens a slot, its own alone; nobody else's does. */
static void
a_recovery_key_opens_it(void **state)
{
	struct anchor_options o = options();
	struct anchor_seals with = seals;
	struct anchor_seal *s = &with.seal[with.count++];
	struct anchor_recovery r, other;
	struct anchor *a = open_it();

	(void)state;
	must(crypto_box_keypair(r.public, r.secret) == 0 &&
	     crypto_box_keypair(other.public, other.secret) == 0);
	*s = (struct anchor_seal){ .kind = ANCHOR_SEAL_RECOVERY, .name = "recovery", .since = 1 };
	memcpy(s->key.b, r.public, sizeof(r.public));
	anchor_reseal(a, &with);
	switch_to(a, 6);
	anchor_close(a);
	o.kek_count = 0;
	assert_loads(&o, 6, STATUS_FORGED);
	o.recovery = &other;
	assert_loads(&o, 6, STATUS_FORGED);
	o.recovery = &r;
	assert_loads(&o, 6, STATUS_OK);
}

static void
assert_refused(const char *at, enum status want, const char *why)
{
	struct anchor_options o = options();
	struct anchor *a = NULL;
	enum status rc;
	char *text;

	o.files.path[0] = at;
	scratch_log_begin();
	rc = anchor_open(&o, &a);
	text = scratch_log_end(NULL);
	assert_int_equal(rc, want);
	assert_null(a);
	assert_non_null(strstr(text, "\"event\":\"anchor_error\""));
	if (strstr(text, why) == NULL || strstr(text, at) == NULL)
		fail_msg("%s not in %s", why, text);
	free(text);
}

static void
only_a_file_of_our_own_will_do(void **state)
{
	const char *name = scratch_path(folder, "other-name");
	struct anchor *a;

	(void)state;
	assert_refused(scratch_path(folder, "none"), STATUS_CONFIG, "cannot be opened");
	assert_refused(folder, STATUS_CONFIG, "cannot be opened");
	assert_int_equal(chmod(path, 0640), 0);
	assert_refused(path, STATUS_CONFIG, "open to others");
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(symlink(path, name), 0);
	assert_refused(name, STATUS_CONFIG, "symbolic link");
	assert_int_equal(unlink(name), 0);
	assert_int_equal(link(path, name), 0);
	assert_refused(path, STATUS_CONFIG, "one name");
	assert_int_equal(unlink(name), 0);
	a = open_it();
	assert_refused(path, STATUS_REFUSED, "another process has the anchor");
	anchor_close(a);
	assert_int_equal(truncate(path, ANCHOR_LEN - 1), 0);
	assert_refused(path, STATUS_CONFIG, "wrong length");
	assert_int_equal(truncate(path, ANCHOR_LEN + 1), 0);
	assert_refused(path, STATUS_CONFIG, "wrong length");
	assert_int_equal(truncate(path, ANCHOR_LEN), 0);
	anchor_close(open_it());
}

/* The root key must not come to rest in a file without a name. */
static void
a_lost_file_takes_no_new_root(void **state)
{
	struct anchor *a = open_it();
	char *text;

	(void)state;
	switch_to(a, 2);
	assert_int_equal(unlink(path), 0);
	scratch_log_begin();
	assert_int_equal(anchor_prepare(a, &roots[3]), STATUS_ANCHOR);
	assert_int_equal(anchor_settle(a, 3), STATUS_ANCHOR);
	text = scratch_log_end(NULL);
	assert_non_null(strstr(text, "one name"));
	free(text);
	assert_opens(a, 2);
	anchor_close(a);
}

static void
read_only_writes_nothing(void **state)
{
	struct anchor_options o = options();
	struct anchor *a = open_it();

	(void)state;
	switch_to(a, 2);
	anchor_close(a);
	read_image(before);
	assert_int_equal(chmod(path, 0400), 0);
	o.read_only = true;
	assert_int_equal(anchor_open(&o, &a), STATUS_OK);
	assert_opens(a, 2);
	assert_int_equal(anchor_verify(a, &roots[2]), STATUS_OK);
	assert_int_equal(anchor_prepare(a, &roots[3]), STATUS_READ_ONLY);
	assert_int_equal(anchor_settle(a, 2), STATUS_READ_ONLY);
	anchor_close(a);
	read_image(image);
	assert_memory_equal(image, before, ANCHOR_LEN);
}

#define TEST(f) cmocka_unit_test_setup(f, new_file)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_anchor_is_random_and_private),
		TEST(epochs_take_turns),
		TEST(settling_overwrites_every_byte),
		TEST(the_file_stays_where_it_is),
		TEST(the_wrong_provider_or_vault),
		TEST(two_seals_each_open_it),
		TEST(a_recovery_key_opens_it),
		TEST(only_a_file_of_our_own_will_do),
		TEST(a_lost_file_takes_no_new_root),
		TEST(read_only_writes_nothing),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
