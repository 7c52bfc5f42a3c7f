#include "convert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "keep.h"

enum { TEXT_MAX = 64 * 1024 };

struct work {
	const struct map *map;
	const struct rows_row *row;
	struct converted *out;
	struct failure *f;
	bool failed;
};

static void
violate(struct work *w, const struct map_field *field, const char *rule)
{
	if (!w->failed)
		(void)failure_set(w->f, PDV_INVALID_ARGUMENT, "INVALID_FIELD", "the row was refused");
	failure_violation(w->f, field->path, rule);
	w->failed = true;
}

/* The cells of a field, those that are not empty, with the separator between. */
static char *
joined(const struct work *w, const struct map_field *field, size_t *len)
{
	const char *separator = field->separator != NULL ? field->separator : " ";
	const struct rows_cell *cell;
	size_t i, room = 0, n = 0;
	char *text;

	for (i = 0; i < field->columns_n; i++)
		room += w->row->cells[field->columns[i]].len + strlen(separator);
	if ((text = keep_new(room + 1)) == NULL)
		return NULL;
	for (i = 0; i < field->columns_n; i++) {
		cell = &w->row->cells[field->columns[i]];
		if (cell->text == NULL)
			continue;
		if (n > 0) {
			memcpy(text + n, separator, strlen(separator));
			n += strlen(separator);
		}
		memcpy(text + n, cell->text, cell->len);
		n += cell->len;
	}
	text[n] = '\0';
	*len = n;
	return text;
}

/* The member or item that a step leads to; it is made if ${make}. */
static json_t *
step_into(json_t *at, const struct map_step *step, bool list, bool make)
{
	json_t *next;

	if (step->name[0] != '\0')
		next = json_object_get(at, step->name);
	else
		next = json_array_get(at, step->index);
	if ((next != NULL && !json_is_null(next)) || !make)
		return json_is_null(next) ? NULL : next;
	next = list ? json_array() : json_object();
	if (step->name[0] != '\0')
		(void)json_object_set_new(at, step->name, next);
	else
		(void)json_array_set_new(at, step->index, next);
	return next;
}

/* An item is put at its index, with nulls before it that prune() takes out. */
static void
pad(json_t *at, const struct map_step *step)
{
	if (step->name[0] == '\0')
		while (json_array_size(at) <= step->index)
			(void)json_array_append_new(at, json_null());
}

/* Takes ${value}. A constant comes only to where a column has put something. */
static void
place(struct work *w, const struct map_field *field, size_t index, json_t *value)
{
	struct map_step last = field->steps[field->steps_n - 1];
	json_t *at = w->out->doc;
	bool make = field->columns_n > 0;
	size_t i;

	for (i = 0; i + 1 < field->steps_n && at != NULL; i++) {
		if (make)
			pad(at, &field->steps[i]);
		at = step_into(at, &field->steps[i], field->steps[i + 1].name[0] == '\0', make);
	}
	if (at == NULL) {
		json_decref(value);
		return;
	}
	last.index += index;
	pad(at, &last);
	if (last.name[0] != '\0')
		(void)json_object_set_new(at, last.name, value);
	else
		(void)json_array_set_new(at, last.index, value);
}

static void
place_text(struct work *w, const struct map_field *field, const char *text, size_t len,
    size_t index)
{
	json_t *value;

	if (memchr(text, '\0', len) != NULL)
		violate(w, field, "EMBEDDED_NUL");
	else if ((value = json_stringn(text, len)) == NULL)
		violate(w, field, "NOT_UTF8");
	else
		place(w, field, index, value);
}

static void
place_lines(struct work *w, const struct map_field *field, const char *text, size_t len)
{
	const char *end = text + len, *next;
	size_t index = 0, n;

	for (; text < end; text = next + 1) {
		next = memchr(text, '\n', (size_t)(end - text));
		if (next == NULL)
			next = end;
		n = (size_t)(next - text);
		if (n > 0 && text[n - 1] == '\r')
			n--;
		if (n > 0)
			place_text(w, field, text, n, index++);
	}
}

static void
place_integer(struct work *w, const struct map_field *field, const char *text)
{
	char *end;
	intmax_t n;

	errno = 0;
	n = strtoimax(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || strchr(" \t\n\v\f\r+", text[0]) != NULL)
		violate(w, field, "NOT_AN_INTEGER");
	else if (field->value == MAP_UINT32 && (n < 0 || n > UINT32_MAX))
		violate(w, field, "OUT_OF_RANGE");
	else
		place(w, field, 0, json_integer(n));
}

static void
place_date(struct work *w, const struct map_field *field, const char *text)
{
	char date[INSTANT_DATE_LEN];
	const char *rule = instant_read_date(text, w->map->date_format, date);

	if (rule != NULL)
		violate(w, field, rule);
	else
		place_text(w, field, date, strlen(date), 0);
}

static void
place_time(struct work *w, const struct map_field *field, const char *text)
{
	char written[INSTANT_TEXT_LEN];
	struct instant t;
	const char *rule = instant_read(text, w->map->time_format, &w->map->zone, &t);

	if (rule == NULL && !instant_write(&t, written))
		rule = "TIME_INVALID";
	if (rule != NULL)
		violate(w, field, rule);
	else
		place_text(w, field, written, strlen(written), 0);
}

