#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>

#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>

#include "client/transport/engine.h"
#include "client/transport/sp.h"
#include "client/transport/tls_peer.h"
#include "echo.h"

#define SLOTS 64	/* contexts, and connections that are known */
#define REPLY_MS 2000
#define ENDED_TRIES 500
#define ENDED_MS 20

#define need(cond) \
	((cond) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond), abort()))

struct slot {
	struct echo *echo;
	nng_ctx ctx;
	nng_aio *aio;
	bool sending;
};

struct echo {
	nng_socket s;
	int port;
	atomic_bool reject, cut;
	atomic_ulong requests, ended;
	struct slot slots[SLOTS];
	pthread_mutex_t lock;	/* of the two below */
	nng_pipe pipes[SLOTS];	/* id 0: free */
	struct tls_peer *peers[SLOTS];
};

struct tls_files
echo_files(struct pki *p, const char *cert)
{
	char file[64];
	struct tls_files files = { .ca = pki_path(p, "ca.pem") };

	need(snprintf(file, sizeof(file), "%s.pem", cert) < (int)sizeof(file));
	files.cert = pki_path(p, file);
	need(snprintf(file, sizeof(file), "%s.key", cert) < (int)sizeof(file));
	files.key = pki_path(p, file);
	return files;
}

struct tls_context *
echo_context(struct pki *p, const char *cert, enum tls_role role)
{
	struct tls_options o = { .role = role, .files = echo_files(p, cert) };
	struct tls_context *c = NULL;
	char why[TLS_WHY_LEN] = "";

	need(engine_register() == PDV_OK);
	if (tls_context_new(&o, &c, why) != PDV_OK) {
		(void)fprintf(stderr, "%s\n", why);
		abort();
	}
	return c;
}

static int
find(struct echo *e, uint32_t id)
{
	int i;

	for (i = 0; i < SLOTS; i++) {
		if (e->pipes[i].id == id)
			return i;
	}
	return -1;
}

static void
on_pipe(nng_pipe pipe, nng_pipe_ev ev, void *arg)
{
	struct echo *e = arg;
	struct tls_peer *peer = NULL;
	int i;

	need(pthread_mutex_lock(&e->lock) == 0);
	if (ev == NNG_PIPE_EV_ADD_PRE) {
		i = find(e, 0);
		if (i < 0 || atomic_load(&e->reject) || tls_peer_of(pipe, &peer) != PDV_OK) {
			(void)nng_pipe_close(pipe);
		} else {
			e->pipes[i] = pipe;
			e->peers[i] = peer;
		}
	} else if ((i = find(e, pipe.id)) >= 0) {
		e->pipes[i].id = 0;
		tls_peer_free(e->peers[i]);
		e->peers[i] = NULL;
		(void)atomic_fetch_add(&e->ended, 1);
	}
	need(pthread_mutex_unlock(&e->lock) == 0);
}

static void
append_id(struct echo *e, nng_msg *msg)
{
	const char *id = "";
	int i;

	need(pthread_mutex_lock(&e->lock) == 0);
	if ((i = find(e, nng_msg_get_pipe(msg).id)) >= 0)
		id = tls_peer_spiffe(e->peers[i]);
	need(nng_msg_append(msg, id, strlen(id)) == 0);
	need(pthread_mutex_unlock(&e->lock) == 0);
}

static void
receive(struct slot *slot)
{
	slot->sending = false;
	nng_aio_set_timeout(slot->aio, NNG_DURATION_INFINITE);
	nng_ctx_recv(slot->ctx, slot->aio);
}

static void
answer(struct slot *slot, nng_msg *msg)
{
	(void)atomic_fetch_add(&slot->echo->requests, 1);
	if (atomic_load(&slot->echo->cut)) {
		(void)nng_pipe_close(nng_msg_get_pipe(msg));
		nng_msg_free(msg);
		receive(slot);
		return;
	}
	append_id(slot->echo, msg);
	slot->sending = true;
	nng_aio_set_msg(slot->aio, msg);
	nng_aio_set_timeout(slot->aio, REPLY_MS);
	nng_ctx_send(slot->ctx, slot->aio);
}

static void
on_slot(void *arg)
{
	struct slot *slot = arg;
	int rv = nng_aio_result(slot->aio);

	if (rv == NNG_ECLOSED)
		return;
	if (slot->sending) {
		if (rv != 0)
			nng_msg_free(nng_aio_get_msg(slot->aio));
		receive(slot);
	} else if (rv != 0) {
		receive(slot);
	} else {
		answer(slot, nng_aio_get_msg(slot->aio));
	}
}

