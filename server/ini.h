/*
 * INI files, strictly: inih behind a line reader of our own, since inih alone cuts long
 * names, goes on with the rest of a long line as if it were another, and tells no line
 * numbers.
 *
 *	# a comment stands on a line of its own
 *	[section name]
 *	key = value
 *
 * Faults: a line over INI_LINE_MAX bytes; a control character; a line that begins with a
 * blank (inih would append it to the value above); a section given twice; a key given twice in a
 * section; a key before any section; a name over INI_NAME_MAX bytes; a value followed by a
 * comment; anything else than the three lines above.
 */
#ifndef SERVER_INI_H
#define SERVER_INI_H

#include "server/bytes.h"
#include "server/status.h"

#define INI_FILE_MAX (1u << 20)		/* bytes of a file */
#define INI_LINE_MAX 4096u		/* bytes of a line without its end */
#define INI_NAME_MAX 48u		/* bytes of a section's or key's name: inih cuts at 49 */
#define INI_SECTIONS_MAX 512u
#define INI_KEYS_MAX 64u		/* of one section */
#define INI_FAULTS_MAX 16u
#define INI_TEXT_MAX 200u

/* What is wrong with a file, in the order found; the first INI_FAULTS_MAX are kept. */
struct ini_faults {
	unsigned count;
	struct ini_fault {
		unsigned line;		/* from 1; 0: the file as a whole */
		char text[INI_TEXT_MAX];
	} row[INI_FAULTS_MAX];
};

struct ini_pair {
	const char *section, *key, *value;
	unsigned line;
};

/* Whom to tell. Pointers live for the call only. A receiver reports its own faults by ini_fault. */
struct ini_receiver {
	void *owner;
	void (*section)(void *owner, const char *name, unsigned line);
	void (*pair)(void *owner, const struct ini_pair *pair);
};

/* Adds a fault; format as printf's. Bytes that are no printable ASCII become '?'. */
void ini_fault(struct ini_faults *f, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * ini_read(text, to, f):
 * Tell ${to} each section and pair of ${text}. STATUS_CONFIG: there is a fault in ${f}, which the
 * caller empties before; what was told may be incomplete. One thread at a time in the
 * process: inih's settings are global.
 */
enum status ini_read(struct bytes text, const struct ini_receiver *to,
    struct ini_faults *f) MUST_USE;

/*
 * ini_load(path, out, f):
 * The whole of a regular file that nobody but its owner can write. The caller frees ${out}.
 * STATUS_CONFIG: ${f} says why not.
 */
enum status ini_load(const char *path, struct bytes *out, struct ini_faults *f) MUST_USE;

#endif /* SERVER_INI_H */
