/* CSV through libcsv, which knows no lines: it is fed one line's piece at a time. */
#include <limits.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keep.h"
#include "must.h"
#include "rows_internal.h"

enum { HEADER_ROOM = 64, FIELD_STEP = 4096 };

/* Blanks are part of a value. */
static int
no_space(unsigned char c)
{
	(void)c;
	return 0;
}

/* libcsv wants plain functions; keep.h's wipe. */
static void *
resize(void *at, size_t size)
{
	return keep_resize(at, size);
}

static bool
start_parser(struct rows_csv *c, char delimiter)
{
	if (csv_init(&c->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL) != 0)
		return false;
	csv_set_space_func(&c->parser, no_space);
	csv_set_delim(&c->parser, (unsigned char)delimiter);
	csv_set_realloc_func(&c->parser, resize);
	csv_set_free_func(&c->parser, keep_drop);
	csv_set_blk_size(&c->parser, FIELD_STEP);
	c->begun = true;
	return true;
}

enum pdv_code
rows_csv_new(struct rows *r)
{
	r->csv.scan_line = 1;
	return start_parser(&r->csv, r->options.delimiter) ? PDV_OK : PDV_INTERNAL;
}

void
rows_csv_free(struct rows *r)
{
	if (r->csv.begun)
		csv_free(&r->csv.parser);
	r->csv.begun = false;
	free(r->csv.wanted);
	r->csv.wanted = NULL;
}

/* A field of the header: which of the columns asked for is it? */
static void
header_field(struct rows *r, const char *name, size_t len)
{
	struct rows_csv *c = &r->csv;
	size_t i;
	int *more;

	if (c->header_n == ROWS_CSV_FIELDS_MAX) {
		c->header_too_long = true;
		return;
	}
	if (c->header_n % HEADER_ROOM == 0) {
		more = realloc(c->wanted, (c->header_n + HEADER_ROOM) * sizeof(*more));
		if (more == NULL) {
			c->no_memory = true;
			return;
		}
		c->wanted = more;
	}
	c->wanted[c->header_n] = ROWS_NOT_WANTED;
	for (i = 0; i < r->options.columns_n; i++)
		if (strlen(r->options.columns[i]) == len &&
		    memcmp(r->options.columns[i], name, len) == 0)
			c->wanted[c->header_n] = (int)i;
	c->header_n++;
}

static void
on_field(void *bytes, size_t len, void *arg)
{
	struct rows *r = arg;
	struct rows_csv *c = &r->csv;
	size_t at, n = c->fields_n++;

	if (!c->header) {
		header_field(r, bytes, len);
		return;
	}
	if (n >= c->header_n || c->wanted[n] == ROWS_NOT_WANTED || len == 0)
		return;
	if (!rows_text(r, bytes, len, &at)) {
		c->no_memory = true;
		return;
	}
	/* The text may still move: an offset until the row is complete. */
	r->cells[c->wanted[n]].text = (const char *)(uintptr_t)(at + 1);
	r->cells[c->wanted[n]].len = len;
}

static void
on_row(int end, void *arg)
{
	struct rows *r = arg;

	(void)end;
	r->csv.row_ended = true;
}

/* Ready for the row that begins at ${start}, on line ${line}. */
static bool
restart(struct rows *r, size_t start, uint64_t line, bool clean)
{
	struct rows_csv *c = &r->csv;

	r->start = r->scan = start;
	r->line = c->scan_line = line;
	c->fields_n = 0;
	c->row_ended = c->header_too_long = c->field_next_known = false;
	if (clean)
		return true;
	c->after_cr = false;
	csv_free(&c->parser);
	c->begun = false;
	return start_parser(c, r->options.delimiter);
}

static void
clear_cells(struct rows *r)
{
	memset(r->cells, 0, r->options.columns_n * sizeof(*r->cells));
	if (r->text_len > 0)
		sodium_memzero(r->text, r->text_len);
	r->text_len = 0;
}

/* Feed up to the end of the line, or of what is there. False: not CSV. */
static bool
feed_line(struct rows *r)
{
	struct rows_csv *c = &r->csv;
	const char *from = r->bytes + r->scan;
	size_t len = 0, most = r->end - r->scan, before = c->fields_n;
	char last = '\0';
	bool fits;

	while (len < most && last != '\n' && last != '\r')
		last = from[len++];
	fits = csv_parse(&c->parser, from, len, on_field, on_row, r) == len;
	if (c->fields_n != before)
		c->field_next_known = false;	/* the field at hand began on this line */
	if (!fits)
		return false;
	if (last == '\r' || (last == '\n' && !(len == 1 && c->after_cr)))
		c->scan_line++;
	c->after_cr = last == '\r';
	r->scan += len;
	if ((last == '\n' || last == '\r') && !c->field_next_known) {
		c->field_next = r->scan;
		c->field_next_line = c->scan_line;
		c->field_next_known = true;
	}
	return true;
}