struct echo *
echo_listen(struct tls_context *c)
{
	struct echo *e = calloc(1, sizeof(*e));
	nng_listener l;
	int i;

	need(e != NULL && engine_register() == PDV_OK);
	need(pthread_mutex_init(&e->lock, NULL) == 0);
	need(nng_rep0_open(&e->s) == 0 && sp_settle(e->s, SP_SERVER) == PDV_OK);
	need(nng_pipe_notify(e->s, NNG_PIPE_EV_ADD_PRE, on_pipe, e) == 0);
	need(nng_pipe_notify(e->s, NNG_PIPE_EV_REM_POST, on_pipe, e) == 0);
	need(nng_listener_create(&l, e->s, "tls+tcp://127.0.0.1:0") == 0);
	need(tls_context_listen(c, l) == PDV_OK);
	need(nng_listener_start(l, 0) == 0);
	need(nng_listener_get_int(l, NNG_OPT_TCP_BOUND_PORT, &e->port) == 0);
	for (i = 0; i < SLOTS; i++) {
		e->slots[i].echo = e;
		need(nng_ctx_open(&e->slots[i].ctx, e->s) == 0);
		need(nng_aio_alloc(&e->slots[i].aio, on_slot, &e->slots[i]) == 0);
		receive(&e->slots[i]);
	}
	return e;
}

int
echo_port(const struct echo *e)
{
	return e->port;
}

void
echo_reject(struct echo *e, bool reject)
{
	atomic_store(&e->reject, reject);
}

void
echo_cut(struct echo *e, bool cut)
{
	atomic_store(&e->cut, cut);
}

unsigned long
echo_requests(const struct echo *e)
{
	return atomic_load(&e->requests);
}

bool
echo_ended(struct echo *e, unsigned long count)
{
	int i;

	for (i = 0; i < ENDED_TRIES && atomic_load(&e->ended) < count; i++)
		nng_msleep(ENDED_MS);
	return atomic_load(&e->ended) == count;
}

unsigned
echo_sweep(struct echo *e, struct tls_context *c)
{
	nng_pipe close[SLOTS];
	unsigned count = 0, kept = 0, i;

	need(pthread_mutex_lock(&e->lock) == 0);
	for (i = 0; i < SLOTS; i++) {
		if (e->pipes[i].id == 0)
			continue;
		if (tls_peer_valid(e->peers[i], c))
			kept++;
		else
			close[count++] = e->pipes[i];
	}
	need(pthread_mutex_unlock(&e->lock) == 0);
	for (i = 0; i < count; i++)
		(void)nng_pipe_close(close[i]);
	return kept;
}

void
echo_free(struct echo *e)
{
	int i;

	need(nng_close(e->s) == 0);
	for (i = 0; i < SLOTS; i++) {
		nng_aio_stop(e->slots[i].aio);
		nng_aio_free(e->slots[i].aio);
	}
	/* nng may still be telling about the last pipes. */
	for (i = 0; i < SLOTS; i++) {
		need(pthread_mutex_lock(&e->lock) == 0);
		tls_peer_free(e->peers[i]);
		e->peers[i] = NULL;
		e->pipes[i].id = 0;
		need(pthread_mutex_unlock(&e->lock) == 0);
	}
	free(e);
}

int
echo_dial(struct tls_context *c, const char *host, int port, nng_socket *s)
{
	char url[128];
	nng_dialer d;
	int rv;

	need(snprintf(url, sizeof(url), "tls+tcp://%s:%d", host, port) < (int)sizeof(url));
	need(nng_req0_open(s) == 0 && sp_settle(*s, SP_CLIENT) == PDV_OK);
	need(nng_dialer_create(&d, *s, url) == 0);
	need(tls_context_dial(c, d) == PDV_OK);
	if ((rv = nng_dialer_start(d, 0)) != 0)
		(void)nng_close(*s);
	return rv;
}

/* Send and receive on a context of its own, so that threads may share the socket. */
static int
exchange(nng_ctx ctx, nng_aio *aio, nng_msg **msg)
{
	int rv;

	nng_aio_set_timeout(aio, ECHO_TIMEOUT);
	nng_aio_set_msg(aio, *msg);
	nng_ctx_send(ctx, aio);
	nng_aio_wait(aio);
	if ((rv = nng_aio_result(aio)) != 0)
		return rv;
	*msg = NULL;
	nng_ctx_recv(ctx, aio);
	nng_aio_wait(aio);
	if ((rv = nng_aio_result(aio)) == 0)
		*msg = nng_aio_get_msg(aio);
	return rv;
}

static bool
right(const nng_msg *msg, const void *bytes, size_t len, const char *id)
{
	const char *body = nng_msg_body((nng_msg *)(uintptr_t)msg);
	size_t got = nng_msg_len(msg);

	if (got < len || (len > 0 && memcmp(body, bytes, len) != 0))
		return false;
	return id == NULL || (got - len == strlen(id) && memcmp(body + len, id, got - len) == 0);
}

int
echo_ask(nng_socket s, const void *bytes, size_t len, const char *id)
{
	nng_aio *aio = NULL;
	nng_msg *msg = NULL;
	nng_ctx ctx;
	int rv;

	need(nng_ctx_open(&ctx, s) == 0 && nng_aio_alloc(&aio, NULL, NULL) == 0);
	need(nng_msg_alloc(&msg, 0) == 0);
	need(len == 0 || nng_msg_append(msg, bytes, len) == 0);
	rv = exchange(ctx, aio, &msg);
	if (rv == 0 && !right(msg, bytes, len, id))
		rv = NNG_EPROTO;
	nng_msg_free(msg);
	(void)nng_ctx_close(ctx);
	nng_aio_free(aio);
	return rv;
}
