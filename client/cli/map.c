#include "map.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "inifile.h"
#include "map_path.h"
#include "map_setting.h"
#include "meant.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum section { SECTION_MAP, SECTION_COLUMNS, SECTION_SEPARATORS, SECTION_CONSTANTS, SECTIONS };

static const char *const section_names[SECTIONS] = {
	[SECTION_MAP] = "map",
	[SECTION_COLUMNS] = "columns",
	[SECTION_SEPARATORS] = "separators",
	[SECTION_CONSTANTS] = "constants",
};

/* A line as it came. What it means can depend on lines that come later. */
struct entry {
	enum section section;
	char *key, *value;
	unsigned line;
};

struct loader {
	struct map *map;
	const char *name;
	struct entry *entries;
	size_t entries_n, entries_room;
	unsigned line;			/* of a complaint after reading */
	char complaint[INIFILE_COMPLAINT_LEN];
};

static bool __attribute__((format(printf, 2, 3)))
complain(struct loader *l, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(l->complaint, sizeof(l->complaint), format, ap);
	va_end(ap);
	return false;
}

/* "text" in double quotes keeps its blanks; "" inside stands for one quote. */
static char *
unquoted(const char *value)
{
	size_t len = strlen(value), n = 0;
	char *out = malloc(len + 1);

	if (out == NULL)
		return NULL;
	if (len < 2 || value[0] != '"' || value[len - 1] != '"') {
		memcpy(out, value, len + 1);
		return out;
	}
	for (value++; value[1] != '\0'; value++) {
		if (value[0] == '"' && value[1] == '"' && value[2] != '\0')
			value++;
		out[n++] = *value;
	}
	out[n] = '\0';
	return out;
}

static bool
apply_setting(struct loader *l, const struct entry *e)
{
	char *value = unquoted(e->value);
	bool fits;

	if (value == NULL)
		return complain(l, "not enough memory");
	fits = map_setting(l->map, e->key, value, l->complaint, sizeof(l->complaint));
	free(value);
	return fits;
}

static bool
column(struct loader *l, struct map_field *field, const char *name, size_t len)
{
	struct map *m = l->map;
	char *text, *plain;
	size_t i;

	if ((text = strndup(name, len)) == NULL)
		return complain(l, "not enough memory");
	plain = unquoted(text);
	free(text);
	if (plain == NULL)
		return complain(l, "not enough memory");
	for (i = 0; i < m->columns_n && strcmp(m->columns[i], plain) != 0; i++)
		continue;
	if (plain[0] == '\0' || i == ROWS_COLUMNS_MAX || field->columns_n == MAP_JOIN_MAX) {
		free(plain);
		return complain(l, len == 0 ? "a column's name is missing" : "too many columns");
	}
	if (i == m->columns_n)
		m->columns[m->columns_n++] = plain;
	else
		free(plain);
	field->columns[field->columns_n++] = i;
	return true;
}

/* Names with commas between; in double quotes a name may hold commas and blanks. */
static bool
apply_columns(struct loader *l, struct map_field *field, const char *list)
{
	const char *end, *from = list;
	bool quoted = false;
	size_t len;

	for (end = list;; end++) {
		if (*end == '"')
			quoted = !quoted;
		if (*end != '\0' && (*end != ',' || quoted))
			continue;
		if (quoted)
			return complain(l, "a quote is not closed");
		while (*from == ' ' || *from == '\t')
			from++;
		len = (size_t)(end - from);
		while (len > 0 && (from[len - 1] == ' ' || from[len - 1] == '\t'))
			len--;
		if (!column(l, field, from, len))
			return false;
		if (*end == '\0')
			return true;
		from = end + 1;
	}
}

static bool
same_place(const struct map_field *a, const struct map_field *b)
{
	size_t i;

	for (i = 0; i < a->steps_n && i < b->steps_n; i++)
		if (strcmp(a->steps[i].name, b->steps[i].name) != 0 ||
		    a->steps[i].index != b->steps[i].index)
			return false;
	return a->steps_n == b->steps_n && (i > 0 || strcmp(a->path, b->path) == 0);
}

/* Before the last one, or in all of them. */
static struct map_field *
find_field(struct map *m, const struct map_field *like)
{
	size_t i;

	for (i = 0; i < m->fields_n; i++)
		if (&m->fields[i] != like && same_place(&m->fields[i], like))
			return &m->fields[i];
	return NULL;
}

/* A field named by a line of [columns] or [constants]. */
static bool
add_field(struct loader *l, const struct entry *e)
{
	struct map *m = l->map;
	struct map_field *field = &m->fields[m->fields_n];

	if (m->fields_n == MAP_FIELDS_MAX)
		return complain(l, "too many fields");
	field->line = e->line;
	if (!map_path(m->kind, e->key, field, l->complaint, sizeof(l->complaint)))
		return false;
	if (find_field(m, field) != NULL)
		return complain(l, "this field is there already");
	m->fields_n++;
	if (e->section == SECTION_COLUMNS)
		return apply_columns(l, field, e->value);
	if (field->value == MAP_KEY)
		return complain(l, "the account id comes from a column");
	field->constant = unquoted(e->value);
	return (field->constant != NULL && field->constant[0] != '\0') ||
	    complain(l, "a constant has a value");
}

