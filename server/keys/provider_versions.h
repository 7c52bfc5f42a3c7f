/*
 * The files of a provider's versions: the one in use at its PATH, and while a new one is on the way that at
 * PATH.next. Each is a file that is ours alone (own_file.h), overwritten where it lies before it
 * is removed. The order of steps is such that a crash leaves at least the version that counts:
 *   a new one     PATH.next is made and flushed; what rests on it comes later
 *   the new one counts   PATH is overwritten and removed, PATH.next becomes PATH
 *   the old one counts   PATH.next is overwritten and removed
 * One thread at a time.
 */
#ifndef SERVER_KEYS_PROVIDER_VERSIONS_H
#define SERVER_KEYS_PROVIDER_VERSIONS_H

#include <stdbool.h>

#include "server/bytes.h"
#include "server/status.h"

enum version_place { VERSION_NOW, VERSION_NEXT, VERSION_NONE };

/* The caller's memory, secret where the file is: ${cap} bytes, of which ${len} were read. */
struct version_buffer {
	uint8_t *p;
	size_t cap, len;
};

/*
 * versions_read(path, at, out, why): the file at that place into ${out}. STATUS_ABSENT: there is none;
 * STATUS_CONFIG: open to others, not ours, empty or longer than out->cap. When it fails *why becomes a static
 * text, and errno says more where it is not 0; so it is with the functions below.
 */
enum status versions_read(const char *path, enum version_place at, struct version_buffer *out,
    const char **why) MUST_USE;

/* A file stands at that place; what cannot be found out counts as one. */
bool versions_stands(const char *path, enum version_place at);

/* A new file at that place, 0600, flushed with its folder. STATUS_REFUSED: there is one; STATUS_IO. */
enum status versions_add(const char *path, enum version_place at, struct bytes content,
    const char **why) MUST_USE;

/* Only that one stays (VERSION_NONE: none), as PATH. Done again it does nothing. STATUS_IO: not all is gone. */
enum status versions_keep(const char *path, enum version_place at, const char **why) MUST_USE;

#endif /* SERVER_KEYS_PROVIDER_VERSIONS_H */
