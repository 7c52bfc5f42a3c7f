/*
 * The progress of an import in a file, so that one that was killed can go on. It holds
 * numbers only: which input (its size and times), which map, how many rows, what became
 * of them.
 */
#ifndef CLI_RESUME_H
#define CLI_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#include "failure.h"
#include "tally.h"

/* What tells one file from another, or from itself when it was changed. */
struct resume_file {
	uint64_t device, inode, size;
	int64_t changed_ns;		/* time of modification */
};

struct resume {
	const char *path;		/* NULL: nothing is kept */
	struct resume_file input, map;
};

/*
 * resume_file(fd, out):
 * Of anything but a regular file all zero: nothing tells it from another. False: cannot be told.
 */
bool resume_file(int fd, struct resume_file *out);

/*
 * resume_load(r, t, f):
 * Fill ${t} from the file. PDV_OK and all zero when there is none, or when it belongs to
 * another input or map; ${other} then says so. INVALID_ARGUMENT if it is no such file.
 */
enum pdv_code resume_load(const struct resume *r, struct tally *t, bool *other,
    struct failure *f);

/*
 * resume_save(r, t, f):
 * Replace the file, durably: what it says has been answered by the vault.
 */
enum pdv_code resume_save(const struct resume *r, const struct tally *t, struct failure *f);

/*
 * resume_done(r):
 * The import has ended: the file goes.
 */
void resume_done(const struct resume *r);

#endif /* CLI_RESUME_H */