static bool
apply_separator(struct loader *l, const struct entry *e)
{
	struct map_field like = {0}, *field;

	if (!map_path(l->map->kind, e->key, &like, l->complaint, sizeof(l->complaint)))
		return false;
	field = find_field(l->map, &like);
	if (field == NULL || field->columns_n < 2)
		return complain(l, "[columns] joins no columns into this field");
	field->separator = unquoted(e->value);
	return field->separator != NULL || complain(l, "not enough memory");
}

static bool
apply(struct loader *l, const struct entry *e)
{
	l->line = e->line;
	switch (e->section) {
	case SECTION_MAP:
		return apply_setting(l, e);
	case SECTION_COLUMNS:
	case SECTION_CONSTANTS:
		return add_field(l, e);
	case SECTION_SEPARATORS:
		return apply_separator(l, e);
	case SECTIONS:
		break;
	}
	return false;
}

static bool
has(const struct map *m, enum map_value value, const char *prefix)
{
	size_t i;

	for (i = 0; i < m->fields_n; i++)
		if (m->fields[i].value == value &&
		    strncmp(m->fields[i].path, prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

/* What only the whole map can show. */
static bool
whole(struct loader *l)
{
	struct map *m = l->map;
	bool amount = has(m, MAP_AMOUNT, ""), minor = has(m, MAP_INT64, "");

	if (!l->map->kind_given)
		return complain(l, "[map] kind is missing: subjects or transactions");
	if (m->columns_n == 0)
		return complain(l, "[columns] is missing or empty");
	if (m->money.grouping == m->money.decimal)
		return complain(l, "decimal and grouping are the same");
	if (m->kind == MAP_SUBJECTS) {
		if (has(m, MAP_PLAIN, "identity.account_ids") || has(m, MAP_PLAIN, "identity.emails"))
			return true;
		return complain(l, "nothing to find a subject by: [columns] needs "
		    "identity.account_ids or identity.emails");
	}
	if (!has(m, MAP_KEY, ""))
		return complain(l, "[columns] needs account_id");
	if (!has(m, MAP_PLAIN, "transaction.id"))
		return complain(l, "[columns] needs transaction.id");
	if (amount == minor)
		return complain(l, "either transaction.amount or transaction.amount_minor");
	return true;
}

static bool
resolve(struct loader *l)
{
	enum section s;
	size_t i;

	for (s = SECTION_MAP; s < SECTIONS; s++) {
		/* Separators name fields of [columns], constants come behind those. */
		for (i = 0; i < l->entries_n; i++)
			if (l->entries[i].section == s && !apply(l, &l->entries[i]))
				return false;
		l->line = 0;
		if (s == SECTION_MAP && !l->map->kind_given)
			break;
	}
	return whole(l);
}

static bool
section_of(const char *name, enum section *out, char *complaint)
{
	struct meant n = MEANT_START(name);
	char hint[FAILURE_FIELD_LEN];
	enum section s;

	for (s = SECTION_MAP; s < SECTIONS; s++) {
		meant_offer(&n, section_names[s]);
		if (strcmp(section_names[s], name) == 0) {
			*out = s;
			return true;
		}
	}
	(void)snprintf(complaint, INIFILE_COMPLAINT_LEN, "unknown section \"%s\"%s", name,
	    meant_hint(&n, hint, sizeof(hint)));
	return false;
}

static bool
on_entry(void *arg, const struct inifile_entry *read,
    char complaint[static INIFILE_COMPLAINT_LEN])
{
	struct loader *l = arg;
	struct entry e = {.line = read->line}, *more;

	if (!section_of(read->section, &e.section, complaint))
		return false;
	if (read->key == NULL)
		return true;
	if (l->entries_n == l->entries_room) {
		l->entries_room = 2 * l->entries_room + 32;
		more = realloc(l->entries, l->entries_room * sizeof(*more));
		if (more == NULL)
			return false;
		l->entries = more;
	}
	if ((e.key = strdup(read->key)) == NULL || (e.value = strdup(read->value)) == NULL) {
		free(e.key);
		return false;
	}
	l->entries[l->entries_n++] = e;
	return true;
}

enum pdv_code
map_read(FILE *in, const char *name, struct map **out, struct failure *f)
{
	struct loader l = {.name = name};
	enum pdv_code rc;
	size_t i;

	if ((l.map = calloc(1, sizeof(*l.map))) == NULL)
		return failure_memory(f);
	l.map->money.decimal = '.';
	rc = inifile_read(in, name, on_entry, &l, f);
	if (rc == PDV_OK && !resolve(&l)) {
		if (l.line > 0)
			rc = failure_set(f, PDV_INVALID_ARGUMENT, "INVALID_FILE", "%s:%u: %s", name,
			    l.line, l.complaint);
		else
			rc = failure_set(f, PDV_INVALID_ARGUMENT, "INVALID_FILE", "%s: %s", name,
			    l.complaint);
	}
	for (i = 0; i < l.entries_n; i++) {
		free(l.entries[i].key);
		free(l.entries[i].value);
	}
	free(l.entries);
	if (rc == PDV_OK)
		*out = l.map;
	else
		map_free(l.map);
	return rc;
}

void
map_free(struct map *m)
{
	size_t i;

	if (m == NULL)
		return;
	for (i = 0; i < m->fields_n; i++) {
		free(m->fields[i].separator);
		free(m->fields[i].constant);
	}
	for (i = 0; i < m->columns_n; i++)
		free(m->columns[i]);
	free(m->time_format);
	free(m->date_format);
	free(m);
}
