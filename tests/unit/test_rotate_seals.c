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
#include <semaphore.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "scratch.h"
#include "seal_bed.h"
#include "server/clock.h"
#include "server/metrics.h"
#include "server/rotate/rotate_internal.h"
#include "server/store/seals_list.h"
#include "server/store/vault_internal.h"

static void
another_version(void **state)
{
	struct job j;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct seal_held old = seal_hold(seal_bed.key);
		uint64_t epoch = vault_epoch(seal_bed.vault);

		seal_run(JOB_SEAL, i == 1 ? "file" : "", &j);
		rotate_bed_assert_done(&seal_bed, &j);
		assert_int_equal(j.done, 1);
		assert_true(j.micros > 0);
		assert_true(vault_epoch(seal_bed.vault) > epoch);
		assert_true(seal_is_destroyed(&old));
		assert_false(seal_is_there(seal_bed.key, ".next"));
		assert_true(seal_bed.vault->seals->now->seal[0].made_ms >= j.floor_ms);
		vault_bed_restart(&seal_bed);
		assert_int_equal(vault_bed_get(&seal_bed, seal_person), STATUS_OK);
	}
	seal_run(JOB_SEAL, "nobody", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_string_equal(j.failure, status_reason(STATUS_ABSENT));
	assert_int_equal(j.signer, 0);
}

static void
come_and_go(void **state)
{
	struct seal_held old;
	struct job j;

	(void)state;
	seal_run(JOB_SEAL_REMOVE, "file", &j);
	assert_int_equal(j.state, JOB_FAILED);		/* the last that opens */
	assert_string_equal(j.failure, status_reason(STATUS_REFUSED));
	seal_run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	seal_run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_FAILED);
	vault_bed_stop(&seal_bed);
	seal_opens_alone(seal_bed.key, seal_second);
	seal_opens_alone(seal_second, seal_bed.key);
	assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
	seal_run(JOB_SEAL, "", &j);
	assert_int_equal(j.done, 2);
	vault_bed_stop(&seal_bed);
	seal_opens_alone(seal_bed.key, seal_second);
	seal_opens_alone(seal_second, seal_bed.key);

	assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
	old = seal_hold(seal_bed.key);
	seal_run(JOB_SEAL_REMOVE, "file", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_true(seal_is_destroyed(&old));
	assert_false(seal_is_there(seal_bed.key, ""));
	assert_int_equal(seal_bed.vault->seals->now->count, 1);
	vault_bed_stop(&seal_bed);
	seal_opens_alone(seal_second, seal_bed.key);
	assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
	seal_run(JOB_SEAL_ADD, "file", &j);
	assert_int_equal(j.state, JOB_DONE);
	vault_bed_stop(&seal_bed);
	seal_opens_alone(seal_bed.key, seal_second);
	assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
}

/* Paused or given up when the runner has taken it up already: nothing comes of it, and nothing is left. */
static void
unwanted(void **state)
{
	static const struct job asks[] = { { .kind = JOB_SEAL }, { .kind = JOB_SEAL_ADD, .seal = "second" },
		{ .kind = JOB_SEAL, .seal = "nobody" } };
	struct rotate r = { .o = { .vault = seal_bed.vault, .writer = seal_bed.writer },
		.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
	uint64_t epoch = vault_epoch(seal_bed.vault);
	struct seal_held key = seal_hold(seal_bed.key);
	struct job taken, j;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		enum rotate_wish wish = i < 3 ? ROTATE_CANCEL : ROTATE_PAUSE;

		assert_int_equal(rotate_bed_ask(&seal_bed, &asks[i % 3], &taken), STATUS_OK);
		j = taken;
		assert_int_equal(rotate_bed_wish(&seal_bed, wish, &j), STATUS_OK);
		rotate_seals(&r, &taken);
		assert_int_equal(job_get(seal_bed.vault, taken.id, &j), STATUS_OK);
		/* One that can never be done may fail while it is paused. */
		assert_int_equal(j.state,
		    wish == ROTATE_CANCEL ? JOB_CANCELLED : i < 5 ? JOB_PAUSED : JOB_FAILED);
		assert_true(j.signer == 0 && j.step == 0);
		assert_int_equal(vault_epoch(seal_bed.vault), epoch);
		assert_false(seal_is_there(seal_bed.key, ".next") || seal_is_there(seal_second, ""));
		assert_int_equal(seal_bed.vault->seals->now->count, 1);
	}
	assert_false(seal_is_destroyed(&key));
}

