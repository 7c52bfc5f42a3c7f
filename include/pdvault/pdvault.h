/*
 * libpdvault: the client library of the personal-data vault.
 *
 * A handle (struct pdv_client) keeps connections to one or several servers of a
 * vault, over TLS 1.3 with certificates on both sides. Every method of the services
 * Vault, Rights, Admin, Backups and Health is there twice: a function that waits, and one
 * (`_async`) that calls back.
 *
 * Threads: a handle may be used by any number of threads at once.
 *
 * Fork: a handle does not survive fork(). In the child every call answers
 * PDV_FAILED_PRECONDITION, reason USED_AFTER_FORK, at once; pdv_client_free does
 * nothing there; and no new handle can be made there once the parent had one. Fork
 * first, or exec.
 *
 * Signals: the library's threads have all signals blocked.
 *
 * Retries: a call is tried again, with the same idempotency key, when the connection
 * is lost, when the server answers UNAVAILABLE, or RESOURCE_EXHAUSTED with a
 * time to retry after. The pause before try n (1, 2, ...) is random between 0 and
 * min(PDV_BACKOFF_MAX_MS, PDV_BACKOFF_MIN_MS * 2^n), and not below what the server
 * asked for. Nothing is tried after the deadline. Every other answer is final.
 *
 * Mutating methods carry an idempotency key, so that trying twice changes once. When
 * the deadline passes and it is not known whether the server did it, the answer has
 * the reason OUTCOME_INDETERMINATE: call again with pdv_result_key to learn it.
 *
 * The example of this contract is tests/unit/test_example.c.
 */
#ifndef PDVAULT_PDVAULT_H
#define PDVAULT_PDVAULT_H

#include "pdvault/code.h"
#include "pdvault/export.h"
#include "pdvault/ledger.h"
#include "pdvault/result.h"
#include "pdvault/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PDV_SERVERS_MAX 16
#define PDV_CONNECTIONS_MAX 64
#define PDV_IN_FLIGHT_MAX 4096
#define PDV_IN_FLIGHT_DEFAULT 64
#define PDV_WAITING_MAX 65536
#define PDV_WAITING_DEFAULT 1024
#define PDV_DEADLINE_MAX_MS 3600000u
#define PDV_DEADLINE_DEFAULT_MS 10000u
#define PDV_BACKOFF_MIN_MS 20u
#define PDV_BACKOFF_MAX_MS 2000u
#define PDV_REQUEST_MAX ((1u << 20) - 4096u) /* bytes of a request, encoded */
#define PDV_PURPOSE_MAX 64
#define PDV_TRACEPARENT_MAX 55
#define PDV_WHY_LEN 256

struct pdv_client;

/* Zero is the default of every field that has one. Strings are copied. */
struct pdv_client_options {
	const char *const *servers; /* "tls+tcp://host:port", tried in this order */
	size_t server_count;        /* 1 to PDV_SERVERS_MAX */
	const char *ca;             /* PEM file: who signs the server's certificate */
	const char *crl;            /* PEM file, or NULL */
	const char *cert;           /* PEM file: this client's certificate and its chain */
	const char *key;            /* PEM file, mode 0600 or 0400 */
	const char *server_spiffe;  /* expect this SPIFFE id instead of the URL's host */
	unsigned connections;       /* to each server; default 1, up to PDV_CONNECTIONS_MAX */
	unsigned in_flight;         /* requests at once; up to PDV_IN_FLIGHT_MAX */
	unsigned waiting;           /* further calls that may wait for their turn */
	uint32_t deadline_ms;       /* of calls that name none */
};

/* Of one call. NULL stands for all zero. Only read until the function returns. */
struct pdv_call_options {
	uint32_t deadline_ms;           /* for the whole call with its retries; 0: the handle's */
	const char *purpose;            /* why, at most PDV_PURPOSE_MAX bytes; or NULL */
	const uint8_t *idempotency_key; /* PDV_KEY_LEN bytes; NULL: made by the library */
	const char *traceparent;        /* W3C Trace Context, or NULL */
};

