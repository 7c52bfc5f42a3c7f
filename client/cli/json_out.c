#include "json_out.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "instant.h"
#include "keep.h"
#include "must.h"

enum { INDENT = 2, DEPTH_MAX = 16, HEX_MAX = 128 };

/* Text that grows; wiped by its owner through keep_drop(). */
struct sink {
	char *text;
	size_t len, room;
	bool failed;
};

static json_t *
text_or_null(const char *text)
{
	return text == NULL || text[0] == '\0' ? NULL : json_string(text);
}

json_t *
json_out_subject(const struct pdv_subject_id *id)
{
	char text[PDV_ID_TEXT_LEN + 1];

	pdv_subject_id_format(id, text);
	return json_string(text);
}

json_t *
json_out_erasure(const struct pdv_erasure_id *id)
{
	char text[PDV_ID_TEXT_LEN + 1];

	pdv_erasure_id_format(id, text);
	return json_string(text);
}

json_t *
json_out_hex_long(const uint8_t *bytes, size_t len)
{
	char *text = malloc(2 * len + 1);
	json_t *out = NULL;

	if (text != NULL)
		out = json_string(sodium_bin2hex(text, 2 * len + 1, bytes, len));
	free(text);
	return out;
}

json_t *
json_out_hex(const uint8_t *bytes, size_t len)
{
	char text[2 * HEX_MAX + 1];

	must(len <= HEX_MAX);
	return json_string(sodium_bin2hex(text, sizeof(text), bytes, len));
}

json_t *
json_out_proof(const struct pdv_ledger_proof *p)
{
	return json_pack("{s:o, s:o}", "entry", json_out_hex(p->entry, sizeof(p->entry)),
	    "signature", json_out_hex(p->signature, sizeof(p->signature)));
}

json_t *
json_out_time(const struct pdv_time *t)
{
	struct instant at = {.seconds = t->seconds, .nanos = t->nanos};
	char text[INSTANT_TEXT_LEN];

	return instant_write(&at, text) ? json_string(text) : json_null();
}

static json_t *
attributes(const struct pdv_attribute *list, size_t n)
{
	json_t *out = json_object();
	size_t i;

	for (i = 0; i < n; i++)
		if (list[i].key != NULL)
			(void)json_object_set_new(out, list[i].key,
			    json_string(list[i].value != NULL ? list[i].value : ""));
	return out;
}

static json_t *
list_of(const struct schema_field *field, const unsigned char *message)
{
	const void *at;
	size_t n, i;
	json_t *out;

	memcpy(&at, message + field->offset, sizeof(at));
	memcpy(&n, message + field->count_offset, sizeof(n));
	if (n == 0)
		return NULL;
	if (field->kind == SCHEMA_ATTRIBUTES)
		return attributes(at, n);
	out = json_array();
	for (i = 0; i < n; i++)
		(void)json_array_append_new(out, field->kind == SCHEMA_MESSAGE
		    ? json_out_message(field->message,
			(const unsigned char *)at + i * field->message->size)
		    : json_string(((const char *const *)at)[i]));
	return out;
}

static json_t *
value_of(const struct schema_field *field, const unsigned char *message)
{
	const unsigned char *at = message + field->offset;
	const void *pointer = NULL;
	uint32_t small;
	int64_t big;

	if (field->list)
		return list_of(field, message);
	switch (field->kind) {
	case SCHEMA_UINT32:
		memcpy(&small, at, sizeof(small));
		return small == 0 ? NULL : json_integer(small);
	case SCHEMA_INT64:
		memcpy(&big, at, sizeof(big));
		return json_integer(big);
	case SCHEMA_TEXT:
	case SCHEMA_DATE:
		memcpy(&pointer, at, sizeof(pointer));
		return text_or_null(pointer);
	case SCHEMA_TIME:
		memcpy(&pointer, at, sizeof(pointer));
		return pointer == NULL ? NULL : json_out_time(pointer);
	case SCHEMA_MESSAGE:
		memcpy(&pointer, at, sizeof(pointer));
		return pointer == NULL ? NULL : json_out_message(field->message, pointer);
	case SCHEMA_ATTRIBUTES:
		break;
	}
	return NULL;
}

