/*
 * Seals that get another version, come and go: whatever fails, the vault opens, and what is not in use any
 * more is destroyed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "rotate_bed.h"
#include "scratch.h"
#include "server/clock.h"
#include "server/metrics.h"
#include "server/rotate/rotate_internal.h"
#include "server/store/vault_internal.h"

#define LINE 112u		/* of a key file */

static struct vault_bed bed;
static char second[320];
static uint8_t id[16];

/* The configuration names two seals, and the vault was made with the first. */
static int
setup(void **state)
{
	(void)state;
	vault_bed_make(&bed, 1u << 26, 1u << 20);
	(void)snprintf(second, sizeof(second), "%s/second.key", bed.dir);
	bed.options.seal[1] = (struct provider_options){ .name = "second", .kind = "file", .path = second };
	bed.options.seal_count = 2;
	scratch_log_begin();
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_create(&bed, 1, id), STATUS_OK);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fault_none();
	free(scratch_log_end(NULL));
	if (bed.vault != NULL)
		vault_bed_stop(&bed);
	scratch_remove(bed.dir);
	return 0;
}

/* A file that stays open shows what became of its bytes. */
struct held {
	int fd;
	char line[LINE];
};

static struct held
hold(const char *path)
{
	struct held h = { .fd = open(path, O_RDONLY | O_CLOEXEC) };

	assert_true(h.fd >= 0);
	assert_int_equal(read(h.fd, h.line, LINE), LINE);
	return h;
}

/* The end of the line is the key. */
static bool
is_destroyed(struct held *h)
{
	char now[LINE] = { 0 };
	bool is;

	assert_true(pread(h->fd, now, LINE, 0) >= 0);
	is = memmem(now, LINE, h->line + 50, 16) == NULL && memmem(now, LINE, h->line + 80, 16) == NULL;
	(void)close(h->fd);
	return is;
}

static bool
is_there(const char *path, const char *suffix)
{
	char name[340];

	(void)snprintf(name, sizeof(name), "%s%s", path, suffix);
	return access(name, F_OK) == 0;
}

static void
run(enum job_kind kind, const char *name, struct job *j)
{
	struct rotate *r;

	*j = (struct job){ .kind = kind };
	(void)snprintf(j->seal, sizeof(j->seal), "%s", name);
	assert_int_equal(rotate_bed_ask(&bed, j, j), STATUS_OK);
	r = rotate_bed_runner(&bed, 0);
	rotate_bed_wait(&bed, j);
	assert_true(rotate_stop(r, 30000));
}

/* Stopped; it opens with that seal while the other is away. */
static void
assert_opens_alone(const char *path, const char *other)
{
	char away[340];
	bool has = other != NULL && is_there(other, "");

	if (has) {
		(void)snprintf(away, sizeof(away), "%s.away", other);
		assert_int_equal(rename(other, away), 0);
	}
	assert_true(is_there(path, ""));
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	vault_bed_stop(&bed);
	if (has)
		assert_int_equal(rename(away, other), 0);
}

static void
another_version(void **state)
{
	struct job j;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct held old = hold(bed.key);
		uint64_t epoch = vault_epoch(bed.vault);

		run(JOB_SEAL, i == 1 ? "file" : "", &j);
		rotate_bed_assert_done(&bed, &j);
		assert_int_equal(j.done, 1);
		assert_true(j.micros > 0);
		assert_true(vault_epoch(bed.vault) > epoch);
		assert_true(is_destroyed(&old));
		assert_false(is_there(bed.key, ".next"));
		assert_true(bed.vault->seals->now->seal[0].made_ms >= j.floor_ms);
		vault_bed_restart(&bed);
		assert_int_equal(vault_bed_get(&bed, id), STATUS_OK);
	}
	run(JOB_SEAL, "nobody", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_string_equal(j.failure, status_reason(STATUS_ABSENT));
	assert_int_equal(j.signer, 0);
}