/*
 * pdv_client_new(options, out, why):
 * Make a handle and begin to connect to every server, in the background: a server that
 * is down is no error here. On PDV_OK ${out} is the caller's, for pdv_client_free.
 * Otherwise ${out} is not written, and ${why} says why in one line for people, without
 * personal data: PDV_INVALID_ARGUMENT (an option, a URL, a file that cannot be
 * used), PDV_RESOURCE_EXHAUSTED (memory, descriptors), PDV_FAILED_PRECONDITION (in a
 * child process, see above; or nng is not one of version 1.5). ${why} may be NULL,
 * else it has PDV_WHY_LEN bytes. Any thread.
 */
PDV_API enum pdv_code pdv_client_new(const struct pdv_client_options *options,
    struct pdv_client **out, char *why) PDV_MUST_USE;

/*
 * pdv_client_reload(c, why):
 * Read the certificate files again. New connections use them; those that exist stay.
 * On any failure the old ones stay in use, ${why} (PDV_WHY_LEN bytes, or NULL) says
 * why, and the code is PDV_INVALID_ARGUMENT, or PDV_RESOURCE_EXHAUSTED (memory), or
 * PDV_FAILED_PRECONDITION (in a child process). Any thread, not in a callback.
 */
PDV_API enum pdv_code pdv_client_reload(struct pdv_client *c, char *why) PDV_MUST_USE;

/*
 * pdv_client_free(c):
 * End all calls (CANCELLED, reason CLIENT_CLOSED; or OUTCOME_INDETERMINATE), wait
 * for their callbacks to return, close the connections, free. No other thread
 * may begin a call on ${c} any more; calls that wait in other threads return. NULL is
 * allowed. Never in a callback. In a child process it does nothing.
 */
PDV_API void pdv_client_free(struct pdv_client *c);

/* What a handle did since it was made. */
struct pdv_client_stats {
	uint64_t calls;       /* ended, well or not */
	uint64_t retries;     /* attempts beyond the first of each call */
	uint64_t failovers;   /* times that another server became the preferred one */
	uint64_t connections; /* established now, to all servers */
	uint64_t in_flight;   /* calls that hold a request context now */
	uint64_t waiting;     /* calls that wait for one now */
};

/* pdv_client_stats(c, out): a moment's figures. Any thread; all 0 in a child. */
PDV_API void pdv_client_stats(struct pdv_client *c, struct pdv_client_stats *out);

/*
 * pdv_callback(r, arg):
 * Called exactly once for each asynchronous call that began, with a result
 * (never NULL) that is now the callback's: it must reach pdv_result_free.
 *
 * Thread: one of the library's few I/O threads, perhaps before the `_async` function
 * has returned. Never block in it. Allowed: everything on results, every `_async`
 * function, pdv_client_stats. A function that waits answers CALLED_IN_CALLBACK.
 * Forbidden: pdv_client_free, pdv_client_reload.
 */
typedef void (*pdv_callback)(struct pdv_result *r, void *arg);

/*
 * The methods.
 *
 * The waiting form returns the code, and writes to ${out} a result that is the
 * caller's (for pdv_result_free): always, and never NULL. It waits until the answer or the
 * deadline. Any thread but those of callbacks.
 *
 * The asynchronous form returns PDV_OK when the call began: ${done} will be
 * called once with ${arg}. Otherwise ${done} is never called, and the code says
 * why: PDV_INVALID_ARGUMENT (the request breaks its contract or is over PDV_REQUEST_MAX),
 * PDV_RESOURCE_EXHAUSTED (waiting calls at their limit, memory), PDV_FAILED_PRECONDITION
 * (after fork), PDV_CANCELLED (handle being freed). It never waits. Any thread.
 *
 * The request and the options are the caller's and read only until the function returns.
 *
 * Every method may answer, besides what it lists:
 *   INVALID_ARGUMENT with violations; PERMISSION_DENIED, UNAUTHENTICATED;
 *   UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED; DATA_LOSS (MALFORMED_ANSWER,
 *   EPOCH_ROLLED_BACK); INTERNAL; the library's own reasons (result.h).
 * Mutating methods also: UNKNOWN or DEADLINE_EXCEEDED with OUTCOME_INDETERMINATE.
 */

/*
 * pdv_create_subject: make a subject. Mutates. Answer: pdv_result_subject.
 * ALREADY_EXISTS: another subject has one of the emails or account ids.
 */
