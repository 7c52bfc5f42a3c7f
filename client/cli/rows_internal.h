/*
 * What the readers of both formats share; only rows*.c include it.
 *
 * Invariants: start <= scan <= end <= room; the bytes of the row being read begin at start,
 * those before scan have been looked at; line is the line of start.
 */
#ifndef CLI_ROWS_INTERNAL_H
#define CLI_ROWS_INTERNAL_H

#include <csv.h>
#include <jansson.h>
#include <stdbool.h>

#include "rows.h"

enum { ROWS_NOT_WANTED = -1 };

/* The CSV reader's own. */
struct rows_csv {
	struct csv_parser parser;
	bool begun;			/* the parser is to be freed */
	bool header;			/* has been read */
	int *wanted;			/* for each field of the header: its column, or not */
	size_t header_n;
	size_t fields_n;		/* in this row, so far */
	bool header_too_long;		/* over ROWS_CSV_FIELDS_MAX fields */
	bool row_ended;
	bool after_cr;			/* the last byte looked at */
	bool no_memory;
	uint64_t scan_line;		/* the line of scan */
	bool skipping;			/* the rest of a damaged line */
	size_t field_next;		/* the line after the one where the field began */
	uint64_t field_next_line;
	bool field_next_known;
};

struct rows_jsonl {
	json_t *object;			/* of the present row */
};

struct rows {
	struct rows_options options;
	char *bytes;
	size_t start, scan, end, room;
	uint64_t line;
	bool begun;			/* past the byte order mark */
	bool ended;
	struct rows_cell *cells;
	char *text;			/* what cells point to, where it is not elsewhere */
	size_t text_len, text_room;
	struct failure why;
	struct rows_csv csv;
	struct rows_jsonl jsonl;
};

/*
 * rows_text(r, bytes, len, at):
 * Copy into r->text; ${at} is the offset there, since the text may move. False without
 * memory.
 */
bool rows_text(struct rows *r, const void *bytes, size_t len, size_t *at);

enum pdv_code rows_csv_new(struct rows *r);
enum rows_event rows_csv_next(struct rows *r, struct rows_row *row);
void rows_csv_free(struct rows *r);

enum rows_event rows_jsonl_next(struct rows *r, struct rows_row *row);
void rows_jsonl_free(struct rows *r);

#endif /* CLI_ROWS_INTERNAL_H */
