#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/transport/engine.h"
#include "client/transport/engine_internal.h"
#include "client/transport/sp.h"
#include "client/transport/tls_peer.h"
#include "echo.h"
#include "raw_tls.h"

#define REQUESTS 200

struct fixture {
	struct pki *pki;
	struct tls_context *server, *client;
	struct echo *echo;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->pki = pki_new();
	f->server = echo_context(f->pki, "server", TLS_SERVER);
	f->client = echo_context(f->pki, "client", TLS_CLIENT);
	f->echo = echo_listen(f->server);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	echo_free(f->echo);
	tls_context_free(f->client);
	tls_context_free(f->server);
	pki_free(f->pki);
	free(f);
	return 0;
}

/* One client with its own name. */
struct caller {
	struct fixture *f;
	const char *cert, *id;
	int rv;
};

static void *
call(void *arg)
{
	struct caller *c = arg;
	struct tls_context *context = echo_context(c->f->pki, c->cert, TLS_CLIENT);
	char text[32];
	nng_socket s;
	int i;

	if ((c->rv = echo_dial(context, "127.0.0.1", echo_port(c->f->echo), &s)) == 0) {
		for (i = 0; i < REQUESTS && c->rv == 0; i++) {
			(void)snprintf(text, sizeof(text), "%s %d", c->cert, i);
			c->rv = echo_ask(s, text, strlen(text), c->id);
		}
		(void)nng_close(s);
	}
	tls_context_free(context);
	return NULL;
}

/* Two at a time, and the server knows at each request who asks. */
static void
test_two_clients(void **state)
{
	static const struct pki_spec other = { .san = "URI:spiffe://test/other" };
	struct fixture *f = *state;
	struct caller callers[2] = {
		{ f, "client", "spiffe://test/backend", -1 },
		{ f, "other", "spiffe://test/other", -1 },
	};
	pthread_t threads[2];
	int i;

	pki_issue(f->pki, "other", &other);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(callers[0].rv, 0);
	assert_int_equal(callers[1].rv, 0);
	assert_int_equal(echo_requests(f->echo), 2 * REQUESTS);
}

static void
test_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 16384 - 12 - 21, 16384 - 12, 16384, 16385, 100000,
		SP_MESSAGE_MAX - 4 - 21 };
	struct fixture *f = *state;
	uint8_t *bytes = malloc(SP_MESSAGE_MAX);
	nng_socket s;
	size_t i;

	for (i = 0; i < SP_MESSAGE_MAX; i++)
		bytes[i] = (uint8_t)(i * 31 >> 3);
	assert_int_equal(echo_dial(f->client, "127.0.0.1", echo_port(f->echo), &s), 0);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(echo_ask(s, bytes, sizes[i], "spiffe://test/backend"), 0);
	assert_int_equal(nng_close(s), 0);
	free(bytes);
}

/* A request and its answer are one record each, until they do not fit. */
static void
test_records(void **state)
{
	static const struct {
		size_t len;
		unsigned long records;
	} rows[] = { { 0, 2 }, { 1, 2 }, { 256, 2 }, { 16000, 2 }, { 20000, 4 } };
	struct fixture *f = *state;
	uint8_t bytes[20000] = { 0 };
	unsigned long before;
	nng_socket s;
	size_t i;

	assert_int_equal(echo_dial(f->client, "127.0.0.1", echo_port(f->echo), &s), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		before = atomic_load(&engine_conn_records);
		assert_int_equal(echo_ask(s, bytes, rows[i].len, NULL), 0);
		assert_int_equal(atomic_load(&engine_conn_records) - before, rows[i].records);
	}
	assert_int_equal(nng_close(s), 0);
}

/* Many requests in flight on one connection. */
static void *
ask_some(void *arg)
{
	nng_socket s = { .id = *(uint32_t *)arg };
	char text[64] = "in flight";
	int i, rv = 0;

	for (i = 0; i < REQUESTS / 2 && rv == 0; i++)
		rv = echo_ask(s, text, sizeof(text), "spiffe://test/backend");
	return rv == 0 ? arg : NULL;	/* NULL: failed */
}

static void
test_in_flight(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[8];
	nng_socket s;
	void *done;
	int i;

	assert_int_equal(echo_dial(f->client, "127.0.0.1", echo_port(f->echo), &s), 0);
	for (i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_some, &s.id), 0);
	for (i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(threads[i], &done), 0);
		assert_non_null(done);
	}
	assert_int_equal(nng_close(s), 0);
}

/* A pipe refused in ADD_PRE carries nothing; the listener goes on. */
static void
test_reject(void **state)
{
	struct fixture *f = *state;
	nng_socket s;

	echo_reject(f->echo, true);
	if (echo_dial(f->client, "127.0.0.1", echo_port(f->echo), &s) == 0)
		(void)nng_close(s);
	echo_reject(f->echo, false);
	assert_int_equal(echo_requests(f->echo), 0);
	assert_int_equal(echo_dial(f->client, "127.0.0.1", echo_port(f->echo), &s), 0);
	assert_int_equal(echo_ask(s, "x", 1, "spiffe://test/backend"), 0);
	assert_int_equal(nng_close(s), 0);
}

/* Registering again, from several threads, changes nothing. */
static void *
register_again(void *arg)
{
	return engine_register() == PDV_OK ? arg : NULL;
}

static void
test_register(void **state)
{
	pthread_t threads[4];
	void *done;
	int i;

	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, register_again, state), 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &done), 0);
		assert_non_null(done);
	}
	assert_string_equal(nng_tls_engine_name(), ENGINE_NAME);
}

/* A pipe that is not there has no peer. */
static void
test_no_peer(void **state)
{
	struct tls_peer *peer = NULL;
	nng_pipe none = NNG_PIPE_INITIALIZER;

	(void)state;
	assert_int_equal(tls_peer_of(none, &peer), PDV_UNAUTHENTICATED);
	assert_null(peer);
	tls_peer_free(NULL);
	tls_context_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_two_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reject, setup, teardown),
		cmocka_unit_test_setup_teardown(test_register, setup, teardown),
		cmocka_unit_test(test_no_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
