#include "server/config_value.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>

#include "client/transport/sp.h"
#include "client/transport/spiffe.h"

#define DIGITS "0123456789"

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };
static const struct unit byte_units[] = {
	{ "", 1 }, { "K", 1u << 10 }, { "M", 1u << 20 }, { "G", 1u << 30 },
	{ "T", (uint64_t)1 << 40 }, { NULL, 0 },
};
static const struct unit time_units[] = {
	{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 },
};

static const char *const level_names[] = { "debug", "info", "warn", "error", NULL };

/* What a setter needs besides the text. */
struct target {
	const struct config_key *key;
	const char *folder;
	void *place;
	char *why;
};

__attribute__((format(printf, 2, 3))) static enum status
expected(const struct target *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(t->why, CONFIG_WHY_MAX, format, args);
	va_end(args);
	return STATUS_CONFIG;
}

/* The largest unit in which a value is whole. */
static const struct unit *
unit_of(uint64_t n, const struct unit *units)
{
	const struct unit *best = units;

	for (; units->suffix != NULL; units++)
		if (n >= units->factor && n % units->factor == 0)
			best = units;
	return best;
}

static enum status
set_number(const struct target *t, const char *text, const struct unit *units)
{
	const struct unit *u;
	uint64_t n = 0, *place = t->place;
	size_t digits = strspn(text, DIGITS), i;

	if (digits == 0 || digits > 18)
		return expected(t, "%s was expected", config_value_form(t->key->type));
	for (i = 0; i < digits; i++)
		n = n * 10 + (uint64_t)(text[i] - '0');
	for (u = units; u->suffix != NULL && strcmp(u->suffix, text + digits) != 0; u++)
		;
	if (u->suffix == NULL)
		return expected(t, "%s was expected", config_value_form(t->key->type));
	if (n > UINT64_MAX / u->factor || n * u->factor < t->key->min
	    || n * u->factor > t->key->max)
		return expected(t, "%" PRIu64 " to %" PRIu64 "%s was expected", t->key->min,
		    t->key->max, t->key->type == CONFIG_TIME ? " ms" : "");
	*place = n * u->factor;
	return STATUS_OK;
}

static enum status
set_count(const struct target *t, const char *text)
{
	return set_number(t, text, no_units);
}

static enum status
set_bytes(const struct target *t, const char *text)
{
	return set_number(t, text, byte_units);
}

static enum status
set_time(const struct target *t, const char *text)
{
	return set_number(t, text, time_units);
}

