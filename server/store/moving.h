/*
 * A mark in the store's folder: the anchor is being moved, and files that were it before may still hold a
 * root key. While it stands nothing is served, so that no erasure is called done which such a file undoes.
 * One thread, which has the store open.
 */
#ifndef SERVER_STORE_MOVING_H
#define SERVER_STORE_MOVING_H

#include <stdbool.h>

#include "server/status.h"

/* moving_stands(store, out): whether the mark stands in the folder ${store}. STATUS_IO. */
enum status moving_stands(const char *store, bool *out) MUST_USE;

/* Makes it, durably; it may stand. STATUS_IO. */
enum status moving_begin(const char *store) MUST_USE;

/* Takes it away, durably; it need not stand. STATUS_IO. */
enum status moving_end(const char *store) MUST_USE;

#endif /* SERVER_STORE_MOVING_H */
