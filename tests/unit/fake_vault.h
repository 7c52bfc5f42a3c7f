/*
 * A small vault for tests of the client library: a real SP server over TLS that
 * answers with real protobuf, as its handler says, also badly.
 * A failure to set things up aborts.
 */
#ifndef TESTS_FAKE_VAULT_H
#define TESTS_FAKE_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "pdvault/rpc/v1/rpc.pb-c.h"
#include "pki.h"

enum fake_kind {
	FAKE_ANSWER, /* the response, with the message or bytes that fake_message gave it */
	FAKE_BYTES,  /* the body is what fake_bytes gave, whatever that is */
	FAKE_CLOSE,  /* close the connection instead of answering */
	FAKE_SILENT, /* never answer */
};

struct fake_reply {
	enum fake_kind kind;
	Pdvault__Rpc__V1__Response response; /* OK, epoch 1, of the fake's vault */
	uint8_t *bytes;
	size_t length;
};

/* fake_message(r, m): ${m}, packed, is the message of the answer. */
void fake_message(struct fake_reply *r, const ProtobufCMessage *m);

/* fake_bytes(r, p, len): the body is these bytes (FAKE_BYTES), or its message (else). */
void fake_bytes(struct fake_reply *r, const void *p, size_t len);

/*
 * A handler fills ${out}; ${q} dies when it returns, strings in ${out} must be static.
 * Called by several threads.
 */
typedef void (*fake_handler)(
    void *arg, const Pdvault__Rpc__V1__Request *q, struct fake_reply *out);

struct fake;

/* fake_new(p, port, handler, arg): serve on 127.0.0.1; port 0 is any free one. */
struct fake *fake_new(struct pki *p, int port, fake_handler handler, void *arg);

int fake_port(const struct fake *f);

/* fake_url(f): of the server; good until the eighth call after. */
const char *fake_url(const struct fake *f);

/* fake_requests(f): how many came. */
unsigned long fake_requests(const struct fake *f);

/* fake_free(f): close it and wait until nothing runs in it. NULL: nothing. */
void fake_free(struct fake *f);

#endif /* TESTS_FAKE_VAULT_H */
