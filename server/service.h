/*
 * What the services share: answers in the arena, stored messages, and the once-only rule of
 * mutations. Handlers are called as server/rpc/call.h says.
 */
#ifndef SERVER_SERVICE_H
#define SERVER_SERVICE_H

#include "pdvault/v1/backup.pb-c.h"
#include "pdvault/v1/record.pb-c.h"
#include "pdvault/v1/rights.pb-c.h"
#include "pdvault/v1/subject.pb-c.h"
#include "server/rpc/call.h"
#include "server/store/key_backup.h"
#include "server/store/lookup_list.h"
#include "server/store/reader.h"
#include "server/store/writeset.h"

/* A message of that type in the arena, initialised; NULL beyond the budget. */
void *service_message(struct call *c, const ProtobufCMessageDescriptor *type) MUST_USE;

/* Packs into the arena. STATUS_TOO_LARGE: beyond RECORD_MESSAGE_MAX. */
enum status service_pack(struct call *c, const ProtobufCMessage *m, struct bytes *out) MUST_USE;

/* Unpacks what we stored ourselves. STATUS_CORRUPT: it is not such a message. */
enum status service_unpack(struct call *c, const ProtobufCMessageDescriptor *type,
    struct bytes b, void *out) MUST_USE;

/* A record: its etag, and its message of ${type}. */
enum status service_open(struct call *c, const ProtobufCMessageDescriptor *type,
    struct bytes plain, uint64_t *etag, void *out) MUST_USE;
enum status service_close(struct call *c, uint64_t etag, const ProtobufCMessage *m,
    struct bytes *plain) MUST_USE;

/*
 * The same for an answer that passes the record on: the bytes of the message, which stay where they are, and
 * the etag as text. What was sealed here need not be unpacked to be sent.
 */
enum status service_pass_on(struct call *c, struct bytes plain, Pdvault__V1__RecordAnswer *out) MUST_USE;

/* An etag as text, in the arena; NULL beyond the budget. */
char *service_etag(struct call *c, uint64_t etag) MUST_USE;

/* The caller's etag, if any, is the present one. STATUS_ETAG. */
enum status service_check_etag(const char *given, uint64_t present) MUST_USE;

/*
 * Copies the fields that ${mask} names (NULL or empty: those that are set in ${from}; "*": all) from
 * one message to another of the same type, shallowly. STATUS_INVALID: a path is no field; the violation
 * is noted.
 */
enum status service_merge(struct call *c, const Pdvault__V1__FieldMask *mask,
    const ProtobufCMessage *from, ProtobufCMessage *to) MUST_USE;

/* Milliseconds as a Timestamp in the arena; NULL beyond the budget. */
Pdvault__V1__Timestamp *service_time(struct call *c, int64_t ms) MUST_USE;

/* All key backups that the vault knows, the oldest first, in the arena; in service_backup.c. */
struct service_key_backups {
	struct key_backup *item;
	size_t count;
};
enum status service_list_key_backups(struct vault *v, struct call *c, struct service_key_backups *out) MUST_USE;

/* NULL: no memory. */
Pdvault__V1__KeyBackup *service_key_backup(struct call *c, const struct key_backup *b);
Pdvault__V1__LedgerProof *service_proof(struct call *c, const struct ledger_proof *p) MUST_USE;

/*
 * The look-ups of an identity, normalised and without repetitions, in the arena. They are
 * personal data and die with it.
 */
struct service_lookups {
	struct lookup *item;
	unsigned count;
};
enum status service_lookups(struct call *c, uint16_t country, const Pdvault__V1__Identity *id,
    struct service_lookups *out) MUST_USE;

/* The same look-up in a list; NULL. */
const struct lookup *service_lookup_in(const struct service_lookups *s, const struct lookup *l);

/*
 * Once only. service_replay(): STATUS_ABSENT: this is the first request with its key, go on. STATUS_OK: the
 * outcome of the first is in c->response. STATUS_KEY_REUSED; STATUS_INDETERMINATE: the first is not
 * settled. ${subject} is the request's, or NULL if the answer names it (a creation);
 * ${category} is whose key the fingerprint is under, 0: none is kept; ${also}, unless 0, is another category
 * that the message tells of: its key is needed as well, so that the fingerprint dies with either.
 * service_remember(): the last step of a mutation, after everything else is in ws.
 * service_begin(): the first steps of a mutation of a subject that is there: service_replay(), and if that
 * says STATUS_ABSENT the empty answer in *response and the subject's keyring in *k.
 */
struct service_once {
	struct call *c;
	struct writeset *ws;
	const uint8_t *subject;
	unsigned category, also;
	const ProtobufCMessageDescriptor *response;
};
enum status service_begin(const struct service_once *o, void *response,
    const struct keyring **k) MUST_USE;
enum status service_replay(const struct service_once *o) MUST_USE;
enum status service_remember(const struct service_once *o, const struct keyring *k) MUST_USE;

/* Rows of the method table; methods.c puts them together. */
extern const struct method service_subject_methods[], service_billing_methods[],
    service_transaction_methods[], service_data_key_methods[], service_erasure_methods[],
    service_ledger_methods[], service_admin_methods[], service_backup_methods[], service_keys_methods[];
extern const unsigned service_subject_count, service_billing_count, service_transaction_count,
    service_data_key_count, service_erasure_count, service_ledger_count, service_admin_count,
    service_backup_count, service_keys_count;

/* Rules that need more than one field; in service_subject.c. */
enum status service_validate_identity(struct call *c, const Pdvault__V1__Identity *id) MUST_USE;
enum status service_validate_billing(struct call *c, const Pdvault__V1__Billing *b) MUST_USE;

#endif /* SERVER_SERVICE_H */
