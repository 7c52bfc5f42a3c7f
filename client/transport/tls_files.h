/*
 * From PEM files to what OpenSSL needs, with every setting that the rules in
 * tls_context.h ask for.
 */
#ifndef TRANSPORT_TLS_FILES_H
#define TRANSPORT_TLS_FILES_H

#include "client/transport/tls_internal.h"

struct tls_loaded {
	SSL_CTX *ssl;
	int64_t expiry;		/* of our own certificate */
};

/*
 * tls_files_load(files, role, out, why):
 * Read and check ${files} for an end of role ${role}. The caller frees out->ssl. Codes and
 * ${why} as in tls_context_new. Any thread.
 */
enum pdv_code tls_files_load(const struct tls_files *files, enum tls_role role,
    struct tls_loaded *out, char why[static TLS_WHY_LEN])
    __attribute__((warn_unused_result));

#endif /* TRANSPORT_TLS_FILES_H */
