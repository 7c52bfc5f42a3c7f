#include "findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_out.h"

enum { FIELDS = 4, CHECK_COLUMN = 16 };

static const char *const levels[FINDINGS_LEVELS] = {"OK", "WARN", "FAIL"};
static const char *const names[FIELDS] = {"level", "check", "found", "mend"};

/* A path may be of any bytes, and JSON is UTF-8. */
static json_t *
string(const char *text)
{
	char shown[FINDINGS_TEXT_LEN];
	json_t *made = json_string(text);

	if (made != NULL)
		return made;
	(void)snprintf(shown, sizeof(shown), "%s", text);
	for (char *p = shown; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x7f)
			*p = '?';
	return json_string(shown);
}

/* field: in the order of names. */
static void
add(struct findings *l, enum findings_level level, const char *const field[static FIELDS])
{
	json_t *one = json_object();

	l->fails += level == FINDINGS_FAIL;
	if (l->list == NULL)
		l->list = json_array();
	for (size_t i = 0; i < FIELDS; i++)
		if (json_object_set_new(one, names[i], string(field[i])) != 0)
			l->incomplete = true;
	if (json_array_size(l->list) == FINDINGS_MAX) {
		l->incomplete = true;
		json_decref(one);
	} else if (json_array_append_new(l->list, one) != 0) {
		l->incomplete = true;
	}
}

void
findings_add(struct findings *l, const struct findings_line *line, const char *format, ...)
{
	char found[FINDINGS_TEXT_LEN];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(found, sizeof(found), format, ap);
	va_end(ap);
	add(l, line->level, (const char *const[FIELDS]){levels[line->level], line->check, found,
	    line->mend != NULL ? line->mend : ""});
}

static bool
read_line(struct findings *l, char *line)
{
	const char *field[FIELDS];
	size_t i;

	for (i = 0; i < FIELDS; i++)
		if ((field[i] = strsep(&line, "\t")) == NULL)
			return false;
	if (line != NULL)
		return false;
	for (i = 0; i < FINDINGS_LEVELS; i++)
		if (strcmp(field[0], levels[i]) == 0) {
			add(l, (enum findings_level)i, field);
			return true;
		}
	return false;
}

bool
findings_read(struct findings *l, char *text)
{
	char *end;

	for (; *text != '\0'; text = end + 1) {
		if ((end = strchr(text, '\n')) == NULL)
			return false;
		*end = '\0';
		if (!read_line(l, text))
			return false;
	}
	return true;
}

static void
put(FILE *to, const char *text)
{
	for (; *text != '\0'; text++)
		(void)fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, to);
}

static void
put_line(FILE *to, const json_t *one)
{
	const char *field[FIELDS];

	for (size_t i = 0; i < FIELDS; i++)
		if ((field[i] = json_string_value(json_object_get(one, names[i]))) == NULL)
			field[i] = "";
	(void)fprintf(to, "%-4s  %-*s  ", field[0], CHECK_COLUMN, field[1]);
	put(to, field[2]);
	if (field[3][0] != '\0') {
		(void)fprintf(to, "\n%*smend: ", 4 + 2 + CHECK_COLUMN + 2, "");
		put(to, field[3]);
	}
	(void)fputc('\n', to);
}

enum pdv_code
findings_print(const struct findings *l, bool json, int fd, struct failure *f)
{
	char *text = NULL;
	enum pdv_code rc;
	size_t i, len;
	json_t *one;
	FILE *to;

	if (l->list == NULL || l->incomplete)
		return failure_memory(f);
	if (json)
		return json_out_print(json_incref(l->list), true, fd, f);
	if ((to = open_memstream(&text, &len)) == NULL)
		return failure_memory(f);
	json_array_foreach(l->list, i, one)
		put_line(to, one);
	rc = fclose(to) == 0 ? json_out_text(text, fd, f) : failure_memory(f);
	free(text);
	return rc;
}

void
findings_free(struct findings *l)
{
	json_decref(l->list);
	*l = (struct findings){.list = NULL};
}