PDV_API enum pdv_code pdv_create_subject(struct pdv_client *c,
    const struct pdv_new_subject *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_create_subject_async(struct pdv_client *c,
    const struct pdv_new_subject *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_get_subject: its state and what is held of it. Answer: pdv_result_subject_status.
 * NOT_FOUND: never was. FAILED_PRECONDITION with SUBJECT_ERASED: it was erased.
 */
PDV_API enum pdv_code pdv_get_subject(struct pdv_client *c,
    const struct pdv_subject_id *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_get_subject_async(struct pdv_client *c,
    const struct pdv_subject_id *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_find_subject: by email, phone or account id. Answer: pdv_result_subjects.
 * NOT_FOUND: nobody has it.
 */
PDV_API enum pdv_code pdv_find_subject(struct pdv_client *c,
    const struct pdv_lookup *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_find_subject_async(struct pdv_client *c,
    const struct pdv_lookup *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_get_identity: answer: pdv_result_identity and pdv_result_etag.
 * NOT_FOUND; FAILED_PRECONDITION with SUBJECT_ERASED or CATEGORY_ERASED.
 */
PDV_API enum pdv_code pdv_get_identity(struct pdv_client *c,
    const struct pdv_subject_id *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_get_identity_async(struct pdv_client *c,
    const struct pdv_subject_id *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_batch_get_identity: of 1 to PDV_BATCH_MAX subjects. Answer: pdv_result_outcomes,
 * each with a code of its own, as pdv_get_identity would answer.
 */
PDV_API enum pdv_code pdv_batch_get_identity(struct pdv_client *c,
    const struct pdv_subject_list *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_batch_get_identity_async(struct pdv_client *c,
    const struct pdv_subject_list *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_update_identity: mutates. Answer: pdv_result_etag, the new one.
 * NOT_FOUND; FAILED_PRECONDITION as pdv_get_identity; ABORTED: the etag is stale;
 * ALREADY_EXISTS as pdv_create_subject.
 */
PDV_API enum pdv_code pdv_update_identity(struct pdv_client *c,
    const struct pdv_identity_update *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_update_identity_async(struct pdv_client *c,
    const struct pdv_identity_update *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/* pdv_get_billing: answer: pdv_result_billing and pdv_result_etag. As pdv_get_identity. */
PDV_API enum pdv_code pdv_get_billing(struct pdv_client *c,
    const struct pdv_subject_id *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_get_billing_async(struct pdv_client *c,
    const struct pdv_subject_id *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/* pdv_update_billing: mutates. As pdv_update_identity. */
PDV_API enum pdv_code pdv_update_billing(struct pdv_client *c,
    const struct pdv_billing_update *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_update_billing_async(struct pdv_client *c,
    const struct pdv_billing_update *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_append_transactions: all or none. Mutates. Answer: pdv_result_appended.
 * A transaction that is there with the same content counts as unchanged; one that is
 * there with another content refuses the whole request (ALREADY_EXISTS). NOT_FOUND,
 * FAILED_PRECONDITION as pdv_get_identity.
 */
PDV_API enum pdv_code pdv_append_transactions(struct pdv_client *c,
    const struct pdv_transaction_append *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_append_transactions_async(struct pdv_client *c,
    const struct pdv_transaction_append *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_list_transactions: one page. Answer: pdv_result_transactions and
 * pdv_result_next_page. NOT_FOUND, FAILED_PRECONDITION as pdv_get_identity.
 */
PDV_API enum pdv_code pdv_list_transactions(struct pdv_client *c,
    const struct pdv_transaction_page *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_list_transactions_async(struct pdv_client *c,
    const struct pdv_transaction_page *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_generate_data_keys: random keys, each with its wrapped form; the vault keeps neither. Answer:
 * pdv_result_data_keys. NOT_FOUND; FAILED_PRECONDITION with SUBJECT_ERASED, CATEGORY_ERASED, or
 * SUBJECT_RETAINED (it was erased in part). To try twice does no harm, so there is no idempotency key. For
 * whole files see pdvault/blob.h.
 */
PDV_API enum pdv_code pdv_generate_data_keys(struct pdv_client *c,
    const struct pdv_data_key_request *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_generate_data_keys_async(struct pdv_client *c,
    const struct pdv_data_key_request *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_open_data_keys: wrapped keys of one subject, category and context. Answer:
 * pdv_result_data_key_outcomes, each with a code of its own: INVALID_ARGUMENT with DATA_KEY_INVALID is one
 * that was not made for these, or is damaged. NOT_FOUND; FAILED_PRECONDITION with SUBJECT_ERASED or
 * CATEGORY_ERASED: none of them opens ever again.
 */
PDV_API enum pdv_code pdv_open_data_keys(struct pdv_client *c,
    const struct pdv_data_key_opening *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_open_data_keys_async(struct pdv_client *c,
    const struct pdv_data_key_opening *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_erase_subject: destroy the keys of the categories named, or of all. Mutates.
 * Answer: pdv_result_erasure; with PDV_ERASURE_SHREDDED the keys are gone. Erasing an
 * erased subject answers the first erasure. NOT_FOUND.
 */
PDV_API enum pdv_code pdv_erase_subject(struct pdv_client *c, const struct pdv_erase *request,
    const struct pdv_call_options *options, struct pdv_result **out);
PDV_API enum pdv_code pdv_erase_subject_async(struct pdv_client *c,
    const struct pdv_erase *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/* pdv_get_erasure: what became of an erasure. Answer: pdv_result_erasure. NOT_FOUND. */
PDV_API enum pdv_code pdv_get_erasure(struct pdv_client *c,
    const struct pdv_erasure_id *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_get_erasure_async(struct pdv_client *c,
    const struct pdv_erasure_id *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_list_ledger: entries of the ledger of erasures whose keys are gone, with signatures, for who keeps a
 * copy of it. Answer: pdv_result_ledger.
 */
PDV_API enum pdv_code pdv_list_ledger(struct pdv_client *c,
    const struct pdv_ledger_page *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_list_ledger_async(struct pdv_client *c,
    const struct pdv_ledger_page *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/* Backups: rows of the store as they are sealed (docs/FORMAT.md, backups). */

/*
 * pdv_begin_backup: open a session on one snapshot. Answer: pdv_result_backup. NOT_FOUND with
 * KEY_BACKUP_NOT_FOUND; FAILED_PRECONDITION with KEY_BACKUP_CLOSED.
 */
PDV_API enum pdv_code pdv_begin_backup(struct pdv_client *c,
    const struct pdv_backup_begin *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_begin_backup_async(struct pdv_client *c,
    const struct pdv_backup_begin *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_read_backup: rows of a range, or whether a digest is theirs. Answer: pdv_result_backup_rows.
 * NOT_FOUND with SESSION_NOT_FOUND: it has ended; begin again.
 */
PDV_API enum pdv_code pdv_read_backup(struct pdv_client *c,
    const struct pdv_backup_range *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_read_backup_async(struct pdv_client *c,
    const struct pdv_backup_range *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_finish_backup: end the session, and have the manifest signed. Mutates. Answer:
 * pdv_result_backup_signature. NOT_FOUND as pdv_read_backup.
 */
PDV_API enum pdv_code pdv_finish_backup(struct pdv_client *c,
    const struct pdv_backup_finish *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_finish_backup_async(struct pdv_client *c,
    const struct pdv_backup_finish *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_create_key_backup: allow a backup of the keys, which the vault remembers for ever. Mutates. Answer:
 * pdv_result_key_backups, one. FAILED_PRECONDITION with NO_RECOVERY_KEY.
 */
PDV_API enum pdv_code pdv_create_key_backup(struct pdv_client *c,
    const struct pdv_key_backup_new *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_create_key_backup_async(struct pdv_client *c,
    const struct pdv_key_backup_new *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/* pdv_list_key_backups: the newest first, at most a thousand. Answer: pdv_result_key_backups. */
PDV_API enum pdv_code pdv_list_key_backups(struct pdv_client *c,
    const struct pdv_key_backup_filter *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_list_key_backups_async(struct pdv_client *c,
    const struct pdv_key_backup_filter *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_destroy_key_backup: say that all copies of a key backup are destroyed. Mutates. Answer:
 * pdv_result_key_backups, one. NOT_FOUND with KEY_BACKUP_NOT_FOUND.
 */
PDV_API enum pdv_code pdv_destroy_key_backup(struct pdv_client *c,
    const struct pdv_key_backup_id *request, const struct pdv_call_options *options,
    struct pdv_result **out);
PDV_API enum pdv_code pdv_destroy_key_backup_async(struct pdv_client *c,
    const struct pdv_key_backup_id *request, const struct pdv_call_options *options,
    pdv_callback done, void *arg) PDV_MUST_USE;

/* pdv_get_status: for operators. Answer: pdv_result_status. */
PDV_API enum pdv_code pdv_get_status(
    struct pdv_client *c, const struct pdv_call_options *options, struct pdv_result **out);
PDV_API enum pdv_code pdv_get_status_async(struct pdv_client *c,
    const struct pdv_call_options *options, pdv_callback done, void *arg) PDV_MUST_USE;

/* pdv_check: whether it serves. Answer: pdv_result_serving. */
PDV_API enum pdv_code pdv_check(
    struct pdv_client *c, const struct pdv_call_options *options, struct pdv_result **out);
PDV_API enum pdv_code pdv_check_async(struct pdv_client *c,
    const struct pdv_call_options *options, pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * Low level: bytes that the caller has encoded itself. For load generators and for
 * methods that this library does not know.
 */
struct pdv_raw_request {
	const char *method;     /* "/pdvault.v1.Vault/GetIdentity"; NULL: no envelope */
	const uint8_t *message; /* the method's request message, encoded */
	size_t length;
	int mutates; /* not 0: an idempotency key goes with it */
};

/*
 * pdv_call_raw(c, request, options, out):
 * As any method; the answer's message is pdv_result_raw. With a method, the
 * envelope is made and read as for every call, retries included. Without one, the message
 * is the whole body that is sent and the answer's whole body is what comes back: no
 * envelope, code, epoch, nor any retry by code (to measure an echo with the same code).
 */
PDV_API enum pdv_code pdv_call_raw(struct pdv_client *c, const struct pdv_raw_request *request,
    const struct pdv_call_options *options, struct pdv_result **out);
PDV_API enum pdv_code pdv_call_raw_async(struct pdv_client *c, const struct pdv_raw_request *request,
    const struct pdv_call_options *options, pdv_callback done, void *arg) PDV_MUST_USE;

/*
 * pdv_idempotency_key(out):
 * Write PDV_KEY_LEN bytes to ${out}: 48 bits of Unix time in milliseconds, big-endian,
 * then random bits, in the layout of a UUID version 7 (RFC 9562, 5.7). Any thread.
 */
PDV_API void pdv_idempotency_key(uint8_t *out);

/*
 * pdv_subject_id_parse(text, out), pdv_erasure_id_parse(text, out):
 * Read "sub_" (or "era_") and 26 characters of lower-case base32 (RFC 4648, without
 * padding) into ${out}. PDV_INVALID_ARGUMENT, and ${out} is not written, for
 * anything else: one id has one text. Any thread.
 */
PDV_API enum pdv_code pdv_subject_id_parse(
    const char *text, struct pdv_subject_id *out) PDV_MUST_USE;
PDV_API enum pdv_code pdv_erasure_id_parse(
    const char *text, struct pdv_erasure_id *out) PDV_MUST_USE;

/*
 * pdv_subject_id_format(id, out), pdv_erasure_id_format(id, out):
 * Write the text and its NUL, PDV_ID_TEXT_LEN + 1 bytes, to ${out}. Any thread.
 */
PDV_API void pdv_subject_id_format(const struct pdv_subject_id *id, char *out);
PDV_API void pdv_erasure_id_format(const struct pdv_erasure_id *id, char *out);

/*
 * Names as in the .proto files ("NOT_FOUND", "IDENTITY", "ACTIVE", "SHREDDED", "SERVING").
 * Static strings, never NULL; a number without a name is "UNKNOWN" for codes and
 * "UNSPECIFIED" for the others.
 */
PDV_API const char *pdv_code_name(enum pdv_code code);
PDV_API const char *pdv_category_name(enum pdv_category category);
PDV_API const char *pdv_state_name(enum pdv_state state);
PDV_API const char *pdv_erasure_state_name(enum pdv_erasure_state state);
PDV_API const char *pdv_serving_state_name(enum pdv_serving_state state);
PDV_API const char *pdv_key_backup_state_name(enum pdv_key_backup_state state);

/*
 * pdv_category_parse(text, out):
 * The category of that name, in upper or lower case. PDV_INVALID_ARGUMENT for any other
 * text ("UNSPECIFIED" too).
 */
PDV_API enum pdv_code pdv_category_parse(
    const char *text, enum pdv_category *out) PDV_MUST_USE;

/* pdv_version(): the library's version, "MAJOR.MINOR.PATCH". */
PDV_API const char *pdv_version(void);

#ifdef __cplusplus
}
#endif

#endif /* PDVAULT_PDVAULT_H */
