#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "pki.h"

#define PATHS 8
#define HOUR 3600L

#define need(cond) \
	((cond) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond), abort()))

struct authority {
	EVP_PKEY *key;
	X509 *cert;
};

struct pki {
	char *dir;
	struct authority own, foreign;
};

const char *
pki_path(struct pki *p, const char *file)
{
	static _Thread_local char paths[PATHS][PATH_MAX];
	static _Thread_local unsigned next;
	char *path = paths[next++ % PATHS];
	int n = snprintf(path, PATH_MAX, "%s/%s", p->dir, file);

	need(n > 0 && n < PATH_MAX);
	return path;
}

static FILE *
create(struct pki *p, const char *name, const char *suffix, mode_t mode)
{
	char file[64];
	FILE *f;

	need(snprintf(file, sizeof(file), "%s.%s", name, suffix) < (int)sizeof(file));
	need((f = fopen(pki_path(p, file), "w")) != NULL);
	need(fchmod(fileno(f), mode) == 0);
	return f;
}

static void
write_cert(struct pki *p, const char *name, X509 *cert)
{
	FILE *f = create(p, name, "pem", 0644);

	need(PEM_write_X509(f, cert) == 1);
	need(fclose(f) == 0);
}

static void
write_key(struct pki *p, const char *name, EVP_PKEY *key)
{
	FILE *f = create(p, name, "key", 0600);

	need(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
	need(fclose(f) == 0);
}

static void
extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX ctx;

	if (value[0] == '\0')
		return;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	need((e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value)) != NULL);
	need(X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static void
name(X509 *cert, const char *common)
{
	need(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
	    (const unsigned char *)common, -1, -1, 0) == 1);
}

/* All but extensions, issuer and signature. */
static X509 *
blank(const char *common, EVP_PKEY *key, long from, long to)
{
	unsigned char serial[8];
	BIGNUM *number;
	X509 *cert;

	need((cert = X509_new()) != NULL);
	need(RAND_bytes(serial, sizeof(serial)) == 1);
	serial[0] &= 0x7f;
	need((number = BN_bin2bn(serial, sizeof(serial), NULL)) != NULL);
	need(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL);
	BN_free(number);
	need(X509_set_version(cert, X509_VERSION_3) == 1);
	need(X509_gmtime_adj(X509_getm_notBefore(cert), from) != NULL);
	need(X509_gmtime_adj(X509_getm_notAfter(cert), to) != NULL);
	name(cert, common);
	need(X509_set_pubkey(cert, key) == 1);
	return cert;
}

