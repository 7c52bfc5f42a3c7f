#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nng/nng.h>

#include <nng/protocol/reqrep0/req.h>

#include <openssl/pem.h>

#include <cmocka.h>

#include "client/transport/engine.h"
#include "client/transport/guard.h"
#include "echo.h"
#include "raw_tls.h"

#define HOUR 3600L
#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

struct row {
	const char *what;
	struct pki_spec spec;
};

static int
setup(void **state)
{
	*state = pki_new();
	guard_off[GUARD_OWN_RULES] = true;	/* so that a bad certificate gets to the peer */
	return 0;
}

static int
teardown(void **state)
{
	guard_off[GUARD_OWN_RULES] = false;
	pki_free(*state);
	return 0;
}

static const struct row bad_clients[] = {
	{ "another CA", { .foreign = true } },
	{ "expired", { .from = -2 * HOUR, .to = -60 } },
	{ "not yet valid", { .from = HOUR, .to = 2 * HOUR } },
	{ "serverAuth", { .usage = "serverAuth" } },
	{ "both usages", { .usage = "clientAuth,serverAuth" } },
	{ "any usage", { .usage = "clientAuth,anyExtendedKeyUsage" } },
	{ "no usage", { .usage = "" } },
	{ "other usage", { .usage = "codeSigning" } },
	{ "no SAN", { .san = "" } },
	{ "no URI", { .san = "DNS:localhost" } },
	{ "two SPIFFE ids", { .san = "URI:spiffe://test/a,URI:spiffe://test/b" } },
	{ "a second URI", { .san = "URI:spiffe://test/a,URI:https://test/b" } },
	{ "not SPIFFE", { .san = "URI:https://test/a" } },
	{ "no path", { .san = "URI:spiffe://test" } },
};

/* The server takes none of these, says so by failing the client, and serves on. */
static void
test_bad_clients(void **state)
{
	struct pki *p = *state;
	struct tls_context *server = echo_context(p, "server", TLS_SERVER), *client;
	struct echo *e = echo_listen(server);
	uint64_t failed;
	nng_socket s;
	size_t i;
	int rv;

	for (i = 0; i < ROWS(bad_clients); i++) {
		failed = engine_handshakes_failed();
		pki_issue(p, "bad", &bad_clients[i].spec);
		client = echo_context(p, "bad", TLS_CLIENT);
		if ((rv = echo_dial(client, "127.0.0.1", echo_port(e), &s)) != NNG_EPEERAUTH)
			fail_msg("%s: %s", bad_clients[i].what, nng_strerror(rv));
		tls_context_free(client);
		while (engine_handshakes_failed() == failed)
			(void)sched_yield();	/* the server counts after it has told the client */
	}
	assert_int_equal(echo_requests(e), 0);
	client = echo_context(p, "client", TLS_CLIENT);
	assert_int_equal(echo_dial(client, "127.0.0.1", echo_port(e), &s), 0);
	assert_int_equal(echo_ask(s, "x", 1, "spiffe://test/backend"), 0);
	assert_int_equal(nng_close(s), 0);
	tls_context_free(client);
	echo_free(e);
	tls_context_free(server);
}

static const struct row bad_servers[] = {
	{ "another CA", { .usage = "serverAuth", .san = "IP:127.0.0.1", .foreign = true } },
	{ "expired",
	    { .usage = "serverAuth", .san = "IP:127.0.0.1", .from = -2 * HOUR, .to = -60 } },
	{ "a backend's", { .usage = "clientAuth", .san = "IP:127.0.0.1,DNS:localhost" } },
	{ "no usage", { .usage = "", .san = "IP:127.0.0.1" } },
	{ "another host", { .usage = "serverAuth", .san = "DNS:localhost" } },
	{ "another address", { .usage = "serverAuth", .san = "IP:127.0.0.2" } },
	{ "address as name", { .usage = "serverAuth", .san = "DNS:127.0.0.1" } },
	{ "no SAN", { .usage = "serverAuth", .san = "" } },
};

static int
dial_with(struct pki *p, const char *cert, const char *host, const char *spiffe)
{
	struct tls_options o = { TLS_CLIENT, echo_files(p, "client"), spiffe };
	struct tls_context *server = echo_context(p, cert, TLS_SERVER), *client = NULL;
	struct echo *e = echo_listen(server);
	char why[TLS_WHY_LEN];
	nng_socket s;
	int rv;

	assert_int_equal(tls_context_new(&o, &client, why), PDV_OK);
	if ((rv = echo_dial(client, host, echo_port(e), &s)) == 0) {
		rv = echo_ask(s, "x", 1, NULL);
		assert_int_equal(nng_close(s), 0);
	}
	tls_context_free(client);
	echo_free(e);
	tls_context_free(server);
	return rv;
}

