/*
 * A date and a time of day read from text by a format; what moment that is, instant.h says,
 * and the conversions are listed there.
 */
#ifndef CLI_CLOCKTEXT_H
#define CLI_CLOCKTEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum { CLOCKTEXT_YEAR = 1, CLOCKTEXT_MONTH = 2, CLOCKTEXT_DAY = 4, CLOCKTEXT_DATE = 7 };

/* What has been read so far. */
struct clocktext {
	const char *at;			/* what follows in the text */
	struct tm tm;			/* the day of the month is not yet checked */
	int32_t nanos;
	int hour12;			/* 0: there was no %I */
	int pm;				/* 0, 1, or -1: there was no %p */
	unsigned have;			/* CLOCK_* */
	bool zoned;
	int32_t offset;			/* zoned: seconds east of UTC */
	bool absolute;
	int64_t seconds;		/* absolute: since 1970, and all else is void */
};

/*
 * clocktext_format_fits(format):
 * Every conversion in it is known.
 */
bool clocktext_format_fits(const char *format);

/*
 * clocktext_read(c, text, format):
 * All of ${text} fits all of ${format}, and there was a whole date. Any thread.
 */
bool clocktext_read(struct clocktext *c, const char *text, const char *format);

/*
 * clocktext_offset(c):
 * Read "Z", "+05:30" or "-0800" at c->at, and move it behind.
 */
bool clocktext_offset(struct clocktext *c);

#endif /* CLI_CLOCKTEXT_H */
