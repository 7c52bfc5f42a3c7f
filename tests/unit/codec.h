/*
 * For tests of the client's codec: requests as they go out, answers as they come in,
 * without a connection. A failure fails the test.
 */
#ifndef TESTS_CODEC_H
#define TESTS_CODEC_H

#include "client/call.h"
#include "client/reply.h"
#include "pdvault/rpc/v1/rpc.pb-c.h"
#include "pdvault/v1/admin.pb-c.h"
#include "pdvault/v1/health.pb-c.h"
#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"

extern uint8_t codec_vault[16], codec_subject[16], codec_other[16];

/* A person and a bill with every field filled. */
extern const struct pdv_postal_address codec_home;
extern const struct pdv_identity codec_person;
extern const struct pdv_billing codec_bill;

/* Nothing asked that an answer must repeat. */
extern const struct method_asked codec_nothing;

/* codec_lend(s): ${s} without its const; nobody writes to it. */
char *codec_lend(const char *s);

/* codec_envelope(id, request, o): of a request, made and unpacked; the caller frees it. */
Pdvault__Rpc__V1__Request *codec_envelope(
    enum method_id id, const void *request, const struct pdv_call_options *o);

/* codec_read_bytes: the body of an answer as method ${id} reads it. */
struct pdv_result *codec_read_bytes(enum method_id id, const uint8_t *body, size_t len,
    const struct method_asked *asked);

/* codec_read: the same of message ${m} in a good envelope, whose bytes are wiped after. */
struct pdv_result *codec_read(
    enum method_id id, const ProtobufCMessage *m, const struct method_asked *asked);

#endif /* TESTS_CODEC_H */