/* A client tells nothing to a server that it cannot name. */
static void
test_bad_servers(void **state)
{
	struct pki *p = *state;
	size_t i;
	int rv;

	for (i = 0; i < ROWS(bad_servers); i++) {
		pki_issue(p, "bad", &bad_servers[i].spec);
		if ((rv = dial_with(p, "bad", "127.0.0.1", NULL)) != NNG_EPEERAUTH)
			fail_msg("%s: %s", bad_servers[i].what, nng_strerror(rv));
	}
}

/* The common name is no name; a DNS SAN is; a wildcard for one label, too. */
static void
test_server_names(void **state)
{
	static const struct pki_spec no_san = { .usage = "serverAuth", .san = "URI:spiffe://t/v" };
	static const struct pki_spec part = { .usage = "serverAuth", .san = "DNS:local*" };
	struct pki *p = *state;

	assert_int_equal(dial_with(p, "server", "localhost", NULL), 0);
	assert_int_equal(dial_with(p, "server", "127.0.0.1", NULL), 0);
	pki_issue(p, "localhost", &no_san);	/* sets the common name */
	assert_int_equal(dial_with(p, "localhost", "localhost", NULL), NNG_EPEERAUTH);
	pki_issue(p, "part", &part);
	assert_int_equal(dial_with(p, "part", "localhost", NULL), NNG_EPEERAUTH);
}

/* A configured SPIFFE id counts instead of the host, and must be the only one. */
static void
test_server_spiffe(void **state)
{
	static const struct pki_spec away = { .usage = "serverAuth",
		.san = "DNS:elsewhere,URI:spiffe://test/vault" };
	static const struct pki_spec two = { .usage = "serverAuth",
		.san = "IP:127.0.0.1,URI:spiffe://test/vault,URI:spiffe://test/other" };
	static const struct pki_spec client = { .usage = "clientAuth",
		.san = "IP:127.0.0.1,URI:spiffe://test/vault" };
	struct pki *p = *state;

	pki_issue(p, "away", &away);
	pki_issue(p, "two", &two);
	pki_issue(p, "poses", &client);
	assert_int_equal(dial_with(p, "away", "127.0.0.1", "spiffe://test/vault"), 0);
	assert_int_equal(dial_with(p, "away", "127.0.0.1", NULL), NNG_EPEERAUTH);
	assert_int_equal(dial_with(p, "away", "127.0.0.1", "spiffe://test/other"), NNG_EPEERAUTH);
	assert_int_equal(dial_with(p, "two", "127.0.0.1", "spiffe://test/vault"), NNG_EPEERAUTH);
	assert_int_equal(dial_with(p, "poses", "127.0.0.1", "spiffe://test/vault"), NNG_EPEERAUTH);
}

/* Older TLS, and no certificate at all. */
static void
test_raw_clients(void **state)
{
	struct pki *p = *state;
	struct tls_context *server = echo_context(p, "server", TLS_SERVER);
	struct echo *e = echo_listen(server);
	SSL *ssl;

	assert_null(raw_tls_connect(p, "client", echo_port(e), TLS1_2_VERSION));
	ssl = raw_tls_connect(p, NULL, echo_port(e), TLS1_3_VERSION);
	if (ssl != NULL) {	/* TLS 1.3: a client hears of it when it reads */
		assert_false(raw_tls_greet(ssl));
		raw_tls_close(ssl);
	}
	ssl = raw_tls_connect(p, "client", echo_port(e), TLS1_3_VERSION);
	assert_non_null(ssl);
	assert_true(raw_tls_greet(ssl));
	assert_true(raw_tls_ask(ssl));
	assert_int_equal(SSL_session_reused(ssl), 0);
	raw_tls_close(ssl);
	echo_free(e);
	tls_context_free(server);
}

/*
 * A client sends nothing before the server has spoken, since until then the server may
 * still refuse it.
 */
static void
test_server_first(void **state)
{
	struct pki *p = *state;
	struct tls_context *client = echo_context(p, "client", TLS_CLIENT);
	char url[64];
	nng_socket s;
	nng_dialer d;
	SSL *ssl;
	int fd, port;

	fd = raw_tls_listen(&port);
	(void)snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%d", port);
	assert_int_equal(nng_req0_open(&s), 0);
	assert_int_equal(nng_dialer_create(&d, s, url), 0);
	assert_int_equal(tls_context_dial(client, d), PDV_OK);
	assert_int_equal(nng_dialer_start(d, NNG_FLAG_NONBLOCK), 0);
	ssl = raw_tls_accept(p, "server", fd);
	assert_non_null(ssl);
	assert_true(raw_tls_quiet(ssl, 200));
	assert_true(raw_tls_greet(ssl));
	raw_tls_close(ssl);
	assert_int_equal(close(fd), 0);
	assert_int_equal(nng_close(s), 0);
	tls_context_free(client);
}

/* Files. */

static void
write_text(struct pki *p, const char *file, const char *text, unsigned mode)
{
	FILE *f = fopen(pki_path(p, file), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(pki_path(p, file), mode), 0);
}