static struct authority
authority(const char *common)
{
	struct authority a;

	need((a.key = EVP_EC_gen("P-256")) != NULL);
	a.cert = blank(common, a.key, -HOUR, HOUR);
	need(X509_set_issuer_name(a.cert, X509_get_subject_name(a.cert)) == 1);
	extend(a.cert, a.cert, NID_basic_constraints, "critical,CA:TRUE");
	extend(a.cert, a.cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	extend(a.cert, a.cert, NID_subject_key_identifier, "hash");
	need(X509_sign(a.cert, a.key, EVP_sha256()) > 0);
	return a;
}

void
pki_issue(struct pki *p, const char *file, const struct pki_spec *spec)
{
	const struct authority *a = spec->foreign ? &p->foreign : &p->own;
	bool dated = spec->from != 0 || spec->to != 0;
	EVP_PKEY *key;
	X509 *cert;

	need((key = EVP_EC_gen("P-256")) != NULL);
	cert = blank(file, key, dated ? spec->from : -HOUR, dated ? spec->to : HOUR);
	need(X509_set_issuer_name(cert, X509_get_subject_name(a->cert)) == 1);
	extend(cert, a->cert, NID_basic_constraints, "critical,CA:FALSE");
	extend(cert, a->cert, NID_key_usage, "critical,digitalSignature");
	extend(cert, a->cert, NID_authority_key_identifier, "keyid");
	extend(cert, a->cert, NID_ext_key_usage, spec->usage != NULL ? spec->usage : "clientAuth");
	extend(cert, a->cert, NID_subject_alt_name,
	    spec->san != NULL ? spec->san : "URI:spiffe://test/backend");
	need(X509_sign(cert, a->key, EVP_sha256()) > 0);
	write_cert(p, file, cert);
	write_key(p, file, key);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* The entry that revokes the certificate in NAME.pem. */
static X509_REVOKED *
revocation(struct pki *p, const char *file)
{
	char path[64];
	X509_REVOKED *r;
	X509 *cert;
	FILE *f;

	need(snprintf(path, sizeof(path), "%s.pem", file) < (int)sizeof(path));
	need((f = fopen(pki_path(p, path), "r")) != NULL);
	need((cert = PEM_read_X509(f, NULL, NULL, NULL)) != NULL);
	need(fclose(f) == 0);
	need((r = X509_REVOKED_new()) != NULL);
	need(X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(cert)) == 1);
	need(X509_REVOKED_set_revocationDate(r, X509_get_notBefore(cert)) == 1);
	X509_free(cert);
	return r;
}

void
pki_crl(struct pki *p, const char *file, long until)
{
	ASN1_TIME *last, *next;
	X509_CRL *crl;
	FILE *f;

	need((last = X509_gmtime_adj(NULL, until < 0 ? until - HOUR : -60)) != NULL);
	need((next = X509_gmtime_adj(NULL, until)) != NULL);
	need((crl = X509_CRL_new()) != NULL);
	need(X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1);
	need(X509_CRL_set_issuer_name(crl, X509_get_subject_name(p->own.cert)) == 1);
	need(X509_CRL_set1_lastUpdate(crl, last) == 1);
	need(X509_CRL_set1_nextUpdate(crl, next) == 1);
	if (file != NULL)
		need(X509_CRL_add0_revoked(crl, revocation(p, file)) == 1);
	need(X509_CRL_sign(crl, p->own.key, EVP_sha256()) > 0);
	f = create(p, "crl", "pem", 0644);
	need(PEM_write_X509_CRL(f, crl) == 1);
	need(fclose(f) == 0);
	X509_CRL_free(crl);
	ASN1_TIME_free(last);
	ASN1_TIME_free(next);
}

struct pki *
pki_new(void)
{
	static const struct pki_spec client = { .usage = "clientAuth" };
	static const struct pki_spec server = { .usage = "serverAuth",
		.san = "DNS:localhost,IP:127.0.0.1,URI:spiffe://test/vault" };
	const char *tmp = getenv("TMPDIR");
	struct pki *p;

	/* As in engine_register, which comes later here: nng's threads outlive main. */
	need(OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL) == 1);
	need((p = calloc(1, sizeof(*p))) != NULL);
	need(asprintf(&p->dir, "%s/pki.XXXXXX", tmp != NULL ? tmp : "/tmp") > 0);
	need(mkdtemp(p->dir) != NULL);
	p->own = authority("test CA");
	p->foreign = authority("foreign CA");
	write_cert(p, "ca", p->own.cert);
	write_cert(p, "foreign", p->foreign.cert);
	pki_issue(p, "server", &server);
	pki_issue(p, "client", &client);
	return p;
}

void
pki_free(struct pki *p)
{
	struct dirent *e;
	DIR *d;

	if (p == NULL)
		return;
	if ((d = opendir(p->dir)) != NULL) {
		while ((e = readdir(d)) != NULL) {
			if (e->d_name[0] != '.')
				(void)unlink(pki_path(p, e->d_name));
		}
		(void)closedir(d);
	}
	(void)rmdir(p->dir);
	X509_free(p->own.cert);
	X509_free(p->foreign.cert);
	EVP_PKEY_free(p->own.key);
	EVP_PKEY_free(p->foreign.key);
	free(p->dir);
	free(p);
}
