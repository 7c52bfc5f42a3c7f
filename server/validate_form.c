#include "server/validate_form.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "server/store/lookup.h"

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

bool
validate_form_email(const char *s)
{
	struct lookup l;
	const char *at, *host;
	bool ok;

	/* Outer blanks are no part of it, and are cut by the look-up, too. */
	s += strspn(s, " ");
	at = strrchr(s, '@');
	if (at == NULL || at == s)
		return false;
	host = at + 1;
	if (host[0] == '\0' || host[0] == '.' || host[0] == ' ' || strstr(host, "..") != NULL)
		return false;
	for (const char *p = s; *p != '\0'; p++)
		if (*p == ' ' && p[strspn(p, " ")] != '\0')
			return false;
	ok = lookup_normalise(LOOKUP_EMAIL, bytes_of(s, strlen(s)), 0, &l) == STATUS_OK;
	sodium_memzero(&l, sizeof(l));
	return ok && strchr(s, '@') == at;
}

bool
validate_form_phone(const char *s)
{
	struct lookup l;
	bool ok = lookup_normalise(LOOKUP_PHONE, bytes_of(s, strlen(s)), 0, &l) == STATUS_OK;

	sodium_memzero(&l, sizeof(l));
	return ok;
}

bool
validate_form_locale(const char *s)
{
	size_t run = 0;

	for (;; s++) {
		if (*s == '-' || *s == '\0') {
			if (run == 0 || run > 8)
				return false;
			if (*s == '\0')
				return true;
			run = 0;
		} else if (is_digit(*s) || is_lower(*s) || is_upper(*s)) {
			run++;
		} else {
			return false;
		}
	}
}

static unsigned
number(const char *s, unsigned digits)
{
	unsigned n = 0;

	while (digits-- > 0)
		n = n * 10 + (unsigned)(*s++ - '0');
	return n;
}

bool
validate_form_date(const char *s)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned year, month, day;

	if (strlen(s) != 10 || s[4] != '-' || s[7] != '-')
		return false;
	for (unsigned i = 0; i < 10; i++)
		if (i != 4 && i != 7 && !is_digit(s[i]))
			return false;
	year = number(s, 4);
	month = number(s + 5, 2);
	day = number(s + 8, 2);
	if (year == 0 || month == 0 || month > 12 || day == 0)
		return false;
	if (month == 2 && day == 29)
		return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return day <= days[month - 1];
}

bool
validate_form_key(const char *s)
{
	if (!is_lower(*s))
		return false;
	for (; *s != '\0'; s++)
		if (!is_lower(*s) && !is_digit(*s) && strchr("_-.", *s) == NULL)
			return false;
	return true;
}

bool
validate_form_currency(const char *s)
{
	return strlen(s) == 3 && is_upper(s[0]) && is_upper(s[1]) && is_upper(s[2]);
}

bool
validate_form_last_four(const char *s)
{
	return strlen(s) == 4 && strspn(s, "0123456789") == 4;
}

bool
validate_form_text(const char *s)
{
	return s[strspn(s, " ")] != '\0';
}
