#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/notify.h"

/* A manager's socket at path ('@': abstract). */
static int
manager(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct timeval wait = { .tv_sec = 5 };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	memcpy(at.sun_path, path, strlen(path));
	if (path[0] == '@')
		at.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&at,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
	return fd;
}

static void
hears(int fd, const char *start)
{
	char got[256] = "";

	assert_true(recv(fd, got, sizeof(got) - 1, 0) > 0);
	assert_int_equal(strncmp(got, start, strlen(start)), 0);
}

static void
tells_a_path(void **state)
{
	char folder[] = "/tmp/pdv-notify-XXXXXX", path[64];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/s", folder);
	fd = manager(path);
	assert_true(notify_send("READY=1\nSTATUS=serving"));
	hears(fd, "READY=1\nSTATUS=serving");
	assert_true(notify_reloading());
	hears(fd, "RELOADING=1\nMONOTONIC_USEC=");
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
	assert_false(notify_send("READY=1"));		/* nobody listens */
}

static void
tells_an_abstract_name(void **state)
{
	char name[64];
	int fd;

	(void)state;
	(void)snprintf(name, sizeof(name), "@pdv-notify-%d", (int)getpid());
	fd = manager(name);
	assert_true(notify_send("STOPPING=1"));
	hears(fd, "STOPPING=1");
	assert_int_equal(close(fd), 0);
}

static void
needs_a_manager(void **state)
{
	char longer[200];

	(void)state;
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	assert_false(notify_send("READY=1"));
	assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
	assert_false(notify_send("READY=1"));
	assert_int_equal(setenv("NOTIFY_SOCKET", "", 1), 0);
	assert_false(notify_send("READY=1"));
	memset(longer, '/', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(setenv("NOTIFY_SOCKET", longer, 1), 0);
	assert_false(notify_send("READY=1"));
}

static void
owes_the_watchdog(void **state)
{
	char pid[32];

	(void)state;
	assert_int_equal(unsetenv("WATCHDOG_PID"), 0);
	assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
	assert_int_equal(notify_watchdog_ns(), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "30000000", 1), 0);
	assert_true(notify_watchdog_ns() == 15000000000u);
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
	assert_true(notify_watchdog_ns() == 15000000000u);
	assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
	assert_int_equal(notify_watchdog_ns(), 0);
	assert_int_equal(unsetenv("WATCHDOG_PID"), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "-1", 1), 0);
	assert_int_equal(notify_watchdog_ns(), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "99999999999999999999", 1), 0);
	assert_int_equal(notify_watchdog_ns(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_a_path), cmocka_unit_test(tells_an_abstract_name),
		cmocka_unit_test(needs_a_manager), cmocka_unit_test(owes_the_watchdog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
