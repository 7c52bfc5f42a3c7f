/*
 * For each trap in nng that client/transport guards against, one scenario, run twice in a
 * process of its own: with the guard it must pass, and without it must not, or else the
 * scenario would prove nothing.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <nng/nng.h>

#include <nng/protocol/reqrep0/rep.h>

#include "client/transport/engine.h"
#include "client/transport/engine_internal.h"
#include "client/transport/guard.h"
#include "client/transport/sp.h"
#include "door.h"
#include "echo.h"
#include "pdvault/pdvault.h"
#include "raw_tls.h"

#define CHILD_SECONDS 50
#define BROKEN_SECONDS 6		/* a guard that is off may well hang it */
#define CONNECTS 50
#define FORGED_BYTES 65536
#define LATE_LEN 4000

extern char **environ;

/* What most scenarios start with; never freed, the process ends with them. */
static struct pki *pki;
static struct tls_context *server, *client;
static struct echo *echo;

static void
begin(void)
{
	pki = pki_new();
	server = echo_context(pki, "server", TLS_SERVER);
	client = echo_context(pki, "client", TLS_CLIENT);
	echo = echo_listen(server);
}

static void
pause_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	(void)nanosleep(&t, NULL);
}

static bool
serves(void)
{
	nng_socket s;
	bool ok;

	if (echo_dial(client, "127.0.0.1", echo_port(echo), &s) != 0)
		return false;
	ok = echo_ask(s, "x", 1, "spiffe://test/backend") == 0;
	(void)nng_close(s);
	return ok;
}

/* One peer that announces ff..${last} bytes: it is cut off before memory is taken. */
static bool
forged(uint8_t last)
{
	static uint8_t bytes[FORGED_BYTES];
	SSL *ssl = raw_tls_connect(pki, "client", echo_port(echo), TLS1_3_VERSION);
	bool ended;

	if (ssl == NULL || !raw_tls_greet(ssl))
		return false;
	memset(bytes, 0xff, 7);
	bytes[7] = last;
	(void)SSL_write(ssl, bytes, sizeof(bytes));
	ended = raw_tls_ended(ssl);
	raw_tls_close(ssl);
	return ended;
}

static bool
forged_lengths(void)
{
	begin();
	return forged(0xe0) && forged(0xf0) && forged(0xff) && serves();
}

/* The connection drops before the answer: the request is not sent a second time. */
static bool
sent_once(void)
{
	nng_msg *msg;
	nng_aio *aio;
	nng_ctx ctx;
	nng_socket s;

	begin();
	echo_cut(echo, true);
	if (echo_dial(client, "127.0.0.1", echo_port(echo), &s) != 0 ||
	    nng_aio_alloc(&aio, NULL, NULL) != 0 || nng_ctx_open(&ctx, s) != 0 ||
	    nng_msg_alloc(&msg, 1) != 0)
		return false;
	nng_aio_set_msg(aio, msg);
	nng_ctx_send(ctx, aio);
	nng_aio_wait(aio);
	nng_aio_set_timeout(aio, 2000);
	nng_ctx_recv(ctx, aio);
	nng_aio_wait(aio);
	pause_ms(1000);		/* long enough to connect again and repeat it */
	return nng_aio_result(aio) != 0 && echo_requests(echo) == 1;
}

/* A signal to the process waits for the one thread that will take it. */
static bool
signals_wait(void)
{
	sigset_t usr1, pending;

	begin();
	(void)sigemptyset(&usr1);
	(void)sigaddset(&usr1, SIGUSR1);
	if (pthread_sigmask(SIG_BLOCK, &usr1, NULL) != 0 || kill(getpid(), SIGUSR1) != 0)
		return false;
	pause_ms(300);		/* the default action would have ended us by now */
	return sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1;
}

/* Clients that finish the handshake and leave. */
static bool
leavers(void)
{
	int i;

	begin();
	for (i = 0; i < CONNECTS; i++) {
		SSL *ssl = raw_tls_connect(pki, "client", echo_port(echo), TLS1_3_VERSION);

		if (ssl == NULL)
			return false;
		raw_tls_close(ssl);
	}
	for (i = 0; i < CONNECTS; i++) {
		if (!serves())
			return false;
	}
	return true;
}

