#include "server/notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/clock.h"

bool
notify_send(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = path != NULL ? strlen(path) : 0, whole = strlen(state);
	ssize_t sent;
	int fd;

	if (len < 2 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return false;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')		/* the abstract name space */
		to.sun_path[0] = '\0';
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return false;
	sent = sendto(fd, state, whole, MSG_NOSIGNAL, (const struct sockaddr *)&to,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	(void)close(fd);
	return sent == (ssize_t)whole;
}

bool
notify_reloading(void)
{
	char state[64];

	(void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
	    clock_monotonic_ns() / 1000u);
	return notify_send(state);
}

/* A decimal number and nothing else, UINT64_MAX if it is larger; 0 otherwise. */
static uint64_t
number(const char *text)
{
	if (text == NULL || strspn(text, "0123456789") != strlen(text) || text[0] == '\0')
		return 0;
	return strtoull(text, NULL, 10);
}

uint64_t
notify_watchdog_ns(void)
{
	uint64_t usec = number(getenv("WATCHDOG_USEC"));
	const char *pid = getenv("WATCHDOG_PID");

	if (pid != NULL && number(pid) != (uint64_t)getpid())
		return 0;
	/* Twice as often as the manager looks. */
	return usec > UINT64_MAX / 1000u ? 0 : usec * 1000u / 2u;
}