/* The line after the one on which the damaged field began. */
static enum rows_event
refuse(struct rows *r, struct rows_row *row, const char *rule)
{
	struct rows_csv *c = &r->csv;

	row->line = r->line;
	row->rule = rule;
	clear_cells(r);
	if (c->field_next_known)
		return restart(r, c->field_next, c->field_next_line, false) ? ROWS_REFUSED
		    : ROWS_FAILED;
	/* It began on the line at scan, the end of which may still be to come. */
	c->skipping = true;
	return restart(r, r->scan, c->scan_line, false) ? ROWS_REFUSED : ROWS_FAILED;
}

/* Drop the rest of a line. False: it does not end in what is there. */
static bool
skip_line(struct rows *r)
{
	const char *at = memchr(r->bytes + r->scan, '\n', r->end - r->scan);
	size_t next = at == NULL ? r->end : (size_t)(at - r->bytes) + 1;

	r->csv.skipping = at == NULL;
	return restart(r, next, r->csv.scan_line + (at != NULL), true) && at != NULL;
}

static enum rows_event
header_done(struct rows *r)
{
	size_t i, k, n;

	for (i = 0; i < r->options.columns_n; i++) {
		for (n = k = 0; k < r->csv.header_n; k++)
			n += r->csv.wanted[k] == (int)i;
		if (n == 1)
			continue;
		(void)failure_set(&r->why, PDV_INVALID_ARGUMENT, "HEADER",
		    "the header (line %llu) has %s column \"%s\" of the map",
		    (unsigned long long)r->line, n == 0 ? "no" : "twice the",
		    r->options.columns[i]);
		return ROWS_FAILED;
	}
	r->csv.header = true;
	return ROWS_ROW;
}

static enum rows_event
row_done(struct rows *r, struct rows_row *row)
{
	struct rows_csv *c = &r->csv;
	size_t i, fields = c->fields_n;

	row->line = r->line;
	row->bytes = r->scan - r->start;
	if (!c->header) {
		if (fields > 0 && header_done(r) == ROWS_FAILED)
			return ROWS_FAILED;
		fields = 0;
	}
	(void)restart(r, r->scan, c->scan_line, true);
	if (fields == 0)
		return ROWS_MORE;	/* an empty line, or the header */
	if (fields != c->header_n) {
		row->rule = "FIELD_COUNT";
		clear_cells(r);
		return ROWS_REFUSED;
	}
	for (i = 0; i < r->options.columns_n; i++)
		if (r->cells[i].text != NULL)
			r->cells[i].text = r->text + ((uintptr_t)r->cells[i].text - 1);
	return ROWS_ROW;
}

static enum rows_event
fail(struct rows *r, const char *reason, const char *what)
{
	(void)failure_set(&r->why, PDV_INVALID_ARGUMENT, reason, "the header: %s", what);
	return ROWS_FAILED;
}

static enum rows_event
last_row(struct rows *r, struct rows_row *row)
{
	struct rows_csv *c = &r->csv;

	if (csv_fini(&c->parser, on_field, on_row, r) != 0)
		return c->header ? refuse(r, row, "OPEN_QUOTE") : fail(r, "HEADER", "OPEN_QUOTE");
	if (c->row_ended)
		return row_done(r, row);
	return c->header ? ROWS_END : fail(r, "HEADER", "there is none, the input is empty");
}

enum rows_event
rows_csv_next(struct rows *r, struct rows_row *row)
{
	struct rows_csv *c = &r->csv;
	enum rows_event event;

	if (r->start == r->scan)
		clear_cells(r);
	for (;;) {
		if (r->scan == r->end) {
			if (!r->ended)
				return ROWS_MORE;
			if ((event = last_row(r, row)) != ROWS_MORE)
				return event;
			continue;
		}
		if (c->skipping && !skip_line(r))
			continue;
		if (r->scan < r->end && !feed_line(r)) {
			if (!c->header)
				return fail(r, "HEADER", "STRAY_QUOTE");
			return refuse(r, row, "STRAY_QUOTE");
		}
		if (c->no_memory) {
			(void)failure_memory(&r->why);
			return ROWS_FAILED;
		}
		if (c->row_ended) {
			if ((event = row_done(r, row)) != ROWS_MORE)
				return event;
			clear_cells(r);
		} else if (r->scan - r->start > ROWS_ROW_MAX) {
			if (!c->header)
				return fail(r, "HEADER", "ROW_TOO_LONG");
			return refuse(r, row, "ROW_TOO_LONG");
		}
	}
}