/* Clients that leave while their requests are in work: all that was theirs is freed. */
static bool
hang_ups(void)
{
	unsigned char i;

	begin();
	for (i = 0; i < CONNECTS; i++) {
		SSL *ssl = raw_tls_connect(pki, "client", echo_port(echo), TLS1_3_VERSION);

		if (ssl == NULL || !raw_tls_greet(ssl))
			return false;
		(void)raw_tls_ask(ssl);
		(void)raw_tls_pour(ssl, i);
		raw_tls_close(ssl);
	}
	return echo_ended(echo, CONNECTS) && serves();
}

/* nng ends a connection that it never began. */
static bool
refused_connect(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	nng_socket s;

	begin();
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	/* Bound and not listening: whoever connects is refused. */
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		return false;
	if (echo_dial(client, "127.0.0.1", ntohs(a.sin_port), &s) != NNG_ECONNREFUSED)
		return false;
	pause_ms(300);		/* nng does it later, on another thread */
	return serves();
}

static bool
live_swap(void)
{
	static const struct pki_spec spec = { .usage = "serverAuth", .san = "IP:127.0.0.1" };
	char why[TLS_WHY_LEN], serial[2][64];
	int i;

	begin();
	for (i = 0; i < 2; i++) {
		SSL *ssl = raw_tls_connect(pki, "client", echo_port(echo), TLS1_3_VERSION);

		if (ssl == NULL)
			return false;
		raw_tls_serial(ssl, serial[i]);
		raw_tls_close(ssl);
		pki_issue(pki, "server", &spec);
		if (tls_context_reload(server, why) != PDV_OK)
			return false;
	}
	return strcmp(serial[0], serial[1]) != 0 && serves();
}

static bool
one_record(void)
{
	char bytes[256] = "";
	unsigned long before;
	nng_socket s;

	begin();
	if (echo_dial(client, "127.0.0.1", echo_port(echo), &s) != 0 ||
	    echo_ask(s, bytes, sizeof(bytes), NULL) != 0)
		return false;
	before = atomic_load(&engine_conn_records);
	return echo_ask(s, bytes, sizeof(bytes), NULL) == 0 &&
	    atomic_load(&engine_conn_records) - before == 2;
}

static atomic_uint closed_calls;

static void
count_closed(struct pdv_result *r, void *arg)
{
	(void)arg;
	if (pdv_result_code(r) == PDV_CANCELLED)
		atomic_fetch_add(&closed_calls, 1);
	pdv_result_free(r);
}

/* Calls that never got out, since nobody listens, are ended: each is answered once, and memory is whole. */
static bool
send_first(void)
{
	struct pdv_client_options o = { .deadline_ms = 60000, .in_flight = 8 };
	struct pdv_client *c = NULL;
	const char *url = "tls+tcp://127.0.0.1:1";
	char ca[300], cert[300], key[300];

	pki = pki_new();
	(void)snprintf(ca, sizeof(ca), "%s", pki_path(pki, "ca.pem"));
	(void)snprintf(cert, sizeof(cert), "%s", pki_path(pki, "client.pem"));
	(void)snprintf(key, sizeof(key), "%s", pki_path(pki, "client.key"));
	o.servers = &url;
	o.server_count = 1;
	o.ca = ca;
	o.cert = cert;
	o.key = key;
	if (pdv_client_new(&o, &c, NULL) != PDV_OK)
		return false;
	for (int i = 0; i < 8; i++)
		if (pdv_check_async(c, NULL, count_closed, NULL) != PDV_OK)
			return false;
	pause_ms(200);
	pdv_client_free(c);
	return atomic_load(&closed_calls) == 8;
}

/* A marker in what is sent, and whether nng ever freed it as it was. */
static const char leftover_mark[] = "Jolanda.Leftover@example.org";
static atomic_uint leftover_seen, leftover_freed;

static void
look_for_leftover(const void *p, size_t len)
{
	atomic_fetch_add(&leftover_freed, 1);
	if (memmem(p, len, leftover_mark, sizeof(leftover_mark) - 1) != NULL)
		atomic_fetch_add(&leftover_seen, 1);
}

static bool
leftovers(void)
{
	bool ok;
	nng_socket s;

	guard_freed = look_for_leftover;	/* before nng's threads begin */
	begin();
	if (echo_dial(client, "127.0.0.1", echo_port(echo), &s) != 0)
		return false;
	ok = echo_ask(s, leftover_mark, sizeof(leftover_mark), NULL) == 0 &&
	    echo_ask(s, "x", 1, NULL) == 0;
	(void)nng_close(s);
	echo_free(echo);
	return ok && atomic_load(&leftover_freed) > 0 && atomic_load(&leftover_seen) == 0;
}

