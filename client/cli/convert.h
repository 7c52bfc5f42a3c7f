/*
 * One row of an input, by a column map, to a document: {"identity", "billing"} or
 * {"transaction"}, as json_in.h reads it, and the key by which its subject is found.
 */
#ifndef CLI_CONVERT_H
#define CLI_CONVERT_H

#include <jansson.h>

#include "failure.h"
#include "map.h"
#include "rows.h"

enum convert_key { CONVERT_BY_ACCOUNT, CONVERT_BY_EMAIL };

struct converted {
	json_t *doc;			/* for json_decref() */
	char *key;			/* for keep_drop() */
	enum convert_key by;
};

/*
 * convert_row(m, row, out, f):
 * PDV_OK and ${out}, which convert_drop() frees; INVALID_ARGUMENT with the fields and rules
 * (never a value): NOT_UTF8, EMBEDDED_NUL, REQUIRED, NOT_AN_INTEGER, and those of instant.h
 * and money.h; INTERNAL without memory. An empty cell is an absent field, and a constant
 * alone does not make a message. One thread.
 */
enum pdv_code convert_row(const struct map *m, const struct rows_row *row,
    struct converted *out, struct failure *f);

/*
 * convert_drop(c):
 * Free and wipe what convert_row() gave; all zero is allowed.
 */
void convert_drop(struct converted *c);

#endif /* CLI_CONVERT_H */