static void
come_and_go(void **state)
{
	struct held old;
	struct job j;

	(void)state;
	run(JOB_SEAL_REMOVE, "file", &j);
	assert_int_equal(j.state, JOB_FAILED);		/* the last that opens */
	assert_string_equal(j.failure, status_reason(STATUS_REFUSED));
	run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_FAILED);
	vault_bed_stop(&bed);
	assert_opens_alone(bed.key, second);
	assert_opens_alone(second, bed.key);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	run(JOB_SEAL, "", &j);
	assert_int_equal(j.done, 2);
	vault_bed_stop(&bed);
	assert_opens_alone(bed.key, second);
	assert_opens_alone(second, bed.key);

	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	old = hold(bed.key);
	run(JOB_SEAL_REMOVE, "file", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_true(is_destroyed(&old));
	assert_false(is_there(bed.key, ""));
	assert_int_equal(bed.vault->seals->now->count, 1);
	vault_bed_stop(&bed);
	assert_opens_alone(second, bed.key);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	run(JOB_SEAL_ADD, "file", &j);
	assert_int_equal(j.state, JOB_DONE);
	vault_bed_stop(&bed);
	assert_opens_alone(bed.key, second);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

/* Paused or given up when the runner has taken it up already: nothing comes of it, and nothing is left. */
static void
unwanted(void **state)
{
	static const struct job asks[] = { { .kind = JOB_SEAL }, { .kind = JOB_SEAL_ADD, .seal = "second" },
		{ .kind = JOB_SEAL, .seal = "nobody" } };
	struct rotate r = { .o = { .vault = bed.vault, .writer = bed.writer },
		.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
	uint64_t epoch = vault_epoch(bed.vault);
	struct held key = hold(bed.key);
	struct job taken, j;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		enum rotate_wish wish = i < 3 ? ROTATE_CANCEL : ROTATE_PAUSE;

		assert_int_equal(rotate_bed_ask(&bed, &asks[i % 3], &taken), STATUS_OK);
		j = taken;
		assert_int_equal(rotate_bed_wish(&bed, wish, &j), STATUS_OK);
		rotate_seals(&r, &taken);
		assert_int_equal(job_get(bed.vault, taken.id, &j), STATUS_OK);
		/* One that can never be done may fail while it is paused. */
		assert_int_equal(j.state,
		    wish == ROTATE_CANCEL ? JOB_CANCELLED : i < 5 ? JOB_PAUSED : JOB_FAILED);
		assert_true(j.signer == 0 && j.step == 0);
		assert_int_equal(vault_epoch(bed.vault), epoch);
		assert_false(is_there(bed.key, ".next") || is_there(second, ""));
		assert_int_equal(bed.vault->seals->now->count, 1);
	}
	assert_false(is_destroyed(&key));
}

/* One opens as long as it gives the very version that the anchor is wrapped for, and while it is in use. */
static void
tested(void **state)
{
	const struct seals *s = bed.vault->seals;
	const size_t of_id = 20, of_key = 60;
	struct held h;
	struct job j;

	(void)state;
	assert_true(seals_test(bed.vault) && s->opened[0] && !s->opened[1]);
	run(JOB_SEAL_ADD, "second", &j);
	assert_true(seals_test(bed.vault) && s->opened[0] && s->opened[1]);
	h = hold(second);
	(void)close(h.fd);
	for (size_t at = of_id; at <= of_key; at += of_key - of_id) {
		char was = h.line[at];

		h.line[at] = was == '0' ? '1' : '0';
		scratch_write(second, h.line, LINE);
		assert_true(!seals_test(bed.vault) && s->opened[0] && !s->opened[1]);
		assert_int_equal(metrics_get(METRIC_SEALS_FAILING), 1);
		h.line[at] = was;
	}
	assert_int_equal(unlink(second), 0);
	assert_true(!seals_test(bed.vault) && s->opened[0] && !s->opened[1]);
	scratch_write(second, h.line, LINE);
	assert_true(seals_test(bed.vault) && s->opened[0] && s->opened[1]);
	assert_int_equal(metrics_get(METRIC_SEALS_FAILING), 0);
	/* And what is not in use any more is remembered for what it was. */
	assert_true(s->now->dead_class == 0 && s->now->lasting == 0);
	run(JOB_SEAL_REMOVE, "second", &j);
	assert_true(s->now->dead_class != 0 || s->now->lasting != 0);
}

/* What cannot open, or may be either of two, is not added; a version that was there is not destroyed. */
static void
there_already(void **state)
{
	struct rotate r = { .o = { .vault = bed.vault, .writer = bed.writer },
		.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
	struct held h = hold(bed.key);
	char next[340];
	struct job j, taken = { .kind = JOB_SEAL_ADD, .seal = "second" };

	(void)state;
	(void)close(h.fd);
	h.line[20] = h.line[20] == '0' ? '1' : '0';
	h.line[60] = h.line[60] == '0' ? '1' : '0';
	scratch_write(second, "no version", 10);
	run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_FAILED);
	scratch_write(second, h.line, LINE);
	h.line[20] ^= 1;
	(void)snprintf(next, sizeof(next), "%s.next", second);
	scratch_write(next, h.line, LINE);
	run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_int_equal(bed.vault->seals->now->count, 1);
	assert_true(is_there(second, ".next"));
	assert_int_equal(unlink(next), 0);

	h = hold(second);
	assert_int_equal(rotate_bed_ask(&bed, &taken, &taken), STATUS_OK);
	j = taken;
	assert_int_equal(rotate_bed_wish(&bed, ROTATE_CANCEL, &j), STATUS_OK);
	rotate_seals(&r, &taken);
	assert_int_equal(bed.vault->seals->now->count, 1);
	assert_true(is_there(second, "") && !is_destroyed(&h));
	run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	vault_bed_stop(&bed);
	assert_opens_alone(second, bed.key);
}

/* A version that could not be destroyed is not counted as dead (seals_class). */
static void
not_destroyed(void **state)
{
	struct seals_change c;
	struct job j;

	(void)state;
	run(JOB_SEAL_ADD, "second", &j);
	assert_true(atomic_load(&bed.vault->seals->ended));
	assert_int_equal(seals_remove(bed.vault, "second", &c), STATUS_OK);
	assert_int_equal(unlink(second), 0);
	assert_int_equal(mkdir(second, 0700), 0);
	assert_false(seals_conclude(bed.vault, &c, true));
	assert_false(atomic_load(&bed.vault->seals->ended));
}

/* The seals that count, after a restart: each alone opens, and of each there is one version. */
static void
assert_whole(bool with_second)
{
	struct rotate *r;
	struct job j[8];
	unsigned count = 0;

	if (bed.vault != NULL)
		vault_bed_stop(&bed);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
	r = rotate_bed_runner(&bed, 0);
	assert_int_equal(job_list(bed.vault, NULL, j, 8, &count), STATUS_OK);
	for (unsigned i = 0; i < count; i++) {
		rotate_bed_wait(&bed, &j[i]);
		assert_false(job_is_open(&j[i]));
	}
	assert_true(rotate_stop(r, 30000));
	assert_false(is_there(bed.key, ".next"));
	assert_false(is_there(second, ".next"));
	vault_bed_stop(&bed);
	if (is_there(bed.key, ""))
		assert_opens_alone(bed.key, second);
	if (with_second)
		assert_opens_alone(second, bed.key);
	assert_int_equal(vault_bed_start(&bed), STATUS_OK);
}

/* Read only now, or ended. */
static void
wait_for_trouble(struct job *j)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	uint64_t end = clock_monotonic_ns() + UINT64_C(30000000000);

	do {
		assert_true(clock_monotonic_ns() < end);
		(void)nanosleep(&pause, NULL);
		assert_int_equal(job_get(bed.vault, j->id, j), STATUS_OK);
	} while (job_is_open(j) && vault_read_only(bed.vault) == NULL);
	/* And for what the runner makes of it. */
	(void)nanosleep(&(struct timespec){ .tv_nsec = 60000000 }, NULL);
}