static enum status
keep(const struct target *t, const char *text)
{
	char **place = t->place;

	return (*place = strdup(text)) != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

/* The path in text[0 .. len-1], relative to the folder. */
static enum status
absolute(const struct target *t, const char *text, size_t len, char out[static CONFIG_PATH_MAX])
{
	int n = snprintf(out, CONFIG_PATH_MAX, "%s%s%.*s", text[0] == '/' ? "" : t->folder,
	    text[0] == '/' ? "" : "/", (int)len, text);

	if (n < 0 || (size_t)n >= CONFIG_PATH_MAX)
		return expected(t, "a path of at most %u bytes was expected", CONFIG_PATH_MAX - 1);
	return STATUS_OK;
}

static enum status
set_path(const struct target *t, const char *text)
{
	char path[CONFIG_PATH_MAX];
	enum status rc;

	if (text[0] == '\0')	/* only where the preset is empty: no such file */
		return t->key->min == 0 ? keep(t, text) : expected(t, "a path was expected");
	rc = absolute(t, text, strlen(text), path);
	return rc == STATUS_OK ? keep(t, path) : rc;
}

static enum status
set_text(const struct target *t, const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			return expected(t, "%s was expected", config_value_form(CONFIG_TEXT));
	if (len > t->key->max)
		return expected(t, "at most %u characters were expected", (unsigned)t->key->max);
	return (*(char **)t->place = strdup(text)) != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status
set_paths(const struct target *t, const char *text)
{
	static const char blanks[] = " \t";
	struct config_words *w = t->place;
	const char *end;
	enum status rc;
	char *place;
	size_t len;

	if ((w->text = calloc(t->key->max, CONFIG_PATH_MAX)) == NULL
	    || (w->word = calloc(t->key->max, sizeof(*w->word))) == NULL)
		return STATUS_NO_MEMORY;
	if (text[strspn(text, blanks)] == '\0')
		return STATUS_OK;
	for (;; text = end + 1) {
		text += strspn(text, blanks);
		end = text + strcspn(text, ",");
		for (len = (size_t)(end - text); len > 0 && strchr(blanks, text[len - 1]) != NULL; len--)
			;
		if (len == 0)
			return expected(t, "a path was expected on both sides of a comma");
		if (w->count == t->key->max)
			return expected(t, "at most %" PRIu64 " paths were expected", t->key->max);
		w->word[w->count] = place = w->text + (size_t)w->count * CONFIG_PATH_MAX;
		w->count++;
		if ((rc = absolute(t, text, len, place)) != STATUS_OK || *end != ',')
			return rc;
	}
}

static enum status
set_spiffe(const struct target *t, const char *text)
{
	if (!spiffe_ok(text, strlen(text)))
		return expected(t, "%s was expected", config_value_form(CONFIG_SPIFFE));
	return keep(t, text);
}

static enum status
set_public(const struct target *t, const char *text)
{
	struct config_public *p = t->place;
	const char *end = NULL;
	size_t len = 0;

	if (text[0] == '\0')
		return STATUS_OK;
	if (sodium_hex2bin(p->key, sizeof(p->key), text, strlen(text), NULL, &len, &end) != 0 ||
	    *end != '\0' || len != sizeof(p->key))
		return expected(t, "%s was expected", config_value_form(CONFIG_PUBLIC));
	p->given = true;
	return STATUS_OK;
}

static enum status
set_words(const struct target *t, const char *text)
{
	static const char blanks[] = " \t,";
	struct config_words *w = t->place;
	char *p, *end;

	if ((w->text = strdup(text)) == NULL
	    || (w->word = calloc(CONFIG_WORDS_MAX, sizeof(*w->word))) == NULL)
		return STATUS_NO_MEMORY;
	for (p = w->text + strspn(w->text, blanks); *p != '\0'; p = end + strspn(end, blanks)) {
		end = p + strcspn(p, blanks);
		if (w->count == CONFIG_WORDS_MAX)
			return expected(t, "at most %u words were expected", CONFIG_WORDS_MAX);
		w->word[w->count++] = p;
		if (*end != '\0')
			*end++ = '\0';
	}
	return w->count > 0 ? STATUS_OK : expected(t, "at least one word was expected");
}

static enum status
set_urls(const struct target *t, const char *text)
{
	const struct config_words *w = t->place;
	enum status rc = set_words(t, text);
	unsigned i;

	for (i = 0; rc == STATUS_OK && i < w->count; i++)
		if (!sp_url_ok(w->word[i]))
			rc = expected(t, "tls+tcp://HOST:PORT was expected");
	return rc;
}

/* ADDRESS in text[0 .. len-1], an IPv6 one without its brackets: on loopback? */
static bool
on_loopback(const char *text, size_t len, struct config_address *out)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (len >= sizeof(out->host))
		return false;
	memcpy(out->host, text, len);
	out->host[len] = '\0';
	if (inet_pton(AF_INET, out->host, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	return inet_pton(AF_INET6, out->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static enum status
set_loopback(const struct target *t, const char *text)
{
	struct config_address *a = t->place;
	const char *colon = strrchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	bool brackets = len > 2 && text[0] == '[' && colon[-1] == ']';
	unsigned long port;

	if (strcmp(text, "off") == 0) {
		a->off = true;
		return STATUS_OK;
	}
	if (colon == NULL || !on_loopback(text + brackets, len - 2 * brackets, a)
	    || (strchr(a->host, ':') != NULL) != brackets)
		return expected(t, "%s was expected", config_value_form(CONFIG_LOOPBACK));
	port = strspn(colon + 1, DIGITS) == strlen(colon + 1) && strlen(colon + 1) <= 5
	    ? strtoul(colon + 1, NULL, 10) : 65536;
	if (port > 65535 || colon[1] == '\0')
		return expected(t, "a port from 0 to 65535 was expected");
	a->port = (uint16_t)port;
	return STATUS_OK;
}

static enum status
set_level(const struct target *t, const char *text)
{
	enum log_level *place = t->place;
	unsigned i;

	for (i = 0; level_names[i] != NULL; i++)
		if (strcmp(level_names[i], text) == 0) {
			*place = (enum log_level)i;
			return STATUS_OK;
		}
	return expected(t, "%s was expected", config_value_form(CONFIG_LEVEL));
}

static const struct type {
	enum status (*set)(const struct target *t, const char *text);
	const char *form;
	const struct unit *units;	/* of types with a range */
} types[] = {
	[CONFIG_PATH] = { set_path, "a path", NULL },
	[CONFIG_PATHS] = { set_paths, "paths with commas between them", NULL },
	[CONFIG_TEXT] = { set_text, "printable characters", NULL },
	[CONFIG_COUNT] = { set_count, "a number", no_units },
	[CONFIG_BYTES] = { set_bytes, "bytes, as 4096, 64K, 4M, 1G", byte_units },
	[CONFIG_TIME] = { set_time, "a time, as 500ms, 10s, 5m, 1h, 30d", time_units },
	[CONFIG_URLS] = { set_urls, "URLs tls+tcp://HOST:PORT", NULL },
	[CONFIG_WORDS] = { set_words, "words with blanks or commas between them", NULL },
	[CONFIG_LOOPBACK] = { set_loopback, "a loopback ADDRESS:PORT, or off", NULL },
	[CONFIG_LEVEL] = { set_level, "debug, info, warn or error", NULL },
	[CONFIG_PUBLIC] = { set_public, "64 hexadecimal digits", NULL },
	[CONFIG_SPIFFE] = { set_spiffe, "spiffe://TRUST-DOMAIN/PATH", NULL },
};

enum status
config_value_set(const struct config_key *k, const char *text, const char *folder, void *object,
    char why[static CONFIG_WHY_MAX])
{
	struct target t = {
		.key = k, .folder = folder, .place = (char *)object + k->place, .why = why,
	};

	why[0] = '\0';
	return types[k->type].set(&t, text);
}

void
config_value_free(const struct config_key *k, void *object)
{
	void *place = (char *)object + k->place;
	struct config_words *w = place;

	switch (k->type) {
	case CONFIG_PATH:
	case CONFIG_TEXT:
	case CONFIG_SPIFFE:
		free(*(char **)place);
		break;
	case CONFIG_PATHS:
	case CONFIG_URLS:
	case CONFIG_WORDS:
		free(w->text);
		free(w->word);
		break;
	case CONFIG_COUNT:
	case CONFIG_BYTES:
	case CONFIG_TIME:
	case CONFIG_LOOPBACK:
	case CONFIG_LEVEL:
	case CONFIG_PUBLIC:
		break;
	}
}

const char *
config_value_form(enum config_type type)
{
	return types[type].form;
}

void
config_value_describe(const struct config_key *k, char out[static CONFIG_WHY_MAX])
{
	const struct type *t = &types[k->type];
	const struct unit *low, *high;

	if (k->type == CONFIG_PATHS) {
		(void)snprintf(out, CONFIG_WHY_MAX, "%s, at most %" PRIu64, t->form, k->max);
	} else if (t->units == NULL) {
		(void)snprintf(out, CONFIG_WHY_MAX, "%s", t->form);
	} else {
		low = unit_of(k->min, t->units);
		high = unit_of(k->max, t->units);
		(void)snprintf(out, CONFIG_WHY_MAX, "%s; %" PRIu64 "%s to %" PRIu64 "%s", t->form,
		    k->min / low->factor, low->suffix, k->max / high->factor, high->suffix);
	}
}
