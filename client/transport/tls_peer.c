#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>

#include <nng/supplemental/tls/tls.h>

#include "client/transport/must.h"
#include "client/transport/tls_internal.h"
#include "client/transport/tls_peer.h"

/* Immutable once tls_peer_of has given it out. */
struct tls_peer {
	enum tls_role role;
	char spiffe[SPIFFE_MAX + 1];
	X509 *leaf;
	STACK_OF(X509) *chain;		/* what it sent along; or NULL */
};

/*
 * nng asks the engine whether a connection is verified on the thread that asked nng, so
 * the answer can be left here for it.
 */
static _Thread_local struct tls_peer *asking;

void
tls_peer_offer(const struct tls_identity *id, SSL *ssl)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);

	if (asking == NULL || asking->leaf != NULL)
		return;
	asking->role = id->role;
	memcpy(asking->spiffe, id->spiffe, sizeof(id->spiffe));
	if (chain != NULL && (asking->chain = X509_chain_up_ref(chain)) == NULL)
		return;
	asking->leaf = SSL_get1_peer_certificate(ssl);
}

enum pdv_code
tls_peer_of(nng_pipe pipe, struct tls_peer **out)
{
	struct tls_peer *p = NULL;
	bool verified = false;
	enum pdv_code code = PDV_OK;
	int rv;

	if ((p = calloc(1, sizeof(*p))) == NULL)
		return PDV_RESOURCE_EXHAUSTED;
	must(asking == NULL);
	asking = p;
	rv = nng_pipe_get_bool(pipe, NNG_OPT_TLS_VERIFIED, &verified);
	asking = NULL;
	if (rv != 0 || !verified) {
		code = PDV_UNAUTHENTICATED;
		goto out;
	}
	if (p->leaf == NULL) {
		code = PDV_RESOURCE_EXHAUSTED;
		goto out;
	}
	*out = p;
	p = NULL;
out:
	tls_peer_free(p);
	return code;
}

const char *
tls_peer_spiffe(const struct tls_peer *p)
{
	return p->spiffe;
}

/* As ssl_verify_cert_chain does in a handshake. */
static bool
verify_chain(const struct tls_peer *p, SSL_CTX *ssl)
{
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	bool ok = false;

	if (store == NULL ||
	    !X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(ssl), p->leaf, p->chain) ||
	    !X509_STORE_CTX_set_default(store,
		p->role == TLS_CLIENT ? "ssl_client" : "ssl_server") ||
	    !X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(store), SSL_CTX_get0_param(ssl)))
		goto out;
	X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(store),
	    SSL_CTX_get_security_level(ssl));
	ok = X509_verify_cert(store) == 1;
out:
	X509_STORE_CTX_free(store);
	return ok;
}

bool
tls_peer_valid(const struct tls_peer *p, struct tls_context *c)
{
	SSL_CTX *ssl = tls_context_current(c);
	struct tls_identity id = { .role = p->role, .expected = tls_context_spiffe(c) };
	bool ok;

	ok = p->role != tls_context_role(c) && verify_chain(p, ssl) &&
	    tls_rules_leaf(p->leaf, &id) == TLS_FAULT_NONE;
	SSL_CTX_free(ssl);
	ERR_clear_error();
	return ok;
}

void
tls_peer_free(struct tls_peer *p)
{
	if (p == NULL)
		return;
	X509_free(p->leaf);
	sk_X509_pop_free(p->chain, X509_free);
	free(p);
}
