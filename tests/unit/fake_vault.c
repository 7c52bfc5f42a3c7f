#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

#include "client/transport/engine.h"
#include "client/transport/sp.h"
#include "client/transport/tls_context.h"
#include "fake_vault.h"

#define SLOTS 64
#define REPLY_MS 2000
#define URLS 8

#define need(cond) \
	((cond) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond), abort()))

static const uint8_t vault_id[16] = "fake vault, 16 b";

struct slot {
	struct fake *fake;
	nng_ctx ctx;
	nng_aio *aio;
	bool sending;
};

struct fake {
	nng_socket s;
	struct tls_context *tls;
	int port;
	fake_handler handler;
	void *arg;
	atomic_ulong requests;
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
	slot->sending = false;
	nng_aio_set_timeout(slot->aio, NNG_DURATION_INFINITE);
	nng_ctx_recv(slot->ctx, slot->aio);
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
	Pdvault__Rpc__V1__Request *q;

	pdvault__rpc__v1__response__init(&r.response);
	r.response.epoch = 1;
	r.response.vault = (ProtobufCBinaryData){16, (uint8_t *)(uintptr_t)vault_id};
	(void)atomic_fetch_add(&slot->fake->requests, 1);
	q = pdvault__rpc__v1__request__unpack(NULL, nng_msg_len(msg), nng_msg_body(msg));
	if (q != NULL) {
		slot->fake->handler(slot->fake->arg, q, &r);
		pdvault__rpc__v1__request__free_unpacked(q, NULL);
	} else { /* not an envelope: an echo */
		r.kind = FAKE_BYTES;
		fake_bytes(&r, nng_msg_body(msg), nng_msg_len(msg));
	}
	if (r.kind == FAKE_CLOSE)
		(void)nng_pipe_close(nng_msg_get_pipe(msg));
	nng_msg_free(msg);
	if (r.kind == FAKE_CLOSE || r.kind == FAKE_SILENT) {
		free(r.bytes);
		receive(slot);
		return;
	}
	slot->sending = true;
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

	if (slot->sending && rv != 0)
		nng_msg_free(nng_aio_get_msg(slot->aio));
	if (rv == NNG_ECLOSED || rv == NNG_ECANCELED)
		return;
	if (slot->sending || rv != 0)
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
	(void)nng_close(f->s);
	for (i = 0; i < SLOTS; i++)
		nng_aio_free(f->slots[i].aio);
	tls_context_free(f->tls);
	free(f);
}
