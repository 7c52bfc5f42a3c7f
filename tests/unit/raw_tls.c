#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <sodium.h>

#include "raw_tls.h"

#define SECONDS 5

#define need(cond) \
	((cond) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond), abort()))

static void
bound_time(int fd)
{
	struct timeval limit = { .tv_sec = SECONDS };

	need(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
	need(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0);
}

static int
dial(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need((fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
	bound_time(fd);
	need(connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0);
	return fd;
}

static SSL_CTX *
settings(struct pki *p, const char *cert, int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	char file[64];

	need(ctx != NULL && SSL_CTX_set_max_proto_version(ctx, version) == 1);
	(void)signal(SIGPIPE, SIG_IGN);	/* the other end may be gone when we say good-bye */
	if (cert == NULL)
		return ctx;
	need(snprintf(file, sizeof(file), "%s.pem", cert) < (int)sizeof(file));
	need(SSL_CTX_use_certificate_chain_file(ctx, pki_path(p, file)) == 1);
	need(snprintf(file, sizeof(file), "%s.key", cert) < (int)sizeof(file));
	need(SSL_CTX_use_PrivateKey_file(ctx, pki_path(p, file), SSL_FILETYPE_PEM) == 1);
	return ctx;
}

/* ${ssl} if its handshake went well, else NULL, with all of it closed. */
static SSL *
shaken(SSL *ssl)
{
	if (SSL_do_handshake(ssl) == 1)
		return ssl;
	(void)close(SSL_get_fd(ssl));
	SSL_free(ssl);
	ERR_clear_error();
	return NULL;
}

SSL *
raw_tls_connect(struct pki *p, const char *cert, int port, int version)
{
	SSL_CTX *ctx = settings(p, cert, version);
	SSL *ssl = SSL_new(ctx);

	SSL_CTX_free(ctx);
	need(ssl != NULL && SSL_set_fd(ssl, dial(port)) == 1);
	SSL_set_connect_state(ssl);
	return shaken(ssl);
}

int
raw_tls_listen(int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need((fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
	need(bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 1) == 0);
	need(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static int
any_certificate(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	return 1;
}

SSL *
raw_tls_accept(struct pki *p, const char *cert, int fd)
{
	SSL_CTX *ctx = settings(p, cert, TLS1_3_VERSION);
	SSL *ssl = SSL_new(ctx);
	int s;

	SSL_CTX_free(ctx);
	need((s = accept(fd, NULL, NULL)) >= 0);
	bound_time(s);
	need(ssl != NULL && SSL_set_fd(ssl, s) == 1);
	SSL_set_verify(ssl, SSL_VERIFY_PEER, any_certificate);
	SSL_set_num_tickets(ssl, 0);
	SSL_set_accept_state(ssl);
	return shaken(ssl);
}

bool
raw_tls_quiet(SSL *ssl, int ms)
{
	struct pollfd p = { .fd = SSL_get_fd(ssl), .events = POLLIN };

	return SSL_has_pending(ssl) == 0 && poll(&p, 1, ms) == 0;
}

bool
raw_tls_greet(SSL *ssl)
{
	unsigned char ours[8] = { 0, 'S', 'P', 0, 0, 0x30, 0, 0 };
	unsigned char theirs[8];

	if (SSL_is_server(ssl))
		ours[5] = 0x31;
	return SSL_write(ssl, ours, sizeof(ours)) == sizeof(ours) &&
	    SSL_read(ssl, theirs, sizeof(theirs)) == sizeof(theirs) &&
	    memcmp(theirs, ours, 4) == 0;
}

bool
raw_tls_ask(SSL *ssl)
{
	static const unsigned char request[] = { 0, 0, 0, 0, 0, 0, 0, 5, 0x80, 0, 0, 1, 'x' };
	unsigned char answer[256];

	return SSL_write(ssl, request, sizeof(request)) == sizeof(request) &&
	    SSL_read(ssl, answer, sizeof(answer)) >= (int)sizeof(request) &&
	    memcmp(answer + 8, request + 8, 5) == 0;
}

bool
raw_tls_pour(SSL *ssl, unsigned char count)
{
	unsigned char request[12 + 256] = { 0, 0, 0, 0, 0, 0, 1, 4, 0x80 };
	unsigned char i;

	for (i = 0; i < count; i++) {
		request[11] = i;
		if (SSL_write(ssl, request, sizeof(request)) != sizeof(request))
			return false;
	}
	return true;
}

bool
raw_tls_ended(SSL *ssl)
{
	unsigned char byte[256];
	int n;

	do {
		errno = 0;
		n = SSL_read(ssl, byte, sizeof(byte));
	} while (n > 0);
	return errno != EAGAIN && errno != EWOULDBLOCK;
}

void
raw_tls_serial(SSL *ssl, char text[static 64])
{
	const ASN1_INTEGER *n = X509_get0_serialNumber(SSL_get0_peer_certificate(ssl));

	need(sodium_bin2hex(text, 64, ASN1_STRING_get0_data(n), (size_t)ASN1_STRING_length(n)) !=
	    NULL);
}

void
raw_tls_close(SSL *ssl)
{
	if (ssl == NULL)
		return;
	(void)SSL_shutdown(ssl);
	(void)close(SSL_get_fd(ssl));
	SSL_free(ssl);
	ERR_clear_error();
}
