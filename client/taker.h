/*
 * The parts that answers are made of. Not thread-safe; any thread.
 *
 * A taker keeps the first thing that went wrong in its code, and all further steps do
 * nothing harmful: PDV_DATA_LOSS (not what the contract says), PDV_RESOURCE_EXHAUSTED
 * (memory). What is taken lives in the taker's memory and shares the strings of the unpacked
 * message, which must live as long.
 */
#ifndef CLIENT_TAKER_H
#define CLIENT_TAKER_H

#include "client/bump.h"
#include "client/method.h"
#include "pdvault/types.h"
#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/subject.pb-c.h"

#define TAKER_TOKEN_MAX 512 /* bytes of an etag, a page token, a version */
#define TAKER_NANOS_MAX 999999999

struct taker {
	struct bump *memory;
	const struct method_asked *asked;
	enum pdv_code code;
};

/* taker_text(s): ${s}, or NULL when it is empty. */
const char *taker_text(const char *s);

/* taker_token(k, s): as taker_text, for what has a short limit. */
const char *taker_token(struct taker *k, const char *s);

/* taker_room(k, count, each): ${count} cleared items of ${each} bytes, or NULL. */
void *taker_room(struct taker *k, size_t count, size_t each);

/* taker_bytes(k, out, len, from): ${from} must have ${len} bytes. */
void taker_bytes(struct taker *k, uint8_t *out, size_t len, ProtobufCBinaryData from);

/* taker_id(k, out, from): an id has its length. */
void taker_id(struct taker *k, uint8_t out[static PDV_ID_LEN], ProtobufCBinaryData from);

/* taker_same_id(k, got, i): ${got} must be the ${i}th of the ids asked for. */
void taker_same_id(struct taker *k, const uint8_t got[static PDV_ID_LEN], size_t i);

/* taker_fill_proof(k, out, from): its parts have their lengths. taker_proof(k, from): NULL when absent. */
void taker_fill_proof(
    struct taker *k, struct pdv_ledger_proof *out, const Pdvault__V1__LedgerProof *from);
const struct pdv_ledger_proof *taker_proof(
    struct taker *k, const Pdvault__V1__LedgerProof *from);

/* Lists: NULL when empty. */
const char *const *taker_texts(struct taker *k, char **from, size_t count);
const enum pdv_category *taker_categories(
    struct taker *k, const Pdvault__V1__Category *from, size_t count);
const struct pdv_subject_id *taker_subjects(
    struct taker *k, const ProtobufCBinaryData *from, size_t count);

/* taker_time(k, from): NULL when absent. */
const struct pdv_time *taker_time(struct taker *k, const Pdvault__V1__Timestamp *from);

/* Absent data are a struct with nothing set. */
const struct pdv_identity *taker_identity(
    struct taker *k, const Pdvault__V1__Identity *from);
const struct pdv_billing *taker_billing(struct taker *k, const Pdvault__V1__Billing *from);

#endif /* CLIENT_TAKER_H */
