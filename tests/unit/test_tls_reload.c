#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "client/transport/tls_peer.h"
#include "echo.h"
#include "raw_tls.h"

#define RELOADS 40
#define ENOUGH 10
#define HOUR 3600L

static const struct pki_spec server_spec = { .usage = "serverAuth",
	.san = "DNS:localhost,IP:127.0.0.1" };

struct fixture {
	struct pki *pki;
	struct tls_context *server, *client;
	struct echo *echo;
	atomic_bool stop;
	atomic_ulong asked;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct tls_options o = { .role = TLS_SERVER };
	char why[TLS_WHY_LEN];

	f->pki = pki_new();
	pki_crl(f->pki, NULL, HOUR);
	f->client = echo_context(f->pki, "client", TLS_CLIENT);
	o.files = echo_files(f->pki, "server");
	o.files.crl = pki_path(f->pki, "crl.pem");
	if (tls_context_new(&o, &f->server, why) != PDV_OK)
		return -1;
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

static enum pdv_code
reload(struct fixture *f)
{
	char why[TLS_WHY_LEN] = "";
	enum pdv_code code = tls_context_reload(f->server, why);

	assert_int_equal(why[0] != '\0', code != PDV_OK);
	return code;
}

/* What a new connection sees of the server. */
static void
serial(struct fixture *f, char text[static 64])
{
	SSL *ssl = raw_tls_connect(f->pki, "client", echo_port(f->echo), TLS1_3_VERSION);

	assert_non_null(ssl);
	raw_tls_serial(ssl, text);
	assert_true(raw_tls_greet(ssl));
	assert_true(raw_tls_ask(ssl));
	raw_tls_close(ssl);
}

/* A live listener shows the new certificate; who was connected stays so. */
static void
test_new_certificate(void **state)
{
	struct fixture *f = *state;
	char before[64], after[64];
	int64_t expiry = tls_context_expiry(f->server);
	struct pki_spec longer = server_spec;
	nng_socket s;

	assert_true(expiry > (int64_t)time(NULL) && expiry <= (int64_t)time(NULL) + HOUR);
	longer.from = -HOUR;
	longer.to = 5 * HOUR;
	assert_int_equal(echo_dial(f->client, "127.0.0.1", echo_port(f->echo), &s), 0);
	serial(f, before);
	pki_issue(f->pki, "server", &longer);
	assert_int_equal(reload(f), PDV_OK);
	serial(f, after);
	assert_string_not_equal(before, after);
	assert_true(tls_context_expiry(f->server) > expiry + 3 * HOUR);
	assert_int_equal(echo_ask(s, "x", 1, NULL), 0);
	assert_int_equal(nng_close(s), 0);
}

/* Whatever is wrong with the new files, the old ones go on. */
static void
test_bad_reload(void **state)
{
	struct fixture *f = *state;
	struct pki_spec bad = server_spec;
	char before[64], after[64];
	FILE *file;

	serial(f, before);
	bad.usage = "clientAuth";
	pki_issue(f->pki, "server", &bad);
	assert_int_equal(reload(f), PDV_FAILED_PRECONDITION);
	bad = server_spec;
	bad.from = -2 * HOUR;
	bad.to = -HOUR;
	pki_issue(f->pki, "server", &bad);
	assert_int_equal(reload(f), PDV_FAILED_PRECONDITION);
	file = fopen(pki_path(f->pki, "server.key"), "w");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(reload(f), PDV_FAILED_PRECONDITION);
	serial(f, after);
	assert_string_equal(before, after);
}

static void *
ask_on(void *arg)
{
	struct fixture *f = arg;
	nng_socket s;
	int rv = 0;

	while (!atomic_load(&f->stop) && rv == 0) {
		if ((rv = echo_dial(f->client, "127.0.0.1", echo_port(f->echo), &s)) != 0)
			break;
		if ((rv = echo_ask(s, "under load", 10, "spiffe://test/backend")) == 0)
			rv = echo_ask(s, "again", 5, "spiffe://test/backend");
		(void)nng_close(s);
		(void)atomic_fetch_add(&f->asked, 1);
	}
	(void)atomic_fetch_add(&f->asked, ENOUGH);	/* whatever happened, nobody waits on */
	return rv == 0 ? arg : NULL;
}

/* Connections and requests that run while the files are swapped all succeed. */
static void
test_under_load(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[3];
	void *done;
	int i;

	for (i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_on, f), 0);
	for (i = 0; i < RELOADS; i++) {
		pki_issue(f->pki, "server", &server_spec);
		assert_int_equal(reload(f), PDV_OK);
		(void)nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	while (atomic_load(&f->asked) < ENOUGH)
		(void)sched_yield();
	atomic_store(&f->stop, true);
	for (i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(threads[i], &done), 0);
		assert_non_null(done);
	}
}

/* A revoked peer is found among the open connections, and comes in no more. */
static void
test_revoked(void **state)
{
	struct fixture *f = *state;
	struct tls_context *other = NULL;
	nng_socket s, t;

	pki_issue(f->pki, "other", &(struct pki_spec){ .san = "URI:spiffe://test/other" });
	other = echo_context(f->pki, "other", TLS_CLIENT);
	assert_int_equal(echo_dial(f->client, "127.0.0.1", echo_port(f->echo), &s), 0);
	assert_int_equal(echo_dial(other, "127.0.0.1", echo_port(f->echo), &t), 0);
	assert_int_equal(echo_ask(s, "x", 1, NULL), 0);
	assert_int_equal(echo_ask(t, "x", 1, NULL), 0);
	assert_int_equal(echo_sweep(f->echo, f->server), 2);
	pki_crl(f->pki, "client", HOUR);
	assert_int_equal(reload(f), PDV_OK);
	assert_int_equal(echo_sweep(f->echo, f->server), 1);
	assert_int_equal(echo_ask(t, "x", 1, "spiffe://test/other"), 0);
	assert_int_equal(nng_close(s), 0);
	assert_int_equal(
	    echo_dial(f->client, "127.0.0.1", echo_port(f->echo), &s), NNG_EPEERAUTH);
	assert_int_equal(nng_close(t), 0);
	tls_context_free(other);
}

/* A CA that is trusted no more; a list that has lapsed: nobody. */
static void
test_other_trust(void **state)
{
	struct fixture *f = *state;
	nng_socket s;

	assert_int_equal(echo_dial(f->client, "127.0.0.1", echo_port(f->echo), &s), 0);
	assert_int_equal(echo_ask(s, "x", 1, NULL), 0);
	pki_crl(f->pki, NULL, -60);
	assert_int_equal(reload(f), PDV_OK);
	assert_int_equal(echo_sweep(f->echo, f->server), 0);
	assert_int_equal(nng_close(s), 0);
	assert_int_equal(
	    echo_dial(f->client, "127.0.0.1", echo_port(f->echo), &s), NNG_EPEERAUTH);
	pki_crl(f->pki, NULL, HOUR);
	assert_int_equal(reload(f), PDV_OK);
	assert_int_equal(echo_dial(f->client, "127.0.0.1", echo_port(f->echo), &s), 0);
	assert_int_equal(echo_ask(s, "x", 1, NULL), 0);
	assert_int_equal(rename(pki_path(f->pki, "foreign.pem"), pki_path(f->pki, "ca.pem")), 0);
	assert_int_equal(reload(f), PDV_OK);
	assert_int_equal(echo_sweep(f->echo, f->server), 0);
	assert_int_equal(nng_close(s), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_new_certificate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_under_load, setup, teardown),
		cmocka_unit_test_setup_teardown(test_revoked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_trust, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
