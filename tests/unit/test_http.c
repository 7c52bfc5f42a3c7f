#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/http.h"

static const char *const names[] = { "/pdvault.v1.Vault/GetIdentity" };
static const char *dead, *unready;	/* set between requests only */

static const char *
alive(void *owner)
{
	(void)owner;
	return dead;
}

static const char *
ready(void *owner)
{
	(void)owner;
	return unready;
}

static enum status
start(const char *host, uint16_t port, struct http **out)
{
	static struct config_address at;
	const struct http_options o = {
		.address = &at, .methods = names, .method_count = 1, .alive = alive, .ready = ready,
	};

	at = (struct config_address){ .port = port };
	(void)snprintf(at.host, sizeof(at.host), "%s", host);
	return http_start(&o, out);
}

static int
dial(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval wait = { .tv_sec = 20 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* All that the server answers until it closes. */
static char *
ask(uint16_t port, const char *request)
{
	static char answer[1 << 18];
	int fd = dial(port);
	size_t len = 0;
	ssize_t n;

	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	while ((n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0)
		len += (size_t)n;
	answer[len] = '\0';
	assert_int_equal(close(fd), 0);
	return answer;
}

static char *
get(uint16_t port, const char *path)
{
	char request[256];

	(void)snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
	return ask(port, request);
}

static void
begins(const char *answer, const char *start_line)
{
	if (strncmp(answer, start_line, strlen(start_line)) != 0)
		fail_msg("%.60s instead of %s", answer, start_line);
}

static int
setup(void **state)
{
	static struct http *h;

	dead = unready = NULL;
	assert_int_equal(start("127.0.0.1", 0, &h), STATUS_OK);
	*state = h;
	return 0;
}

static int
teardown(void **state)
{
	http_stop(*state);
	return 0;
}

static void
serves_its_pages(void **state)
{
	uint16_t port = http_port(*state);
	char *answer;

	begins(get(port, "/livez"), "HTTP/1.1 200 ");
	begins(get(port, "/readyz"), "HTTP/1.1 200 ");
	answer = get(port, "/metrics");
	begins(answer, "HTTP/1.1 200 ");
	assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	assert_non_null(strstr(answer, "\npdvault_epoch "));
	assert_non_null(strstr(answer, "method=\"/pdvault.v1.Vault/GetIdentity\",le=\"+Inf\""));
}

static void
says_why_not(void **state)
{
	uint16_t port = http_port(*state);
	char *answer;

	unready = "draining";
	answer = get(port, "/readyz");
	begins(answer, "HTTP/1.1 503 ");
	assert_non_null(strstr(answer, "\r\n\r\ndraining\n"));
	begins(get(port, "/livez"), "HTTP/1.1 200 ");
	dead = "writer stuck";
	begins(get(port, "/livez"), "HTTP/1.1 503 ");
}

static void
serves_nothing_else(void **state)
{
	uint16_t port = http_port(*state);
	char *answer;

	begins(get(port, "/"), "HTTP/1.1 404 ");
	begins(get(port, "/metrics/"), "HTTP/1.1 404 ");
	begins(get(port, "/%41"), "HTTP/1.1 404 ");
	begins(get(port, "/../metrics"), "HTTP/1.1 404 ");
	answer = ask(port, "POST /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
	    "Content-Length: 0\r\n\r\n");
	begins(answer, "HTTP/1.1 405 ");
	assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
	answer = ask(port, "GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
	    "Content-Length: 4\r\n\r\nabcd");
	assert_string_equal(answer, "");
	answer = ask(port, "HEAD /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	begins(answer, "HTTP/1.1 200 ");
	assert_non_null(strstr(answer, "\r\n\r\n"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

/* A few clients that hold their connections do not shut the others out for ever. */
static void
bounds_connections(void **state)
{
	uint16_t port = http_port(*state);
	int fds[HTTP_CONNECTIONS_MAX + 8];
	char byte;
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		fds[i] = dial(port);
	/* The first ones are in; they say nothing, and are closed when their time is over. */
	assert_int_equal(recv(fds[0], &byte, 1, 0), 0);
	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		assert_int_equal(close(fds[i]), 0);
	begins(get(port, "/livez"), "HTTP/1.1 200 ");
}

static void
stays_on_loopback(void **state)
{
	struct http *h = NULL;

	assert_int_equal(start("0.0.0.0", 0, &h), STATUS_REFUSED);
	assert_int_equal(start("10.1.2.3", 0, &h), STATUS_REFUSED);
	assert_int_equal(start("::", 0, &h), STATUS_REFUSED);
	assert_int_equal(start("x", 0, &h), STATUS_REFUSED);
	assert_int_equal(start("127.0.0.1", http_port(*state), &h), STATUS_IO);	/* taken */
	assert_null(h);
}

/* A restart finds its port free again, though connections of before are in TIME_WAIT. */
static void
starts_again_on_its_port(void **state)
{
	struct http *h = NULL, *again = NULL;
	uint16_t port;

	(void)state;
	assert_int_equal(start("127.0.0.1", 0, &h), STATUS_OK);
	port = http_port(h);
	begins(get(port, "/livez"), "HTTP/1.1 200 ");
	http_stop(h);
	assert_int_equal(start("127.0.0.1", port, &again), STATUS_OK);
	begins(get(port, "/livez"), "HTTP/1.1 200 ");
	http_stop(again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(serves_its_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(says_why_not, setup, teardown),
		cmocka_unit_test_setup_teardown(serves_nothing_else, setup, teardown),
		cmocka_unit_test_setup_teardown(bounds_connections, setup, teardown),
		cmocka_unit_test_setup_teardown(stays_on_loopback, setup, teardown),
		cmocka_unit_test(starts_again_on_its_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
