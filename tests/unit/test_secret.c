#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "server/keys/secret.h"

#define SLAB (256u << 10)

/* What /proc/self/smaps says of one mapping. */
struct mapping {
	unsigned long from, to, locked_kib, size_kib;
	char access[8], flags[512];
};

/* The mappings that hold or touch ${p}: before, itself, after. */
static void
find_mappings(const void *p, struct mapping out[static 3])
{
	unsigned long at = (unsigned long)(uintptr_t)p;
	struct mapping last = { 0 }, m = { 0 };
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	int found = 0;

	assert_non_null(f);
	memset(out, 0, 3 * sizeof(*out));
	while (fgets(line, sizeof(line), f) != NULL) {
		(void)sscanf(line, "Size: %lu kB", &m.size_kib);
		(void)sscanf(line, "Locked: %lu kB", &m.locked_kib);
		if (strncmp(line, "VmFlags:", 8) == 0) {
			(void)snprintf(m.flags, sizeof(m.flags), "%s", line + 8);
			if (found == 1)
				out[2] = m;
			if (m.from <= at && at < m.to) {
				out[0] = last;
				out[1] = m;
			}
			found = m.from <= at && at < m.to;
			last = m;
			memset(&m, 0, sizeof(m));
		} else if (m.to == 0) {
			(void)sscanf(line, "%lx-%lx %7s", &m.from, &m.to, m.access);
		}
	}
	(void)fclose(f);
}

static void
assert_guarded_and_locked(const void *p, size_t len)
{
	struct mapping m[3];

	find_mappings(p, m);
	assert_int_equal(m[1].to - m[1].from, len);
	assert_string_equal(m[0].access, "---p");
	assert_int_equal(m[0].to, m[1].from);
	assert_string_equal(m[2].access, "---p");
	assert_int_equal(m[2].from, m[1].to);
	assert_non_null(strstr(m[1].flags, " lo"));	/* locked */
	assert_non_null(strstr(m[1].flags, " dd"));	/* not in core dumps */
	assert_non_null(strstr(m[1].flags, " dc"));	/* not in children */
}

static void
the_slab_is_locked_guarded_and_stays_here(void **state)
{
	struct mapping m[3];
	uint8_t *p;

	(void)state;
	assert_int_equal(secret_init(SLAB), STATUS_OK);
	assert_string_equal(secret_kind(), "locked");
	p = secret_alloc(100);
	assert_guarded_and_locked(p, SLAB);
	find_mappings(p, m);
	assert_int_equal(m[1].locked_kib, SLAB / 1024);
	secret_free(p, 100);
	secret_end();
	assert_string_equal(secret_kind(), "none");
}

static void
pages_are_locked_and_guarded(void **state)
{
	uint8_t *p = secret_pages(5000);
	struct mapping m[3];

	(void)state;
	assert_non_null(p);
	assert_int_equal((uintptr_t)p % 4096, 0);
	assert_int_equal(p[0] | p[8191], 0);
	assert_guarded_and_locked(p, 8192);
	find_mappings(p, m);
	assert_int_equal(m[1].locked_kib, 8);
	secret_pages_free(p, 5000);
	find_mappings(p, m);
	assert_int_equal(m[1].to, 0);
	secret_pages_free(NULL, 1);
}

/* What the kernel sees at an address, whatever the sanitizer thinks of it; false: hidden. */
static bool
peek(const void *p, void *out, size_t len)
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = pread(fd, out, len, (off_t)(uintptr_t)p);
	(void)close(fd);
	return n == (ssize_t)len;
}

static void
memfd_secret_hides_it_from_proc(void **state)
{
	uint8_t seen[64], *p;
	int status, hidden;
	pid_t pid;

	(void)state;
	/* In a child: there is no way back from the hook. */
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		secret_test_hidden();
		if (secret_init(SLAB) != STATUS_OK || (p = secret_alloc(64)) == NULL)
			_exit(1);
		memset(p, 0x77, 64);
		hidden = !peek(p, seen, sizeof(seen));
		if (strcmp(secret_kind(), "locked") == 0)
			_exit(hidden ? 2 : 77);
		assert_guarded_and_locked(p, SLAB);
		secret_free(p, 64);
		secret_end();
		_exit(hidden ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();		/* a kernel without memfd_secret */
	assert_int_equal(status, 0);
}

static void
failing_to_lock_is_fatal_and_named(void **state)
{
	struct rlimit none = { 0, 0 };
	enum status rc;
	int status;
	char *text;
	pid_t pid;

	(void)state;
	scratch_log_begin();
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0))
			_exit(1);
		rc = secret_init(SLAB);
		if (rc != STATUS_NO_MEMORY || secret_used() != 0 || secret_pages(1) != NULL)
			_exit(2);
		secret_test_hidden();
		_exit(secret_init(SLAB) == STATUS_NO_MEMORY ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	text = scratch_log_end(NULL);
	assert_int_equal(status, 0);
	assert_non_null(strstr(text, "\"event\":\"fatal\""));
	assert_non_null(strstr(text, "RLIMIT_MEMLOCK"));
	assert_non_null(strstr(text, "\"bytes\":262144"));
	free(text);
}

static int
with_slab(void **state)
{
	(void)state;
	return secret_init(SLAB) == STATUS_OK ? 0 : -1;
}

static int
without_slab(void **state)
{
	(void)state;
	secret_check();
	secret_end();
	return 0;
}