/* One opens as long as it gives the very version that the anchor is wrapped for, and while it is in use. */
static void
tested(void **state)
{
	const struct seals *s = seal_bed.vault->seals;
	const size_t of_id = 20, of_key = 60;
	struct seal_held h;
	struct job j;

	(void)state;
	assert_true(seals_test(seal_bed.vault) && s->opened[0] && !s->opened[1]);
	seal_run(JOB_SEAL_ADD, "second", &j);
	assert_true(seals_test(seal_bed.vault) && s->opened[0] && s->opened[1]);
	h = seal_hold(seal_second);
	(void)close(h.fd);
	for (size_t at = of_id; at <= of_key; at += of_key - of_id) {
		char was = h.line[at];

		h.line[at] = was == '0' ? '1' : '0';
		scratch_write(seal_second, h.line, SEAL_LINE);
		assert_true(!seals_test(seal_bed.vault) && s->opened[0] && !s->opened[1]);
		assert_int_equal(metrics_get(METRIC_SEALS_FAILING), 1);
		h.line[at] = was;
	}
	assert_int_equal(unlink(seal_second), 0);
	assert_true(!seals_test(seal_bed.vault) && s->opened[0] && !s->opened[1]);
	scratch_write(seal_second, h.line, SEAL_LINE);
	assert_true(seals_test(seal_bed.vault) && s->opened[0] && s->opened[1]);
	assert_int_equal(metrics_get(METRIC_SEALS_FAILING), 0);
	/* And what is not in use any more is remembered for what it was. */
	assert_true(s->now->dead_class == 0 && s->now->lasting == 0);
	seal_run(JOB_SEAL_REMOVE, "second", &j);
	assert_true(s->now->dead_class != 0 || s->now->lasting != 0);
}

/* What cannot open, or may be either of two, is not added; a version that was there is not destroyed. */
static void
there_already(void **state)
{
	struct rotate r = { .o = { .vault = seal_bed.vault, .writer = seal_bed.writer },
		.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
	struct seal_held h = seal_hold(seal_bed.key);
	char next[340];
	struct job j, taken = { .kind = JOB_SEAL_ADD, .seal = "second" };

	(void)state;
	(void)close(h.fd);
	h.line[20] = h.line[20] == '0' ? '1' : '0';
	h.line[60] = h.line[60] == '0' ? '1' : '0';
	scratch_write(seal_second, "no version", 10);
	seal_run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_FAILED);
	scratch_write(seal_second, h.line, SEAL_LINE);
	h.line[20] ^= 1;
	(void)snprintf(next, sizeof(next), "%s.next", seal_second);
	scratch_write(next, h.line, SEAL_LINE);
	seal_run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_FAILED);
	assert_int_equal(seal_bed.vault->seals->now->count, 1);
	assert_true(seal_is_there(seal_second, ".next"));
	assert_int_equal(unlink(next), 0);

	h = seal_hold(seal_second);
	assert_int_equal(rotate_bed_ask(&seal_bed, &taken, &taken), STATUS_OK);
	j = taken;
	assert_int_equal(rotate_bed_wish(&seal_bed, ROTATE_CANCEL, &j), STATUS_OK);
	rotate_seals(&r, &taken);
	assert_int_equal(seal_bed.vault->seals->now->count, 1);
	assert_true(seal_is_there(seal_second, "") && !seal_is_destroyed(&h));
	seal_run(JOB_SEAL_ADD, "second", &j);
	assert_int_equal(j.state, JOB_DONE);
	vault_bed_stop(&seal_bed);
	seal_opens_alone(seal_second, seal_bed.key);
}

