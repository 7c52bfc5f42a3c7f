/*
 * The parts that requests are made of. Not thread-safe; any thread.
 *
 * A maker keeps the first thing that went wrong in its code, and all further steps do
 * nothing harmful, so that only the end needs to look: PDV_INVALID_ARGUMENT (the
 * request breaks its contract), PDV_RESOURCE_EXHAUSTED (memory). What is made lives in
 * the maker's memory and points to the caller's strings.
 */
#ifndef CLIENT_MAKER_H
#define CLIENT_MAKER_H

#include <stdbool.h>

#include "client/bump.h"
#include "client/method.h"
#include "pdvault/types.h"
#include "pdvault/v1/subject.pb-c.h"

#define MAKER_LIST_MAX 4096 /* items of any list of a request; the server allows fewer */

struct maker {
	struct bump *memory;
	struct method_asked *asked;
	enum pdv_code code;
};

/* maker_lend(s): ${s}, only to be read, though protobuf-c's structs lack the const. */
char *maker_lend(const char *s);

/* maker_bytes(p, len): ${len} bytes of the caller's, only to be read. */
ProtobufCBinaryData maker_bytes(const uint8_t *p, size_t len);

/* maker_put(field, s): let ${field} be ${s}, or what it is when ${s} is NULL. */
void maker_put(char **field, const char *s);

/* maker_room(k, count, each): ${count} cleared items of ${each} bytes, or NULL. */
void *maker_room(struct maker *k, size_t count, size_t each);

/* maker_list_ok(k, list, count): has ${list} items? A count without a list is an error. */
bool maker_list_ok(struct maker *k, const void *list, size_t count);

/* maker_texts(k, field, n, from, count): a list of strings, none of them NULL. */
void maker_texts(
    struct maker *k, char ***field, size_t *n, const char *const *from, size_t count);

/*
 * maker_messages(k, field, count, each):
 * ${field} is a list of ${count} pointers, each to a cleared struct of ${each} bytes; the
 * first of these is returned, for the caller to initialise all, or NULL.
 */
void *maker_messages(struct maker *k, void ***field, size_t count, size_t each);

/* maker_id(id): the id as protobuf-c wants it; ${id} is only read. */
ProtobufCBinaryData maker_id(const uint8_t id[static PDV_ID_LEN]);

/* These return NULL for what is absent. */
Pdvault__V1__Identity *maker_identity(struct maker *k, const struct pdv_identity *from);
Pdvault__V1__Billing *maker_billing(struct maker *k, const struct pdv_billing *from);
Pdvault__V1__FieldMask *maker_mask(struct maker *k, const char *const *mask, size_t count);

/* maker_keep(k, ids, count): copy what is asked for, for the answer to be held against. */
void maker_keep(struct maker *k, const uint8_t *ids, size_t count);

#endif /* CLIENT_MAKER_H */
