/*
 * The rows of an input, CSV (RFC 4180, with a header) or JSON Lines, as they come: bytes
 * are fed in chunks of any size, and each row gives the cells of the columns asked for.
 * Memory is bounded by ROWS_ROW_MAX whatever the input holds. What was read is wiped.
 *
 * A damaged row costs itself only. After an error the next row is looked for on the line
 * after the one on which the damaged field began, so that a stray quote does not swallow
 * what follows.
 */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "failure.h"

enum {
	ROWS_ROW_MAX = 256 * 1024,	/* bytes of a row */
	ROWS_COLUMNS_MAX = 256,		/* columns asked for */
	ROWS_CSV_FIELDS_MAX = 4096	/* fields of a CSV row */
};

enum rows_format { ROWS_CSV, ROWS_JSONL };

struct rows;

/* Not NUL-terminated: a cell may hold NULs, and whatever bytes the file has. */
struct rows_cell {
	const char *text;		/* NULL: absent, or empty */
	size_t len;
};

struct rows_row {
	uint64_t line;			/* where it starts; the first is 1 */
	size_t bytes;			/* of the row, as it stands in the input */
	const struct rows_cell *cells;	/* one for each column asked for */
	const char *rule;		/* of a ROWS_REFUSED one */
	const char *column;		/* likewise: the column at fault, or NULL */
};

enum rows_event {
	ROWS_ROW,			/* a row; it stays until the next call on the reader */
	ROWS_REFUSED,			/* a row that cannot be read */
	ROWS_MORE,			/* feed more bytes, or say that there are none */
	ROWS_END,
	ROWS_FAILED			/* nothing can be read: see rows_why() */
};

struct rows_options {
	enum rows_format format;
	const char *const *columns;	/* names; in JSON also paths, "address.city" */
	size_t columns_n;
	char delimiter;			/* CSV; 0 is a comma */
};

/*
 * rows_new(options, out):
 * PDV_OK and a reader for rows_free(); INTERNAL without memory. The names must outlive it.
 */
enum pdv_code rows_new(const struct rows_options *options, struct rows **out);

/*
 * rows_feed(r, bytes, len):
 * Copy ${len} bytes behind those that are there: after ROWS_MORE, or before the first row.
 * A UTF-8 byte order mark in front of all is left out. INTERNAL without memory.
 */
enum pdv_code rows_feed(struct rows *r, const void *bytes, size_t len);

/*
 * rows_end(r):
 * No more bytes will come.
 */
void rows_end(struct rows *r);

/*
 * rows_next(r, row):
 * What comes next; ${row} is written on ROWS_ROW and ROWS_REFUSED, whose rule is one of
 * STRAY_QUOTE, OPEN_QUOTE, ROW_TOO_LONG, FIELD_COUNT, NOT_JSON, NOT_AN_OBJECT, NOT_A_VALUE.
 */
enum rows_event rows_next(struct rows *r, struct rows_row *row);

/*
 * rows_why(r, f):
 * After ROWS_FAILED: the reason, as a failure that is returned too.
 */
enum pdv_code rows_why(const struct rows *r, struct failure *f);

/*
 * rows_free(r):
 * NULL is allowed.
 */
void rows_free(struct rows *r);

#endif /* CLI_ROWS_H */
