#include "map_path.h"

#include <ctype.h>
#include <string.h>

#include "meant.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* What is no field of a message. */
static const struct {
	enum map_kind kind;
	const char *path;
	enum map_value value;
} extras[] = {
	{MAP_TRANSACTIONS, "account_id", MAP_KEY},
	{MAP_TRANSACTIONS, "transaction.amount", MAP_AMOUNT},
};

static const struct {
	enum map_kind kind;
	const struct schema *schema;
} roots[] = {
	{MAP_SUBJECTS, &schema_identity},
	{MAP_SUBJECTS, &schema_billing},
	{MAP_TRANSACTIONS, &schema_transaction},
};

static const enum map_value values[] = {
	[SCHEMA_TEXT] = MAP_PLAIN,
	[SCHEMA_DATE] = MAP_DATE,
	[SCHEMA_UINT32] = MAP_UINT32,
	[SCHEMA_INT64] = MAP_INT64,
	[SCHEMA_TIME] = MAP_TIME,
	[SCHEMA_MESSAGE] = MAP_PLAIN,
	[SCHEMA_ATTRIBUTES] = MAP_PLAIN,
};

struct walk {
	const char *at;
	struct map_field *field;
};

static bool
push(struct walk *w, const char *name, size_t len, size_t index)
{
	struct map_step *step;

	if (w->field->steps_n == MAP_STEPS_MAX || len >= sizeof(step->name))
		return false;
	step = &w->field->steps[w->field->steps_n++];
	memcpy(step->name, name, len);
	step->name[len] = '\0';
	step->index = index;
	return true;
}

/* "[3]" or nothing, which is 0. */
static bool
index_of(struct walk *w, size_t *out, bool *given)
{
	size_t n = 0, digits = 0;

	*out = 0;
	*given = *w->at == '[';
	if (!*given)
		return true;
	for (w->at++; isdigit((unsigned char)*w->at); w->at++, digits++)
		if ((n = n * 10 + (size_t)(*w->at - '0')) > MAP_INDEX_MAX)
			return false;
	*out = n;
	return digits > 0 && *w->at++ == ']';
}

/* "attributes.KEY": everything after the point is the key. */
static bool
attribute(struct walk *w)
{
	size_t len;

	if (*w->at != '.' || (len = strlen(w->at + 1)) == 0 || !push(w, w->at + 1, len, 0))
		return false;
	w->at += 1 + len;
	return true;
}

static bool
walk_message(struct walk *w, const struct schema *s)
{
	const struct schema_field *field;
	bool given = false;
	size_t len, index;

	for (;;) {
		if (*w->at++ != '.')
			return false;
		len = strcspn(w->at, ".[");
		if ((field = schema_find(s, w->at, len)) == NULL || !push(w, w->at, len, 0))
			return false;
		w->at += len;
		if (field->kind == SCHEMA_ATTRIBUTES)
			return attribute(w);
		if (field->list && (!index_of(w, &index, &given) || !push(w, "", 0, index)))
			return false;
		if (field->kind == SCHEMA_MESSAGE) {
			s = field->message;
			continue;
		}
		w->field->value = values[field->kind];
		if (field->list && !given && strcmp(field->name, "lines") == 0)
			w->field->value = MAP_LINES;
		return *w->at == '\0';
	}
}

static bool
walk_path(enum map_kind kind, const char *text, struct map_field *field)
{
	struct walk w = {.at = text, .field = field};
	size_t i, len = strcspn(text, ".");

	for (i = 0; i < COUNT(extras); i++) {
		if (extras[i].kind != kind || strcmp(extras[i].path, text) != 0)
			continue;
		field->value = extras[i].value;
		return true;
	}
	for (i = 0; i < COUNT(roots); i++) {
		if (roots[i].kind != kind || strlen(roots[i].schema->name) != len ||
		    memcmp(roots[i].schema->name, text, len) != 0)
			continue;
		w.at += len;
		return push(&w, text, len, 0) && walk_message(&w, roots[i].schema);
	}
	return false;
}

/* All paths there are, without indexes, offered to the search for the nearest. */
static void
offer(struct meant *n, const struct schema *s, const char *prefix,
    char best[static MAP_PATH_LEN])
{
	char path[MAP_PATH_LEN];
	const char *before;
	size_t i;

	for (i = 0; i < s->fields_n; i++) {
		(void)snprintf(path, sizeof(path), "%.60s.%.40s%s", prefix, s->fields[i].name,
		    s->fields[i].kind == SCHEMA_ATTRIBUTES ? ".KEY" : "");
		if (s->fields[i].kind == SCHEMA_MESSAGE) {
			offer(n, s->fields[i].message, path, best);
			continue;
		}
		before = n->best;
		if (n->distance > 0 && strncmp(path, n->word, strlen(n->word)) == 0 &&
		    path[strlen(n->word)] == '.') {
			n->best = path;		/* a message is named by its members */
			n->distance = 0;
		} else {
			meant_offer(n, path);
		}
		if (n->best == before)
			continue;
		(void)snprintf(best, MAP_PATH_LEN, "%s", path);
		n->best = best;
	}
}

/* The path without its indexes, as it is offered. */
static void
plain(const char *text, char *out, size_t len)
{
	size_t n = 0;
	bool inside = false;

	for (; *text != '\0' && n + 1 < len; text++) {
		inside = inside ? *text != ']' : *text == '[';
		if (!inside && *text != ']')
			out[n++] = *text;
	}
	out[n] = '\0';
}

static void
complain(enum map_kind kind, const char *text, char *complaint, size_t len)
{
	char shown[MAP_PATH_LEN], best[MAP_PATH_LEN] = "", hint[2 * MAP_PATH_LEN];
	struct meant n = MEANT_START(shown);
	size_t i;

	plain(text, shown, sizeof(shown));
	for (i = 0; i < COUNT(extras); i++)
		if (extras[i].kind == kind)
			meant_offer(&n, extras[i].path);
	for (i = 0; i < COUNT(roots); i++)
		if (roots[i].kind == kind)
			offer(&n, roots[i].schema, roots[i].schema->name, best);
	(void)snprintf(complaint, len, "no field \"%.100s\"%s", text,
	    meant_hint(&n, hint, sizeof(hint)));
}

bool
map_path(enum map_kind kind, const char *text, struct map_field *field, char *complaint,
    size_t len)
{
	if (strlen(text) < MAP_PATH_LEN && walk_path(kind, text, field)) {
		(void)snprintf(field->path, sizeof(field->path), "%s", text);
		return true;
	}
	complain(kind, text, complaint, len);
	return false;
}
