#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inifile.h"
#include "meant.h"

enum { PATH_LEN = 4096, HOUR_MS = 3600000 };

static const struct {
	const char *name;		/* in the file */
	enum flag flag;
	const char *variable;
	bool path;
	bool needed;
} keys[SETTINGS_COUNT] = {
	[SETTINGS_SERVER] = {"server", FLAG_SERVER, "PDVAULT_SERVER", false, true},
	[SETTINGS_CA] = {"ca", FLAG_CA, "PDVAULT_CA", true, true},
	[SETTINGS_CERT] = {"cert", FLAG_CERT, "PDVAULT_CERT", true, true},
	[SETTINGS_KEY] = {"key", FLAG_KEY, "PDVAULT_KEY", true, true},
	[SETTINGS_CRL] = {"crl", FLAG_CRL, "PDVAULT_CRL", true, false},
	[SETTINGS_SERVER_SPIFFE] = {"server_spiffe", FLAG_SERVER_SPIFFE, "PDVAULT_SERVER_SPIFFE",
	    false, false},
	[SETTINGS_TIMEOUT] = {"timeout", FLAG_TIMEOUT, "PDVAULT_TIMEOUT", false, false},
	[SETTINGS_PURPOSE] = {"purpose", FLAG_PURPOSE, "PDVAULT_PURPOSE", false, false},
};

struct file {
	struct settings *settings;
	char folder[PATH_LEN];
};

static bool
on_entry(void *arg, const struct inifile_entry *e,
    char complaint[static INIFILE_COMPLAINT_LEN])
{
	struct file *file = arg;
	struct meant n = MEANT_START(e->key);
	char hint[FAILURE_FIELD_LEN], path[2 * PATH_LEN];
	bool relative;
	size_t i;

	if (e->section[0] != '\0' && strcmp(e->section, "client") != 0) {
		(void)snprintf(complaint, INIFILE_COMPLAINT_LEN,
		    "unknown section \"%s\"; did you mean client?", e->section);
		return false;
	}
	for (i = 0; e->key != NULL && i < SETTINGS_COUNT; i++) {
		meant_offer(&n, keys[i].name);
		if (strcmp(keys[i].name, e->key) != 0)
			continue;
		if (file->settings->values[i] != NULL)
			return true;	/* a flag or variable came first */
		relative = keys[i].path && e->value[0] != '/';
		(void)snprintf(path, sizeof(path), "%s%s%s", relative ? file->folder : "",
		    relative ? "/" : "", e->value);
		return (file->settings->values[i] = strdup(path)) != NULL;
	}
	if (e->key == NULL)
		return true;
	(void)snprintf(complaint, INIFILE_COMPLAINT_LEN, "unknown key \"%.80s\"%s", e->key,
	    meant_hint(&n, hint, sizeof(hint)));
	return false;
}

static enum pdv_code
read_file(struct settings *s, struct failure *f)
{
	struct file file = {.settings = s};
	const char *home = getenv("HOME");
	char path[PATH_LEN + sizeof("/client.conf")];
	enum pdv_code rc = PDV_OK;
	FILE *in;

	if (home == NULL || home[0] == '\0' ||
	    snprintf(file.folder, sizeof(file.folder), "%s/.config/pdvault", home) >= PATH_LEN)
		return PDV_OK;
	(void)snprintf(path, sizeof(path), "%s/client.conf", file.folder);
	if ((in = fopen(path, "re")) == NULL) {
		if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			rc = failure_settings(f, "cannot read %s: %s", path, strerror(errno));
		return rc;
	}
	if ((rc = inifile_read(in, path, on_entry, &file, f)) != PDV_OK)
		f->usage = true;	/* exit like any wrong setting */
	(void)fclose(in);
	return rc;
}

bool
settings_timeout(const char *text, uint32_t *out)
{
	static const struct {
		const char *unit;
		unsigned long ms;
	} units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60000}};
	unsigned long n;
	char *end;
	size_t i;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || !isdigit((unsigned char)text[0]) || n < 1 || n > HOUR_MS)
		return false;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].unit) != 0 || n > HOUR_MS / units[i].ms)
			continue;
		*out = (uint32_t)(n * units[i].ms);
		return true;
	}
	return false;
}

/* URLs with commas or blanks between. */
static enum pdv_code
split_servers(struct settings *s, struct failure *f)
{
	const char *at = s->values[SETTINGS_SERVER];
	size_t len;

	for (;; at += len) {
		at += strspn(at, ", \t");
		if ((len = strcspn(at, ", \t")) == 0)
			break;
		if (s->servers_n == SETTINGS_SERVERS_MAX)
			return failure_settings(f, "too many servers");
		if ((s->servers[s->servers_n] = strndup(at, len)) == NULL)
			return failure_memory(f);
		s->servers_n++;
	}
	return s->servers_n > 0 ? PDV_OK : failure_settings(f, "the server's URL is missing");
}

static enum pdv_code
from_flags(const struct args *a, struct settings *s, struct failure *f)
{
	const char *value;
	size_t i;

	for (i = 0; i < SETTINGS_COUNT; i++) {
		if ((value = a->values[keys[i].flag]) == NULL)
			value = getenv(keys[i].variable);
		if (value == NULL || value[0] == '\0')
			continue;
		if ((s->values[i] = strdup(value)) == NULL)
			return failure_memory(f);
	}
	return PDV_OK;
}

enum pdv_code
settings_load(const struct args *a, struct settings *out, struct failure *f)
{
	struct settings s = {.servers_n = 0};
	enum pdv_code rc;
	size_t i;

	if ((rc = from_flags(a, &s, f)) != PDV_OK || (rc = read_file(&s, f)) != PDV_OK)
		goto out;
	for (i = 0; i < SETTINGS_COUNT; i++) {
		if (!keys[i].needed || s.values[i] != NULL)
			continue;
		rc = failure_settings(f, "no %s: give %s, set %s, or write %s = to "
		    "~/.config/pdvault/client.conf", keys[i].name, args_flags[keys[i].flag].name,
		    keys[i].variable, keys[i].name);
		goto out;
	}
	if (s.values[SETTINGS_TIMEOUT] != NULL &&
	    !settings_timeout(s.values[SETTINGS_TIMEOUT], &s.timeout_ms)) {
		rc = failure_settings(f, "the timeout is a time from 1ms to 60m, as 10s");
		goto out;
	}
	if ((rc = split_servers(&s, f)) != PDV_OK)
		goto out;
	*out = s;
	return PDV_OK;
out:
	settings_free(&s);
	return rc;
}

void
settings_free(struct settings *s)
{
	size_t i;

	for (i = 0; i < SETTINGS_COUNT; i++)
		free(s->values[i]);
	for (i = 0; i < s->servers_n; i++)
		free(s->servers[i]);
	memset(s, 0, sizeof(*s));
}
