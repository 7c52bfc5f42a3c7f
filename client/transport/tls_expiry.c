#include "client/transport/tls_expiry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

static bool
fault(char *why, const char *text)
{
	(void)snprintf(why, TLS_WHY_LEN, "%s", text);
	return false;
}

static bool
seconds(const ASN1_TIME *t, int64_t *out)
{
	struct tm tm;

	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*out = (int64_t)timegm(&tm);
	return true;
}

/* to NULL: it has no end, as a revocation list may. */
static bool
add(struct tls_expiry *e, const ASN1_TIME *from, const ASN1_TIME *to)
{
	int64_t begins, ends = INT64_MAX;

	if (!seconds(from, &begins) || (to != NULL && !seconds(to, &ends)))
		return false;
	if (e->count == 0 || begins > e->from)
		e->from = begins;
	if (e->count == 0 || ends < e->first)
		e->first = ends;
	if (e->count == 0 || ends > e->last)
		e->last = ends;
	e->count++;
	return true;
}

/* 1: one was added; 0: there is none more; -1: it does not parse. */
static int
next(BIO *bio, enum tls_expiry_kind kind, struct tls_expiry *e)
{
	X509_CRL *crl = NULL;
	X509 *x = NULL;
	unsigned long error;
	bool good;

	if (kind == TLS_EXPIRY_CERTIFICATES)
		x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	else
		crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
	if (x == NULL && crl == NULL) {
		error = ERR_peek_last_error();
		return ERR_GET_LIB(error) == ERR_LIB_PEM &&
		    ERR_GET_REASON(error) == PEM_R_NO_START_LINE ? 0 : -1;
	}
	good = x != NULL ? add(e, X509_get0_notBefore(x), X509_get0_notAfter(x)) :
	    add(e, X509_CRL_get0_lastUpdate(crl), X509_CRL_get0_nextUpdate(crl));
	X509_free(x);
	X509_CRL_free(crl);
	return good ? 1 : -1;
}

static bool
read_open(int fd, enum tls_expiry_kind kind, struct tls_expiry *out, char *why)
{
	struct tls_expiry e = { 0 };
	struct stat st;
	BIO *bio;
	int got;

	if (fstat(fd, &st) != 0)
		return fault(why, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > TLS_FILE_MAX)
		return fault(why, "not a regular file, empty, or too large");
	if ((bio = BIO_new_fd(fd, BIO_NOCLOSE)) == NULL)
		return fault(why, "no memory");
	while ((got = next(bio, kind, &e)) > 0)
		;
	BIO_free(bio);
	if (got < 0)
		return fault(why, "cannot be parsed");
	if (e.count == 0)
		return fault(why, kind == TLS_EXPIRY_CRLS ? "holds no revocation list" :
		    "holds no certificate");
	*out = e;
	return true;
}

bool
tls_expiry_read(
    const char *path, enum tls_expiry_kind kind, struct tls_expiry *out, char why[static TLS_WHY_LEN])
{
	/* O_NONBLOCK: a FIFO in its place must not stop us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	bool done;

	if (fd < 0)
		return fault(why, strerror(errno));
	ERR_clear_error();
	done = read_open(fd, kind, out, why);
	ERR_clear_error();
	(void)close(fd);
	return done;
}
