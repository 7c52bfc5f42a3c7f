/*
 * For each guard of server/rpc one scenario, run in a process of its own: with the guard
 * it must pass, and without it must not, or else the scenario would prove nothing. A
 * forged length is tried here too, at the whole server.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bed.h"
#include "client/transport/guard.h"
#include "raw_tls.h"
#include "server/bytes.h"
#include "server/rpc/guard.h"

#define CHILD_SECONDS 60
#define WAIT 10000
#define NO_GUARD (-1)
#define FORGED (-2)		/* GUARD_MESSAGE_MAX of client/transport */

extern char **environ;

BED_WRITER

static const struct rpc_limits defaults = RPC_LIMITS_DEFAULT;
static const struct bed_question echo = { .method = "/test.v1.Test/Echo", .subject = "abc",
	.subject_len = 3 };
static const struct bed_question slow = { .method = "/test.v1.Test/Slow", .subject = "abc",
	.subject_len = 3 };

/* By and by: busy is not an answer, but may be said some times. */
static bool
served(struct bed *b)
{
	struct bed_answer a;
	bool ok = false;
	nng_socket s;
	int i;

	if (!bed_dial(b, "client", &s))
		return false;
	for (i = 0; i < 100 && !ok; i++) {
		if (bed_ask(s, &echo, WAIT, &a) != 0 ||
		    (a.code != PDV_OK && a.code != PDV_RESOURCE_EXHAUSTED))
			break;
		if (!(ok = a.code == PDV_OK))
			bed_pause(50);
	}
	(void)nng_close(s);
	return ok;
}

/* A REQ made by hand, past the handshake and the SP greeting. */
static SSL *
raw_client(struct bed *b, const char *cert)
{
	SSL *ssl = raw_tls_connect(bed_pki(b), cert, bed_port(b), TLS1_3_VERSION);

	if (ssl == NULL || !raw_tls_greet(ssl))
		abort();
	return ssl;
}

/* One SP message: length, request id with its high bit, body. */
static bool
raw_send(SSL *ssl, const struct bed_question *q, uint32_t id)
{
	size_t len;
	uint8_t *body = bed_pack(q, &len), *message = malloc(len + 12);
	bool ok;

	if (message == NULL)
		abort();
	bytes_put64(message, len + 4);
	bytes_put32(message + 8, id | UINT32_C(1) << 31);
	memcpy(message + 12, body, len);
	ok = SSL_write(ssl, message, (int)len + 12) == (int)len + 12;
	free(body);
	free(message);
	return ok;
}

/* A length that no memory holds; the server lives on. */
static bool
forged_lengths(void)
{
	static const uint8_t last[] = { 0xe0, 0xf0, 0xff };
	static uint8_t bytes[65536];
	struct bed *b = bed_open(&defaults);
	size_t i;

	for (i = 0; i < sizeof(last); i++) {
		SSL *ssl = raw_client(b, "client");

		memset(bytes, 0xff, 7);
		bytes[7] = last[i];
		(void)SSL_write(ssl, bytes, sizeof(bytes));
		if (!raw_tls_ended(ssl))
			return false;
		raw_tls_close(ssl);
	}
	return served(b);
}

/*
 * Clients that ask and never read. More of them than there are contexts, so
 * that every context hangs in a send if nothing ends it.
 */
static bool
never_reads(void)
{
	struct rpc_limits limits = defaults;
	struct bed_question q = echo;
	SSL *rude[3];
	struct bed *b;
	unsigned i, k;

	limits.requests = 16;
	limits.send_timeout_ms = 300;
	b = bed_open(&limits);
	q.subject_len = 1000000;
	if ((q.subject = calloc(1, q.subject_len)) == NULL)
		return false;
	for (i = 0; i < 3; i++) {
		rude[i] = raw_client(b, "client");
		for (k = 0; k < 20; k++) {
			if (!raw_send(rude[i], &q, k))
				break;		/* cut already */
		}
	}
	return served(b);
}

/* An address that one connect could silence for good. */
static bool
bad_address(void)
{
	static const char *const url = "ipc:///nowhere/pdvault-test";
	static const char *const plain = "tcp://127.0.0.1:0";
	struct rpc_options o = { .urls = &url, .url_count = 1, .methods = bed_methods,
		.method_count = bed_method_count, .limits = RPC_LIMITS_DEFAULT };
	struct rpc *r = NULL;

	if (rpc_start(&o, &r) != STATUS_CONFIG)
		return false;
	o.urls = &plain;
	return rpc_start(&o, &r) == STATUS_CONFIG;
}

