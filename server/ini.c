#include "server/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A read that is going on: our reader fills it line by line, inih's handler looks at it. */
struct scan {
	struct bytes text;
	size_t at;
	unsigned line;
	bool skipping;		/* the section above is at fault: its keys are not told */
	const struct ini_receiver *to;
	struct ini_faults *faults;
	unsigned section_count, key_count;
	char section[INI_NAME_MAX + 1];
	char key[INI_KEYS_MAX][INI_NAME_MAX + 1];
	char seen[INI_SECTIONS_MAX][INI_NAME_MAX + 1];
};

void
ini_fault(struct ini_faults *f, unsigned line, const char *format, ...)
{
	struct ini_fault *row = &f->row[f->count];
	va_list args;
	char *p;

	if (f->count == INI_FAULTS_MAX)
		return;
	va_start(args, format);
	(void)vsnprintf(row->text, sizeof(row->text), format, args);
	va_end(args);
	for (p = row->text; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	row->line = line;
	f->count++;
}

/* The next line without its end; false after the last. */
static bool
next_line(struct scan *s, struct bytes *out)
{
	const uint8_t *p = s->text.p + s->at, *end;
	size_t left = s->text.len - s->at;

	if (left == 0)
		return false;
	end = memchr(p, '\n', left);
	*out = bytes_of(p, end != NULL ? (size_t)(end - p) : left);
	s->at += out->len + (end != NULL);
	if (out->len > 0 && p[out->len - 1] == '\r')
		out->len--;
	s->line++;
	return true;
}

static const char *
section_fault(struct scan *s, struct bytes l)
{
	size_t len = l.len - 2;
	unsigned i;

	if (l.len < 3 || l.p[l.len - 1] != ']' || memchr(l.p + 1, ']', len) != NULL)
		return "a section is [NAME], alone on its line";
	if (len > INI_NAME_MAX)
		return "the section's name is too long";
	if (s->section_count == INI_SECTIONS_MAX)
		return "too many sections";
	memcpy(s->section, l.p + 1, len);
	s->section[len] = '\0';
	for (i = 0; i < s->section_count; i++)
		if (strcmp(s->seen[i], s->section) == 0)
			return "this section was given above";
	memcpy(s->seen[s->section_count++], s->section, len + 1);
	s->key_count = 0;
	return NULL;
}

static bool
has_comment(struct bytes value)
{
	size_t i;

	for (i = 1; i < value.len; i++)
		if ((value.p[i] == ';' || value.p[i] == '#')
		    && (value.p[i - 1] == ' ' || value.p[i - 1] == '\t'))
			return true;
	return false;
}

static const char *
pair_fault(struct scan *s, struct bytes l)
{
	const uint8_t *eq = memchr(l.p, '=', l.len);
	size_t len = eq != NULL ? (size_t)(eq - l.p) : 0;
	unsigned i;

	while (len > 0 && (l.p[len - 1] == ' ' || l.p[len - 1] == '\t'))
		len--;
	/* inih takes a colon for an equals sign as well. */
	if (len == 0 || memchr(l.p, ':', len) != NULL)
		return "KEY = VALUE, [SECTION] or # COMMENT was expected";
	if (len > INI_NAME_MAX)
		return "the key's name is too long";
	if (has_comment(bytes_of(eq, l.len - (size_t)(eq - l.p))))
		return "a comment must stand on a line of its own";
	if (s->section_count == 0)
		return "a key before any section";
	if (s->key_count == INI_KEYS_MAX)
		return "too many keys in a section";
	memcpy(s->key[s->key_count], l.p, len);
	s->key[s->key_count][len] = '\0';
	for (i = 0; i < s->key_count; i++)
		if (strcmp(s->key[i], s->key[s->key_count]) == 0)
			return "this key was given above";
	s->key_count++;
	return NULL;
}

static const char *
line_fault(struct bytes l)
{
	size_t i;

	if (l.len > INI_LINE_MAX)
		return "the line is too long";
	for (i = 0; i < l.len; i++)
		if ((l.p[i] < ' ' && l.p[i] != '\t') || l.p[i] == 0x7f)
			return "a control character";
	return NULL;
}

/* Whether inih is to see the line. */
static bool
admit(struct scan *s, struct bytes l)
{
	const char *fault = line_fault(l);
	bool section = false;

	while (l.len > 0 && (l.p[l.len - 1] == ' ' || l.p[l.len - 1] == '\t'))
		l.len--;
	if (fault == NULL && (l.len == 0 || l.p[0] == '#' || l.p[0] == ';'))
		return false;
	if (fault == NULL && (l.p[0] == ' ' || l.p[0] == '\t'))
		fault = "a line may not begin with a blank";
	if (fault == NULL && l.p[0] == '[') {
		section = true;
		s->skipping = (fault = section_fault(s, l)) != NULL;
	} else if (fault == NULL && !s->skipping) {
		fault = pair_fault(s, l);
	}
	if (fault != NULL) {
		ini_fault(s->faults, s->line, "%s", fault);
		return false;
	}
	if (section)
		s->to->section(s->to->owner, s->section, s->line);
	return !s->skipping;
}

/* inih's ini_reader: as fgets. */
static char *
read_line(char *out, int size, void *stream)
{
	struct scan *s = stream;
	struct bytes l;

	while (next_line(s, &l)) {
		if (!admit(s, l))
			continue;
		must((size_t)size > l.len + 1);
		memcpy(out, l.p, l.len);
		out[l.len] = '\n';
		out[l.len + 1] = '\0';
		return out;
	}
	return NULL;
}

static int
handle(void *user, const char *section, const char *name, const char *value)
{
	struct scan *s = user;
	struct ini_pair pair = {
		.section = section, .key = name, .value = value, .line = s->line,
	};

	must(strcmp(section, s->section) == 0);
	s->to->pair(s->to->owner, &pair);
	return 1;
}

enum status
ini_read(struct bytes text, const struct ini_receiver *to, struct ini_faults *f)
{
	struct scan *s = NULL;

	if (text.len > INI_FILE_MAX) {
		ini_fault(f, 0, "the file is larger than %u bytes", INI_FILE_MAX);
		goto out;
	}
	if ((s = calloc(1, sizeof(*s))) == NULL) {
		ini_fault(f, 0, "out of memory");
		goto out;
	}
	*s = (struct scan){ .text = text, .to = to, .faults = f };
	/* Editors of some systems put it there; inih would skip it, our reader does. */
	if (text.len >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
		s->at = 3;
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_max_line = ini_initial_alloc = (int)INI_LINE_MAX + 3;
	ini_allow_multiline = false;
	ini_allow_inline_comments = false;
	ini_allow_bom = false;		/* skipped above */
	if (ini_parse_stream(read_line, s, handle, s) != 0)
		ini_fault(f, 0, "out of memory");
out:
	free(s);
	return f->count == 0 ? STATUS_OK : STATUS_CONFIG;
}

/* The size of a file that may be read, or -1 with the fault. */
static off_t
admissible(int fd, struct ini_faults *f)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		ini_fault(f, 0, "%s", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		ini_fault(f, 0, "not a regular file");
	else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		ini_fault(f, 0, "others may write to it (chmod go-w)");
	else if (st.st_size > (off_t)INI_FILE_MAX)
		ini_fault(f, 0, "the file is larger than %u bytes", INI_FILE_MAX);
	else
		return st.st_size;
	return -1;
}

enum status
ini_load(const char *path, struct bytes *out, struct ini_faults *f)
{
	enum status rc = STATUS_CONFIG;
	uint8_t *text = NULL;
	off_t size = 0;
	ssize_t got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		ini_fault(f, 0, "%s", strerror(errno));
		goto out;
	}
	if ((size = admissible(fd, f)) < 0)
		goto out;
	if ((text = malloc((size_t)size + 1)) == NULL
	    || (got = read(fd, text, (size_t)size)) != (ssize_t)size) {
		ini_fault(f, 0, "%s", got < 0 || text == NULL ? strerror(errno) : "short read");
		goto out;
	}
	*out = bytes_of(text, (size_t)size);
	text = NULL;
	rc = STATUS_OK;
out:
	free(text);
	if (fd >= 0)
		(void)close(fd);
	return rc;
}