json_t *
json_out_message(const struct schema *s, const void *message)
{
	json_t *out = json_object(), *value;
	size_t i;

	for (i = 0; i < s->fields_n; i++)
		if ((value = value_of(&s->fields[i], message)) != NULL)
			(void)json_object_set_new(out, s->fields[i].name, value);
	return out;
}

static void
put(struct sink *s, const char *text, size_t len)
{
	char *more;
	size_t room;

	if (s->failed)
		return;
	if (s->room - s->len < len) {
		room = 2 * s->room + len + 256;
		if ((more = keep_resize(s->text, room)) == NULL) {
			s->failed = true;
			return;
		}
		s->text = more;
		s->room = room;
	}
	memcpy(s->text + s->len, text, len);
	s->len += len;
}

static int
put_json(const char *text, size_t len, void *sink)
{
	put(sink, text, len);
	return 0;
}

/* What a terminal could take for a command is shown as '?': C0, DEL, and C1 in UTF-8. */
static void
put_shown(struct sink *s, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	for (; *at != '\0'; at++) {
		if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) {
			put(s, "?", 1);
			at++;
		} else if (*at < ' ' || *at == 0x7f) {
			put(s, "?", 1);
		} else {
			put(s, (const char *)at, 1);
		}
	}
}

static void put_value(struct sink *s, const json_t *value, unsigned depth);

static void
put_item(struct sink *s, const char *label, const json_t *value, unsigned depth)
{
	unsigned i;

	for (i = 0; i < depth * INDENT; i++)
		put(s, " ", 1);
	put_shown(s, label);
	if (json_is_object(value) || json_is_array(value)) {
		put(s, "\n", 1);
		put_value(s, value, depth + 1);
		return;
	}
	put(s, " ", 1);
	put_value(s, value, depth);
	put(s, "\n", 1);
}

static void
put_value(struct sink *s, const json_t *value, unsigned depth)
{
	char text[FAILURE_FIELD_LEN];
	const char *key;
	json_t *item;
	size_t i;

	if (depth > DEPTH_MAX)
		return;
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		for (void *it = json_object_iter((json_t *)(uintptr_t)value); it != NULL;
		    it = json_object_iter_next((json_t *)(uintptr_t)value, it)) {
			key = json_object_iter_key(it);
			(void)snprintf(text, sizeof(text), "%s:", key);
			put_item(s, text, json_object_iter_value(it), depth);
		}
		break;
	case JSON_ARRAY:
		json_array_foreach(value, i, item)
			put_item(s, "-", item, depth);
		break;
	case JSON_STRING:
		put_shown(s, json_string_value(value));
		break;
	case JSON_INTEGER:
		(void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		put_shown(s, text);
		break;
	default:
		put_shown(s, json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "-");
		break;
	}
}

static enum pdv_code
write_all(int fd, const char *text, size_t len, struct failure *f)
{
	ssize_t n;

	while (len > 0) {
		if ((n = write(fd, text, len)) < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failure_set(f, PDV_INTERNAL, "OUTPUT_FAILED",
			    "cannot write the output: %s", strerror(errno));
		text += n;
		len -= (size_t)n;
	}
	return PDV_OK;
}

enum pdv_code
json_out_text(const char *text, int fd, struct failure *f)
{
	return write_all(fd, text, strlen(text), f);
}

enum pdv_code
json_out_print(json_t *doc, bool json, int fd, struct failure *f)
{
	struct sink s = {0};
	enum pdv_code rc;

	if (doc == NULL)
		return failure_memory(f);
	if (json) {
		if (json_dump_callback(doc, put_json, &s, JSON_INDENT(INDENT) | JSON_ENCODE_ANY) != 0)
			s.failed = true;
		put(&s, "\n", 1);
	} else {
		put_value(&s, doc, 0);
	}
	rc = s.failed ? failure_memory(f) : write_all(fd, s.text, s.len, f);
	keep_drop(s.text);
	json_decref(doc);
	return rc;
}
