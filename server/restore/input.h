/*
 * Where a restore reads rows: a backup (client/backup/chain.h), or the store of a vault that is down. One
 * thread. What is wrong is logged here, with the file's name.
 */
#ifndef SERVER_RESTORE_INPUT_H
#define SERVER_RESTORE_INPUT_H

#include "client/backup/chain.h"
#include "server/store/vault.h"
#include "server/store/store.h"

struct input;
struct stream;

/*
 * input_backup(path, count, kind, out): folders of one chain, the oldest first; every chunk is verified.
 * STATUS_REFUSED: damaged, not complete, not of that kind; STATUS_CONFIG: there is none; STATUS_IO.
 */
enum status input_backup(const char *const *path, size_t count, Pdvault__V1__BackupKind kind,
    struct input **out) MUST_USE;

/* The store of ${v}, as it is now; ${v} outlives it. */
enum status input_vault(struct vault *v, struct input **out) MUST_USE;
void input_free(struct input *in);

/* NULL: it is a store. */
const Pdvault__V1__BackupHead *input_head(const struct input *in);

/* Rows of one table in the order of their keys. Freed before the input. */
enum status stream_new(struct input *in, enum store_table t, struct stream **out) MUST_USE;
void stream_free(struct stream *s);

/*
 * The row where the stream stands; lives until it is moved. STATUS_ABSENT: at the end; STATUS_REFUSED,
 * STATUS_IO.
 */
enum status stream_row(struct stream *s, struct bytes *key, struct bytes *value) MUST_USE;

/* Goes on to the next row. */
void stream_step(struct stream *s);

/* Goes to the first row whose key is not below ${key}. */
enum status stream_seek(struct stream *s, struct bytes key) MUST_USE;

/* stream_seek() and stream_row(): the value of that key. STATUS_ABSENT: there is none. */
enum status stream_get(struct stream *s, struct bytes key, struct bytes *value) MUST_USE;

#endif /* SERVER_RESTORE_INPUT_H */
