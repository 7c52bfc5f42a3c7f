/*
 * Files that are ours alone: regular, 0600 or less, owned by us, one name, never
 * reached through a symbolic link. The key file and the anchor are such. The caller logs, since
 * it knows what the file is to it; *why becomes a static text, errno says more where it is
 * not 0. Any thread.
 */
#ifndef SERVER_KEYS_OWN_FILE_H
#define SERVER_KEYS_OWN_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "server/bytes.h"
#include "server/status.h"

/*
 * own_file_create(path, content, why): a new file, 0600, allocated, flushed with its folder.
 * STATUS_REFUSED: it exists; STATUS_IO: nothing is left of it.
 */
enum status own_file_create(const char *path, struct bytes content, const char **why) MUST_USE;

/*
 * own_file_open(path, writing, len, fd, why): STATUS_CONFIG: missing, not such a file,
 * or not exactly ${len} bytes long; STATUS_READ_ONLY: ${writing}, and the medium is read-only.
 * The caller closes *fd.
 */
enum status own_file_open(const char *path, bool writing, size_t len, int *fd,
    const char **why) MUST_USE;

/*
 * own_file_destroy(path): overwritten with random bytes where it lies, flushed, and removed; it need not be
 * there. false: it is still there, so that another try does not take it for destroyed.
 */
bool own_file_destroy(const char *path) MUST_USE;

/* Whether the open file still is one, of the same length. */
bool own_file_is(int fd, size_t len, const char **why) MUST_USE;

/* A new name is durable only when the folder that holds it is flushed. errno says why not. */
bool own_file_flush_folder(const char *path) MUST_USE;

/* The folder that holds ${path}, into out[cap]; false: too long. */
bool own_file_folder(const char *path, char *out, size_t cap) MUST_USE;

#endif /* SERVER_KEYS_OWN_FILE_H */