/* A version that could not be destroyed is not counted as dead (seals_class). */
static void
not_destroyed(void **state)
{
	struct seals_change c;
	struct job j;

	(void)state;
	seal_run(JOB_SEAL_ADD, "second", &j);
	assert_true(atomic_load(&seal_bed.vault->seals->ended));
	assert_int_equal(seals_remove(seal_bed.vault, "second", &c), STATUS_OK);
	assert_int_equal(unlink(seal_second), 0);
	assert_int_equal(mkdir(seal_second, 0700), 0);
	assert_false(seals_conclude(seal_bed.vault, &c, true));
	assert_false(atomic_load(&seal_bed.vault->seals->ended));
}

/* The seals that count, after a restart: each alone opens, and of each there is one version. */
static void
assert_whole(bool with_second)
{
	struct rotate *r;
	struct job j[8];
	unsigned count = 0;

	if (seal_bed.vault != NULL)
		vault_bed_stop(&seal_bed);
	assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
	r = rotate_bed_runner(&seal_bed, 0);
	assert_int_equal(job_list(seal_bed.vault, NULL, j, 8, &count), STATUS_OK);
	for (unsigned i = 0; i < count; i++) {
		rotate_bed_wait(&seal_bed, &j[i]);
		assert_false(job_is_open(&j[i]));
	}
	assert_true(rotate_stop(r, 30000));
	assert_false(seal_is_there(seal_bed.key, ".next"));
	assert_false(seal_is_there(seal_second, ".next"));
	vault_bed_stop(&seal_bed);
	if (seal_is_there(seal_bed.key, ""))
		seal_opens_alone(seal_bed.key, seal_second);
	if (with_second)
		seal_opens_alone(seal_second, seal_bed.key);
	assert_int_equal(vault_bed_start(&seal_bed), STATUS_OK);
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
		assert_int_equal(job_get(seal_bed.vault, j->id, j), STATUS_OK);
	} while (job_is_open(j) && vault_read_only(seal_bed.vault) == NULL);
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
			struct seal_held old =
			    seal_hold(kinds[k] == JOB_SEAL_REMOVE && with_second ? seal_second
										 : seal_bed.key);
			struct job j = { .kind = kinds[k] };
			struct rotate *r;

			if (kinds[k] != JOB_SEAL)
				(void)snprintf(j.seal, sizeof(j.seal), "second");
			assert_int_equal(rotate_bed_ask(&seal_bed, &j, &j), STATUS_OK);
			fault_set(FAULT_ANCHOR, n, FAULT_FOR_EVER, EIO);
			r = rotate_bed_runner(&seal_bed, 0);
			wait_for_trouble(&j);
			fault_none();
			if (restarts) {
				assert_true(rotate_stop(r, 30000));
				vault_bed_restart(&seal_bed);
				r = rotate_bed_runner(&seal_bed, 0);
			}
			rotate_bed_wait(&seal_bed, &j);
			assert_true(rotate_stop(r, 30000));
			/* K5: it was decided, and is ended as soon as the anchor can be written. */
			assert_int_equal(j.state, n < 3 ? JOB_FAILED : JOB_DONE);
			if (j.state == JOB_DONE && kinds[k] != JOB_SEAL_ADD)
				assert_true(seal_is_destroyed(&old));
			else
				(void)close(old.fd);
			with_second = seals_find(seal_bed.vault->seals->now, "second") != NULL;
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

