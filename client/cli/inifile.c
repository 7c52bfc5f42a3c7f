#include "inifile.h"

#include <ctype.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

/* A section or key seen before. */
struct seen {
	struct seen *next;
	char name[];			/* "section" or "section\nkey" */
};

struct reading {
	FILE *in;
	const char *name;
	inifile_handler handler;
	void *arg;
	unsigned line;
	struct seen *seen;
	bool failed;
	char complaint[INIFILE_COMPLAINT_LEN];
};

static bool
refuse(struct reading *r, const char *why)
{
	if (!r->failed)
		(void)snprintf(r->complaint, sizeof(r->complaint), "%s", why);
	r->failed = true;
	return false;
}

static bool
first_time(struct reading *r, const char *section, const char *key)
{
	size_t len = strlen(section) + 1 + (key != NULL ? strlen(key) : 0);
	struct seen *s;

	if ((s = malloc(sizeof(*s) + len + 1)) == NULL)
		return refuse(r, "not enough memory");
	(void)snprintf(s->name, len + 1, "%s%s%s", section, key != NULL ? "\n" : "",
	    key != NULL ? key : "");
	s->next = r->seen;
	r->seen = s;
	for (s = s->next; s != NULL; s = s->next)
		if (strcmp(s->name, r->seen->name) == 0)
			return refuse(r, key != NULL ? "this key is there already"
			    : "this section is there already");
	return true;
}

static bool
hand_over(struct reading *r, const char *section, const char *key, const char *value)
{
	struct inifile_entry e = {section, key, value, r->line};
	char complaint[INIFILE_COMPLAINT_LEN] = "refused";

	if (!first_time(r, section, key))
		return false;
	if (r->handler(r->arg, &e, complaint))
		return true;
	return refuse(r, complaint);
}

/* inih hands out no section that is empty, and cuts names: look at each header here. */
static bool
header(struct reading *r, const char *line)
{
	char name[INIFILE_NAME_MAX + 1];
	const char *end;
	size_t len;

	while (isspace((unsigned char)*line))
		line++;
	if (*line != '[')
		return true;
	if ((end = strchr(++line, ']')) == NULL)
		return refuse(r, "a section's name ends with ]");
	for (len = 1; isspace((unsigned char)end[len]); len++)
		continue;
	if (end[len] != '\0')
		return refuse(r, "nothing may follow a section's name");
	if ((len = (size_t)(end - line)) > INIFILE_NAME_MAX)
		return refuse(r, "the section's name is too long");
	memcpy(name, line, len);
	name[len] = '\0';
	return hand_over(r, name, NULL, NULL);
}

/* inih calls this once for each line, so both count the same. */
static char *
next_line(char *out, int room, void *arg)
{
	struct reading *r = arg;
	int c, n = 0;

	if (r->failed)
		return NULL;
	r->line++;
	while ((c = getc(r->in)) != EOF && c != '\n') {
		if (c == '\0' || n >= INIFILE_LINE_MAX || n >= room - 2 ||
		    r->line > INIFILE_LINES_MAX) {
			(void)refuse(r, c == '\0' ? "a NUL byte" :
			    r->line > INIFILE_LINES_MAX ? "too many lines" : "the line is too long");
			return NULL;
		}
		out[n++] = (char)c;
	}
	if (c == EOF && n == 0)
		return NULL;
	out[n] = '\0';
	return header(r, r->line == 1 && strncmp(out, "\xef\xbb\xbf", 3) == 0 ? out + 3 : out)
	    ? out : NULL;
}

static int
pair(void *arg, const char *section, const char *key, const char *value)
{
	return hand_over(arg, section, key, value);
}

static void
settle_inih(void)
{
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_max_line = INIFILE_LINE_MAX + 3;
	ini_initial_alloc = INIFILE_LINE_MAX + 3;
	ini_allow_multiline = false;
	ini_allow_inline_comments = false;
	ini_allow_bom = true;
	ini_allow_no_value = false;
	ini_stop_on_first_error = true;
}

enum pdv_code
inifile_read(FILE *in, const char *name, inifile_handler handler, void *arg, struct failure *f)
{
	struct reading r = {.in = in, .name = name, .handler = handler, .arg = arg};
	struct seen *s;
	int rc;

	settle_inih();
	rc = ini_parse_stream(next_line, &r, pair, &r);
	while ((s = r.seen) != NULL) {
		r.seen = s->next;
		free(s);
	}
	if (r.failed)
		return failure_set(f, PDV_INVALID_ARGUMENT, "INVALID_FILE", "%s:%u: %s", name,
		    r.line, r.complaint);
	if (rc > 0)
		return failure_set(f, PDV_INVALID_ARGUMENT, "INVALID_FILE",
		    "%s:%u: neither [section] nor key = value", name, (unsigned)rc);
	if (rc < 0 || ferror(in))
		return failure_set(f, PDV_INTERNAL, "FILE_UNREADABLE", "cannot read %s", name);
	return PDV_OK;
}
