#include <string.h>

#include "client/transport/spiffe.h"

static const char scheme[] = "spiffe://";
#define SCHEME_LEN (sizeof(scheme) - 1)

static bool
is_domain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
	    c == '_';
}

static bool
is_segment(char c)
{
	return is_domain(c) || (c >= 'A' && c <= 'Z');
}

/* The first place at or after ${i} whose byte ${good} does not allow. */
static size_t
span(const char *s, size_t i, size_t len, bool (*good)(char))
{
	while (i < len && good(s[i]))
		i++;
	return i;
}

/* "." and ".." would climb. */
static bool
is_dots(const char *s, size_t len)
{
	return len <= 2 && s[0] == '.' && s[len - 1] == '.';
}

bool
spiffe_ok(const char *s, size_t len)
{
	size_t i, end;

	if (len > SPIFFE_MAX || len <= SCHEME_LEN || memcmp(s, scheme, SCHEME_LEN) != 0)
		return false;
	i = span(s, SCHEME_LEN, len, is_domain);
	if (i == SCHEME_LEN || i == len)	/* no trust domain, or no path */
		return false;
	for (; i < len; i = end) {
		if (s[i++] != '/')
			return false;
		end = span(s, i, len, is_segment);
		if (end == i || is_dots(s + i, end - i))
			return false;
	}
	return true;
}
