/*
 * A TLS context: one end's certificate, key, CA and revocation list, read from PEM
 * files, which can be read again while connections are open.
 *
 * Rules, for both ends: TLS 1.3, no tickets, no resumption, no early data, no
 * renegotiation, no compression. A certificate is checked by its chain to the CA file
 * (at most TLS_DEPTH issuers below the root), its dates, the CRL if one is given (of the
 * leaf; a lapsed CRL refuses everyone), and its extended key usage, which must be
 * present:
 *   - a client's has clientAuth, and neither serverAuth nor any other way to serve, so
 *     that no backend can pose as the vault, and exactly one URI SAN, its SPIFFE id;
 *   - a server's has serverAuth, and the host of the URL that was dialled as a DNS or IP
 *     SAN, or exactly one URI SAN equal to the SPIFFE id that the client was told.
 * An end checks its own files by the same rules when it reads them.
 */
#ifndef TRANSPORT_TLS_CONTEXT_H
#define TRANSPORT_TLS_CONTEXT_H

#include <stdint.h>

#include <nng/nng.h>

#include "pdvault/code.h"

#define TLS_DEPTH 4
#define TLS_WHY_LEN 256			/* with its NUL */
#define TLS_FILE_MAX (1024 * 1024)	/* bytes of one PEM file */

enum tls_role { TLS_SERVER, TLS_CLIENT };

/* Paths of PEM files. */
struct tls_files {
	const char *ca;		/* one or more CA certificates */
	const char *crl;	/* one or more CRLs, or NULL */
	const char *cert;	/* our certificate, then its intermediates */
	const char *key;	/* its private key, unencrypted, mode 0600 or 0400 */
};

struct tls_options {
	enum tls_role role;
	struct tls_files files;
	/* Client: the server's SPIFFE id, checked instead of the URL's host; or NULL. */
	const char *server_spiffe;
};

struct tls_context;

/*
 * tls_context_new(o, out, why):
 * Read the files of ${o} and make a context of them; everything is copied, ${o} may go.
 * engine_register must have succeeded. The caller frees ${out} by tls_context_free.
 *
 * On anything but PDV_OK ${why} says what is wrong, with the path, fit for a log; nothing
 * else is written. PDV_INVALID_ARGUMENT: a path or the SPIFFE id is missing or malformed.
 * PDV_FAILED_PRECONDITION: a file cannot be read, does not parse, has loose permissions,
 * or breaks a rule above. PDV_RESOURCE_EXHAUSTED: no memory. Any thread.
 */
enum pdv_code tls_context_new(const struct tls_options *o, struct tls_context **out,
    char why[static TLS_WHY_LEN]) __attribute__((warn_unused_result));

/*
 * tls_context_listen(c, l), tls_context_dial(c, d):
 * Give listener ${l} or dialer ${d}, created for a tls+tcp:// URL but not yet started,
 * the context ${c}; of a dialer, the host of its URL is the one that is checked. They
 * hold the context for as long as they need it: it may be freed right after. Any
 * number of them can share one context.
 *
 * PDV_INVALID_ARGUMENT: wrong role. PDV_FAILED_PRECONDITION: nng refused (already started,
 * not a TLS URL). PDV_RESOURCE_EXHAUSTED: no memory. Any thread.
 */
enum pdv_code tls_context_listen(struct tls_context *c, nng_listener l)
    __attribute__((warn_unused_result));
enum pdv_code tls_context_dial(struct tls_context *c, nng_dialer d)
    __attribute__((warn_unused_result));

/*
 * tls_context_reload(c, why):
 * Read the same files again. On PDV_OK handshakes that begin from now on use what was
 * read; those under way, and open connections, keep what they began with (see
 * tls_peer_valid for closing some). On any failure, with the codes and the ${why} of
 * tls_context_new, nothing changes. Any thread.
 */
enum pdv_code tls_context_reload(struct tls_context *c, char why[static TLS_WHY_LEN])
    __attribute__((warn_unused_result));

/*
 * tls_context_refused(c):
 * Did the last connection of ${c} that failed or was made fail over a certificate: one of the two ends did not
 * accept the other's? Any thread.
 */
bool tls_context_refused(struct tls_context *c);

/*
 * tls_context_expiry(c):
 * When our own certificate ends: seconds since 1970, UTC. Any thread.
 */
int64_t tls_context_expiry(struct tls_context *c);

/*
 * tls_context_free(c):
 * Give ${c} up; it ends when the last connection, listener or dialer does. NULL: nothing.
 */
void tls_context_free(struct tls_context *c);

#endif /* TRANSPORT_TLS_CONTEXT_H */
