#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/rpc/lobby.h"

#define LIMIT 100u

struct pair {
	int client, server;
};

static uint16_t
listen_any(int *fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true((*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(*fd, 8), 0);
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&a, &len), 0);
	return ntohs(a.sin_port);
}

static struct pair
connect_to(int listener, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct pair p = { socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -1 };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(p.client, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_true((p.server = accept(listener, NULL, NULL)) >= 0);
	return p;
}

static struct lobby_remote
remote_of(struct pair p)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	assert_int_equal(getpeername(p.server, (struct sockaddr *)&a, &len), 0);
	return lobby_remote_of(&a);
}

static bool
open_still(struct pair p)
{
	struct pollfd f = { .fd = p.client, .events = POLLIN };

	return poll(&f, 1, 0) == 0;
}

static void
close_pair(struct pair p)
{
	(void)close(p.client);
	(void)close(p.server);
}

/* Two strangers and a known one at our port, and somebody at a port that is not ours. */
static void
test_sweep(void **state)
{
	struct lobby_remote known[1];
	struct pair first, second, friend, elsewhere;
	struct lobby *l = NULL;
	uint16_t ours, other;
	int a, b;

	(void)state;
	ours = listen_any(&a);
	other = listen_any(&b);
	assert_int_equal(lobby_new(&ours, 1, &l), STATUS_OK);
	first = connect_to(a, ours);
	friend = connect_to(a, ours);
	elsewhere = connect_to(b, other);
	known[0] = remote_of(friend);
	assert_int_equal(lobby_sweep(l, known, 1, 1000, LIMIT), 0);
	second = connect_to(a, ours);
	assert_int_equal(lobby_sweep(l, known, 1, 1000 + LIMIT - 1, LIMIT), 0);
	assert_true(open_still(first));
	assert_int_equal(lobby_sweep(l, known, 1, 1000 + LIMIT, LIMIT), 1);
	assert_false(open_still(first));
	assert_true(open_still(second) && open_still(friend) && open_still(elsewhere));
	close_pair(first);
	/* Once known, one is not old any more when it is unknown again. */
	known[0] = remote_of(second);
	assert_int_equal(lobby_sweep(l, known, 1, 5000, LIMIT), 0);
	assert_int_equal(lobby_sweep(l, known, 0, 5000 + LIMIT - 1, LIMIT), 0);
	assert_int_equal(lobby_sweep(l, known, 0, 5000 + LIMIT, LIMIT), 1);
	assert_false(open_still(friend));
	assert_true(open_still(second));
	close_pair(second);
	close_pair(friend);
	close_pair(elsewhere);
	(void)close(a);
	(void)close(b);
	lobby_free(l);
	lobby_free(NULL);
}

/* The same peer looks the same through a socket of either family. */
static void
test_remote(void **state)
{
	struct sockaddr_storage a = { .ss_family = AF_UNSPEC };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(4711) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(4711) };
	static const struct lobby_remote zero;
	struct lobby_remote r, s;

	(void)state;
	r = lobby_remote_of(&a);
	assert_memory_equal(&r, &zero, sizeof(r));
	assert_int_equal(inet_pton(AF_INET, "192.0.2.7", &four.sin_addr), 1);
	assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.7", &six.sin6_addr), 1);
	memcpy(&a, &four, sizeof(four));
	r = lobby_remote_of(&a);
	memcpy(&a, &six, sizeof(six));
	s = lobby_remote_of(&a);
	assert_memory_equal(&r, &s, sizeof(r));
	six.sin6_port = htons(4712);
	memcpy(&a, &six, sizeof(six));
	s = lobby_remote_of(&a);
	assert_memory_not_equal(&r, &s, sizeof(r));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_remote),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
