#include <pthread.h>
#include <signal.h>
#include <string.h>

#include <sodium.h>

#include "client/transport/engine.h"
#include "client/transport/engine_internal.h"
#include "client/transport/guard.h"
#include "client/transport/must.h"
#include "client/transport/leftover.h"
#include "client/transport/orphan.h"
#include "client/transport/spin.h"
#include "client/transport/tls_internal.h"
#include "client/transport/wire.h"

#define NNG_SERIES "1.5."	/* the operations struct grew later under the same number */

/* Configurations: files and rules come from the context, never through nng. */

static int
config_init(struct nng_tls_engine_config *config, nng_tls_mode mode)
{
	(void)mode;
	config->context = tls_context_offered();
	return 0;
}

static void
config_fini(struct nng_tls_engine_config *config)
{
	tls_context_free(config->context);
	config->context = NULL;
}

static int
config_server(struct nng_tls_engine_config *config, const char *host)
{
	size_t len = strnlen(host, ENGINE_HOST_MAX + 1);

	if (len > ENGINE_HOST_MAX)
		return NNG_EADDRINVAL;
	memcpy(config->host, host, len + 1);
	return 0;
}

/* nng asks for its defaults when it makes a listener: they do not count here. */
static int
config_auth(struct nng_tls_engine_config *config, nng_tls_auth_mode mode)
{
	(void)config;
	(void)mode;
	return 0;
}

static int
config_ca(struct nng_tls_engine_config *config, const char *certs, const char *crl)
{
	(void)config;
	(void)certs;
	(void)crl;
	return NNG_ENOTSUP;
}

static int
config_cert(struct nng_tls_engine_config *config, const char *cert, const char *key,
    const char *pass)
{
	(void)config;
	(void)cert;
	(void)key;
	(void)pass;
	return NNG_ENOTSUP;
}

static int
config_version(struct nng_tls_engine_config *config, nng_tls_version min, nng_tls_version max)
{
	(void)config;
	return min <= NNG_TLS_1_3 && max >= NNG_TLS_1_3 ? 0 : NNG_ENOTSUP;
}

static nng_tls_engine_config_ops config_ops = {
	.size = sizeof(struct nng_tls_engine_config),
	.init = config_init,
	.fini = config_fini,
	.server = config_server,
	.auth = config_auth,
	.ca_chain = config_ca,
	.own_cert = config_cert,
	.version = config_version,
};

static const nng_tls_engine engine = {
	.version = NNG_TLS_ENGINE_V1,
	.config_ops = &config_ops,
	.conn_ops = &engine_conn_ops,
	.name = ENGINE_NAME,
	.description = "TLS 1.3 by OpenSSL 3",
	.fips_mode = false,
};

/*
 * In a program linked with libnng.a these take the place of the start and end of the
 * engine that nng would bring, and mbedTLS stays out of it.
 */
int
nng_tls_engine_init_mbed(void)
{
	return 0;
}

void
nng_tls_engine_fini_mbed(void)
{
}

static bool
is_ours(void)
{
	return strcmp(nng_tls_engine_name(), ENGINE_NAME) == 0;
}

/* nng first puts its own engine in place, over any earlier one: hence name, then ours. */
static bool
install(void)
{
	if (is_ours())
		return true;
	return wire_prepare() && nng_tls_engine_register(&engine) == 0 && is_ours();
}

enum pdv_code
engine_register(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	sigset_t all, before;
	bool ok;

	if (strncmp(nng_version(), NNG_SERIES, sizeof(NNG_SERIES) - 1) != 0 ||
	    !orphan_linked() || !leftover_linked() || !spin_linked() || sodium_init() < 0)
		return PDV_FAILED_PRECONDITION;
	/* nng's threads outlive main: OpenSSL must not clean up under them. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		return PDV_FAILED_PRECONDITION;
	(void)sigfillset(&all);
	must(pthread_mutex_lock(&lock) == 0);
	if (guard_on(GUARD_SIGNALS))
		must(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	ok = install();
	if (guard_on(GUARD_SIGNALS))
		must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	must(pthread_mutex_unlock(&lock) == 0);
	return ok ? PDV_OK : PDV_FAILED_PRECONDITION;
}

uint64_t
engine_handshakes_failed(void)
{
	return engine_conn_failed();
}
