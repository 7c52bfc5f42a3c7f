#include "clocktext.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { PM_UNSET = -1, NAME_SHORT = 3, UNIX_DIGITS_MAX = 12 };

static const char *const months[] = {"january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december", NULL};
static const char *const weekdays[] = {"sunday", "monday", "tuesday", "wednesday", "thursday",
    "friday", "saturday", NULL};

static bool
number(struct clocktext *r, int least, int most, int *out)
{
	int n = 0, digits = 0;

	while (digits < most && isdigit((unsigned char)*r->at)) {
		n = n * 10 + (*r->at++ - '0');
		digits++;
	}
	if (digits < least)
		return false;
	*out = n;
	return true;
}

/* The whole name, or its first three letters. */
static bool
name(struct clocktext *r, const char *const *names, int *out)
{
	size_t i, len;

	for (i = 0; names[i] != NULL; i++) {
		len = strlen(names[i]);
		if (strncasecmp(r->at, names[i], len) != 0)
			len = NAME_SHORT;
		if (strncasecmp(r->at, names[i], len) != 0)
			continue;
		r->at += len;
		*out = (int)i;
		return true;
	}
	return false;
}

static bool
fraction(struct clocktext *r)
{
	int32_t scale = 100000000;

	if (*r->at != '.' && *r->at != ',')
		return true;
	r->at++;
	if (!isdigit((unsigned char)*r->at))
		return false;
	for (; isdigit((unsigned char)*r->at); r->at++, scale /= 10) {
		if (scale == 0)
			return false;
		r->nanos += (*r->at - '0') * scale;
	}
	return true;
}

bool
clocktext_offset(struct clocktext *r)
{
	int hours, minutes, sign;

	r->zoned = true;
	r->offset = 0;
	if (*r->at == 'Z' || *r->at == 'z') {
		r->at++;
		return true;
	}
	if (*r->at != '+' && *r->at != '-')
		return false;
	sign = *r->at++ == '-' ? -1 : 1;
	if (!number(r, 2, 2, &hours))
		return false;
	if (*r->at == ':')
		r->at++;
	if (!number(r, 2, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	r->offset = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool
unix_seconds(struct clocktext *r)
{
	int64_t n = 0;
	int sign = 1, digits = 0;

	if (*r->at == '-') {
		sign = -1;
		r->at++;
	}
	for (; isdigit((unsigned char)*r->at); r->at++, digits++) {
		if (digits == UNIX_DIGITS_MAX)
			return false;
		n = n * 10 + (*r->at - '0');
	}
	r->absolute = true;
	r->seconds = sign * n;
	return digits > 0;
}

static bool
meridian(struct clocktext *r)
{
	if (strncasecmp(r->at, "am", 2) != 0 && strncasecmp(r->at, "pm", 2) != 0)
		return false;
	r->pm = tolower((unsigned char)*r->at) == 'p';
	r->at += 2;
	return true;
}

static bool
year4(struct clocktext *r)
{
	int n;

	r->have |= CLOCKTEXT_YEAR;
	if (!number(r, 4, 4, &n))
		return false;
	r->tm.tm_year = n - 1900;
	return n > 0;
}

/* As POSIX: 69 to 99 are 1969 to 1999. */
static bool
year2(struct clocktext *r)
{
	int n;

	r->have |= CLOCKTEXT_YEAR;
	if (!number(r, 2, 2, &n))
		return false;
	r->tm.tm_year = n >= 69 ? n : n + 100;
	return true;
}

static bool
month(struct clocktext *r)
{
	int n;

	r->have |= CLOCKTEXT_MONTH;
	if (!number(r, 1, 2, &n))
		return false;
	r->tm.tm_mon = n - 1;
	return n >= 1 && n <= 12;
}

static bool
month_name(struct clocktext *r)
{
	r->have |= CLOCKTEXT_MONTH;
	return name(r, months, &r->tm.tm_mon);
}

static bool
weekday_name(struct clocktext *r)
{
	int n;

	return name(r, weekdays, &n);
}

static bool
day(struct clocktext *r)
{
	r->have |= CLOCKTEXT_DAY;
	return number(r, 1, 2, &r->tm.tm_mday) && r->tm.tm_mday >= 1;
}

static bool
hour24(struct clocktext *r)
{
	return number(r, 1, 2, &r->tm.tm_hour) && r->tm.tm_hour <= 23;
}

static bool
hour12(struct clocktext *r)
{
	return number(r, 1, 2, &r->hour12) && r->hour12 >= 1 && r->hour12 <= 12;
}

static bool
minute(struct clocktext *r)
{
	return number(r, 2, 2, &r->tm.tm_min) && r->tm.tm_min <= 59;
}

static bool
second(struct clocktext *r)
{
	return number(r, 2, 2, &r->tm.tm_sec) && r->tm.tm_sec <= 59;
}

static bool
percent(struct clocktext *r)
{
	return *r->at++ == '%';
}

/* Each reads one conversion at r->at; false: the text does not fit. */
static const struct {
	char letter;
	bool (*read)(struct clocktext *r);
} conversions[] = {
	{'Y', year4}, {'y', year2}, {'m', month}, {'b', month_name}, {'B', month_name},
	{'a', weekday_name}, {'A', weekday_name}, {'d', day}, {'H', hour24}, {'I', hour12},
	{'p', meridian}, {'M', minute}, {'S', second}, {'f', fraction}, {'z', clocktext_offset},
	{'s', unix_seconds}, {'%', percent},
};

static bool
(*conversion(char letter))(struct clocktext *)
{
	size_t i;

	for (i = 0; i < sizeof(conversions) / sizeof(conversions[0]); i++)
		if (conversions[i].letter == letter)
			return conversions[i].read;
	return NULL;
}

bool
clocktext_format_fits(const char *format)
{
	for (; *format != '\0'; format++)
		if (*format == '%' && conversion(*++format) == NULL)
			return false;
	return true;
}

bool
clocktext_read(struct clocktext *r, const char *text, const char *format)
{
	bool (*read)(struct clocktext *);

	memset(r, 0, sizeof(*r));
	r->at = text;
	r->pm = PM_UNSET;
	r->tm.tm_mday = 1;
	for (; *format != '\0'; format++) {
		if (*format == '%') {
			if ((read = conversion(*++format)) == NULL || !read(r))
				return false;
		} else if (*r->at++ != *format) {
			return false;
		}
	}
	if (r->hour12 != 0) {
		if (r->pm == PM_UNSET)
			return false;
		r->tm.tm_hour = r->hour12 % 12 + 12 * r->pm;
	}
	return *r->at == '\0' && (r->absolute || r->have == CLOCKTEXT_DATE);
}
