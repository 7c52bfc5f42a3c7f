#include "json_in.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "instant.h"
#include "pdvault/types.h"

enum { PATH_LEN = FAILURE_FIELD_LEN };

/* One message being read; memory running out shows in ${failed}. */
struct reader {
	struct keep *keep;
	struct failure *f;
	bool failed;
};

static void read_message(struct reader *r, const struct schema *s, const json_t *value,
    const char *path, void *out);

/* A path that is too long is cut: it is for people. */
static void __attribute__((format(printf, 2, 3)))
path_print(char at[static PATH_LEN], const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(at, PATH_LEN, format, ap);
	va_end(ap);
}

static void
violate(struct reader *r, const char *path, const char *rule)
{
	failure_violation(r->f, path, rule);
	r->failed = true;
}

static void *
room(struct reader *r, size_t count, size_t size)
{
	void *at = keep_alloc(r->keep, count * size);

	if (at == NULL) {
		(void)failure_memory(r->f);
		r->failed = true;
	}
	return at;
}

static void
read_text(struct reader *r, const json_t *value, const char *path, const char **out)
{
	if (json_is_string(value))
		*out = json_string_value(value);
	else if (!json_is_null(value))
		violate(r, path, "NOT_A_STRING");
}

static void
read_date(struct reader *r, const json_t *value, const char *path, const char **out)
{
	char date[INSTANT_DATE_LEN];
	const char *rule;

	read_text(r, value, path, out);
	if (*out != NULL && **out != '\0' && (rule = instant_read_date(*out, NULL, date)) != NULL)
		violate(r, path, rule);
}

static void
read_time(struct reader *r, const json_t *value, const char *path, const struct pdv_time **out)
{
	struct instant t;
	struct pdv_time *time;
	const char *rule;

	if (json_is_null(value))
		return;
	if (!json_is_string(value)) {
		violate(r, path, "NOT_A_STRING");
	} else if ((rule = instant_read_rfc3339(json_string_value(value), &t)) != NULL) {
		violate(r, path, rule);
	} else if ((time = room(r, 1, sizeof(*time))) != NULL) {
		time->seconds = t.seconds;
		time->nanos = t.nanos;
		*out = time;
	}
}

static bool
read_integer(struct reader *r, const json_t *value, const char *path, int64_t *out)
{
	if (json_is_null(value))
		return false;
	if (!json_is_integer(value)) {
		violate(r, path, "NOT_AN_INTEGER");
		return false;
	}
	*out = json_integer_value(value);
	return true;
}

static void
read_uint32(struct reader *r, const json_t *value, const char *path, uint32_t *out)
{
	int64_t n = 0;

	if (!read_integer(r, value, path, &n))
		return;
	if (n < 0 || n > UINT32_MAX)
		violate(r, path, "OUT_OF_RANGE");
	else
		*out = (uint32_t)n;
}

static void
read_pair(struct reader *r, const json_t *value, const char *path, struct pdv_attribute *out)
{
	static const char *const names[] = {"key", "value", NULL};
	struct failure f = {0};
	char at[PATH_LEN];

	if (json_in_only(value, path, names, &f) != PDV_OK) {
		violate(r, f.violations[0].field, f.violations[0].rule);
		return;
	}
	path_print(at, "%s.key", path);
	if (json_is_string(json_object_get(value, "key")))
		out->key = json_string_value(json_object_get(value, "key"));
	else
		violate(r, at, "NOT_A_STRING");
	path_print(at, "%s.value", path);
	if (json_object_get(value, "value") != NULL)
		read_text(r, json_object_get(value, "value"), at, &out->value);
}

/* {"key": "value"}, or [{"key", "value"}] as in the proto file. */
static void
read_attributes(struct reader *r, const json_t *value, const char *path,
    const struct pdv_attribute **out, size_t *count)
{
	size_t n = json_is_object(value) ? json_object_size(value) : json_array_size(value), i = 0;
	struct pdv_attribute *list;
	const char *key;
	json_t *item, *all;
	char at[PATH_LEN];

	if (!json_is_object(value) && !json_is_array(value))
		violate(r, path, "NOT_AN_OBJECT");
	if (n == 0 || (list = room(r, n, sizeof(*list))) == NULL)
		return;
	all = json_incref((json_t *)(uintptr_t)value);
	json_object_foreach(all, key, item) {
		list[i].key = key;
		path_print(at, "%s[%zu].value", path, i);
		read_text(r, item, at, &list[i++].value);
	}
	json_array_foreach(all, i, item) {
		path_print(at, "%s[%zu]", path, i);
		read_pair(r, item, at, &list[i]);
	}
	json_decref(all);
	*out = list;
	*count = n;
}

static void
read_texts(struct reader *r, const json_t *value, const char *path,
    const char *const **out, size_t *count)
{
	const char **list = room(r, json_array_size(value), sizeof(*list));
	char at[PATH_LEN];
	json_t *item;
	size_t i;

	if (list == NULL)
		return;
	json_array_foreach(value, i, item) {
		path_print(at, "%s[%zu]", path, i);
		if (json_is_string(item))
			list[i] = json_string_value(item);
		else
			violate(r, at, "NOT_A_STRING");
	}
	*out = list;
	*count = json_array_size(value);
}