static atomic_uintptr_t late_body;
static atomic_uint late_freed;

static void
look_for_late(const void *p, size_t len)
{
	if (atomic_load(&late_body) - (uintptr_t)p < len)	/* nng leaves room before it */
		atomic_fetch_add(&late_freed, 1);
}

/* An answer that is sent while nng closes the connection is freed, and wiped with all that nng frees. */
static bool
late_answer(void)
{
	nng_aio *aio;
	nng_ctx ctx;
	nng_msg *msg = NULL;
	nng_listener l;
	nng_socket s;
	SSL *ssl;
	int port;

	guard_freed = look_for_late;
	pki = pki_new();
	server = echo_context(pki, "server", TLS_SERVER);
	if (nng_rep0_open(&s) != 0 || sp_settle(s, SP_SERVER) != PDV_OK ||
	    nng_listener_create(&l, s, "tls+tcp://127.0.0.1:0") != 0 ||
	    tls_context_listen(server, l) != PDV_OK || nng_listener_start(l, 0) != 0 ||
	    nng_listener_get_int(l, NNG_OPT_TCP_BOUND_PORT, &port) != 0 || nng_ctx_open(&ctx, s) != 0 ||
	    nng_aio_alloc(&aio, NULL, NULL) != 0)
		return false;
	ssl = raw_tls_connect(pki, "client", port, TLS1_3_VERSION);
	if (ssl == NULL || !raw_tls_greet(ssl) || !raw_tls_pour(ssl, 1))
		return false;
	nng_ctx_recv(ctx, aio);
	nng_aio_wait(aio);
	if (nng_aio_result(aio) != 0)
		return false;
	nng_msg_free(nng_aio_get_msg(aio));
	door_hold();
	raw_tls_close(ssl);
	door_wait();
	if (nng_msg_alloc(&msg, LATE_LEN) != 0)
		return false;
	atomic_store(&late_body, (uintptr_t)nng_msg_body(msg));
	nng_aio_set_msg(aio, msg);
	nng_ctx_send(ctx, aio);
	nng_aio_wait(aio);
	door_let_go();
	return nng_aio_result(aio) == 0 && nng_close(s) == 0 && atomic_load(&late_freed) == 1;
}

static const struct {
	const char *name;
	enum guard guard;
	bool (*run)(void);
} scenarios[] = {
	{ "forged-lengths", GUARD_MESSAGE_MAX, forged_lengths },
	{ "sent-once", GUARD_NO_RESEND, sent_once },
	{ "signals-wait", GUARD_SIGNALS, signals_wait },
	{ "leavers", GUARD_SHUT, leavers },
	{ "hang-ups", GUARD_ORPHANS, hang_ups },
	{ "refused-connect", GUARD_EMPTY_FINI, refused_connect },
	{ "live-swap", GUARD_SWAP, live_swap },
	{ "one-record", GUARD_FRAMING, one_record },
	{ "send-first", GUARD_SEND_FIRST, send_first },
	{ "leftovers", GUARD_LEFTOVERS, leftovers },
	{ "late-answer", GUARD_DROPPED, late_answer },
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* In the child. */
static int
run(const char *name, const char *guard)
{
	bool ok = false;
	size_t i;

	(void)alarm(strcmp(guard, "off") == 0 ? BROKEN_SECONDS : CHILD_SECONDS);
	for (i = 0; i < SCENARIOS; i++) {
		if (strcmp(scenarios[i].name, name) != 0)
			continue;
		guard_off[scenarios[i].guard] = strcmp(guard, "off") == 0;
		ok = scenarios[i].run();
	}
	pki_free(pki);
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

	(void)snprintf(copy[0], sizeof(copy[0]), "test_guards");
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
	const char *name = *state;
	int status = spawn(name, "on");

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("%s: fails with its guard: status %d", name, status);
	status = spawn(name, "off");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		fail_msg("%s: passes without its guard", name);
}

int
main(int argc, char **argv)
{
	struct CMUnitTest tests[SCENARIOS];
	static char names[SCENARIOS][32];
	size_t i;

	if (argc == 3)
		return run(argv[1], argv[2]);
	for (i = 0; i < SCENARIOS; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%s", scenarios[i].name);
		tests[i] = (struct CMUnitTest)cmocka_unit_test_prestate(test_guard, names[i]);
		tests[i].name = names[i];
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