static void
pieces_are_zero_aligned_and_wiped(void **state)
{
	uint8_t *p, *q, seen[200];
	size_t i;

	(void)state;
	p = secret_alloc(200);
	q = secret_alloc(1);
	assert_int_equal((uintptr_t)p % 16, 0);
	assert_int_equal((uintptr_t)q % 16, 0);
	for (i = 0; i < 200; i++)
		assert_int_equal(p[i], 0);
	assert_int_equal(secret_used(), 256 + 64);
	memset(p, 0xcc, 200);
	assert_true(peek(p, seen, 200));
	assert_int_equal(seen[199], 0xcc);
	secret_free(p, 200);
	assert_true(peek(p, seen, 200));
	for (i = 0; i < 200; i++)
		assert_int_equal(seen[i], 0);
	assert_ptr_equal(secret_alloc(200), p);
	secret_free(p, 200);
	secret_free(q, 1);
	secret_free(NULL, 5);
	assert_int_equal(secret_used(), 0);
}

static void
the_whole_slab_and_not_a_byte_more(void **state)
{
	uint8_t *p;
	size_t n;

	(void)state;
	for (n = SLAB - 1; n <= SLAB; n++) {
		p = secret_alloc(n);
		assert_non_null(p);
		p[n - 1] = 1;
		assert_null(secret_alloc(1));
		secret_free(p, n);
		secret_check();
	}
	assert_null(secret_alloc(SLAB + 1));
	assert_null(secret_alloc(SIZE_MAX));
}

#define PIECES 512

static unsigned
next_random(unsigned *x)
{
	*x = *x * 1103515245u + 12345u;
	return *x >> 8;
}

static void
freed_neighbours_grow_together(void **state)
{
	static void *p[PIECES];
	static size_t len[PIECES];
	unsigned seed = 7, i, step;
	void *all;

	(void)state;
	for (step = 0; step < 4000; step++) {
		i = next_random(&seed) % PIECES;
		if (p[i] != NULL) {
			assert_int_equal(((uint8_t *)p[i])[len[i] - 1], i & 0xff);
			secret_free(p[i], len[i]);
			p[i] = NULL;
		} else {
			len[i] = 1 + next_random(&seed) % (step % 50 == 0 ? 20000 : 1500);
			if ((p[i] = secret_alloc(len[i])) != NULL)
				memset(p[i], (int)i, len[i]);
		}
		secret_check();
	}
	for (i = 0; i < PIECES; i++) {
		secret_free(p[i], len[i]);
		p[i] = NULL;
	}
	all = secret_alloc(SLAB);
	assert_non_null(all);
	secret_free(all, SLAB);
}

/* The child misuses a slab of its own and must abort. */
static void
assert_aborts(void (*misuse)(void))
{
	int status;
	char *text;
	pid_t pid;

	scratch_log_begin();
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		(void)signal(SIGABRT, SIG_DFL);
		misuse();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	text = scratch_log_end(NULL);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(text, "must hold"));
	free(text);
}

static uint8_t *
two_pieces(void)
{
	uint8_t *p;

	if (secret_init(SLAB) != STATUS_OK || (p = secret_alloc(100)) == NULL ||
	    secret_alloc(100) == NULL)
		_exit(1);
	return p;
}

static void
free_twice(void)
{
	uint8_t *p = two_pieces();

	secret_free(p, 100);
	secret_free(p, 100);
}

static void
free_longer(void)
{
	secret_free(two_pieces(), 101);
}

static void
free_inside(void)
{
	secret_free(two_pieces() + 64, 36);
}

static void
free_foreign(void)
{
	(void)two_pieces();
	secret_free(&(int){ 0 }, 4);
}

static void
init_twice(void)
{
	(void)two_pieces();
	if (secret_init(SLAB) != STATUS_OK)
		_exit(1);
}

static void
alloc_nothing(void)
{
	(void)two_pieces();
	if (secret_alloc(0) != NULL)
		_exit(1);
}

static void
misuse_aborts(void **state)
{
	(void)state;
	assert_aborts(free_twice);
	assert_aborts(free_longer);
	assert_aborts(free_inside);
	assert_aborts(free_foreign);
	assert_aborts(init_twice);
	assert_aborts(alloc_nothing);
}

static void *
churn(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg, i;
	uint8_t *p;
	size_t len;

	for (i = 0; i < 20000; i++) {
		len = 1 + next_random(&seed) % 900;
		if ((p = secret_alloc(len)) == NULL)
			return arg;
		p[0] = p[len - 1] = (uint8_t)seed;
		secret_free(p, len);
	}
	return NULL;
}

static void
any_thread(void **state)
{
	pthread_t threads[4];
	void *failed;
	uintptr_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(secret_used(), 0);
}

#define ON_A_SLAB(f) cmocka_unit_test_setup_teardown(f, with_slab, without_slab)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_slab_is_locked_guarded_and_stays_here),
		cmocka_unit_test(pages_are_locked_and_guarded),
		cmocka_unit_test(memfd_secret_hides_it_from_proc),
		cmocka_unit_test(failing_to_lock_is_fatal_and_named),
		cmocka_unit_test(misuse_aborts),
		ON_A_SLAB(pieces_are_zero_aligned_and_wiped),
		ON_A_SLAB(the_whole_slab_and_not_a_byte_more),
		ON_A_SLAB(freed_neighbours_grow_together),
		ON_A_SLAB(any_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
