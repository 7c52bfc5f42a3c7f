#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>

#include <nng/supplemental/tls/tls.h>

#include "client/transport/guard.h"
#include "client/transport/must.h"
#include "client/transport/registers.h"
#include "client/transport/tls_files.h"
#include "client/transport/tls_internal.h"

/*
 * I1: refs > 0; ssl is never NULL once tls_context_new has returned.
 * I2: role and the strings never change; lock protects refs, ssl and expiry.
 */
struct tls_context {
	pthread_mutex_t lock;
	unsigned refs;
	SSL_CTX *ssl;
	int64_t expiry;
	enum tls_role role;
	char *ca, *crl, *cert, *key, *spiffe;
	atomic_bool refused;
};

/* What tls_context_offered answers on this thread. */
static _Thread_local struct tls_context *offered;

static void
wipe_out(struct tls_context *c)
{
	SSL_CTX_free(c->ssl);
	free(c->ca);
	free(c->crl);
	free(c->cert);
	free(c->key);
	free(c->spiffe);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

void
tls_context_hold(struct tls_context *c)
{
	must(pthread_mutex_lock(&c->lock) == 0);
	must(c->refs > 0);
	c->refs++;
	must(pthread_mutex_unlock(&c->lock) == 0);
}

void
tls_context_free(struct tls_context *c)
{
	unsigned left;

	if (c == NULL)
		return;
	must(pthread_mutex_lock(&c->lock) == 0);
	left = --c->refs;
	must(pthread_mutex_unlock(&c->lock) == 0);
	if (left == 0)
		wipe_out(c);
}

/* A copy of ${s}, which may be NULL. */
static bool
copy(char **to, const char *s)
{
	*to = s == NULL ? NULL : strdup(s);
	return s == NULL || *to != NULL;
}

static struct tls_context *
alloc(const struct tls_options *o)
{
	struct tls_context *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	if (pthread_mutex_init(&c->lock, NULL) != 0) {
		free(c);
		return NULL;
	}
	c->refs = 1;
	c->role = o->role;
	if (copy(&c->ca, o->files.ca) && copy(&c->crl, o->files.crl) &&
	    copy(&c->cert, o->files.cert) && copy(&c->key, o->files.key) &&
	    copy(&c->spiffe, o->server_spiffe))
		return c;
	wipe_out(c);
	return NULL;
}

static bool
options_ok(const struct tls_options *o, char why[static TLS_WHY_LEN])
{
	const char *id = o->server_spiffe;
	const char *text = NULL;

	if (o->files.ca == NULL || o->files.cert == NULL || o->files.key == NULL)
		text = "the paths of CA, certificate and key are needed";
	else if (id != NULL && (o->role != TLS_CLIENT || !spiffe_ok(id, strlen(id))))
		text = "the server's SPIFFE id is malformed";
	if (text != NULL)
		(void)snprintf(why, TLS_WHY_LEN, "TLS: %s", text);
	return text == NULL;
}

static enum pdv_code
load(const struct tls_context *c, struct tls_loaded *out, char why[static TLS_WHY_LEN])
{
	struct tls_files files = { c->ca, c->crl, c->cert, c->key };
	enum pdv_code code = tls_files_load(&files, c->role, out, why);

	registers_wipe();	/* of the private key */
	return code;
}

enum pdv_code
tls_context_new(const struct tls_options *o, struct tls_context **out,
    char why[static TLS_WHY_LEN])
{
	struct tls_context *c = NULL;
	struct tls_loaded loaded;
	enum pdv_code code;

	if (!options_ok(o, why))
		return PDV_INVALID_ARGUMENT;
	if ((c = alloc(o)) == NULL) {
		(void)snprintf(why, TLS_WHY_LEN, "TLS: no memory");
		return PDV_RESOURCE_EXHAUSTED;
	}
	if ((code = load(c, &loaded, why)) != PDV_OK)
		goto out;
	c->ssl = loaded.ssl;
	c->expiry = loaded.expiry;
	*out = c;
	c = NULL;
out:
	tls_context_free(c);
	return code;
}

enum pdv_code
tls_context_reload(struct tls_context *c, char why[static TLS_WHY_LEN])
{
	struct tls_loaded loaded;
	enum pdv_code code;
	SSL_CTX *old;

	if ((code = load(c, &loaded, why)) != PDV_OK)
		return code;
	must(pthread_mutex_lock(&c->lock) == 0);
	old = c->ssl;
	c->expiry = loaded.expiry;
	if (guard_on(GUARD_SWAP))
		c->ssl = loaded.ssl;
	else
		old = loaded.ssl;
	must(pthread_mutex_unlock(&c->lock) == 0);
	SSL_CTX_free(old);	/* Connections that began with it hold it themselves. */
	return PDV_OK;
}

void
tls_context_note(struct tls_context *c, bool refused)
{
	atomic_store(&c->refused, refused);
}

bool
tls_context_refused(struct tls_context *c)
{
	return atomic_load(&c->refused);
}

int64_t
tls_context_expiry(struct tls_context *c)
{
	int64_t expiry;

	must(pthread_mutex_lock(&c->lock) == 0);
	expiry = c->expiry;
	must(pthread_mutex_unlock(&c->lock) == 0);
	return expiry;
}

SSL_CTX *
tls_context_current(struct tls_context *c)
{
	SSL_CTX *ssl;

	must(pthread_mutex_lock(&c->lock) == 0);
	ssl = c->ssl;
	must(SSL_CTX_up_ref(ssl) == 1);
	must(pthread_mutex_unlock(&c->lock) == 0);
	return ssl;
}

enum tls_role
tls_context_role(const struct tls_context *c)
{
	return c->role;
}

const char *
tls_context_spiffe(const struct tls_context *c)
{
	return c->spiffe;
}

struct tls_context *
tls_context_offered(void)
{
	if (offered != NULL)
		tls_context_hold(offered);
	return offered;
}

static enum pdv_code
code_of(int rv)
{
	if (rv == 0)
		return PDV_OK;
	return rv == NNG_ENOMEM ? PDV_RESOURCE_EXHAUSTED : PDV_FAILED_PRECONDITION;
}

/* An nng configuration on which the engine works with ${c}. */
static int
config_new(struct tls_context *c, nng_tls_config **out)
{
	int rv;

	must(offered == NULL);
	offered = c;
	rv = nng_tls_config_alloc(
	    out, c->role == TLS_SERVER ? NNG_TLS_MODE_SERVER : NNG_TLS_MODE_CLIENT);
	offered = NULL;
	return rv;
}

enum pdv_code
tls_context_listen(struct tls_context *c, nng_listener l)
{
	nng_tls_config *config = NULL;
	int rv;

	if (c->role != TLS_SERVER)
		return PDV_INVALID_ARGUMENT;
	if ((rv = config_new(c, &config)) != 0)
		return code_of(rv);
	rv = nng_listener_set_ptr(l, NNG_OPT_TLS_CONFIG, config);
	nng_tls_config_free(config);
	return code_of(rv);
}

enum pdv_code
tls_context_dial(struct tls_context *c, nng_dialer d)
{
	nng_tls_config *config = NULL;
	char *text = NULL;
	nng_url *url = NULL;
	int rv;

	if (c->role != TLS_CLIENT)
		return PDV_INVALID_ARGUMENT;
	if ((rv = nng_dialer_get_string(d, NNG_OPT_URL, &text)) != 0 ||
	    (rv = nng_url_parse(&url, text)) != 0 || (rv = config_new(c, &config)) != 0)
		goto out;
	if ((rv = nng_tls_config_server_name(config, url->u_hostname)) == 0)
		rv = nng_dialer_set_ptr(d, NNG_OPT_TLS_CONFIG, config);
out:
	if (config != NULL)
		nng_tls_config_free(config);
	nng_url_free(url);
	nng_strfree(text);
	return code_of(rv);
}