static void
place_key(struct work *w, const struct map_field *field, const char *text, size_t len)
{
	if (memchr(text, '\0', len) != NULL) {
		violate(w, field, "EMBEDDED_NUL");
		return;
	}
	if ((w->out->key = keep_copy(text, len)) == NULL)
		w->failed = failure_memory(w->f) != PDV_OK;
}

static void
place_value(struct work *w, const struct map_field *field, const char *text, size_t len)
{
	switch (field->value) {
	case MAP_PLAIN:
		place_text(w, field, text, len, 0);
		break;
	case MAP_KEY:
		place_key(w, field, text, len);
		break;
	case MAP_LINES:
		place_lines(w, field, text, len);
		break;
	case MAP_DATE:
		place_date(w, field, text);
		break;
	case MAP_TIME:
		place_time(w, field, text);
		break;
	case MAP_UINT32:
	case MAP_INT64:
		place_integer(w, field, text);
		break;
	case MAP_AMOUNT:
		break;			/* needs the currency: see amounts() */
	}
}

static void
convert_field(struct work *w, const struct map_field *field)
{
	char *text;
	size_t len = 0;

	if (field->columns_n == 0) {
		place_value(w, field, field->constant, strlen(field->constant));
		return;
	}
	if ((text = joined(w, field, &len)) == NULL)
		w->failed = failure_memory(w->f) != PDV_OK;
	else if (len > TEXT_MAX)
		violate(w, field, "TOO_LONG");
	else if (len > 0)
		place_value(w, field, text, len);
	keep_drop(text);
}

static void
convert_amount(struct work *w, const struct map_field *field)
{
	json_t *transaction = json_object_get(w->out->doc, "transaction");
	const char *currency = json_string_value(json_object_get(transaction, "currency")), *rule;
	char *text;
	size_t len = 0;
	int64_t minor;

	text = field->columns_n == 0 ? keep_copy(field->constant, strlen(field->constant))
	    : joined(w, field, &len);
	if (text == NULL)
		w->failed = failure_memory(w->f) != PDV_OK;
	else if (text[0] == '\0')
		violate(w, field, "REQUIRED");
	else if ((rule = money_read(text, currency != NULL ? currency : "", &w->map->money,
	    &minor)) != NULL)
		violate(w, field, rule);
	else
		(void)json_object_set_new(transaction, "amount_minor", json_integer(minor));
	keep_drop(text);
}

/* Take the nulls out of lists, all the way down. */
static void
prune(json_t *at)
{
	const char *key;
	json_t *item;
	size_t i;

	json_object_foreach(at, key, item) {
		(void)key;
		prune(item);
	}
	for (i = 0; i < json_array_size(at);) {
		item = json_array_get(at, i);
		if (json_is_null(item)) {
			(void)json_array_remove(at, i);
			continue;
		}
		prune(item);
		i++;
	}
}

/* How the subject of a row is found: by the account id, or in a map without, the email. */
static void
find_key(struct work *w)
{
	static const struct map_field account = {.path = "identity.account_ids"},
	    email = {.path = "identity.emails"}, account_id = {.path = "account_id"},
	    id = {.path = "transaction.id"};
	json_t *identity = json_object_get(w->out->doc, "identity"), *list;
	const struct map_field *missing = &email;
	size_t i;

	if (w->map->kind == MAP_TRANSACTIONS) {
		if (w->out->key == NULL)
			violate(w, &account_id, "REQUIRED");
		if (json_object_get(json_object_get(w->out->doc, "transaction"), "id") == NULL)
			violate(w, &id, "REQUIRED");
		return;
	}
	for (i = 0; i < w->map->fields_n; i++)
		if (strncmp(w->map->fields[i].path, account.path, strlen(account.path)) == 0)
			missing = &account;
	w->out->by = missing == &account ? CONVERT_BY_ACCOUNT : CONVERT_BY_EMAIL;
	list = json_object_get(identity, missing == &account ? "account_ids" : "emails");
	if (json_array_size(list) == 0)
		violate(w, missing, "REQUIRED");
	else if ((w->out->key = keep_copy(json_string_value(json_array_get(list, 0)),
	    json_string_length(json_array_get(list, 0)))) == NULL)
		w->failed = failure_memory(w->f) != PDV_OK;
}

enum pdv_code
convert_row(const struct map *m, const struct rows_row *row, struct converted *out,
    struct failure *f)
{
	struct converted c = {0};
	struct work w = {.map = m, .row = row, .out = &c, .f = f};
	size_t i;

	if ((c.doc = json_object()) == NULL)
		return failure_memory(f);
	for (i = 0; i < m->fields_n; i++)
		if (m->fields[i].value != MAP_AMOUNT)
			convert_field(&w, &m->fields[i]);
	for (i = 0; i < m->fields_n && !w.failed; i++)
		if (m->fields[i].value == MAP_AMOUNT)
			convert_amount(&w, &m->fields[i]);
	prune(c.doc);
	if (!w.failed)
		find_key(&w);
	if (w.failed) {
		convert_drop(&c);
		return f->code;
	}
	*out = c;
	return PDV_OK;
}

void
convert_drop(struct converted *c)
{
	json_decref(c->doc);
	keep_drop(c->key);
	memset(c, 0, sizeof(*c));
}
