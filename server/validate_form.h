/*
 * Forms that a string can be asked to have. Each answers true or false and never reads
 * beyond the terminating NUL. Any thread.
 */
#ifndef SERVER_VALIDATE_FORM_H
#define SERVER_VALIDATE_FORM_H

#include <stdbool.h>

/* One @ with something before and a dotted or bare host after it, no blank (RFC 5321, loosely). */
bool validate_form_email(const char *s);

/* What lookup_normalise() can make digits of. */
bool validate_form_phone(const char *s);

/* A language tag: subtags of 1 to 8 letters and digits joined by "-" (RFC 5646, 2.1). */
bool validate_form_locale(const char *s);

/* YYYY-MM-DD of the Gregorian calendar, from year 1 (RFC 3339, full-date). */
bool validate_form_date(const char *s);

/* Lower-case letters, digits, "_", "-", "."; begins with a letter. */
bool validate_form_key(const char *s);

/* Three upper-case letters (ISO 4217). */
bool validate_form_currency(const char *s);

/* Four digits. */
bool validate_form_last_four(const char *s);

/* Something besides blanks. */
bool validate_form_text(const char *s);

#endif /* SERVER_VALIDATE_FORM_H */
