/*
 * The numbers behind /metrics: counters, gauges and histograms, each a row of one
 * table, all atomic and without locks. Any thread.
 */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "pdvault/code.h"

/* name in code, kind, name after pdvault_, help */
#define METRICS(X)                                                                               \
	X(EPOCH, GAUGE, "epoch", "Epoch of the root key in use.")                                \
	X(SETTLED_EPOCH, GAUGE, "settled_epoch", "Newest epoch whose predecessors are erased.")  \
	X(READ_ONLY, GAUGE, "read_only", "1 while the vault takes no writes.")                   \
	X(CONNECTIONS, GAUGE, "connections", "Open connections.")                                \
	X(IN_FLIGHT, GAUGE, "requests_in_flight", "Requests received and not yet answered.")     \
	X(QUEUE, GAUGE, "write_queue_length", "Mutations waiting for the writer.")               \
	X(SUBJECTS, GAUGE, "subjects", "Subjects that are not erased.")                          \
	X(ERASED, GAUGE, "erased_subjects", "Subjects that are erased.")                         \
	X(STORE_BYTES, GAUGE, "store_size_bytes", "Bytes of the store in use.")                  \
	X(STORE_LIMIT, GAUGE, "store_limit_bytes", "Bytes that the store may grow to.")          \
	X(SECRET_BYTES, GAUGE, "secret_memory_bytes", "Bytes of locked memory in use.")          \
	X(CERTIFICATE_EXPIRY, GAUGE, "certificate_expiry_timestamp_seconds",                     \
	    "When the server's certificate ends.")                                               \
	X(ANCHOR_VERIFIED, GAUGE, "anchor_verified_timestamp_seconds",                           \
	    "When the live slot of the anchor was last read again and gave the root key.")       \
	X(LEDGER_LAG, GAUGE, "ledger_lag_entries",                                              \
	    "Entries of the ledger that the copy that lacks most of them lacks.")               \
	X(BACKUP_DATA, GAUGE, "backup_data_timestamp_seconds",                                   \
	    "When the last complete backup of data was begun; 0: never.")                        \
	X(BACKUP_KEYS, GAUGE, "backup_keys_timestamp_seconds",                                   \
	    "When the last complete backup of keys was begun; 0: never.")                        \
	X(BACKUP_VERIFY, GAUGE, "backup_verify_timestamp_seconds",                               \
	    "When a backup was last said to be verified; 0: never.")                             \
	X(BACKUP_DRILL, GAUGE, "backup_drill_timestamp_seconds",                                 \
	    "When a restore was last said to have been tried; 0: never.")                        \
	X(KEY_BACKUPS, GAUGE, "key_backups_outstanding", "Key backups that may open somebody.")  \
	X(SEAL_TESTED, GAUGE, "seals_tested_timestamp_seconds",                                   \
	    "When every seal that is in use last gave its key.")                                 \
	X(SEALS_FAILING, GAUGE, "seals_failing", "Seals in use that did not give their key.")    \
	X(JOBS_OPEN, GAUGE, "jobs_open", "Jobs that wait, run or are paused.")                   \
	X(JOB_UPDATED, GAUGE, "job_updated_timestamp_seconds",                                   \
	    "When the job that runs last got on; 0: none runs.")                                 \
	X(JOB_UNITS, COUNTER, "job_units_total", "Subjects, pages and buckets that jobs went through.") \
	X(JOBS_FAILED, COUNTER, "jobs_failed_total", "Jobs that failed.")                        \
	X(ANCHOR_OPENED, COUNTER, "anchor_opened_total", "Times that another process opened the anchor.") \
	X(SWITCHES, COUNTER, "key_switches_total", "Switches from one epoch to the next.")       \
	X(COMMITS, COUNTER, "commits_total", "Durable commits of the store.")                    \
	X(MUTATIONS, COUNTER, "mutations_total", "Mutations committed.")                         \
	X(SUBJECTS_SHREDDED, COUNTER, "subjects_shredded_total", "Subjects shredded.")           \
	X(ANCHOR_ERRORS, COUNTER, "anchor_errors_total", "Failed writes or reads of the anchor.") \
	X(INTEGRITY_ERRORS, COUNTER, "integrity_errors_total",                                   \
	    "Stored boxes that did not open or did not fit.")                                    \
	X(PAGE_HITS, COUNTER, "key_page_cache_hits_total", "Key pages found opened.")            \
	X(PAGE_MISSES, COUNTER, "key_page_cache_misses_total", "Key pages opened anew.")         \
	X(CONNECTIONS_REFUSED, COUNTER, "connections_refused_total",                             \
	    "Connections refused by limits or identity.")                                        \
	X(CONNECTIONS_CLOSED, COUNTER, "connections_closed_total",                               \
	    "Connections closed as idle, revoked or not reading.")                               \
	X(HANDSHAKES_FAILED, COUNTER, "tls_handshakes_failed_total",                              \
	    "TLS handshakes that failed by themselves.")                                         \
	X(MALFORMED, COUNTER, "malformed_messages_total", "Messages that could not be decoded.") \
	X(RELOAD_FAILURES, COUNTER, "reload_failures_total", "Reloads that kept the old state.")

/* name in code, name after pdvault_, help */
#define METRIC_HISTOGRAMS(X)                                                              \
	X(COMMIT, "commit_duration_seconds", "A durable commit of the store.")            \
	X(ANCHOR, "anchor_write_duration_seconds", "Writing one slot of the anchor.")     \
	X(SWITCH, "key_switch_duration_seconds", "A whole switch, K2 to K6.")             \
	X(QUEUE_WAIT, "write_queue_wait_seconds", "A mutation's wait for the writer.")    \
	X(PIN_WAIT, "reader_pin_wait_seconds", "K6 waiting for readers of the old epoch.")

#define METRIC_ENUM(name, kind, text, help) METRIC_##name,
enum metric { METRICS(METRIC_ENUM) METRIC_COUNT };
#undef METRIC_ENUM

#define METRIC_HISTOGRAM_ENUM(name, text, help) METRIC_TIME_##name,
enum metric_time { METRIC_HISTOGRAMS(METRIC_HISTOGRAM_ENUM) METRIC_TIME_COUNT };
#undef METRIC_HISTOGRAM_ENUM

void metrics_add(enum metric m, uint64_t n);
void metrics_set(enum metric m, uint64_t value);
uint64_t metrics_get(enum metric m);
void metrics_time(enum metric_time t, uint64_t ns);

/* One answered request: method is its place in the method table, at most METRICS_METHODS_MAX. */
#define METRICS_METHODS_MAX 64
void metrics_request(unsigned method, enum pdv_code code, uint64_t ns);

/*
 * The Prometheus text format 0.0.4 into buf of cap bytes; labels of methods come from
 * names[0 .. count-1]. Returns the length that it needs; nothing is cut when that is below cap.
 */
size_t metrics_print(char *buf, size_t cap, const char *const *names, unsigned count);

#endif /* SERVER_METRICS_H */
