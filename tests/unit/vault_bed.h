/*
 * A whole vault in a temporary folder, its writer, and its methods called without a wire.
 */
#ifndef TESTS_VAULT_BED_H
#define TESTS_VAULT_BED_H

#include "pdvault/v1/admin.pb-c.h"
#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/vault.pb-c.h"
#include "server/rpc/call.h"
#include "server/store/vault.h"
#include "server/store/writer.h"

/* protobuf-c's strings are not const; these are never written to. */
#define VAULT_BED_TEXT(s) ((char *)(uintptr_t)(s))

struct vault_bed {
	char dir[64], store[96], anchor[96], key[96];
	struct vault_options options;
	struct vault *vault;
	struct writer *writer;
};

/* A new vault, opened. Secret memory and seals are initialised once for the process. */
void vault_bed_new(struct vault_bed *b);

/* Stops and starts again, through recovery. */
void vault_bed_restart(struct vault_bed *b);
void vault_bed_stop(struct vault_bed *b);
enum status vault_bed_start(struct vault_bed *b);
void vault_bed_free(struct vault_bed *b);

/* One call; its answer lives until vault_bed_done(). */
struct vault_call {
	struct call call;
	struct write_job job;
	struct vault_bed *bed;
	struct bytes packed;
	enum status rc;
	uint64_t epoch;
	bool finished;
};

/* Calls "Vault.GetIdentity" with a request, as the principal "test" with a new idempotency key. */
enum status vault_bed_call(struct vault_bed *b, const char *method, const void *request,
    struct vault_call *out);

/* The same with a given idempotency key. */
enum status vault_bed_call_again(struct vault_bed *b, const char *method, const void *request,
    const uint8_t key[16], struct vault_call *out);

/* Without waiting: submit many, then wait for each. Mutations only. */
void vault_bed_submit(struct vault_bed *b, const char *method, const void *request,
    struct vault_call *out);
enum status vault_bed_wait(struct vault_call *c);
void vault_bed_done(struct vault_call *c);

/* Ready-made people: person n has an email, a phone and an account id of their own. */
enum status vault_bed_create(struct vault_bed *b, unsigned n, uint8_t id[static 16]);
enum status vault_bed_find_email(struct vault_bed *b, unsigned n, uint8_t id[static 16]);
enum status vault_bed_erase(struct vault_bed *b, const uint8_t id[static 16]);
enum status vault_bed_get(struct vault_bed *b, const uint8_t id[static 16]);

#endif /* TESTS_VAULT_BED_H */
