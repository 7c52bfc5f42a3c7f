#include <stdatomic.h>
#include <string.h>

#include <sodium.h>

#include "client/transport/engine_internal.h"
#include "client/transport/framing.h"
#include "client/transport/guard.h"
#include "client/transport/must.h"
#include "client/transport/registers.h"
#include "client/transport/tls_internal.h"
#include "client/transport/wire.h"

/* All zero until conn_init; nng may end one that never got there. */
struct nng_tls_engine_conn {
	struct wire wire;
	int refused;			/* what the handshake failed with, or 0 */
	bool broken;			/* no close_notify may be sent any more */
	bool silent;			/* nothing has come from the peer but its handshake */
	struct tls_context *context;
	SSL *ssl;
	struct tls_identity peer;
	struct framing out;
};

static atomic_uint_fast64_t failed;

#ifdef PDV_TEST_HOOKS
atomic_ulong engine_conn_records;

static void
count_record(int writing, int version, int type, const void *bytes, size_t len, SSL *ssl,
    void *arg)
{
	(void)version;
	(void)ssl;
	(void)arg;
	if (writing == 1 && type == SSL3_RT_INNER_CONTENT_TYPE && len == 1 &&
	    *(const uint8_t *)bytes == SSL3_RT_APPLICATION_DATA)
		(void)atomic_fetch_add(&engine_conn_records, 1);
}

static void
watch(SSL *ssl)
{
	SSL_set_msg_callback(ssl, count_record);
}
#else
#define watch(ssl) ((void)(ssl))
#endif

/*
 * The end of the stream. Never NNG_ECLOSED: nng would take it for the end of the
 * listener, and accept nobody any more.
 */
static int
shut(void)
{
	return guard_on(GUARD_SHUT) ? NNG_ECONNSHUT : NNG_ECLOSED;
}

/* Is the error on top of OpenSSL's queue about somebody's certificate? */
static bool
about_certificate(void)
{
	static const int reasons[] = { SSL_R_CERTIFICATE_VERIFY_FAILED,
		SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,
		SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED,
		SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
		SSL_R_TLSV1_ALERT_UNKNOWN_CA, SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED };
	int reason = ERR_GET_REASON(ERR_peek_error());
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reason == reasons[i])
			return true;
	}
	return false;
}

