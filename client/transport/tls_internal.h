/*
 * What the rooms of the TLS engine share: engine, tls_context, tls_rules, tls_peer.
 */
#ifndef TRANSPORT_TLS_INTERNAL_H
#define TRANSPORT_TLS_INTERNAL_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "client/transport/spiffe.h"
#include "client/transport/tls_context.h"

/*
 * What is wrong with a certificate that OpenSSL itself would accept: name, the error
 * that OpenSSL should make an alert of, text.
 */
#define TLS_FAULTS(X)                                                                  \
	X(TLS_FAULT_NONE, X509_V_OK, "no fault")                                       \
	X(TLS_FAULT_INVALID, X509_V_ERR_INVALID_EXTENSION, "malformed extension")      \
	X(TLS_FAULT_CA, X509_V_ERR_INVALID_PURPOSE, "is the certificate of a CA")      \
	X(TLS_FAULT_NO_USAGE, X509_V_ERR_INVALID_PURPOSE, "no extended key usage")     \
	X(TLS_FAULT_NOT_CLIENT, X509_V_ERR_INVALID_PURPOSE, "clientAuth is missing")   \
	X(TLS_FAULT_SERVES, X509_V_ERR_INVALID_PURPOSE,                                \
	    "a client's certificate may not be usable by a server")                    \
	X(TLS_FAULT_NOT_SERVER, X509_V_ERR_INVALID_PURPOSE, "serverAuth is missing")   \
	X(TLS_FAULT_NO_ID, X509_V_ERR_HOSTNAME_MISMATCH,                               \
	    "must have exactly one URI name, and that a SPIFFE id")                    \
	X(TLS_FAULT_OTHER_ID, X509_V_ERR_HOSTNAME_MISMATCH, "not the expected SPIFFE id")

#define TLS_FAULT_ENUM(name, error, text) name,
enum tls_fault { TLS_FAULTS(TLS_FAULT_ENUM) };
#undef TLS_FAULT_ENUM

/* What one connection expects of its peer, and what it learnt. */
struct tls_identity {
	enum tls_role role;		/* the peer's */
	const char *expected;		/* the SPIFFE id that it must have, or NULL */
	char spiffe[SPIFFE_MAX + 1];	/* set when its certificate was accepted */
};

/*
 * tls_rules_leaf(leaf, id):
 * Check ${leaf} by the rules of tls_context.h, its signatures and dates apart, and on
 * TLS_FAULT_NONE set id->spiffe, "" if it has none and needs none. Any thread.
 */
enum tls_fault tls_rules_leaf(X509 *leaf, struct tls_identity *id);

/* tls_rules_text(f): the text of a fault, static. */
const char *tls_rules_text(enum tls_fault f);

/*
 * tls_rules_verify(ok, store):
 * OpenSSL's verify callback for a connection whose SSL carries its struct tls_identity as
 * application data.
 */
int tls_rules_verify(int ok, X509_STORE_CTX *store);

/* tls_context_hold(c): one more holder; each ends with tls_context_free. */
void tls_context_hold(struct tls_context *c);

/*
 * tls_context_offered():
 * The context that this thread is just now making an nng configuration for, held for
 * the caller, or NULL.
 */
struct tls_context *tls_context_offered(void);

/* tls_context_role(c), tls_context_spiffe(c): as in its tls_options. */
enum tls_role tls_context_role(const struct tls_context *c);
const char *tls_context_spiffe(const struct tls_context *c);

/* tls_context_current(c): the SSL_CTX of now; the caller frees it. Never NULL. */
SSL_CTX *tls_context_current(struct tls_context *c);

/*
 * tls_peer_offer(id, ssl):
 * If this thread is in tls_peer_of, copy to it what ${id} and ${ssl}, an accepted
 * connection, know about the peer.
 */
void tls_peer_offer(const struct tls_identity *id, SSL *ssl);

/* For tls_context_refused(): what became of a connection. */
void tls_context_note(struct tls_context *c, bool refused);

#endif /* TRANSPORT_TLS_INTERNAL_H */
