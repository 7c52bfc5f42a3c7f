/*
 * The log: one JSON object a line on standard error, from a closed set of events
 * and fields. A field's value is a number, or a text that we wrote ourselves or that
 * stands in the configuration (a path, a principal's or method's name, an errno's
 * text): never a byte that came over the wire or out of a record, never a subject id.
 */
#ifndef SERVER_LOG_H
#define SERVER_LOG_H

#include <stdint.h>

#include "server/status.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* name in code, name in the log, level */
#define LOG_EVENTS(X)                                         \
	X(START, "start", INFO)                               \
	X(READY, "ready", INFO)                               \
	X(DRAIN, "drain", INFO)                               \
	X(STOP, "stop", INFO)                                 \
	X(FATAL, "fatal", ERROR)                              \
	X(CONFIG, "config", ERROR)                            \
	X(RELOAD, "reload", INFO)                             \
	X(RELOAD_FAILED, "reload_failed", ERROR)              \
	X(INIT, "init", INFO)                                 \
	X(SECRET_MEMORY, "secret_memory", INFO)               \
	X(ANCHOR_CLASS, "anchor_class", INFO)                 \
	X(ANCHOR_CLASS_CHANGED, "anchor_class_changed", WARN) \
	X(ANCHOR_ERROR, "anchor_error", ERROR)                \
	X(ANCHOR_WRITTEN, "anchor_written", WARN)             \
	X(ANCHOR_RETIRED, "anchor_retired", WARN)             \
	X(ANCHOR_OPENED, "anchor_opened", ERROR)              \
	X(RECOVERY, "recovery", INFO)                         \
	X(RECOVERY_REFUSED, "recovery_refused", ERROR)        \
	X(SEAL, "seal", ERROR)                                \
	X(SEAL_CHANGED, "seal_changed", INFO)                 \
	X(JOB, "job", INFO)                                   \
	X(STORE_ERROR, "store_error", ERROR)                  \
	X(STORE_FULL, "store_full", WARN)                     \
	X(READ_ONLY, "read_only", ERROR)                      \
	X(SETTLED, "settled", INFO)                           \
	X(LEDGER_COPY, "ledger_copy", WARN)                   \
	X(BACKUP, "backup", WARN)                             \
	X(RESTORE, "restore", WARN)                           \
	X(INDETERMINATE, "indeterminate", ERROR)              \
	X(INTEGRITY, "integrity", ERROR)                      \
	X(READER_STUCK, "reader_stuck", ERROR)                \
	X(LISTEN, "listen", INFO)                             \
	X(CONNECTION_REFUSED, "connection_refused", WARN)     \
	X(CONNECTION_CLOSED, "connection_closed", INFO)       \
	X(REQUEST_DENIED, "request_denied", WARN)             \
	X(HANDSHAKES_FAILED, "handshakes_failed", WARN)

/* name in code, name in the log */
#define LOG_KEYS(X)             \
	X(STATUS, "status")     \
	X(WHAT, "what")         \
	X(NAME, "name")         \
	X(PATH, "path")         \
	X(LINE, "line")         \
	X(ERRNO, "errno")       \
	X(EPOCH, "epoch")       \
	X(OTHER, "other")       \
	X(CLASS, "class")       \
	X(WHY, "why")           \
	X(VERSION, "version")   \
	X(ADDRESS, "address")   \
	X(PRINCIPAL, "principal") \
	X(METHOD, "method")     \
	X(COUNT, "count")       \
	X(BYTES, "bytes")       \
	X(TABLE, "table")       \
	X(SECONDS, "seconds")   \
	X(SIGNAL, "signal")

#define LOG_EVENT_ENUM(name, text, level) LOG_##name,
enum log_event { LOG_EVENTS(LOG_EVENT_ENUM) LOG_EVENT_COUNT };
#undef LOG_EVENT_ENUM

#define LOG_KEY_ENUM(name, text) LOG_KEY_##name,
enum log_key { LOG_KEY_NONE, LOG_KEYS(LOG_KEY_ENUM) LOG_KEYS_END };
#undef LOG_KEY_ENUM

struct log_field {
	enum log_key key;
	const char *text;	/* or NULL: the number */
	uint64_t number;
};

#define LOG_N(key, n) ((struct log_field){ LOG_KEY_##key, NULL, (uint64_t)(n) })
#define LOG_S(key, s) ((struct log_field){ LOG_KEY_##key, (s), 0 })
#define LOG_STATUS(rc) ((struct log_field){ LOG_KEY_STATUS, status_reason(rc), 0 })

/*
 * log_event(LOG_READY, LOG_N(EPOCH, e), LOG_S(PATH, p)):
 * One line, written by one write(2). Texts are escaped and cut at 256 bytes.
 * Any thread; keeps errno.
 */
#define log_event(...) log_event_(__VA_ARGS__, ((struct log_field){ LOG_KEY_NONE, NULL, 0 }))
#define log_event_(event, ...) log_write((event), (const struct log_field[]){ __VA_ARGS__ })

/* fields ends with LOG_KEY_NONE. */
void log_write(enum log_event event, const struct log_field *fields);

/* Events below level are dropped; LOG_INFO from the start. Call before threads start. */
void log_set_level(enum log_level level);

#endif /* SERVER_LOG_H */
