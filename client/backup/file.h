/*
 * The files of a backup, read and written as wholes. They are regular files under names of our own in one
 * folder; a symbolic link is none. Any thread.
 */
#ifndef CLIENT_BACKUP_FILE_H
#define CLIENT_BACKUP_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "client/backup/fault.h"

#define BACKUP_PATH_MAX 4096u
#define BACKUP_PART ".part"		/* behind the name of a file that is being written */

struct backup_piece {
	const uint8_t *p;
	size_t len;
};

/* folder/name. BACKUP_BAD: it is too long. */
enum backup_result backup_file_path(const char *folder, const char *name, char out[static BACKUP_PATH_MAX],
    struct backup_fault *f);

/*
 * backup_file_read(path, max, out, len, f):
 * The whole file, for free(). BACKUP_ABSENT: there is none; BACKUP_BAD: it is no regular file, or has more than
 * ${max} bytes.
 */
enum backup_result backup_file_read(const char *path, size_t max, uint8_t **out, size_t *len,
    struct backup_fault *f);

/*
 * backup_file_write(path, pieces, count, f):
 * A file, mode 0600, of these pieces, flushed, in place of what was there; whole or not at all. Its name is
 * durable only after backup_file_flush().
 */
enum backup_result backup_file_write(const char *path, const struct backup_piece *pieces, size_t count,
    struct backup_fault *f);

/*
 * backup_file_complete(unfinished, end, path, f):
 * The last bytes of a file that was written are these, flushed, and it is renamed to ${path}: no room is needed
 * for it.
 */
enum backup_result backup_file_complete(const char *unfinished, struct backup_piece end, const char *path,
    struct backup_fault *f);

/* The names in a folder are durable. */
enum backup_result backup_file_flush(const char *folder, struct backup_fault *f);

#endif /* CLIENT_BACKUP_FILE_H */
