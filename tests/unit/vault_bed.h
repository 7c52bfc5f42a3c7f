/*
 * A whole vault in a temporary folder, its writer, and its methods called without a wire.
 */
#ifndef TESTS_VAULT_BED_H
#define TESTS_VAULT_BED_H

#include "pdvault/v1/admin.pb-c.h"
#include "pdvault/v1/backup.pb-c.h"
#include "pdvault/v1/health.pb-c.h"
#include "pdvault/v1/keys.pb-c.h"
#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"
#include "server/rpc/call.h"
#include "server/store/vault.h"
#include "server/store/writer.h"

/* The initialisers that protoc-c makes cast const away, which clang sees through the macro. */
#pragma GCC diagnostic ignored "-Wcast-qual"

/* protobuf-c's strings are not const; these are never written to. */
#define VAULT_BED_TEXT(s) ((char *)(uintptr_t)(s))

struct vault_bed {
	char dir[256], store[320], anchor[320], key[320];
	struct vault_options options;
	struct vault *vault;
	struct writer *writer;
};

/* A new vault, opened. Secret memory and seals are initialised once for the process. */
void vault_bed_new(struct vault_bed *b);

/* The same in a store of that limit; it is not opened. */
void vault_bed_make(struct vault_bed *b, uint64_t map_bytes, uint64_t reserve_bytes);

/* Stops and starts again, through recovery. */
void vault_bed_restart(struct vault_bed *b);
void vault_bed_stop(struct vault_bed *b);
enum status vault_bed_start(struct vault_bed *b);
void vault_bed_free(struct vault_bed *b);

/*
 * The files of a stopped vault, set aside in memory and put back in place. What was set aside
 * may be put back any number of times.
 */
enum vault_bed_part { VAULT_BED_STORE = 1, VAULT_BED_ANCHOR = 2, VAULT_BED_KEY = 4,
	VAULT_BED_ALL = 7 };
struct vault_bed_copy {
	uint8_t *bytes[3];
	size_t len[3];
};
void vault_bed_keep(struct vault_bed *b, struct vault_bed_copy *out);
void vault_bed_put_back(struct vault_bed *b, const struct vault_bed_copy *c, unsigned parts);
void vault_bed_forget(struct vault_bed_copy *c);

/* Another signing key. */
void vault_bed_turn(struct vault_bed *b);

/* One call; its answer lives until vault_bed_done(). */
struct vault_call {
	struct call call;
	struct write_job job;
	struct vault_bed *bed;
	struct bytes packed;
	enum status rc;
	uint64_t epoch;
	bool finished;
	struct arena *answer;
};

/* The answer of a finished call: packed as for the wire, and unpacked as that type of message. */
#define VAULT_BED_ANSWER(type, c) ((const Pdvault__V1__##type *)(const void *)(c)->call.response)

/* Bytes of a request that are an id. */
#define VAULT_BED_ID(id) ((ProtobufCBinaryData){ 16, (uint8_t *)(uintptr_t)(id) })

/* Calls "Vault.GetIdentity" with a request, as the principal "test" with a new idempotency key. */
enum status vault_bed_call(struct vault_bed *b, const char *method, const void *request,
    struct vault_call *out);

/* The same, and only the status is wanted. */
enum status vault_bed_status(struct vault_bed *b, const char *method, const void *request);

/* The same with a given idempotency key. */
enum status vault_bed_call_again(struct vault_bed *b, const char *method, const void *request,
    const uint8_t key[16], struct vault_call *out);

/* Without waiting: submit many, then wait for each. Mutations only. key NULL: a new one. */
void vault_bed_submit(struct vault_bed *b, const char *method, const void *request,
    struct vault_call *out);
void vault_bed_submit_again(struct vault_bed *b, const char *method, const void *request,
    const uint8_t key[16], struct vault_call *out);
enum status vault_bed_wait(struct vault_call *c);
void vault_bed_done(struct vault_call *c);

/*
 * Person n as a request of "Vault.CreateSubject" (request.base). It points into itself and may be
 * changed before it is sent.
 */
struct vault_bed_person {
	Pdvault__V1__CreateSubjectRequest request;
	Pdvault__V1__Identity identity;
	Pdvault__V1__Name name;
	char text[4][64], *email, *phone, *account;
};
void vault_bed_person(unsigned n, struct vault_bed_person *out);

/* Ready-made people: person n has an email, a phone and an account id of their own. */
enum status vault_bed_create(struct vault_bed *b, unsigned n, uint8_t id[static 16]);
enum status vault_bed_find_email(struct vault_bed *b, unsigned n, uint8_t id[static 16]);
enum status vault_bed_erase(struct vault_bed *b, const uint8_t id[static 16]);
enum status vault_bed_get(struct vault_bed *b, const uint8_t id[static 16]);

/* Gives person n the email "changed.n@example.org". */
enum status vault_bed_change_email(struct vault_bed *b, unsigned n, const uint8_t id[static 16]);
enum status vault_bed_find(struct vault_bed *b, const char *email, uint8_t id[static 16]);

#endif /* TESTS_VAULT_BED_H */