/* One that was away when all had another version is due when it is back; until then it makes nothing due. */
static void
due(void **state)
{
	struct rotate r = { .o = { .vault = seal_bed.vault, .writer = seal_bed.writer },
		.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
	struct job j, all[8];
	char away[340];
	int64_t age;
	unsigned count = 0;

	(void)state;
	seal_run(JOB_SEAL_ADD, "second", &j);
	(void)snprintf(away, sizeof(away), "%s.away", seal_second);
	assert_int_equal(rename(seal_second, away), 0);
	assert_true(seals_due(seal_bed.vault, clock_wall_ms(), 0));
	seal_run(JOB_SEAL, "", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_int_equal(j.damaged, 1);
	/* The first was made since it was asked for, and the second, which was not, is away. */
	age = clock_wall_ms() - j.created_ms;
	assert_false(seals_due(seal_bed.vault, j.created_ms + age, age));
	assert_int_equal(rename(away, seal_second), 0);
	assert_true(seals_test(seal_bed.vault));
	r.o.every.seal = (uint64_t)age;
	assert_true(seals_due(seal_bed.vault, clock_wall_ms(), (int64_t)r.o.every.seal));
	rotate_schedule(&r);
	assert_int_equal(job_list(seal_bed.vault, NULL, all, 8, &count), STATUS_OK);
	assert_int_equal(count, 3);
	assert_int_equal(all[0].kind, JOB_SEAL);
	assert_string_equal(all[0].principal, "schedule");
	rotate_schedule(&r);		/* it is open */
	assert_int_equal(job_list(seal_bed.vault, NULL, all, 8, &count), STATUS_OK);
	assert_int_equal(count, 3);
}

/* What keeps the writer, and fills its queue. */
static sem_t begun, let_go;

static enum status
keep_waiting(struct write_job *job, struct writeset *ws)
{
	(void)job;
	(void)ws;
	assert_int_equal(sem_post(&begun), 0);
	assert_int_equal(sem_wait(&let_go), 0);
	return STATUS_OK;
}

static void
forget(struct write_job *job, enum status rc, uint64_t epoch)
{
	(void)job;
	(void)rc;
	(void)epoch;
}

/* Since the last time, in the folder; that they went again is watched, too, or the kernel would say it once. */
static unsigned
created_files(int events)
{
	char all[16384] __attribute__((aligned(8)));
	ssize_t len = read(events, all, sizeof(all));
	unsigned count = 0;

	for (ssize_t at = 0; at < len;) {
		const struct inotify_event *e = (const void *)(all + at);

		count += (e->mask & IN_CREATE) != 0;
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	return count;
}

/* While the writer takes nothing, versions are made in vain, and ever less often: each wears a device. */
static void
busy(void **state)
{
	static struct write_job jobs[4 * WRITER_QUEUE_MAX];
	const struct timespec look = { .tv_sec = 2, .tv_nsec = 500000000 };
	int events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct job j = { .kind = JOB_SEAL };
	struct rotate *r;
	unsigned made, count = 0;
	enum status rc = STATUS_OK;

	(void)state;
	assert_int_equal(rotate_bed_ask(&seal_bed, &j, &j), STATUS_OK);
	assert_int_equal(sem_init(&begun, 0, 0), 0);
	assert_int_equal(sem_init(&let_go, 0, 0), 0);
	for (; rc == STATUS_OK; count++) {
		jobs[count] = (struct write_job){ .apply = keep_waiting, .done = forget,
			.deadline_ns = UINT64_MAX };
		rc = writer_submit(seal_bed.writer, &jobs[count]);
		if (count == 0)
			assert_int_equal(sem_wait(&begun), 0);
	}
	assert_int_equal(rc, STATUS_BUSY);
	assert_true(inotify_add_watch(events, seal_bed.dir, IN_CREATE | IN_DELETE) >= 0);
	r = rotate_bed_runner(&seal_bed, 0);
	(void)nanosleep(&look, NULL);
	made = created_files(events);
	while (count-- > 0)
		assert_int_equal(sem_post(&let_go), 0);
	rotate_bed_wait(&seal_bed, &j);
	assert_true(rotate_stop(r, 30000));
	assert_int_equal(j.state, JOB_DONE);
	assert_in_range(made, 1, 2);
	(void)close(events);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, seal_setup, seal_teardown)
	const struct CMUnitTest tests[] = { TEST(another_version), TEST(come_and_go), TEST(unwanted),
		TEST(tested), TEST(there_already), TEST(not_destroyed), TEST(anchor_fails_and_mends),
		TEST(anchor_fails_and_restarts), TEST(due), TEST(busy) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
