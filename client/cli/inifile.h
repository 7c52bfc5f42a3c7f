/*
 * INI files, read with inih through a line reader of our own, so that errors carry
 * file:line and nothing is cut, joined or taken twice: over-long lines and names, NULs,
 * sections and keys that come again, and lines that are neither are errors.
 */
#ifndef CLI_INIFILE_H
#define CLI_INIFILE_H

#include <stdbool.h>
#include <stdio.h>

#include "failure.h"

enum {
	INIFILE_LINE_MAX = 2000,	/* bytes of a line */
	INIFILE_LINES_MAX = 10000,
	INIFILE_NAME_MAX = 49,		/* bytes of a section's name: inih's limit */
	INIFILE_COMPLAINT_LEN = 400
};

/* A section as it begins, or a key in it. It stays until the handler returns. */
struct inifile_entry {
	const char *section;		/* "" before the first */
	const char *key;		/* NULL: the section begins */
	const char *value;		/* without the blanks around it */
	unsigned line;
};

/*
 * A handler gets each entry as it comes. False: refused, and why is in ${complaint},
 * without the value.
 */
typedef bool (*inifile_handler)(void *arg, const struct inifile_entry *e,
    char complaint[static INIFILE_COMPLAINT_LEN]);

/*
 * inifile_read(in, name, handler, arg, f):
 * Read ${in} to its end or the first error, which is INVALID_ARGUMENT, reason
 * INVALID_FILE, detail "NAME:LINE: what". ${in} stays the caller's. One thread: inih's
 * settings are global.
 */
enum pdv_code inifile_read(FILE *in, const char *name, inifile_handler handler, void *arg,
    struct failure *f);

#endif /* CLI_INIFILE_H */
