#include "rows.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "keep.h"
#include "must.h"
#include "rows_internal.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

enum { MARK_LEN = 3 };

enum pdv_code
rows_new(const struct rows_options *options, struct rows **out)
{
	struct rows *r;

	must(options->columns_n <= ROWS_COLUMNS_MAX);
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return PDV_INTERNAL;
	r->options = *options;
	if (r->options.delimiter == '\0')
		r->options.delimiter = ',';
	r->line = 1;
	if ((r->cells = calloc(options->columns_n + 1, sizeof(*r->cells))) == NULL)
		goto out;
	if (options->format == ROWS_CSV && rows_csv_new(r) != PDV_OK)
		goto out;
	*out = r;
	return PDV_OK;
out:
	rows_free(r);
	return PDV_INTERNAL;
}

/* Make room behind end: by moving what is there to the front, or by growing. */
static bool
make_room(struct rows *r, size_t len)
{
	size_t shift = r->start, room;
	char *more;

	if (shift > 0) {
		memmove(r->bytes, r->bytes + shift, r->end - shift);
		sodium_memzero(r->bytes + r->end - shift, shift);
		r->start = 0;
		r->scan -= shift;
		r->end -= shift;
		r->csv.field_next -= r->csv.field_next_known ? shift : 0;
	}
	if (r->room - r->end >= len)
		return true;
	room = 2 * r->room + len;
	if ((more = keep_resize(r->bytes, room)) == NULL)
		return false;
	r->bytes = more;
	r->room = room;
	return true;
}

enum pdv_code
rows_feed(struct rows *r, const void *bytes, size_t len)
{
	must(!r->ended);
	if (len == 0)
		return PDV_OK;
	if (r->room - r->end < len && !make_room(r, len))
		return failure_memory(&r->why);
	memcpy(r->bytes + r->end, bytes, len);
	r->end += len;
	return PDV_OK;
}

void
rows_end(struct rows *r)
{
	r->ended = true;
}

bool
rows_text(struct rows *r, const void *bytes, size_t len, size_t *at)
{
	size_t room;
	char *more;

	if (r->text_room - r->text_len < len + 1) {
		room = 2 * r->text_room + len + 256;
		if ((more = keep_resize(r->text, room)) == NULL)
			return false;
		r->text = more;
		r->text_room = room;
	}
	*at = r->text_len;
	if (len > 0)
		memcpy(r->text + r->text_len, bytes, len);
	r->text_len += len;
	return true;
}

/* False: too few bytes to tell whether there is a mark. */
static bool
skip_mark(struct rows *r)
{
	size_t n = r->end - r->start;

	if (r->begun)
		return true;
	if (n >= MARK_LEN && memcmp(r->bytes, BYTE_ORDER_MARK, MARK_LEN) == 0)
		r->start = r->scan = MARK_LEN;
	else if (n < MARK_LEN && !r->ended &&
	    (n == 0 || memcmp(r->bytes, BYTE_ORDER_MARK, n) == 0))
		return false;
	r->begun = true;
	return true;
}

enum rows_event
rows_next(struct rows *r, struct rows_row *row)
{
	if (r->why.code != PDV_OK)
		return ROWS_FAILED;
	if (!skip_mark(r))
		return ROWS_MORE;
	memset(row, 0, sizeof(*row));
	row->cells = r->cells;
	return r->options.format == ROWS_CSV ? rows_csv_next(r, row) : rows_jsonl_next(r, row);
}

enum pdv_code
rows_why(const struct rows *r, struct failure *f)
{
	*f = r->why;
	return f->code;
}

void
rows_free(struct rows *r)
{
	if (r == NULL)
		return;
	rows_csv_free(r);
	rows_jsonl_free(r);
	keep_drop(r->bytes);
	keep_drop(r->text);
	free(r->cells);
	free(r);
}