struct draining {
	struct bed *b;
	atomic_bool done;
};

static void *
drain(void *arg)
{
	struct draining *d = arg;

	bed_drain(d->b, WAIT);
	atomic_store(&d->done, true);
	return NULL;
}

/* Who was being served when the end came gets his answer. */
static bool
answered_at_the_end(void)
{
	struct draining d = { .b = bed_open(&defaults) };
	struct bed_pending *p[8];
	struct bed_answer a;
	pthread_t t;
	nng_socket s;
	unsigned i, good = 0;

	if (!bed_dial(d.b, "client", &s))
		return false;
	bed_hold(true);
	for (i = 0; i < 8; i++)
		p[i] = bed_begin(s, &slow);
	while (rpc_in_flight(bed_rpc(d.b)) < 8)
		bed_pause(1);
	if (pthread_create(&t, NULL, drain, &d) != 0)
		return false;
	bed_pause(300);
	if (atomic_load(&d.done))
		return false;
	bed_hold(false);
	for (i = 0; i < 8; i++)
		good += bed_fetch(p[i], 3000, &a) == 0 && a.code == PDV_OK ? 1 : 0;
	(void)pthread_join(t, NULL);
	bed_free(d.b);
	return good == 8;
}

/* One too many is rejected before its first message, and counted off once. */
static bool
one_too_many(void)
{
	struct rpc_limits limits = defaults;
	struct bed_answer a;
	nng_socket s[3];
	struct bed *b;
	bool ok;

	limits.connections = 2;
	b = bed_open(&limits);
	ok = bed_dial(b, "client", &s[0]) && bed_dial(b, "client", &s[1]) &&
	    bed_ask(s[0], &echo, WAIT, &a) == 0 && bed_ask(s[1], &echo, WAIT, &a) == 0;
	(void)bed_dial(b, "client", &s[2]);
	ok = ok && bed_ask(s[2], &echo, 1500, &a) != 0;
	ok = ok && rpc_connections(bed_rpc(b)) == 2 && bed_ask(s[0], &echo, WAIT, &a) == 0;
	(void)nng_close(s[2]);
	(void)nng_close(s[1]);
	while (ok && rpc_connections(bed_rpc(b)) != 1)
		bed_pause(5);
	return ok && served(b);
}

/* Silent after the greeting, or in the middle of a message. */
static bool
silent(void)
{
	struct rpc_limits limits = defaults;
	SSL *quiet, *half;
	struct bed *b;
	bool ok;

	limits.idle_timeout_ms = 400;
	b = bed_open(&limits);
	quiet = raw_client(b, "client");
	half = raw_client(b, "client");
	(void)SSL_write(half, "\0\0\0\0\0\0\1\0 the start of", 21);
	ok = raw_tls_ended(quiet) && raw_tls_ended(half);
	raw_tls_close(quiet);
	raw_tls_close(half);
	return ok && served(b);
}

/* Whoever has something in flight is not idle, however long that takes. */
static bool
not_idle(void)
{
	struct rpc_limits limits = defaults;
	struct bed_pending *p;
	struct bed_answer a;
	nng_socket s;
	struct bed *b;

	limits.idle_timeout_ms = 100;
	b = bed_open(&limits);
	if (!bed_dial(b, "client", &s))
		return false;
	bed_hold(true);
	p = bed_begin(s, &slow);
	bed_pause(600);
	bed_hold(false);
	return bed_fetch(p, WAIT, &a) == 0 && a.code == PDV_OK;
}

/* TCP without a handshake, of which nng makes no connection, and which it never closes. */
static bool
no_handshake(void)
{
	struct rpc_limits limits = defaults;
	struct sockaddr_in to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct bed_answer a;
	struct bed *b;
	nng_socket s;
	char byte;

	limits.handshake_timeout_ms = 500;
	b = bed_open(&limits);
	to.sin_port = htons((uint16_t)bed_port(b));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0 ||
	    !bed_dial(b, "client", &s))
		return false;
	/* The silent one alone goes: the other is known, though it says nothing either. */
	return poll(&p, 1, 6000) == 1 && read(fd, &byte, 1) <= 0 &&
	    bed_ask(s, &echo, WAIT, &a) == 0 && served(b);
}

static atomic_uint seen, unwiped;

static void
look(const uint8_t *body, size_t len)
{
	size_t i;

	atomic_fetch_add(&seen, 1);
	for (i = 0; i < len; i++) {
		if (body[i] != 0) {
			atomic_fetch_add(&unwiped, 1);
			return;
		}
	}
}

