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
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "rotate_bed.h"
#include "scratch.h"
#include "server/clock.h"
#include "server/rotate/rotate_internal.h"
#include "server/store/seals_list.h"
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
			assert_int_equal(j.state, n < 3 ? JOB_FAILED : JOB_DONE);
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

/* One that was away when all had another version is due when it is back; until then it makes nothing due. */
static void
due(void **state)
{
	struct rotate r = { .o = { .vault = bed.vault, .writer = bed.writer, .every.seal = 1 },
		.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
	struct job j, all[8];
	char away[340];
	int64_t first, both;
	unsigned count = 0;

	(void)state;
	run(JOB_SEAL_ADD, "second", &j);
	both = seals_oldest_ms(bed.vault);
	assert_true(both > 0);
	(void)snprintf(away, sizeof(away), "%s.away", second);
	assert_int_equal(rename(second, away), 0);
	assert_false(seals_test(bed.vault));
	run(JOB_SEAL, "", &j);
	assert_int_equal(j.state, JOB_DONE);
	assert_int_equal(j.damaged, 1);
	first = seals_oldest_ms(bed.vault);
	assert_true(first > both);
	rotate_schedule(&r);		/* not at once again */
	assert_int_equal(job_list(bed.vault, NULL, all, 8, &count), STATUS_OK);
	assert_int_equal(count, 2);
	assert_int_equal(rename(away, second), 0);
	assert_true(seals_test(bed.vault));
	assert_true(seals_oldest_ms(bed.vault) < first);
	run(JOB_SEAL, "", &j);
	assert_int_equal(j.damaged, 0);
	assert_true(seals_oldest_ms(bed.vault) > first);
	rotate_schedule(&r);
	assert_int_equal(job_list(bed.vault, NULL, all, 8, &count), STATUS_OK);
	assert_int_equal(count, 4);
	assert_int_equal(all[0].kind, JOB_SEAL);
	assert_string_equal(all[0].principal, "schedule");
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
	assert_int_equal(rotate_bed_ask(&bed, &j, &j), STATUS_OK);
	assert_int_equal(sem_init(&begun, 0, 0), 0);
	assert_int_equal(sem_init(&let_go, 0, 0), 0);
	for (; rc == STATUS_OK; count++) {
		jobs[count] = (struct write_job){ .apply = keep_waiting, .done = forget,
			.deadline_ns = UINT64_MAX };
		rc = writer_submit(bed.writer, &jobs[count]);
		if (count == 0)
			assert_int_equal(sem_wait(&begun), 0);
	}
	assert_int_equal(rc, STATUS_BUSY);
	assert_true(inotify_add_watch(events, bed.dir, IN_CREATE | IN_DELETE) >= 0);
	r = rotate_bed_runner(&bed, 0);
	(void)nanosleep(&look, NULL);
	made = created_files(events);
	while (count-- > 0)
		assert_int_equal(sem_post(&let_go), 0);
	rotate_bed_wait(&bed, &j);
	assert_true(rotate_stop(r, 30000));
	assert_int_equal(j.state, JOB_DONE);
	assert_in_range(made, 1, 2);
	(void)close(events);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(another_version), TEST(come_and_go),
		TEST(anchor_fails_and_mends), TEST(anchor_fails_and_restarts),
		TEST(due), TEST(busy) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