/*
 * The device of the anchor fails from its n-th call on, for a while: K3 or K5 of the switch. The version that
 * the live slot is wrapped for is there after each of them.
 */
static void
anchor_fails(bool restarts)
{
	static const enum job_kind kinds[] = { JOB_SEAL, JOB_SEAL_ADD, JOB_SEAL, JOB_SEAL_REMOVE };
	bool with_second = false;

	for (unsigned n = restarts ? 3 : 1; n <= 4; n++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			struct held old = hold(kinds[k] == JOB_SEAL_REMOVE && with_second ? second : bed.key);
			struct job j = { .kind = kinds[k] };
			struct rotate *r;

			if (kinds[k] != JOB_SEAL)
				(void)snprintf(j.seal, sizeof(j.seal), "second");
			assert_int_equal(rotate_bed_ask(&bed, &j, &j), STATUS_OK);
			fault_set(FAULT_ANCHOR, n, FAULT_FOR_EVER, EIO);
			r = rotate_bed_runner(&bed, 0);
			wait_for_trouble(&j);
			fault_none();
			if (restarts) {
				assert_true(rotate_stop(r, 30000));
				vault_bed_restart(&bed);
				r = rotate_bed_runner(&bed, 0);
			}
			rotate_bed_wait(&bed, &j);
			assert_true(rotate_stop(r, 30000));
			/* K5: it was decided, and is ended as soon as the anchor can be written. */
			assert_true(n < 3 ? j.state != JOB_DONE || restarts : j.state == JOB_DONE ||
			    kinds[k] == JOB_SEAL_ADD || kinds[k] == JOB_SEAL_REMOVE);
			if (j.state == JOB_DONE && kinds[k] != JOB_SEAL_ADD)
				assert_true(is_destroyed(&old));
			else
				(void)close(old.fd);
			with_second = seals_find(bed.vault->seals->now, "second") != NULL;
			assert_whole(with_second);
		}
}

static void
anchor_fails_and_mends(void **state)
{
	(void)state;
	anchor_fails(false);
}

static void
anchor_fails_and_restarts(void **state)
{
	(void)state;
	anchor_fails(true);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(another_version), TEST(come_and_go), TEST(unwanted),
		TEST(tested), TEST(there_already), TEST(not_destroyed),
		TEST(anchor_fails_and_mends), TEST(anchor_fails_and_restarts) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