static void
read_messages(struct reader *r, const struct schema_field *field, const json_t *value,
    const char *path, unsigned char *out)
{
	const struct schema *s = field->message;
	size_t count = json_array_size(value);
	unsigned char *list = room(r, count, s->size);
	char at[PATH_LEN];
	json_t *item;
	size_t i;

	if (list == NULL)
		return;
	json_array_foreach(value, i, item) {
		path_print(at, "%s[%zu]", path, i);
		read_message(r, s, item, at, list + i * s->size);
	}
	memcpy(out + field->offset, &list, sizeof(list));
	memcpy(out + field->count_offset, &count, sizeof(count));
}

static void
read_list(struct reader *r, const struct schema_field *field, const json_t *value,
    const char *path, unsigned char *out)
{
	void *at = out + field->offset;
	size_t *count = (size_t *)(void *)(out + field->count_offset);

	if (field->kind == SCHEMA_ATTRIBUTES)
		read_attributes(r, value, path, at, count);
	else if (!json_is_array(value))
		violate(r, path, "NOT_A_LIST");
	else if (json_array_size(value) == 0)
		*count = 0;
	else if (field->kind == SCHEMA_MESSAGE)
		read_messages(r, field, value, path, out);
	else
		read_texts(r, value, path, at, count);
}

static void
read_field(struct reader *r, const struct schema_field *field, const json_t *value,
    const char *path, unsigned char *out)
{
	void *at = out + field->offset, *nested;
	int64_t n;

	if (field->list) {
		if (!json_is_null(value))
			read_list(r, field, value, path, out);
		return;
	}
	switch (field->kind) {
	case SCHEMA_TEXT:
		read_text(r, value, path, at);
		break;
	case SCHEMA_DATE:
		read_date(r, value, path, at);
		break;
	case SCHEMA_UINT32:
		read_uint32(r, value, path, at);
		break;
	case SCHEMA_INT64:
		if (read_integer(r, value, path, &n))
			memcpy(at, &n, sizeof(n));
		break;
	case SCHEMA_TIME:
		read_time(r, value, path, at);
		break;
	case SCHEMA_MESSAGE:
		if (json_is_null(value) || (nested = room(r, 1, field->message->size)) == NULL)
			break;
		read_message(r, field->message, value, path, nested);
		memcpy(at, &nested, sizeof(nested));
		break;
	case SCHEMA_ATTRIBUTES:
		break;
	}
}

static void
read_message(struct reader *r, const struct schema *s, const json_t *value, const char *path,
    void *out)
{
	const struct schema_field *field;
	const char *key;
	json_t *item, *all;
	char at[PATH_LEN];

	if (!json_is_object(value)) {
		violate(r, path, "NOT_AN_OBJECT");
		return;
	}
	all = json_incref((json_t *)(uintptr_t)value);
	json_object_foreach(all, key, item) {
		path_print(at, "%s.%s", path, key);
		if ((field = schema_find(s, key, strlen(key))) == NULL)
			violate(r, at, "UNKNOWN_FIELD");
		else
			read_field(r, field, item, at, out);
	}
	json_decref(all);
}

enum pdv_code
json_in_message(const struct json_in *in, const json_t *value, const void **out,
    struct failure *f)
{
	struct reader r = {.keep = in->keep, .f = f};
	void *message;

	(void)failure_set(f, PDV_INVALID_ARGUMENT, "INVALID_FIELD", "the input was refused");
	if ((message = room(&r, 1, in->schema->size)) == NULL)
		return f->code;
	read_message(&r, in->schema, value, in->path, message);
	if (r.failed)
		return f->code;
	memset(f, 0, sizeof(*f));
	*out = message;
	return PDV_OK;
}

enum pdv_code
json_in_only(const json_t *value, const char *path, const char *const *names, struct failure *f)
{
	json_t *all = (json_t *)(uintptr_t)value, *item;
	char at[PATH_LEN];
	const char *key;
	size_t i;

	if (!json_is_object(value))
		return failure_invalid(f, path[0] != '\0' ? path : "input", "NOT_AN_OBJECT");
	json_object_foreach(all, key, item) {
		(void)item;
		for (i = 0; names[i] != NULL && strcmp(names[i], key) != 0; i++)
			continue;
		if (names[i] != NULL)
			continue;
		path_print(at, "%s%s%s", path, path[0] != '\0' ? "." : "", key);
		return failure_invalid(f, at, "UNKNOWN_FIELD");
	}
	return PDV_OK;
}

enum pdv_code
json_in_parse(const char *text, size_t len, json_t **out, struct failure *f)
{
	json_error_t error;
	json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

	if (value == NULL)
		return failure_set(f, PDV_INVALID_ARGUMENT, "NOT_JSON",
		    "the input is not JSON, line %d", error.line);
	*out = value;
	return PDV_OK;
}
