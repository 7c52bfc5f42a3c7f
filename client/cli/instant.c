#include "instant.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "clocktext.h"

#define SECONDS_MIN INT64_C(-62135596800)	/* 0001-01-01T00:00:00Z */
#define SECONDS_MAX INT64_C(253402300799)	/* 9999-12-31T23:59:59Z */
#define ZONEINFO "/usr/share/zoneinfo/"

enum { SECONDS_OF_DAY = 86400, YEAR_TEXT = sizeof("0001-01-01T00:00:00") - 1 };

bool
instant_format_fits(const char *format)
{
	return clocktext_format_fits(format);
}

static bool
same_clock(const struct tm *a, const struct tm *b)
{
	return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday &&
	    a->tm_hour == b->tm_hour && a->tm_min == b->tm_min && a->tm_sec == b->tm_sec;
}

/* Seconds as if the clock showed UTC; false: no such day. */
static bool
utc_seconds(const struct tm *clock, int64_t *out)
{
	struct tm copy = *clock;

	*out = timegm(&copy);
	return same_clock(&copy, clock);
}

/* The zone's clock showed this once, twice (the first is taken) or never. */
static const char *
local_seconds(const struct tm *clock, int64_t *out)
{
	struct tm copy, back;
	time_t t, best = 0;
	bool found = false;
	int dst;

	for (dst = 1; dst >= 0; dst--) {
		copy = *clock;
		copy.tm_isdst = dst;
		t = mktime(&copy);
		if (localtime_r(&t, &back) == NULL || !same_clock(&back, clock))
			continue;
		if (!found || t < best)
			best = t;
		found = true;
	}
	*out = best;
	return found ? NULL : "TIME_NONEXISTENT";
}

static const char *
settle(const struct clocktext *r, const struct instant_zone *zone, struct instant *out)
{
	const char *rule;
	int64_t t;

	if (!utc_seconds(&r->tm, &t) && !r->absolute)
		return "TIME_INVALID";
	if (r->absolute)
		t = r->seconds;
	else if (r->zoned)
		t -= r->offset;
	else if (zone->kind == INSTANT_ZONE_FIXED)
		t -= zone->offset;
	else if (zone->kind == INSTANT_ZONE_NONE)
		return "TIME_ZONE_MISSING";
	else if ((rule = local_seconds(&r->tm, &t)) != NULL)
		return rule;
	if (t < SECONDS_MIN || t > SECONDS_MAX)
		return "TIME_INVALID";
	out->seconds = t;
	out->nanos = r->nanos;
	return NULL;
}

const char *
instant_read(const char *text, const char *format, const struct instant_zone *zone,
    struct instant *out)
{
	static const char *const usual[] = {"%Y-%m-%dT%H:%M:%S%f%z", "%Y-%m-%d %H:%M:%S%f%z",
	    "%Y-%m-%dT%H:%M:%S%f", "%Y-%m-%d %H:%M:%S%f", "%Y-%m-%d"};
	struct clocktext r;
	size_t i;

	if (strlen(text) >= INSTANT_INPUT_LEN)
		return "TIME_FORMAT";
	if (format != NULL)
		return clocktext_read(&r, text, format) ? settle(&r, zone, out) : "TIME_FORMAT";
	for (i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (clocktext_read(&r, text, usual[i]))
			return settle(&r, zone, out);
	return "TIME_FORMAT";
}

const char *
instant_read_rfc3339(const char *text, struct instant *out)
{
	static const struct instant_zone none = {.kind = INSTANT_ZONE_NONE};

	return instant_read(text, "%Y-%m-%dT%H:%M:%S%f%z", &none, out);
}

const char *
instant_read_date(const char *text, const char *format, char out[static INSTANT_DATE_LEN])
{
	struct instant midnight = {0};
	char whole[INSTANT_TEXT_LEN];
	struct clocktext r;
	int64_t t;

	if (strlen(text) >= INSTANT_INPUT_LEN ||
	    !clocktext_read(&r, text, format != NULL ? format : "%Y-%m-%d") || r.have != CLOCKTEXT_DATE)
		return "DATE_FORMAT";
	if (!utc_seconds(&r.tm, &t))
		return "DATE_INVALID";
	midnight.seconds = t - t % SECONDS_OF_DAY - (t % SECONDS_OF_DAY < 0 ? SECONDS_OF_DAY : 0);
	if (!instant_write(&midnight, whole))
		return "DATE_INVALID";
	memcpy(out, whole, INSTANT_DATE_LEN - 1);
	out[INSTANT_DATE_LEN - 1] = '\0';
	return NULL;
}

bool
instant_write(const struct instant *t, char out[static INSTANT_TEXT_LEN])
{
	time_t seconds = (time_t)t->seconds;
	char nanos[12] = "";
	struct tm tm;
	size_t n;

	if (t->seconds < SECONDS_MIN || t->seconds > SECONDS_MAX || t->nanos < 0 ||
	    t->nanos > 999999999 || gmtime_r(&seconds, &tm) == NULL)
		return false;
	if (t->nanos != 0) {
		(void)snprintf(nanos, sizeof(nanos), ".%09d", (int)t->nanos);
		for (n = strlen(nanos); nanos[n - 1] == '0'; n--)
			nanos[n - 1] = '\0';
	}
	n = strftime(out, INSTANT_TEXT_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
	/* C leaves out the zeros before a year below 1000. */
	memmove(out + YEAR_TEXT - n, out, n + 1);
	memset(out, '0', YEAR_TEXT - n);
	(void)snprintf(out + YEAR_TEXT, INSTANT_TEXT_LEN - YEAR_TEXT, "%sZ", nanos);
	return true;
}

/* The C library takes a name that it does not know for UTC, in silence: look first. */
static bool
zone_exists(const char *text)
{
	char path[sizeof(ZONEINFO) + INSTANT_ZONE_LEN];
	struct stat st;

	if (strlen(text) >= INSTANT_ZONE_LEN || strstr(text, "..") != NULL ||
	    !isalpha((unsigned char)text[0]))
		return false;
	(void)snprintf(path, sizeof(path), ZONEINFO "%s", text);
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool
instant_zone(const char *text, struct instant_zone *zone)
{
	char name_of_file[INSTANT_ZONE_LEN + 1];
	struct clocktext r;

	memset(&r, 0, sizeof(r));
	r.at = strcmp(text, "UTC") == 0 ? "Z" : text;
	if (clocktext_offset(&r) && *r.at == '\0') {
		zone->kind = INSTANT_ZONE_FIXED;
		zone->offset = r.offset;
		return true;
	}
	if (!zone_exists(text))
		return false;
	(void)snprintf(name_of_file, sizeof(name_of_file), ":%s", text);
	if (setenv("TZ", name_of_file, 1) != 0)
		return false;
	tzset();
	zone->kind = INSTANT_ZONE_NAMED;
	zone->offset = 0;
	return true;
}
