/*
 * The process ends at each call of a job that changes store or anchor: by itself, since the outcome of a commit
 * is unknown, or with the power. The next start opens with each seal that counts, alone; of each there is one
 * version; and the job goes on by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"
#include "life.h"
#include "rotate_bed.h"
#include "scratch.h"
#include "server/store/vault_internal.h"

#define PEOPLE 8u
#define CALLS_MAX 200u
#define SECOND "second"

/* Each life of the server is a process, and finds here what it is to do. */
static struct shared {
	struct vault_bed bed;
	char second[320];
	uint8_t id[PEOPLE][16];
	unsigned files, n;	/* from call n on those files have that error */
	int error;
	struct job job;
} *shared;

static void
first_life(void)
{
	struct vault_bed *b = &shared->bed;

	vault_bed_make(b, 1u << 26, 1u << 20);
	(void)snprintf(shared->second, sizeof(shared->second), "%s/second.key", b->dir);
	b->options.seal[1] = (struct provider_options){ .name = SECOND, .kind = "file",
		.path = shared->second };
	b->options.seal_count = 2;
	must(vault_bed_start(b) == STATUS_OK);
	for (unsigned i = 0; i < PEOPLE; i++)
		must(vault_bed_create(b, i, shared->id[i]) == STATUS_OK);
	vault_bed_stop(b);
}

static int
setup(void **state)
{
	(void)state;
	shared = life_shared(sizeof(*shared));
	return life_run(first_life) == 0 ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	scratch_remove(shared->bed.dir);
	return munmap(shared, sizeof(*shared));
}

static void
doomed_life(void)
{
	struct vault_bed *b = &shared->bed;
	struct rotate *r;

	must(vault_bed_start(b) == STATUS_OK);
	must(rotate_bed_ask(b, &shared->job, &shared->job) == STATUS_OK);
	fault_set(shared->files, shared->n, FAULT_FOR_EVER, shared->error);
	r = rotate_bed_runner(b, 0);
	rotate_bed_wait(b, &shared->job);
	fault_none();
	assert_true(rotate_stop(r, 30000));
	vault_bed_stop(b);
}

static bool
is_there(const char *path, const char *suffix)
{
	char name[340];

	(void)snprintf(name, sizeof(name), "%s%s", path, suffix);
	return access(name, F_OK) == 0;
}

/* Jobs end by themselves, everybody is found and there is one version of each seal. */
static void
next_life(void)
{
	struct vault_bed *b = &shared->bed;
	struct rotate_bed_keys *keys = calloc(1, sizeof(*keys));
	struct rotate *r;
	uint8_t found[16];

	must(keys != NULL && vault_bed_start(b) == STATUS_OK);
	r = rotate_bed_runner(b, 0);
	rotate_bed_wait(b, &shared->job);
	assert_true(rotate_stop(r, 30000));
	must(shared->job.state == JOB_DONE || shared->job.state == JOB_FAILED);
	for (unsigned i = 0; i < PEOPLE; i++) {
		must(vault_bed_get(b, shared->id[i]) == STATUS_OK);
		must(vault_bed_find_email(b, i, found) == STATUS_OK);
		must(memcmp(found, shared->id[i], 16) == 0);
	}
	rotate_bed_look(b, keys);
	must(keys->before == 0 && seal_key_is_zero(&keys->root.index_before));
	must(shared->job.kind != JOB_INDEX || keys->root.index_ms >= shared->job.floor_ms);
	must(shared->job.kind != JOB_SIGNING || keys->root.signing_ms >= shared->job.floor_ms);
	must(shared->job.kind != JOB_TREE || keys->least_epoch >= shared->job.floor_epoch);
	must(!is_there(b->key, ".next") && !is_there(shared->second, ".next"));
	must(is_there(shared->second, "") == (seals_find(b->vault->seals->now, SECOND) != NULL));
	free(keys);
	vault_bed_stop(b);
}

/* With one seal while the other is away. */
static void
lonely_life(void)
{
	must(vault_bed_start(&shared->bed) == STATUS_OK);
	must(vault_bed_get(&shared->bed, shared->id[0]) == STATUS_OK);
	vault_bed_stop(&shared->bed);
}

static void
assert_opens_without(const char *path)
{
	char away[340];

	(void)snprintf(away, sizeof(away), "%s.away", path);
	assert_int_equal(rename(path, away), 0);
	assert_int_equal(life_run(lonely_life), 0);
	assert_int_equal(rename(away, path), 0);
}

static void
untroubled_life(void)
{
	shared->error = 0;
	fault_none();
	must(vault_bed_start(&shared->bed) == STATUS_OK);
	must(rotate_bed_ask(&shared->bed, &shared->job, &shared->job) == STATUS_OK);
	vault_bed_stop(&shared->bed);
}

/* What was added is removed, what was removed is added. */
static void
begin_again(enum job_kind kind)
{
	if (kind != JOB_SEAL_ADD && kind != JOB_SEAL_REMOVE)
		return;
	if (is_there(shared->second, "") != (kind == JOB_SEAL_ADD))
		return;
	shared->job = (struct job){ .kind = kind == JOB_SEAL_ADD ? JOB_SEAL_REMOVE : JOB_SEAL_ADD,
		.seal = SECOND };
	assert_int_equal(life_run(untroubled_life), 0);
	assert_int_equal(life_run(next_life), 0);
}

/* At call 1, 2, 3 ... until nothing is left that could end; how many lives ended so. */
static unsigned
end_everywhere(enum job_kind kind, int error, int want)
{
	unsigned ended = 0;

	for (shared->n = 1; shared->n < CALLS_MAX; shared->n++) {
		int status;

		shared->files = error > 0 ? FAULT_STORE : FAULT_STORE | FAULT_ANCHOR;
		shared->error = error;
		shared->job = (struct job){ .kind = kind };
		if (kind == JOB_SEAL_ADD || kind == JOB_SEAL_REMOVE)
			(void)snprintf(shared->job.seal, sizeof(shared->job.seal), SECOND);
		if ((status = life_run(doomed_life)) == 0)
			return ended;
		ended++;
		assert_int_equal(status, want);
		assert_int_equal(life_run(next_life), 0);
		if (is_there(shared->second, ""))
			assert_opens_without(shared->n % 2 == 0 ? shared->second : shared->bed.key);
		begin_again(kind);
	}
	fail_msg("it never goes through");
	return 0;
}

static void
seals(void **state)
{
	static const enum job_kind kinds[] = { JOB_SEAL, JOB_SEAL_ADD, JOB_SEAL, JOB_SEAL_REMOVE };

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		if (k < 2)
			assert_true(end_everywhere(kinds[k], EIO, WRITER_EXIT_INDETERMINATE) >= 2);
		begin_again(kinds[k]);
		assert_true(end_everywhere(kinds[k], FAULT_EXIT, FAULT_EXIT_STATUS) >= 5);
		if (kinds[k] == JOB_SEAL_ADD)
			continue;		/* and so it stays */
		begin_again(kinds[k]);
	}
}

static void
others(void **state)
{
	static const enum job_kind kinds[] = { JOB_SUBJECTS, JOB_INDEX, JOB_TREE, JOB_SIGNING };

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		assert_true(end_everywhere(kinds[k], k % 2 == 0 ? FAULT_EXIT : FAULT_TORN,
		    FAULT_EXIT_STATUS) >= 5);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(seals), TEST(others) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
