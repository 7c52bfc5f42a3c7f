#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <sodium.h>

#include "client/transport/guard.h"
#include "client/transport/tls_files.h"

/* One load in progress. */
struct loading {
	const struct tls_files *files;
	enum tls_role role;
	SSL_CTX *ssl;
	char *why;		/* TLS_WHY_LEN */
};

/* A file's bytes. */
struct content {
	uint8_t *bytes;
	size_t len;
};

static void
content_wipe(struct content *c)
{
	if (c->bytes != NULL)
		sodium_memzero(c->bytes, c->len);
	free(c->bytes);
	c->bytes = NULL;
}

static enum pdv_code
fault(struct loading *l, const char *path, const char *text)
{
	(void)snprintf(l->why, TLS_WHY_LEN, "%s: %s", path, text);
	return PDV_FAILED_PRECONDITION;
}

/* OpenSSL's own words for what just failed; never anything of the file. */
static enum pdv_code
fault_openssl(struct loading *l, const char *path)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return fault(l, path, text != NULL ? text : "refused by OpenSSL");
}

static enum pdv_code
read_all(struct loading *l, const char *path, int fd, struct content *out)
{
	size_t got = 0;
	ssize_t n;

	while (got < out->len) {
		n = read(fd, out->bytes + got, out->len - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fault(l, path, n < 0 ? strerror(errno) : "changed while it was read");
		got += (size_t)n;
	}
	return PDV_OK;
}

/* ${out} is to be wiped by the caller whatever this returns. */
static enum pdv_code
read_open(struct loading *l, const char *path, int fd, struct content *out)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return fault(l, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fault(l, path, "not a regular file");
	if (st.st_size <= 0 || st.st_size > TLS_FILE_MAX)
		return fault(l, path, "empty, or too large");
	if (path == l->files->key && (st.st_mode & 07777 & ~0600U) != 0)
		return fault(l, path, "a private key must have mode 0600 or 0400");
	out->len = (size_t)st.st_size;
	if ((out->bytes = malloc(out->len)) == NULL) {
		(void)fault(l, path, "no memory");
		return PDV_RESOURCE_EXHAUSTED;
	}
	return read_all(l, path, fd, out);
}

/* The bytes of ${path} as a BIO over ${out}; the caller frees both. */
static enum pdv_code
read_pem(struct loading *l, const char *path, struct content *out, BIO **bio)
{
	enum pdv_code code;
	int fd;

	/* O_NONBLOCK: a FIFO in its place must not stop us. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) < 0)
		return fault(l, path, strerror(errno));
	code = read_open(l, path, fd, out);
	(void)close(fd);
	if (code != PDV_OK)
		return code;
	if ((*bio = BIO_new_mem_buf(out->bytes, (int)out->len)) == NULL) {
		(void)fault(l, path, "no memory");
		return PDV_RESOURCE_EXHAUSTED;
	}
	return PDV_OK;
}

/* OpenSSL's own would ask at the terminal. */
static int
no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

/* Did the last PEM read stop because there was nothing more? */
static bool
at_end(void)
{
	unsigned long e = ERR_peek_last_error();
	bool end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;

	if (end)
		ERR_clear_error();
	return end;
}

static enum pdv_code
each_ca(struct loading *l, BIO *bio)
{
	X509_STORE *store = SSL_CTX_get_cert_store(l->ssl);
	const char *path = l->files->ca;
	X509 *x;
	int count = 0;
	bool is_ca, added;

	while ((x = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
		is_ca = X509_check_ca(x) == 1;
		added = is_ca && X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
		if (!is_ca)
			return fault(l, path, "holds a certificate that is not a CA's");
		if (!added)
			return fault_openssl(l, path);
		count++;
	}
	if (!at_end())
		return fault_openssl(l, path);
	return count > 0 ? PDV_OK : fault(l, path, "holds no certificate");
}

static enum pdv_code
each_crl(struct loading *l, BIO *bio)
{
	X509_STORE *store = SSL_CTX_get_cert_store(l->ssl);
	const char *path = l->files->crl;
	X509_CRL *crl;
	int count = 0;
	bool added;

	while ((crl = PEM_read_bio_X509_CRL(bio, NULL, no_password, NULL)) != NULL) {
		added = X509_STORE_add_crl(store, crl) == 1;
		X509_CRL_free(crl);
		if (!added)
			return fault_openssl(l, path);
		count++;
	}
	if (!at_end())
		return fault_openssl(l, path);
	return count > 0 ? PDV_OK : fault(l, path, "holds no revocation list");
}

static enum pdv_code
each_cert(struct loading *l, BIO *bio)
{
	const char *path = l->files->cert;
	X509 *x;
	int count = 0;
	bool added;

	while ((x = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
		added = count == 0 ? SSL_CTX_use_certificate(l->ssl, x) == 1 :
				     SSL_CTX_add1_chain_cert(l->ssl, x) == 1;
		X509_free(x);
		if (!added)
			return fault_openssl(l, path);
		count++;
	}
	if (!at_end())
		return fault_openssl(l, path);
	return count > 0 ? PDV_OK : fault(l, path, "holds no certificate");
}

static enum pdv_code
the_key(struct loading *l, BIO *bio)
{
	const char *path = l->files->key;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	enum pdv_code code = PDV_OK;

	if (key == NULL)
		return fault(l, path, "holds no private key, or one that needs a password");
	if (SSL_CTX_use_PrivateKey(l->ssl, key) != 1 || SSL_CTX_check_private_key(l->ssl) != 1)
		code = fault_openssl(l, path);
	EVP_PKEY_free(key);
	return code;
}

static enum pdv_code
load_file(struct loading *l, const char *path, enum pdv_code (*each)(struct loading *, BIO *))
{
	struct content content = { NULL, 0 };
	BIO *bio = NULL;
	enum pdv_code code;

	ERR_clear_error();
	if ((code = read_pem(l, path, &content, &bio)) == PDV_OK)
		code = each(l, bio);
	BIO_free(bio);
	content_wipe(&content);
	return code;
}

/* Would the other end take our own certificate? Better said now than at each connection. */
static enum pdv_code
check_own(struct loading *l, int64_t *expiry)
{
	X509 *own = SSL_CTX_get0_certificate(l->ssl);
	struct tls_identity id = { .role = l->role };
	enum tls_fault f = tls_rules_leaf(own, &id);
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(own), &tm) != 1)
		return fault(l, l->files->cert, "malformed date");
	*expiry = (int64_t)timegm(&tm);
	if (!guard_on(GUARD_OWN_RULES))
		return PDV_OK;
	if (f != TLS_FAULT_NONE)
		return fault(l, l->files->cert, tls_rules_text(f));
	if (X509_cmp_current_time(X509_get0_notAfter(own)) <= 0)
		return fault(l, l->files->cert, "the certificate has expired");
	if (X509_cmp_current_time(X509_get0_notBefore(own)) >= 0)
		return fault(l, l->files->cert, "the certificate is not valid yet");
	return PDV_OK;
}

/* The rules of tls_context.h that do not depend on the files. */
static bool
settings(SSL_CTX *ssl, bool crl)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl);

	(void)SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_CLEANSE_PLAINTEXT);
	/*
	 * Not SSL_MODE_RELEASE_BUFFERS: with CLEANSE_PLAINTEXT it would wipe 16 KiB for each record, where
	 * what was read is wiped as it is read. The price: an open connection keeps its buffers.
	 */
	(void)SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(
	    ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, tls_rules_verify);
	SSL_CTX_set_verify_depth(ssl, TLS_DEPTH);
	SSL_CTX_set_default_passwd_cb(ssl, no_password);
	return SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
	    SSL_CTX_set_num_tickets(ssl, 0) == 1 &&
	    (!crl || X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK) == 1);
}

enum pdv_code
tls_files_load(const struct tls_files *files, enum tls_role role, struct tls_loaded *out,
    char why[static TLS_WHY_LEN])
{
	struct loading l = { files, role, NULL, why };
	enum pdv_code code;

	l.ssl = SSL_CTX_new(role == TLS_SERVER ? TLS_server_method() : TLS_client_method());
	if (l.ssl == NULL || !settings(l.ssl, files->crl != NULL)) {
		(void)snprintf(why, TLS_WHY_LEN, "TLS: no memory");
		code = PDV_RESOURCE_EXHAUSTED;
		goto out;
	}
	if ((code = load_file(&l, files->ca, each_ca)) != PDV_OK ||
	    (files->crl != NULL && (code = load_file(&l, files->crl, each_crl)) != PDV_OK) ||
	    (code = load_file(&l, files->cert, each_cert)) != PDV_OK ||
	    (code = load_file(&l, files->key, the_key)) != PDV_OK ||
	    (code = check_own(&l, &out->expiry)) != PDV_OK)
		goto out;
	out->ssl = l.ssl;
	l.ssl = NULL;
out:
	SSL_CTX_free(l.ssl);
	ERR_clear_error();
	return code;
}
