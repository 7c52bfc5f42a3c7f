#include "server/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* PIPE_BUF of Linux: a line of another thread never lands inside ours. */
#define LINE_MAX_BYTES 4096u
#define LINE_END_BYTES 2u		/* "}\n" always fits */
#define TEXT_MAX_BYTES 256u

struct line {
	char b[LINE_MAX_BYTES];
	size_t len;
	bool full;
};

struct event_row {
	const char *name;
	enum log_level level;
};

#define EVENT_ROW(name, text, level) { text, LOG_##level },
static const struct event_row events[LOG_EVENT_COUNT] = { LOG_EVENTS(EVENT_ROW) };
#undef EVENT_ROW

#define KEY_ROW(name, text) text,
static const char *const keys[LOG_KEYS_END] = { "", LOG_KEYS(KEY_ROW) };
#undef KEY_ROW

static const char *const levels[] = { "debug", "info", "warn", "error" };
static enum log_level lowest = LOG_INFO;

__attribute__((format(printf, 2, 3))) static void
put(struct line *l, const char *format, ...)
{
	size_t room = LINE_MAX_BYTES - LINE_END_BYTES - l->len;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(l->b + l->len, room, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room)
		l->full = true;
	else
		l->len += (size_t)n;
}

/*
 * The length of the UTF-8 sequence at ${s}, and its code point; 0: it is none
 * (RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF). The NUL at the end of a
 * text is never a continuation byte, so no byte after it is read.
 */
static size_t
utf8(const unsigned char *s, uint32_t *point)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n, i;

	n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
	if (n == 0)
		return 0;
	*point = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*point = *point << 6 | (s[i] & 0x3fu);
	}
	if (*point < least[n] || *point > 0x10ffff || (*point >= 0xd800 && *point < 0xe000))
		return 0;
	return n;
}

static void
put_text(struct line *l, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	uint32_t point = 0;
	size_t i, n;

	put(l, "\"");
	for (i = 0; s[i] != '\0'; i += n == 0 ? 1 : n) {
		n = utf8(s + i, &point);
		if (i + (n == 0 ? 1 : n) > TEXT_MAX_BYTES)
			break;
		if (n == 0)
			put(l, "\\ufffd");
		else if (point == '"' || point == '\\')
			put(l, "\\%c", (int)point);
		/* C1 controls and line separators act on some terminals and readers. */
		else if (point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x2028 ||
		    point == 0x2029)
			put(l, "\\u%04x", (unsigned)point);
		else
			put(l, "%.*s", (int)n, text + i);
	}
	put(l, "\"");
}

/* A field that does not fit is left out, so that the line stays whole. */
static void
put_field(struct line *l, const struct log_field *f)
{
	size_t start = l->len;

	must((unsigned)f->key < LOG_KEYS_END);
	put(l, ",\"%s\":", keys[f->key]);
	if (f->text != NULL)
		put_text(l, f->text);
	else
		put(l, "%" PRIu64, f->number);
	if (l->full) {
		l->len = start;
		l->full = false;
	}
}

static void
put_head(struct line *l, const struct event_row *e)
{
	struct timespec now;
	struct tm utc;

	must(clock_gettime(CLOCK_REALTIME, &now) == 0 && gmtime_r(&now.tv_sec, &utc) != NULL);
	put(l,
	    "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\",\"level\":\"%s\",\"event\":\"%s\"",
	    utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
	    (int)(now.tv_nsec / 1000000), levels[e->level], e->name);
}

void
log_write(enum log_event event, const struct log_field *fields)
{
	struct line l = { .len = 0, .full = false };
	int saved = errno;

	must((unsigned)event < LOG_EVENT_COUNT);
	if (events[event].level < lowest)
		return;
	put_head(&l, &events[event]);
	for (; fields->key != LOG_KEY_NONE; fields++)
		put_field(&l, fields);
	memcpy(l.b + l.len, "}\n", LINE_END_BYTES);
	/* There is nobody left to tell that the log is gone. */
	if (write(STDERR_FILENO, l.b, l.len + LINE_END_BYTES) < 0)
		errno = 0;
	errno = saved;
}

void
log_set_level(enum log_level level)
{
	must((unsigned)level < sizeof(levels) / sizeof(levels[0]));
	lowest = level;
}