/* What nng should know after an SSL call answered ${ret}, not success. */
static int
conn_result(struct nng_tls_engine_conn *c, int ret)
{
	switch (SSL_get_error(c->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return NNG_EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return shut();
	case SSL_ERROR_SSL:
		c->broken = true;
		if (!about_certificate())
			return NNG_ECRYPTO;
		tls_context_note(c->context, true);
		return NNG_EPEERAUTH;
	default:
		break;
	}
	c->broken = true;
	return c->wire.error == 0 || c->wire.error == NNG_ECLOSED ? shut() : c->wire.error;
}

/* A client checks the host of its URL, unless it knows the server by another name. */
static bool
expect_server(struct nng_tls_engine_conn *c, char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(c->ssl);

	SSL_set_connect_state(c->ssl);
	if (c->peer.expected != NULL)
		return true;
	if (host[0] == '\0')
		return false;
	if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1)
		return true;
	ERR_clear_error();
	SSL_set_hostflags(c->ssl,
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(c->ssl, host) == 1 && SSL_set_tlsext_host_name(c->ssl, host) == 1;
}

static bool
conn_open(struct nng_tls_engine_conn *c)
{
	SSL_CTX *ctx = tls_context_current(c->context);
	BIO *bio = wire_bio(&c->wire);

	c->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (c->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		return false;
	}
	SSL_set_bio(c->ssl, bio, bio);
	watch(c->ssl);
	return SSL_set_app_data(c->ssl, &c->peer) == 1;
}

static int
conn_init(struct nng_tls_engine_conn *c, void *below, struct nng_tls_engine_config *config)
{
	bool server;

	if (config->context == NULL)
		return NNG_EPEERAUTH;	/* nobody said whom to trust */
	tls_context_hold(config->context);
	c->context = config->context;
	c->wire.below = below;
	framing_init(&c->out);
	server = tls_context_role(c->context) == TLS_SERVER;
	c->silent = !server;
	c->peer.role = server ? TLS_CLIENT : TLS_SERVER;
	c->peer.expected = tls_context_spiffe(c->context);
	ERR_clear_error();
	if (!conn_open(c))
		return NNG_ENOMEM;
	if (server)
		SSL_set_accept_state(c->ssl);
	else if (!expect_server(c, config->host))
		return NNG_EPEERAUTH;
	return 0;
}

static void
conn_fini(struct nng_tls_engine_conn *c)
{
	if (guard_on(GUARD_EMPTY_FINI) && c->context == NULL)
		return;
	must(c->context != NULL);
	SSL_free(c->ssl);
	framing_wipe(&c->out);
	tls_context_free(c->context);
	sodium_memzero(c, sizeof(*c));
	registers_wipe();
}

static void
conn_close(struct nng_tls_engine_conn *c)
{
	if (c->ssl == NULL || c->broken || !SSL_is_init_finished(c->ssl))
		return;
	ERR_clear_error();
	(void)SSL_shutdown(c->ssl);	/* as far as it goes without waiting */
	ERR_clear_error();
	registers_wipe();
}

/*
 * When the handshake fails here, an alert that says why is on its way. nng closes at once
 * when it hears of the failure, and would drop the alert if the bytes before it are just
 * being sent; so it hears of it only when it asks again, which it does after sending.
 */
static int
shake_hands(struct nng_tls_engine_conn *c)
{
	int ret, rv;

	if (c->refused != 0)
		return c->refused;
	ERR_clear_error();
	c->wire.wrote = false;
	if ((ret = SSL_do_handshake(c->ssl)) == 1) {
		if (!c->silent)		/* a client is not in yet: see hear_first() */
			tls_context_note(c->context, false);
		return 0;
	}
	if ((rv = conn_result(c, ret)) == NNG_EAGAIN)
		return rv;
	(void)atomic_fetch_add(&failed, 1);
	c->refused = rv;
	return c->wire.wrote ? NNG_EAGAIN : rv;
}

static int
conn_handshake(struct nng_tls_engine_conn *c)
{
	int rv = shake_hands(c);

	registers_wipe();
	return rv;
}

static int
conn_recv(struct nng_tls_engine_conn *c, uint8_t *bytes, size_t *len)
{
	int ret;

	ERR_clear_error();
	ret = SSL_read_ex(c->ssl, bytes, *len, len);
	registers_wipe();
	return ret == 1 ? 0 : conn_result(c, ret);
}

static int
conn_write(struct nng_tls_engine_conn *c, const uint8_t *bytes, size_t *len)
{
	int ret;

	ERR_clear_error();
	if ((ret = SSL_write_ex(c->ssl, bytes, *len, len)) == 1)
		return 0;
	return conn_result(c, ret);
}

/*
 * In TLS 1.3 a client's handshake is over before the server has looked at its
 * certificate. If the client went on to send, a server that refuses would close with
 * bytes unread, which resets the connection, and nng would drop the alert that says why. The
 * server sends its SP header first, without waiting for ours: so wait for that.
 */
static int
hear_first(struct nng_tls_engine_conn *c)
{
	uint8_t byte;
	size_t n;
	int ret;

	ERR_clear_error();
	if ((ret = SSL_peek_ex(c->ssl, &byte, sizeof(byte), &n)) != 1)
		return conn_result(c, ret);
	c->silent = false;
	tls_context_note(c->context, false);
	return 0;
}

static int
send_framed(struct nng_tls_engine_conn *c, const uint8_t *bytes, size_t *len)
{
	const uint8_t *pending;
	size_t n;
	int rv;

	/* nng sends without asking whether the handshake is done, which this then drives. */
	if (!SSL_is_init_finished(c->ssl) && (rv = shake_hands(c)) != 0)
		return rv;
	if (c->silent && (rv = hear_first(c)) != 0)
		return rv;
	if (!guard_on(GUARD_FRAMING))
		return conn_write(c, bytes, len);
	framing_offer(&c->out, bytes, *len);
	while ((n = framing_pending(&c->out, &pending)) > 0) {
		if ((rv = conn_write(c, pending, &n)) != 0)
			return rv;
		framing_wrote(&c->out, n);
	}
	*len = framing_accept(&c->out);
	return 0;
}

static int
conn_send(struct nng_tls_engine_conn *c, const uint8_t *bytes, size_t *len)
{
	int rv = send_framed(c, bytes, len);

	registers_wipe();
	return rv;
}

static bool
conn_verified(struct nng_tls_engine_conn *c)
{
	if (c->ssl == NULL || !SSL_is_init_finished(c->ssl) ||
	    SSL_get0_peer_certificate(c->ssl) == NULL ||
	    SSL_get_verify_result(c->ssl) != X509_V_OK)
		return false;
	tls_peer_offer(&c->peer, c->ssl);
	return true;
}

nng_tls_engine_conn_ops engine_conn_ops = {
	.size = sizeof(struct nng_tls_engine_conn),
	.init = conn_init,
	.fini = conn_fini,
	.close = conn_close,
	.handshake = conn_handshake,
	.recv = conn_recv,
	.send = conn_send,
	.verified = conn_verified,
};

uint64_t
engine_conn_failed(void)
{
	return atomic_load(&failed);
}
