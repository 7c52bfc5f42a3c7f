#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <nng/nng.h>

#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include <cmocka.h>

#include "client/transport/engine.h"
#include "client/transport/sp.h"
#include "echo.h"

static void
test_urls(void **state)
{
	static const char *const good[] = { "tls+tcp://127.0.0.1:7000", "tls+tcp://a:0",
		"tls+tcp://vault-1.example_x.org:65535", "tls+tcp://[::1]:1",
		"tls+tcp://[fe80::1.2.3.4]:443" };
	static const char *const bad[] = { "", "tls+tcp://", "tls+tcp://a", "tls+tcp://a:",
		"tls+tcp://:1", "tcp://a:1", "ipc:///tmp/a", "abstract://a", "inproc://a", "ws://a:1",
		"wss://a:1", "tls+tcp4://a:1", "TLS+TCP://a:1", "tls+tcp://a:65536",
		"tls+tcp://a:100000", "tls+tcp://a:-1", "tls+tcp://a:1x", "tls+tcp://a:1/",
		"tls+tcp://a:1/b", "tls+tcp://a:1?b", "tls+tcp://a:1#b", "tls+tcp://u@a:1",
		"tls+tcp://b;a:1", "tls+tcp://a b:1", "tls+tcp://[::1:1", "tls+tcp://[]:1",
		"tls+tcp://::1:1", "tls+tcp://*:1", " tls+tcp://a:1", "tls+tcp://a:1 " };
	char text[SP_URL_MAX + 2];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(sp_url_ok(good[i]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (sp_url_ok(bad[i]))
			fail_msg("%s", bad[i]);
	}
	memset(text, 'a', sizeof(text));
	memcpy(text, "tls+tcp://", 10);
	memcpy(text + SP_URL_MAX - 2, ":1", 3);
	assert_true(sp_url_ok(text));
	memcpy(text + SP_URL_MAX - 2, "a:1", 4);
	assert_false(sp_url_ok(text));
}

static void
test_settings(void **state)
{
	nng_duration again;
	nng_socket s;
	size_t max;
	bool on;

	(void)state;
	assert_int_equal(nng_rep0_open(&s), 0);
	assert_int_equal(sp_settle(s, SP_SERVER), PDV_OK);
	assert_int_equal(nng_socket_get_size(s, NNG_OPT_RECVMAXSZ, &max), 0);
	assert_int_equal(max, SP_MESSAGE_MAX);
	assert_int_equal(nng_close(s), 0);
	assert_int_equal(nng_req0_open(&s), 0);
	assert_int_equal(sp_settle(s, SP_CLIENT), PDV_OK);
	assert_int_equal(nng_socket_get_ms(s, NNG_OPT_REQ_RESENDTIME, &again), 0);
	assert_int_equal(again, NNG_DURATION_INFINITE);
	assert_int_equal(nng_socket_get_bool(s, NNG_OPT_TCP_NODELAY, &on), 0);
	assert_true(on);
	assert_int_equal(nng_socket_get_bool(s, NNG_OPT_TCP_KEEPALIVE, &on), 0);
	assert_true(on);
	assert_int_equal(nng_close(s), 0);
}

/* What does not take the settings is not to be used. */
static void
test_refused(void **state)
{
	nng_socket s;

	(void)state;
	assert_int_equal(nng_rep0_open(&s), 0);
	assert_int_equal(sp_settle(s, SP_CLIENT), PDV_FAILED_PRECONDITION);
	assert_int_equal(nng_close(s), 0);
	assert_int_equal(sp_settle(s, SP_SERVER), PDV_FAILED_PRECONDITION);
}

/* The settings reach a listener, a dialer and their connections. */
static void
test_inherited(void **state)
{
	nng_socket rep, req;
	nng_listener l;
	nng_dialer d;
	size_t max;
	bool on;

	(void)state;
	assert_int_equal(engine_register(), PDV_OK);
	assert_int_equal(nng_rep0_open(&rep), 0);
	assert_int_equal(sp_settle(rep, SP_SERVER), PDV_OK);
	assert_int_equal(nng_listener_create(&l, rep, "tls+tcp://127.0.0.1:0"), 0);
	assert_int_equal(nng_listener_get_size(l, NNG_OPT_RECVMAXSZ, &max), 0);
	assert_int_equal(max, SP_MESSAGE_MAX);
	assert_int_equal(nng_listener_get_bool(l, NNG_OPT_TCP_KEEPALIVE, &on), 0);
	assert_true(on);
	assert_int_equal(nng_req0_open(&req), 0);
	assert_int_equal(sp_settle(req, SP_CLIENT), PDV_OK);
	assert_int_equal(nng_dialer_create(&d, req, "tls+tcp://127.0.0.1:1"), 0);
	assert_int_equal(nng_dialer_get_size(d, NNG_OPT_RECVMAXSZ, &max), 0);
	assert_int_equal(max, SP_MESSAGE_MAX);
	assert_int_equal(nng_dialer_get_bool(d, NNG_OPT_TCP_KEEPALIVE, &on), 0);
	assert_true(on);
	assert_int_equal(nng_close(req), 0);
	assert_int_equal(nng_close(rep), 0);
}

/* A message of SP_MESSAGE_MAX with its SP header passes, one byte more does not. */
static void
test_limit(void **state)
{
	static char bytes[SP_MESSAGE_MAX];
	struct pki *p = pki_new();
	struct tls_context *server, *client;
	struct echo *e;
	nng_socket s;
	size_t id = strlen("spiffe://test/backend");

	(void)state;
	server = echo_context(p, "server", TLS_SERVER);
	client = echo_context(p, "client", TLS_CLIENT);
	e = echo_listen(server);
	assert_int_equal(echo_dial(client, "127.0.0.1", echo_port(e), &s), 0);
	/* The answer is longer by the id, and is the one at the limit. */
	assert_int_equal(echo_ask(s, bytes, SP_MESSAGE_MAX - 4 - id, NULL), 0);
	assert_int_equal(echo_requests(e), 1);
	assert_int_not_equal(echo_ask(s, bytes, SP_MESSAGE_MAX - 3, NULL), 0);
	assert_int_equal(echo_requests(e), 1);
	assert_int_equal(nng_close(s), 0);
	echo_free(e);
	tls_context_free(client);
	tls_context_free(server);
	pki_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_inherited),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
