/*
 * A throw-away certificate authority for tests, made with OpenSSL in a temporary folder of
 * its own: no program is run. Any failure here fails the test by abort.
 */
#ifndef TESTS_PKI_H
#define TESTS_PKI_H

#include <stdbool.h>

struct pki;

/* One certificate. Fields left out take the default of a client's certificate. */
struct pki_spec {
	const char *usage;	/* extended key usage, as "clientAuth"; "" for none */
	const char *san;	/* as "URI:spiffe://test/backend,IP:127.0.0.1"; "" for none */
	long from, to;		/* seconds from now; 0, 0 is an hour ago to an hour ahead */
	bool foreign;		/* signed by another CA */
};

/*
 * pki_new():
 * A folder with ca.pem (its certificate), foreign.pem (another CA's), and two certificates:
 *   server: serverAuth, DNS:localhost, IP:127.0.0.1, URI:spiffe://test/vault
 *   client: clientAuth, URI:spiffe://test/backend
 * each as NAME.pem and, with mode 0600, NAME.key. The caller frees it by pki_free.
 */
struct pki *pki_new(void);

/* pki_issue(p, name, spec): one more, or that name again with a new key and serial. */
void pki_issue(struct pki *p, const char *name, const struct pki_spec *spec);

/*
 * pki_crl(p, name, until):
 * Write crl.pem, good for ${until} seconds from now, with the certificate ${name} revoked,
 * or none if it is NULL.
 */
void pki_crl(struct pki *p, const char *name, long until);

/*
 * pki_path(p, file):
 * The absolute path of ${file} in the folder. Good until this thread's eighth call after.
 */
const char *pki_path(struct pki *p, const char *file);

/* pki_free(p): remove the folder and all in it. NULL: nothing. */
void pki_free(struct pki *p);

#endif /* TESTS_PKI_H */