/* A new key of type ${type}, under a password if there is a ${cipher}. */
static void
write_key(struct pki *p, const char *file, const char *type, const EVP_CIPHER *cipher)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, type, "P-256");
	const unsigned char *word = cipher != NULL ? (const unsigned char *)"x" : NULL;
	FILE *f = fopen(pki_path(p, file), "w");

	assert_non_null(f);
	assert_non_null(key);
	assert_int_equal(chmod(pki_path(p, file), 0600), 0);
	assert_int_equal(
	    PEM_write_PrivateKey(f, key, cipher, word, word != NULL ? 1 : 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
	EVP_PKEY_free(key);
}

static enum pdv_code
load(struct tls_files files, enum tls_role role, const char *spiffe)
{
	struct tls_options o = { role, files, spiffe };
	struct tls_context *c = NULL;
	char why[TLS_WHY_LEN] = "";
	enum pdv_code code = tls_context_new(&o, &c, why);

	assert_int_equal(why[0] != '\0', code != PDV_OK);
	assert_int_equal(c != NULL, code == PDV_OK);
	tls_context_free(c);
	return code;
}

/* One file of a client's good three, replaced. */
static enum pdv_code
load_with(struct pki *p, const char *kind, const char *file)
{
	struct tls_files files = echo_files(p, "client");
	const char *path = pki_path(p, file);

	if (strcmp(kind, "ca") == 0)
		files.ca = path;
	else if (strcmp(kind, "crl") == 0)
		files.crl = path;
	else if (strcmp(kind, "cert") == 0)
		files.cert = path;
	else
		files.key = path;
	return load(files, TLS_CLIENT, NULL);
}

static void
test_files(void **state)
{
	static const struct {
		const char *kind, *file;
	} bad[] = {
		{ "ca", "absent" }, { "ca", "empty" }, { "ca", "garbage" }, { "ca", "torn" },
		{ "ca", "client.pem" }, { "ca", "." }, { "crl", "absent" }, { "crl", "garbage" },
		{ "crl", "ca.pem" }, { "cert", "absent" }, { "cert", "garbage" },
		{ "cert", "client.key" }, { "key", "absent" }, { "key", "server.key" },
		{ "key", "garbage" }, { "key", "loose.key" }, { "key", "locked.key" },
		{ "key", "other.key" },
	};
	struct pki *p = *state;
	size_t i;

	assert_int_equal(engine_register(), PDV_OK);
	pki_issue(p, "loose", &(struct pki_spec){ 0 });
	assert_int_equal(chmod(pki_path(p, "loose.key"), 0640), 0);
	write_key(p, "locked.key", "EC", EVP_aes_256_cbc());
	write_key(p, "other.key", "ED25519", NULL);
	write_text(p, "empty", "", 0600);
	write_text(p, "garbage", "nothing of use\n", 0600);
	write_text(p, "torn",
	    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0600);
	for (i = 0; i < ROWS(bad); i++) {
		if (load_with(p, bad[i].kind, bad[i].file) != PDV_FAILED_PRECONDITION)
			fail_msg("%s: %s", bad[i].kind, bad[i].file);
	}
	assert_int_equal(load(echo_files(p, "loose"), TLS_CLIENT, NULL), PDV_FAILED_PRECONDITION);
	assert_int_equal(chmod(pki_path(p, "loose.key"), 0400), 0);
	assert_int_equal(load(echo_files(p, "loose"), TLS_CLIENT, NULL), PDV_OK);
}

static void
test_options(void **state)
{
	struct pki *p = *state;
	struct tls_files none = { NULL, NULL, NULL, NULL };
	struct tls_files client = echo_files(p, "client"), server = echo_files(p, "server");

	assert_int_equal(load(none, TLS_CLIENT, NULL), PDV_INVALID_ARGUMENT);
	assert_int_equal(load(client, TLS_CLIENT, "https://test/vault"), PDV_INVALID_ARGUMENT);
	assert_int_equal(load(server, TLS_SERVER, "spiffe://test/vault"), PDV_INVALID_ARGUMENT);
	assert_int_equal(load(client, TLS_CLIENT, "spiffe://test/vault"), PDV_OK);
}

/* An end checks itself by the rules of the other. */
static void
test_own_rules(void **state)
{
	struct pki *p = *state;
	size_t i;

	guard_off[GUARD_OWN_RULES] = false;
	for (i = 1; i < ROWS(bad_clients); i++) {	/* the first is only the peer's to see */
		pki_issue(p, "bad", &bad_clients[i].spec);
		if (load(echo_files(p, "bad"), TLS_CLIENT, NULL) != PDV_FAILED_PRECONDITION)
			fail_msg("%s", bad_clients[i].what);
	}
	assert_int_equal(load(echo_files(p, "client"), TLS_SERVER, NULL), PDV_FAILED_PRECONDITION);
	assert_int_equal(load(echo_files(p, "client"), TLS_CLIENT, NULL), PDV_OK);
	assert_int_equal(load(echo_files(p, "server"), TLS_SERVER, NULL), PDV_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bad_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_servers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_spiffe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_raw_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_options, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_rules, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
