/*
 * Why a command did not do what was asked: a status code, a stable reason, a sentence
 * for people and the fields at fault. It never holds a value of a field, so it may be
 * printed anywhere.
 */
#ifndef CLI_FAILURE_H
#define CLI_FAILURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "pdvault/code.h"

#define FAILURE_USAGE "USAGE"		/* the reason of failure_usage() */
#define FAILURE_SETTINGS "SETTINGS"	/* of failure_settings() */

enum {
	FAILURE_REASON_LEN = 64,
	FAILURE_DETAIL_LEN = 512,
	FAILURE_FIELD_LEN = 128,
	FAILURE_RULE_LEN = 64,
	FAILURE_VIOLATIONS = 32		/* more are counted away */
};

struct failure_violation {
	char field[FAILURE_FIELD_LEN];
	char rule[FAILURE_RULE_LEN];
};

struct failure {
	enum pdv_code code;
	bool usage;			/* the command line itself was wrong */
	bool told;			/* printed already: only the exit code is left */
	char reason[FAILURE_REASON_LEN];
	char detail[FAILURE_DETAIL_LEN];
	size_t violations_n;
	struct failure_violation violations[FAILURE_VIOLATIONS];
};

/*
 * failure_set(f, code, reason, format, ...):
 * Fill ${f}, without violations, and return ${code}, which is not PDV_OK. What the
 * format names must not be personal data.
 */
enum pdv_code failure_set(struct failure *f, enum pdv_code code, const char *reason,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * failure_usage(f, format, ...):
 * As failure_set(), for a command line that cannot be read.
 */
enum pdv_code failure_usage(struct failure *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * failure_settings(f, format, ...):
 * As failure_usage(), for settings, wherever they came from.
 */
enum pdv_code failure_settings(struct failure *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * failure_memory(f):
 * Memory or a descriptor could not be had.
 */
enum pdv_code failure_memory(struct failure *f);

/*
 * failure_violation(f, field, rule):
 * Add a field at fault; over FAILURE_VIOLATIONS it is dropped.
 */
void failure_violation(struct failure *f, const char *field, const char *rule);

/*
 * failure_invalid(f, field, rule):
 * INVALID_ARGUMENT with this one violation.
 */
enum pdv_code failure_invalid(struct failure *f, const char *field, const char *rule);

/*
 * failure_json(f):
 * {"code", "reason", "detail", "violations"}, owned by the caller; NULL without memory.
 */
json_t *failure_json(const struct failure *f);

/*
 * failure_print(f, to):
 * For people: one line, then one for each violation.
 */
void failure_print(const struct failure *f, FILE *to);

#endif /* CLI_FAILURE_H */
