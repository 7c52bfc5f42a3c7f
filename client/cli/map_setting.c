#include "map_setting.h"

#include <string.h>

#include "meant.h"

static bool
set_kind(struct map *m, const char *value)
{
	m->kind_given = true;
	m->kind = strcmp(value, "subjects") == 0 ? MAP_SUBJECTS : MAP_TRANSACTIONS;
	return m->kind == MAP_SUBJECTS || strcmp(value, "transactions") == 0;
}

static bool
set_format(struct map *m, const char *value)
{
	m->format_given = true;
	m->format = strcmp(value, "jsonl") == 0 ? ROWS_JSONL : ROWS_CSV;
	return m->format == ROWS_JSONL || strcmp(value, "csv") == 0;
}

static bool
set_delimiter(struct map *m, const char *value)
{
	if (strcmp(value, "tab") == 0) {
		m->delimiter = '\t';
		return true;
	}
	m->delimiter = value[0];
	return strlen(value) == 1 && value[0] != '"';
}

static bool
set_zone(struct map *m, const char *value)
{
	return instant_zone(value, &m->zone);
}

static bool
set_time_format(struct map *m, const char *value)
{
	return instant_format_fits(value) && (m->time_format = strdup(value)) != NULL;
}

static bool
set_date_format(struct map *m, const char *value)
{
	return instant_format_fits(value) && (m->date_format = strdup(value)) != NULL;
}

static bool
set_decimal(struct map *m, const char *value)
{
	m->money.decimal = value[0];
	return strcmp(value, ".") == 0 || strcmp(value, ",") == 0;
}

static bool
set_grouping(struct map *m, const char *value)
{
	m->money.grouping = value[0];
	return strlen(value) == 1 && strchr(".,' _", value[0]) != NULL;
}

static const struct {
	const char *key;
	bool (*set)(struct map *m, const char *value);
	const char *expected;
} settings[] = {
	{"kind", set_kind, "subjects or transactions"},
	{"format", set_format, "csv or jsonl"},
	{"delimiter", set_delimiter, "one character, or tab"},
	{"time_zone", set_zone,
	    "UTC, an offset as +02:00, or a name of the tz database that is installed here"},
	{"time_format", set_time_format, "text and conversions %Y %m %d %H %M %S ..."},
	{"date_format", set_date_format, "text and conversions %Y %m %d ..."},
	{"decimal", set_decimal, ". or ,"},
	{"grouping", set_grouping, "one of . , ' _ or \" \""},
};

bool
map_setting(struct map *m, const char *key, const char *value, char *complaint, size_t len)
{
	struct meant n = MEANT_START(key);
	char hint[FAILURE_FIELD_LEN];
	size_t i;

	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		meant_offer(&n, settings[i].key);
		if (strcmp(settings[i].key, key) != 0)
			continue;
		if (settings[i].set(m, value))
			return true;
		(void)snprintf(complaint, len, "%s has to be %s", key, settings[i].expected);
		return false;
	}
	(void)snprintf(complaint, len, "unknown key \"%.80s\"%s", key,
	    meant_hint(&n, hint, sizeof(hint)));
	return false;
}
