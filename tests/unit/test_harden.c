#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/harden.h"

/* Hardening is for good, so each test does it in a child that answers by its exit status. */
static int
in_child(int (*what)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(what());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int
process(void)
{
	struct rlimit core;

	if (harden_process() != STATUS_OK)
		return 1;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 2;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 3;
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0)
		return 4;
	return umask(0) == 077 ? 0 : 5;
}

static void
gives_up_what_it_can(void **state)
{
	(void)state;
	assert_int_equal(in_child(process), 0);
}

/* Standard error closed: the next file opened may not become it. */
static int
closed_descriptors(void)
{
	int fd;

	(void)close(0);
	(void)close(1);
	(void)close(2);
	if (harden_process() != STATUS_OK)
		return 1;
	fd = open("/dev/null", O_RDONLY);
	return fd > 2 ? 0 : 2;
}

static void
keeps_the_standard_descriptors(void **state)
{
	(void)state;
	assert_int_equal(in_child(closed_descriptors), 0);
}

static int
limits(void)
{
	struct rlimit files = { 64, 256 };

	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		return 1;
	if (harden_limits(256) != STATUS_OK)
		return 2;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur != 256)
		return 3;
	return harden_limits(257) == STATUS_REFUSED ? 0 : 4;
}

static void
raises_limits_or_refuses(void **state)
{
	(void)state;
	assert_int_equal(in_child(limits), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_up_what_it_can),
		cmocka_unit_test(keeps_the_standard_descriptors),
		cmocka_unit_test(raises_limits_or_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
