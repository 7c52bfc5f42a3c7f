#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/supplemental/util/platform.h>

#include "client/transport/engine.h"
#include "client/transport/sp.h"
#include "client/transport/tls_context.h"
#include "fake_vault.h"

#define SLOTS 64
#define REPLY_MS 2000
#define URLS 8
#define QUIET_MS 30

#define need(cond) \
	((cond) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond), abort()))

static const uint8_t vault_id[16] = "fake vault, 16 b";

enum doing { RECEIVING, SENDING, CLOSING };

struct slot {
	struct fake *fake;
	nng_ctx ctx;
	nng_aio *aio;
	enum doing doing;
	nng_pipe pipe; /* that is to be closed */
};

struct fake {
	nng_socket s;
	struct tls_context *tls;
	int port;
	fake_handler handler;
	void *arg;
	atomic_ulong requests;
	pthread_mutex_t lock;
	nng_pipe shut[SLOTS]; /* connections that get no answer any more; id 0: free */
	nng_time last[SLOTS]; /* when something came over each of them */
	struct slot slots[SLOTS];
};

void
fake_bytes(struct fake_reply *r, const void *p, size_t len)
{
	free(r->bytes);
	need((r->bytes = malloc(len + 1)) != NULL);
	memcpy(r->bytes, p, len);
	r->length = len;
}

void
fake_message(struct fake_reply *r, const ProtobufCMessage *m)
{
	free(r->bytes);
	r->length = protobuf_c_message_get_packed_size(m);
	need((r->bytes = malloc(r->length + 1)) != NULL);
	protobuf_c_message_pack(m, r->bytes);
}

static void
receive(struct slot *slot)
{
	slot->doing = RECEIVING;
	nng_aio_set_timeout(slot->aio, NNG_DURATION_INFINITE);
	nng_ctx_recv(slot->ctx, slot->aio);
}

/* The place of connection ${pipe} among those that are shut, or -1. Under the lock. */
static int
find_shut(const struct fake *f, nng_pipe pipe)
{
	int i;

	for (i = 0; i < SLOTS; i++) {
		if (f->shut[i].id == pipe.id)
			return i;
	}
	return -1;
}

/* Has ${pipe} been shut? Remembers that something came over it. */
static bool
is_shut(struct fake *f, nng_pipe pipe)
{
	int i;

	need(pthread_mutex_lock(&f->lock) == 0);
	if ((i = find_shut(f, pipe)) >= 0)
		f->last[i] = nng_clock();
	need(pthread_mutex_unlock(&f->lock) == 0);
	return i >= 0;
}

/*
 * Close a connection once nothing has come over it for a while: nng 1.5.2 never gets
 * rid of a connection that it is told to close in the middle of a message.
 */
static void
shut(struct slot *slot, nng_pipe pipe)
{
	struct fake *f = slot->fake;
	int i;

	need(pthread_mutex_lock(&f->lock) == 0);
	if (find_shut(f, pipe) < 0 && (i = find_shut(f, (nng_pipe)NNG_PIPE_INITIALIZER)) >= 0) {
		f->shut[i] = pipe;
		f->last[i] = nng_clock();
	}
	need(pthread_mutex_unlock(&f->lock) == 0);
	slot->doing = CLOSING;
	slot->pipe = pipe;
	nng_aio_set_timeout(slot->aio, NNG_DURATION_INFINITE);
	nng_sleep_aio(QUIET_MS, slot->aio);
}

static void
close_if_quiet(struct slot *slot)
{
	struct fake *f = slot->fake;
	bool quiet;
	int i;

	need(pthread_mutex_lock(&f->lock) == 0);
	i = find_shut(f, slot->pipe);
	quiet = i < 0 || nng_clock() - f->last[i] >= QUIET_MS;
	if (quiet && i >= 0)
		f->shut[i].id = 0;
	need(pthread_mutex_unlock(&f->lock) == 0);
	if (!quiet) {
		nng_sleep_aio(QUIET_MS, slot->aio);
		return;
	}
	(void)nng_pipe_close(slot->pipe);
	receive(slot);
}

static nng_msg *
pack(struct fake_reply *r)
{
	nng_msg *m = NULL;
	size_t len = r->length;

	if (r->kind == FAKE_ANSWER) {
		r->response.message = (ProtobufCBinaryData){r->length, r->bytes};
		len = pdvault__rpc__v1__response__get_packed_size(&r->response);
	}
	need(nng_msg_alloc(&m, len) == 0);
	if (r->kind == FAKE_ANSWER)
		pdvault__rpc__v1__response__pack(&r->response, nng_msg_body(m));
	else if (len > 0)
		memcpy(nng_msg_body(m), r->bytes, len);
	return m;
}

