/*
 * A mark in the store's folder: the anchor is being moved, and files that were it before may still hold a
 * root key. While it stands nothing is served, so that no erasure is called done which such a file undoes.
 * It names all files of all tries, so that none is forgotten. One thread, which has the store open.
 */
#ifndef SERVER_STORE_MOVING_H
#define SERVER_STORE_MOVING_H

#include <stdbool.h>

#include "server/keys/anchor.h"
#include "server/status.h"

/* moving_stands(store, out): whether the mark stands in the folder ${store}. STATUS_IO; STATUS_CONFIG. */
enum status moving_stands(const char *store, bool *out) MUST_USE;

/* Makes it, or adds to it, durably: files to be written, and files to be left. STATUS_IO; STATUS_CONFIG. */
enum status moving_begin(const char *store, const struct anchor_paths *anchor,
    const struct anchor_paths *left) MUST_USE;

/* *missed: it names others than these, from another try; each is logged. STATUS_IO; STATUS_CONFIG. */
enum status moving_missed(const char *store, const struct anchor_paths *anchor,
    const struct anchor_paths *left, bool *missed) MUST_USE;

/* Takes it away, durably; it need not stand. STATUS_IO; STATUS_CONFIG. */
enum status moving_end(const char *store) MUST_USE;

#endif /* SERVER_STORE_MOVING_H */
