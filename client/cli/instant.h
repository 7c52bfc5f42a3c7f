/*
 * Moments in time as text: RFC 3339 (https://www.rfc-editor.org/rfc/rfc3339) out and in,
 * and other people's formats in, with a zone for those that carry none.
 *
 * A format is made of the conversions of strptime(3) %Y %y %m %d %H %I %p %M %S %b %B %a %A
 * %z %s %%, of %f (nothing, or a point or comma and one to nine digits), and of literal
 * characters. Reading is strict: English names, the whole text, a date that exists.
 */
#ifndef CLI_INSTANT_H
#define CLI_INSTANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	INSTANT_TEXT_LEN = 40,		/* of an RFC 3339 text, with its NUL */
	INSTANT_DATE_LEN = 11,		/* "2024-02-29" and its NUL */
	INSTANT_ZONE_LEN = 64,
	INSTANT_INPUT_LEN = 128
};

/* Seconds since 1970-01-01T00:00:00Z, years 1 to 9999, and 0 to 999999999 ns. */
struct instant {
	int64_t seconds;
	int32_t nanos;
};

enum instant_zone_kind { INSTANT_ZONE_NONE, INSTANT_ZONE_FIXED, INSTANT_ZONE_NAMED };

/* What a time without a zone means; all zero: it is refused. */
struct instant_zone {
	enum instant_zone_kind kind;
	int32_t offset;			/* FIXED: seconds east of UTC */
};

/*
 * instant_zone(text, zone):
 * "UTC", "Z", "+05:30", "-0800", or a name of the tz database ("Europe/Berlin"). A name
 * becomes the zone of the whole process (TZ), so only one can be in use and this is
 * called while there is one thread. False: unknown here.
 */
bool instant_zone(const char *text, struct instant_zone *zone);

/*
 * instant_format_fits(format):
 * Every conversion in it is known.
 */
bool instant_format_fits(const char *format);

/*
 * instant_read(text, format, zone, out):
 * NULL and ${out} written, or the rule that was broken (TIME_FORMAT, TIME_INVALID,
 * TIME_ZONE_MISSING, TIME_NONEXISTENT for an hour skipped by the zone's summer time; of an
 * hour that comes twice the first is meant). ${format} NULL: RFC 3339, or the same with
 * a blank for the T, without zone, or the date alone. One thread.
 */
const char *instant_read(const char *text, const char *format,
    const struct instant_zone *zone, struct instant *out);

/*
 * instant_read_rfc3339(text, out):
 * As above for strict RFC 3339, zone and all.
 */
const char *instant_read_rfc3339(const char *text, struct instant *out);

/*
 * instant_read_date(text, format, out):
 * A calendar date as YYYY-MM-DD; ${format} NULL: that is what ${text} has to be.
 */
const char *instant_read_date(const char *text, const char *format,
    char out[static INSTANT_DATE_LEN]);

/*
 * instant_write(t, out):
 * RFC 3339 in UTC, the fraction only if it is not zero. False: beyond years 1 to 9999.
 */
bool instant_write(const struct instant *t, char out[static INSTANT_TEXT_LEN]);

#endif /* CLI_INSTANT_H */
