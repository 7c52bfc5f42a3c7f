/*
 * The one result type of the server. STATUS_OK is 0; out-parameters are written
 * only then. Each status has a code on the wire, a stable reason, and a text for
 * people, all from the list below.
 */
#ifndef SERVER_STATUS_H
#define SERVER_STATUS_H

#include "pdvault/code.h"
#include "server/must.h"

/* name, code on the wire, reason, text */
#define STATUS_LIST(X)                                                                             \
	X(OK, OK, "", "done")                                                                      \
	X(INVALID, INVALID_ARGUMENT, "INVALID_ARGUMENT", "a field breaks a rule")                  \
	X(MALFORMED, INVALID_ARGUMENT, "MALFORMED_MESSAGE", "the message cannot be decoded")       \
	X(KEY_MISSING, INVALID_ARGUMENT, "IDEMPOTENCY_KEY_REQUIRED",                               \
	    "this method needs an idempotency key of 16 bytes")                                    \
	X(KEY_REUSED, INVALID_ARGUMENT, "IDEMPOTENCY_KEY_REUSED",                                  \
	    "the idempotency key was used with another request")                                   \
	X(TOO_LARGE, INVALID_ARGUMENT, "MESSAGE_TOO_LARGE", "the message is too large")            \
	X(NO_METHOD, UNIMPLEMENTED, "UNKNOWN_METHOD", "there is no such method")                   \
	X(EXPIRED, DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED",                                         \
	    "the deadline passed before the request was executed")                                 \
	X(NO_SUBJECT, NOT_FOUND, "SUBJECT_NOT_FOUND", "there is no such subject")                  \
	X(OTHER_VAULT, NOT_FOUND, "SUBJECT_OF_ANOTHER_VAULT",                                      \
	    "the subject id belongs to another vault")                                             \
	X(NO_RECORD, NOT_FOUND, "RECORD_NOT_FOUND", "the subject has no such record")              \
	X(NO_DATA_KEY, INVALID_ARGUMENT, "DATA_KEY_INVALID",                                       \
	    "no data key of this subject, category and context: damaged, or of another")           \
	X(NO_ERASURE, NOT_FOUND, "ERASURE_NOT_FOUND", "there is no such erasure")                  \
	X(NO_SESSION, NOT_FOUND, "SESSION_NOT_FOUND",                                              \
	    "the backup's session has ended: begin again")                                         \
	X(NO_JOB, NOT_FOUND, "JOB_NOT_FOUND", "there is no such job")                              \
	X(NO_SEAL, NOT_FOUND, "SEAL_NOT_FOUND", "the configuration has no seal of that name")      \
	X(TOO_SOON, FAILED_PRECONDITION, "SEAL_TOO_SOON",                                          \
	    "the seal's version is younger than its wear allows another")                         \
	X(JOB_ENDED, FAILED_PRECONDITION, "JOB_ENDED", "the job has ended, or its change is made") \
	X(JOBS, RESOURCE_EXHAUSTED, "TOO_MANY_JOBS", "too many jobs wait")                         \
	X(NO_KEY_BACKUP, NOT_FOUND, "KEY_BACKUP_NOT_FOUND", "there is no such key backup")         \
	X(KEY_BACKUP_CLOSED, FAILED_PRECONDITION, "KEY_BACKUP_CLOSED",                             \
	    "the key backup is complete, expired or destroyed")                                    \
	X(NO_RECOVERY_KEY, FAILED_PRECONDITION, "NO_RECOVERY_KEY",                                 \
	    "the configuration names no recovery key, so no keys are backed up")                   \
	X(KEY_BACKUPS, RESOURCE_EXHAUSTED, "TOO_MANY_KEY_BACKUPS",                                 \
	    "too many key backups are outstanding: destroy some")                                  \
	X(ERASED, FAILED_PRECONDITION, "SUBJECT_ERASED", "the subject was erased")                 \
	X(CATEGORY_ERASED, FAILED_PRECONDITION, "CATEGORY_ERASED",                                 \
	    "this category of the subject was erased")                                             \
	X(RETAINED, FAILED_PRECONDITION, "SUBJECT_RETAINED",                                       \
	    "the subject was erased in part; what is retained takes no writes")                    \
	X(LOOKUP_TAKEN, ALREADY_EXISTS, "LOOKUP_TAKEN",                                            \
	    "another subject has this email or account id")                                        \
	X(TRANSACTION_TAKEN, ALREADY_EXISTS, "TRANSACTION_EXISTS",                                 \
	    "a transaction with this id and another content exists")                               \
	X(ETAG, ABORTED, "ETAG_MISMATCH", "the record has changed since it was read")              \
	X(NOT_A_PRINCIPAL, PERMISSION_DENIED, "UNKNOWN_PRINCIPAL",                                 \
	    "the certificate names no principal of this vault")                                    \
	X(DENIED, PERMISSION_DENIED, "METHOD_NOT_ALLOWED", "the principal may not call this")      \
	X(BUSY, RESOURCE_EXHAUSTED, "QUEUE_FULL", "too many requests are waiting")                 \
	X(TOO_MANY, RESOURCE_EXHAUSTED, "TOO_MANY_IN_FLIGHT",                                      \
	    "this connection or principal has too many requests in flight")      \
	X(FULL, RESOURCE_EXHAUSTED, "STORE_FULL", "the store or its disk is full")                 \
	X(CROWDED, RESOURCE_EXHAUSTED, "LOOKUP_CROWDED", "too many subjects share this phone")     \
	X(NO_ROOM, RESOURCE_EXHAUSTED, "ANSWER_FULL",                                              \
	    "the answer has no room for this one; ask for fewer at once")                          \
	X(NO_MEMORY, RESOURCE_EXHAUSTED, "OUT_OF_MEMORY", "out of memory")                         \
	X(READ_ONLY, UNAVAILABLE, "READ_ONLY", "the vault takes no writes at present")             \
	X(DRAINING, UNAVAILABLE, "DRAINING", "the vault is stopping")                              \
	X(ANCHOR, UNAVAILABLE, "ANCHOR_UNAVAILABLE", "the anchor could not be written")            \
	X(SEAL, UNAVAILABLE, "SEAL_UNAVAILABLE", "the seal provider cannot be reached or does not work")    \
	X(INDETERMINATE, UNKNOWN, "OUTCOME_INDETERMINATE",                                         \
	    "a storage error: whether this was done will be known after the restart")              \
	X(FORGED, DATA_LOSS, "INTEGRITY", "stored data do not open under their key")               \
	X(CORRUPT, DATA_LOSS, "CORRUPT", "stored data are damaged")                                \
	X(LOST, DATA_LOSS, "RECORD_LOST",                                                          \
	    "the record was lost, and a restore could not bring it back")                          \
	X(IO, INTERNAL, "STORAGE_ERROR", "an input or output error")                               \
	X(CONFIG, FAILED_PRECONDITION, "CONFIGURATION", "the configuration is not usable")         \
	X(REFUSED, FAILED_PRECONDITION, "REFUSED", "refused; the log says why")                    \
	X(ABSENT, NOT_FOUND, "ABSENT", "not there")

#define STATUS_ENUM(name, code, reason, text) STATUS_##name,
enum status { STATUS_LIST(STATUS_ENUM) STATUS_COUNT };
#undef STATUS_ENUM

/* Static strings. Any thread. */
enum pdv_code status_code(enum status s);
const char *status_reason(enum status s);
const char *status_text(enum status s);

#endif /* SERVER_STATUS_H */