/* Whatever becomes of a request, its bytes are wiped before they are freed. */
static bool
wiped(void)
{
	static const struct bed_question asked[] = {
		{ .method = "/test.v1.Test/Echo", .subject = "abc", .subject_len = 3 },
		{ .method = "/test.v1.Test/Slow", .subject = "abc", .subject_len = 3 },
		{ .method = "/test.v1.Test/Write", .subject = "abc", .subject_len = 3,
		    .key_len = 16 },
		{ .method = "/test.v1.Test/Rule", .subject = "abc", .subject_len = 3 },
		{ .method = "/test.v1.Test/Secret", .subject = "abc", .subject_len = 3 },
		{ .method = "/test.v1.Test/None", .subject = "abc", .subject_len = 3 },
	};
	const unsigned count = sizeof(asked) / sizeof(asked[0]);
	struct bed *b = bed_open(&defaults);
	struct bed_answer a;
	nng_socket s;
	unsigned i;

	guard_rpc_freed = look;
	if (!bed_dial(b, "client", &s))
		return false;
	for (i = 0; i < count; i++) {
		if (bed_ask(s, &asked[i], WAIT, &a) != 0)
			return false;
	}
	if (bed_ask_raw(s, "\xff\xff", 2, WAIT, &a) != 0)
		return false;
	return atomic_load(&seen) == count + 1 && atomic_load(&unwiped) == 0;
}

static const struct {
	const char *name;
	int guard;
	bool (*run)(void);
} scenarios[] = {
	{ "never-reads", RPC_GUARD_SEND_TIMEOUT, never_reads },
	{ "bad-address", RPC_GUARD_URL, bad_address },
	{ "answered-at-the-end", RPC_GUARD_DRAIN, answered_at_the_end },
	{ "one-too-many", RPC_GUARD_REJECT, one_too_many },
	{ "silent", RPC_GUARD_IDLE, silent },
	{ "wiped", RPC_GUARD_WIPE, wiped },
	{ "not-idle", NO_GUARD, not_idle },
	{ "no-handshake", RPC_GUARD_LOBBY, no_handshake },
	{ "forged-lengths", FORGED, forged_lengths },
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* In the child. */
static int
run(const char *name, const char *guard)
{
	bool ok = false;
	size_t i;

	(void)alarm(CHILD_SECONDS);
	for (i = 0; i < SCENARIOS; i++) {
		if (strcmp(scenarios[i].name, name) != 0)
			continue;
		if (strcmp(guard, "off") == 0 && scenarios[i].guard == FORGED)
			guard_off[GUARD_MESSAGE_MAX] = true;
		else if (strcmp(guard, "off") == 0)
			guard_rpc_off[scenarios[i].guard] = true;
		ok = scenarios[i].run();
	}
	_exit(ok ? 0 : 1);
}

/* The child's wait status. */
static int
spawn(const char *name, const char *guard)
{
	char copy[3][32];
	char *argv[] = { copy[0], copy[1], copy[2], NULL };
	posix_spawn_file_actions_t quiet;
	int status = -1;
	pid_t pid;

	(void)snprintf(copy[0], sizeof(copy[0]), "test_rpc_guards");
	(void)snprintf(copy[1], sizeof(copy[1]), "%s", name);
	(void)snprintf(copy[2], sizeof(copy[2]), "%s", guard);
	assert_int_equal(posix_spawn_file_actions_init(&quiet), 0);
	if (strcmp(guard, "off") == 0)	/* what it says while it breaks is of no interest */
		assert_int_equal(posix_spawn_file_actions_addopen(
				     &quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0),
		    0);
	assert_int_equal(posix_spawn(&pid, "/proc/self/exe", &quiet, NULL, argv, environ), 0);
	assert_int_equal(posix_spawn_file_actions_destroy(&quiet), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
test_guard(void **state)
{
	size_t i = *(size_t *)*state;
	int status = spawn(scenarios[i].name, "on");

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("%s: fails with its guard: status %d", scenarios[i].name, status);
	if (scenarios[i].guard == NO_GUARD)
		return;
	status = spawn(scenarios[i].name, "off");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		fail_msg("%s: passes without its guard", scenarios[i].name);
}

int
main(int argc, char **argv)
{
	struct CMUnitTest tests[SCENARIOS];
	static size_t places[SCENARIOS];
	size_t i;

	if (argc == 3)
		return run(argv[1], argv[2]);
	for (i = 0; i < SCENARIOS; i++) {
		places[i] = i;
		tests[i] = (struct CMUnitTest)cmocka_unit_test_prestate(test_guard, &places[i]);
		tests[i].name = scenarios[i].name;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
