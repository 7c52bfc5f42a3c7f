/*
 * What doctor has found, one line for each thing that was looked at, and its two forms: for people, and JSON.
 */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "failure.h"

enum findings_level { FINDINGS_OK, FINDINGS_WARN, FINDINGS_FAIL, FINDINGS_LEVELS };

enum { FINDINGS_TEXT_LEN = 2048, FINDINGS_MAX = 1024 };

/* Start with all zero. */
struct findings {
	json_t *list;			/* of {"level", "check", "found", "mend"} */
	size_t fails;			/* lines that are FAIL */
	bool incomplete;		/* there was no memory, or there were more than FINDINGS_MAX */
};

/* What stands in one line; ${mend} NULL or "": nothing is to be mended. */
struct findings_line {
	enum findings_level level;
	const char *check;
	const char *mend;
};

/* findings_add(l, line, format, ...): one more; what was found is printed by the format, and may be cut. */
void findings_add(struct findings *l, const struct findings_line *line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * findings_read(l, text):
 * The lines that `pdvaultd doctor` prints where there is no terminal: level, check, found and mend with a tab
 * between them. ${text} is changed. False: one of them is none, or the last has no end; those before are
 * taken.
 */
bool findings_read(struct findings *l, char *text);

/*
 * findings_print(l, json, fd, f):
 * All of them to ${fd}. Control characters are shown as '?'.
 */
enum pdv_code findings_print(const struct findings *l, bool json, int fd, struct failure *f);

/* All zero is allowed. */
void findings_free(struct findings *l);

#endif /* CLI_FINDINGS_H */
