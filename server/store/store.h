/*
 * The seam to the engine that keeps rows: an ordered key-value store with snapshot
 * reads and one atomic, durable write batch at a time. Only store_lmdb*.c knows which
 * engine it is. Nothing here is secret: what is, was sealed before it came here.
 */
#ifndef SERVER_STORE_STORE_H
#define SERVER_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/bytes.h"
#include "server/status.h"

#define STORE_KEY_MAX 128u
#define STORE_VALUE_MAX (1u << 20)

/* name in code, name in the engine, whether keys mostly grow */
#define STORE_TABLES(X)                       \
	X(META, "meta", false)                \
	X(NODES, "nodes", true)               \
	X(BUCKETS, "buckets", false)          \
	X(KEYRINGS, "keyrings", true)         \
	X(SUBJECTS, "subjects", false)        \
	X(RECORDS, "records", true)           \
	X(TRANSACTIONS, "transactions", true) \
	X(IDEMPOTENCY, "idempotency", true)   \
	X(ERASURES, "erasures", false)        \
	X(LEDGER, "ledger", true)             \
	X(LITTER, "litter", false)            \
	X(BACKUPS, "backups", true)           \
	X(JOBS, "jobs", true)                 \
	X(SIGNERS, "signers", true)

#define STORE_TABLE_ENUM(name, text, grows) STORE_##name,
enum store_table { STORE_TABLES(STORE_TABLE_ENUM) STORE_TABLE_COUNT };
#undef STORE_TABLE_ENUM

struct store;
struct store_snapshot;
struct store_batch;

struct store_options {
	const char *path;	/* folder */
	uint64_t map_bytes;	/* upper limit of the store; address space only */
	uint64_t reserve_bytes;	/* kept allocated for erasures */
	bool create;		/* the folder must be empty or absent */
	bool stepped;		/* also one in which store_step_back() is not through, which else is refused */
	bool read_only;
};

/*
 * STATUS_REFUSED: another process has it, or create and there is one already; STATUS_CONFIG: there is
 * none; STATUS_IO, STATUS_CORRUPT. The log says which.
 */
enum status store_open(const struct store_options *o, struct store **out) MUST_USE;
void store_close(struct store *st);

/* There is a store in that folder, whole or not. */
bool store_is_at(const char *path);

/* Removes the files of a store that was just created and has nothing in it; its folder stays. */
void store_remove(const char *path);

/* The store at that path lies on a read-only file system. */
bool store_is_read_only(const char *path);

/*
 * A snapshot belongs to one thread at a time and is made once. What store_get and
 * store_seek return points into the store and dies at store_snapshot_end(). Keep it
 * short: copy out, end, then open the boxes.
 */
enum status store_snapshot_new(struct store *st, struct store_snapshot **out) MUST_USE;
enum status store_snapshot_begin(struct store_snapshot *s) MUST_USE;
void store_snapshot_end(struct store_snapshot *s);
void store_snapshot_free(struct store_snapshot *s);

/* STATUS_ABSENT: no such row. STATUS_IO, STATUS_CORRUPT. */
enum status store_get(struct store_snapshot *s, enum store_table t, struct bytes key,
    struct bytes *value) MUST_USE;

/* The first row whose key is not below ${from}. STATUS_ABSENT: there is none. */
enum status store_seek(struct store_snapshot *s, enum store_table t, struct bytes from,
    struct bytes *key, struct bytes *value) MUST_USE;

enum status store_count(struct store_snapshot *s, enum store_table t, uint64_t *rows) MUST_USE;

/*
 * K3. Makes sure that a batch of ${rows} rows with ${bytes} bytes of keys and values cannot
 * run out of space, by allocating before. STATUS_FULL: the disk is full, or the store is
 * at nine tenths of its limit; ${erasure} may use the reserve and the last tenth. Writer's thread.
 */
enum status store_allocate(struct store *st, size_t rows, size_t bytes, bool erasure) MUST_USE;

/*
 * The batch: one at a time, the writer's thread. Fastest when rows come in the order of table and
 * key. After any error the batch must be aborted. store_batch_commit() consumes
 * it; anything but STATUS_OK means that the outcome is unknown, and that this process
 * must not write again.
 */
enum status store_batch_begin(struct store *st, struct store_batch **out) MUST_USE;
enum status store_batch_put(struct store_batch *b, enum store_table t, struct bytes key,
    struct bytes value) MUST_USE;
enum status store_batch_delete(struct store_batch *b, enum store_table t, struct bytes key) MUST_USE;
enum status store_batch_commit(struct store_batch *b) MUST_USE;
void store_batch_abort(struct store_batch *b);

/*
 * What the medium holds, read past the page cache, is the newest commit that this process
 * sees. STATUS_IO: it could not be read; STATUS_CORRUPT: it is not. Before recovery touches a slot.
 */
enum status store_settled_on_medium(struct store *st) MUST_USE;

/*
 * Going back by one commit, in a store that nobody has open (`pdvaultd recover --previous`).
 * store_step_back(path): what was the newest commit is set aside and the one before it is the newest.
 * Then either store_step_forward(path), which undoes that as long as nothing was committed since, also
 * after a crash in between, or store_step_done(path). store_step_forward() does nothing when nothing was set
 * aside. STATUS_REFUSED: another process has the store, a meta page is damaged, there is no commit before, or
 * one is set aside already; STATUS_IO; STATUS_CONFIG: the path is too long. The log says which.
 */
enum status store_step_back(const char *path) MUST_USE;
enum status store_step_forward(const char *path) MUST_USE;
enum status store_step_done(const char *path) MUST_USE;

/* *out: whether one is set aside; what cannot be found out counts as one. STATUS_CONFIG. */
enum status store_step_stands(const char *path, bool *out) MUST_USE;

/* Bytes in use and the limit. Any thread. */
void store_usage(struct store *st, uint64_t *used, uint64_t *limit);

#endif /* SERVER_STORE_STORE_H */
