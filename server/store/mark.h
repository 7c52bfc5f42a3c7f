/*
 * Marks in a store's folder: something is begun and not through, and while the mark stands nothing is
 * served. Each is a file that lists paths, each with a zero byte behind it; it appears whole or not at all.
 * One thread, which has the store.
 */
#ifndef SERVER_STORE_MARK_H
#define SERVER_STORE_MARK_H

#include <stdbool.h>
#include <stddef.h>

#include "server/status.h"

#define MARK_LIST_MAX 65536u

/* While a restore is not through; lists the folder, the files that it makes besides, and what they are. */
#define MARK_RESTORE "restore.unfinished"

struct mark_list {
	size_t len;
	char text[MARK_LIST_MAX];
};

/* *out: it stands in the folder ${store}. All of these: STATUS_IO, and the log says why; STATUS_CONFIG. */
enum status mark_stands(const char *store, const char *name, bool *out) MUST_USE;

/* What it lists; empty where none stands. */
enum status mark_load(const char *store, const char *name, struct mark_list *out) MUST_USE;

/* Makes it, or puts it in the place of the one that stands, durably. */
enum status mark_save(const char *store, const char *name, const struct mark_list *l) MUST_USE;

/* Takes it away, durably; it need not stand. */
enum status mark_end(const char *store, const char *name) MUST_USE;

/* Adds a path, resolved if it can be, unless it is there. STATUS_CONFIG: no room. */
enum status mark_add(struct mark_list *l, const char *path) MUST_USE;
bool mark_has(const struct mark_list *l, const char *path);

/* The path behind ${path}, or the first for NULL; NULL: there is none. */
const char *mark_next(const struct mark_list *l, const char *path);

#endif /* SERVER_STORE_MARK_H */