static void
answer(struct slot *slot, nng_msg *msg)
{
	struct fake_reply r = {.kind = FAKE_ANSWER};
	nng_pipe pipe = nng_msg_get_pipe(msg);
	Pdvault__Rpc__V1__Request *q;

	pdvault__rpc__v1__response__init(&r.response);
	r.response.epoch = 1;
	r.response.vault = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)vault_id};
	if (is_shut(slot->fake, pipe)) {
		nng_msg_free(msg);
		receive(slot);
		return;
	}
	(void)atomic_fetch_add(&slot->fake->requests, 1);
	q = pdvault__rpc__v1__request__unpack(NULL, nng_msg_len(msg), nng_msg_body(msg));
	if (q != NULL) {
		slot->fake->handler(slot->fake->arg, q, &r);
		pdvault__rpc__v1__request__free_unpacked(q, NULL);
	} else { /* not an envelope: an echo */
		r.kind = FAKE_BYTES;
		fake_bytes(&r, nng_msg_body(msg), nng_msg_len(msg));
	}
	nng_msg_free(msg);
	if (r.kind == FAKE_CLOSE || r.kind == FAKE_SILENT) {
		free(r.bytes);
		if (r.kind == FAKE_CLOSE)
			shut(slot, pipe);
		else
			receive(slot);
		return;
	}
	slot->doing = SENDING;
	nng_aio_set_msg(slot->aio, pack(&r));
	free(r.bytes);
	nng_aio_set_timeout(slot->aio, REPLY_MS);
	nng_ctx_send(slot->ctx, slot->aio);
}

static void
on_slot(void *arg)
{
	struct slot *slot = arg;
	int rv = nng_aio_result(slot->aio);

	if (slot->doing == SENDING && rv != 0)
		nng_msg_free(nng_aio_get_msg(slot->aio));
	if (rv == NNG_ECLOSED || rv == NNG_ECANCELED)
		return;
	if (slot->doing == CLOSING)
		close_if_quiet(slot);
	else if (slot->doing == SENDING || rv != 0)
		receive(slot);
	else
		answer(slot, nng_aio_get_msg(slot->aio));
}

static struct tls_context *
context(struct pki *p)
{
	struct tls_options o = {.role = TLS_SERVER,
	    .files = {.ca = pki_path(p, "ca.pem"),
		.cert = pki_path(p, "server.pem"),
		.key = pki_path(p, "server.key")}};
	struct tls_context *c = NULL;
	char why[TLS_WHY_LEN] = "";

	need(engine_register() == PDV_OK);
	need(tls_context_new(&o, &c, why) == PDV_OK);
	return c;
}

struct fake *
fake_new(struct pki *p, int port, fake_handler handler, void *arg)
{
	struct fake *f = calloc(1, sizeof(*f));
	nng_listener l;
	char url[64];
	int i;

	need(f != NULL);
	f->handler = handler;
	f->arg = arg;
	f->tls = context(p);
	need(pthread_mutex_init(&f->lock, NULL) == 0);
	need(nng_rep0_open(&f->s) == 0 && sp_settle(f->s, SP_SERVER) == PDV_OK);
	need(snprintf(url, sizeof(url), "tls+tcp://127.0.0.1:%d", port) < (int)sizeof(url));
	need(nng_listener_create(&l, f->s, url) == 0);
	need(tls_context_listen(f->tls, l) == PDV_OK);
	need(nng_listener_start(l, 0) == 0);
	need(nng_listener_get_int(l, NNG_OPT_TCP_BOUND_PORT, &f->port) == 0);
	for (i = 0; i < SLOTS; i++) {
		f->slots[i].fake = f;
		need(nng_ctx_open(&f->slots[i].ctx, f->s) == 0);
		need(nng_aio_alloc(&f->slots[i].aio, on_slot, &f->slots[i]) == 0);
		receive(&f->slots[i]);
	}
	return f;
}

int
fake_port(const struct fake *f)
{
	return f->port;
}

const char *
fake_url(const struct fake *f)
{
	static char urls[URLS][64];
	static unsigned next;
	char *url = urls[next++ % URLS];

	need(snprintf(url, sizeof(urls[0]), "tls+tcp://127.0.0.1:%d", f->port) > 0);
	return url;
}

unsigned long
fake_requests(const struct fake *f)
{
	return atomic_load(&f->requests);
}

void
fake_free(struct fake *f)
{
	int i;

	if (f == NULL)
		return;
	for (i = 0; i < SLOTS; i++)
		nng_aio_stop(f->slots[i].aio);
	nng_msleep(QUIET_MS); /* for what is in the middle of being sent */
	(void)nng_close(f->s);
	for (i = 0; i < SLOTS; i++)
		nng_aio_free(f->slots[i].aio);
	need(pthread_mutex_destroy(&f->lock) == 0);
	tls_context_free(f->tls);
	free(f);
}
