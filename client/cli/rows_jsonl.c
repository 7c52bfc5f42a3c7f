/* JSON Lines: one object a line, each parsed by jansson. */
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows_internal.h"

enum { NUMBER_LEN = 40, DIGITS_LEAST = 15, DIGITS_MOST = 17, DEPTH_MAX = 16 };

void
rows_jsonl_free(struct rows *r)
{
	json_decref(r->jsonl.object);
	r->jsonl.object = NULL;
}

/* "emails.0" or "address.city": the first part is a key that may hold points itself. */
static const json_t *
look_up(const json_t *value, const char *path, unsigned depth)
{
	const json_t *found, *inner;
	char key[FAILURE_FIELD_LEN];
	const char *point;
	size_t len;

	if (depth > DEPTH_MAX)
		return NULL;
	if (json_is_array(value)) {
		len = strspn(path, "0123456789");
		if (len == 0 || len > 4 || (path[len] != '.' && path[len] != '\0'))
			return NULL;
		found = json_array_get(value, strtoul(path, NULL, 10));
		return path[len] == '\0' || found == NULL ? found
		    : look_up(found, path + len + 1, depth + 1);
	}
	if ((found = json_object_get(value, path)) != NULL)
		return found;
	for (point = strchr(path, '.'); point != NULL; point = strchr(point + 1, '.')) {
		if ((len = (size_t)(point - path)) >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		if ((inner = json_object_get(value, key)) != NULL &&
		    (found = look_up(inner, point + 1, depth + 1)) != NULL)
			return found;
	}
	return NULL;
}

/* The shortest decimal number that is read as the same one: 1.98 stays 1.98. */
static void
real_text(double value, char out[static NUMBER_LEN])
{
	int digits;

	for (digits = DIGITS_LEAST; digits <= DIGITS_MOST; digits++) {
		(void)snprintf(out, NUMBER_LEN, "%.*g", digits, value);
		if (strtod(out, NULL) == value)
			return;
	}
}

/* False: this is no value for a cell. Texts made here are offsets until all are there. */
static bool
cell(struct rows *r, const json_t *value, struct rows_cell *out, bool *made)
{
	char number[NUMBER_LEN] = "";
	size_t at;

	*made = false;
	if (value == NULL || json_is_null(value))
		return true;
	if (json_is_string(value)) {
		out->text = json_string_value(value);
		if ((out->len = json_string_length(value)) == 0)
			out->text = NULL;
		return true;
	}
	if (json_is_integer(value))
		(void)snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
		    json_integer_value(value));
	else if (json_is_real(value))
		real_text(json_real_value(value), number);
	else if (json_is_boolean(value))
		(void)snprintf(number, sizeof(number), "%s", json_is_true(value) ? "true" : "false");
	else
		return false;
	if (!rows_text(r, number, strlen(number), &at))
		return false;
	out->text = (const char *)(uintptr_t)at;
	out->len = strlen(number);
	*made = true;
	return true;
}

static enum rows_event
cells_of(struct rows *r, struct rows_row *row)
{
	bool made[ROWS_COLUMNS_MAX];
	size_t i;

	for (i = 0; i < r->options.columns_n; i++) {
		if (cell(r, look_up(r->jsonl.object, r->options.columns[i], 0), &r->cells[i],
		    &made[i]))
			continue;
		row->rule = "NOT_A_VALUE";
		row->column = r->options.columns[i];
		return ROWS_REFUSED;
	}
	for (i = 0; i < r->options.columns_n; i++)
		if (made[i])
			r->cells[i].text = r->text + (uintptr_t)r->cells[i].text;
	return ROWS_ROW;
}

static bool
blank(const char *text, size_t len)
{
	size_t i = 0;

	while (i < len && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r'))
		i++;
	return i == len;
}

/* The line of ${len} bytes at start, without its end. */
static enum rows_event
line_done(struct rows *r, struct rows_row *row, size_t len, size_t whole)
{
	char *text = r->bytes + r->start;
	enum rows_event event = ROWS_REFUSED;

	row->line = r->line++;
	row->bytes = whole;
	r->start += whole;
	r->scan = r->start;
	if (len > ROWS_ROW_MAX) {
		row->rule = "ROW_TOO_LONG";
	} else if (blank(text, len)) {
		event = ROWS_MORE;
	} else if ((r->jsonl.object = json_loadb(text, len,
	    JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL)) == NULL) {
		row->rule = "NOT_JSON";
	} else if (!json_is_object(r->jsonl.object)) {
		row->rule = "NOT_AN_OBJECT";
	} else {
		event = cells_of(r, row);
	}
	if (len > 0)
		sodium_memzero(text, len);
	return event;
}

static void
clear(struct rows *r)
{
	rows_jsonl_free(r);
	memset(r->cells, 0, r->options.columns_n * sizeof(*r->cells));
	if (r->text_len > 0)
		sodium_memzero(r->text, r->text_len);
	r->text_len = 0;
}

/* Of a line that is too long only the first byte beyond the limit is kept. */
static void
cut(struct rows *r)
{
	size_t most = (size_t)ROWS_ROW_MAX + 1;

	if (r->end - r->start <= most)
		return;
	sodium_memzero(r->bytes + r->start + most, r->end - r->start - most);
	r->end = r->scan = r->start + most;
}

enum rows_event
rows_jsonl_next(struct rows *r, struct rows_row *row)
{
	enum rows_event event;
	const char *at;
	size_t len;

	clear(r);
	for (;;) {
		at = r->end == r->scan ? NULL : memchr(r->bytes + r->scan, '\n', r->end - r->scan);
		if (at == NULL && !r->ended) {
			r->scan = r->end;
			cut(r);
			return ROWS_MORE;
		}
		len = at == NULL ? r->end - r->start : (size_t)(at - (r->bytes + r->start));
		if (at == NULL && len == 0)
			return ROWS_END;
		event = line_done(r, row, len, len + (at != NULL));
		if (event != ROWS_MORE)
			return event;
	}
}
