/*
 * When the certificates or revocation lists of a PEM file end. They are only read: no chain, no rule and no
 * private key is looked at, so it also tells of a file that a TLS context refuses.
 */
#ifndef TRANSPORT_TLS_EXPIRY_H
#define TRANSPORT_TLS_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

#include "client/transport/tls_context.h"

enum tls_expiry_kind { TLS_EXPIRY_CERTIFICATES, TLS_EXPIRY_CRLS };

/* Seconds since 1970, UTC. */
struct tls_expiry {
	int64_t from;		/* the latest beginning of them all */
	int64_t first, last;	/* the earliest end, and the latest; INT64_MAX: none */
	unsigned count;
};

/*
 * tls_expiry_read(path, kind, out, why):
 * All of that kind in the regular file ${path} of at most TLS_FILE_MAX bytes. False: it cannot be read,
 * does not parse or holds none; ${why} says which, without the path. Any thread.
 */
bool tls_expiry_read(const char *path, enum tls_expiry_kind kind, struct tls_expiry *out,
    char why[static TLS_WHY_LEN]) __attribute__((warn_unused_result));

#endif /* TRANSPORT_TLS_EXPIRY_H */
