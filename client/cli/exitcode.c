#include "exitcode.h"

#include <stddef.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
	const char *reason;
	enum exitcode exit;
} by_reason[] = {
	{"OUTCOME_INDETERMINATE", EXITCODE_UNKNOWN_OUTCOME},
	{"SUBJECT_ERASED", EXITCODE_ERASED},
	{"CATEGORY_ERASED", EXITCODE_ERASED},
};

static const enum exitcode by_code[] = {
	[PDV_OK] = EXITCODE_DONE,
	[PDV_CANCELLED] = EXITCODE_FAILED,
	[PDV_UNKNOWN] = EXITCODE_FAILED,
	[PDV_INVALID_ARGUMENT] = EXITCODE_INVALID,
	[PDV_DEADLINE_EXCEEDED] = EXITCODE_UNAVAILABLE,
	[PDV_NOT_FOUND] = EXITCODE_NOT_FOUND,
	[PDV_ALREADY_EXISTS] = EXITCODE_CONFLICT,
	[PDV_PERMISSION_DENIED] = EXITCODE_DENIED,
	[PDV_RESOURCE_EXHAUSTED] = EXITCODE_UNAVAILABLE,
	[PDV_FAILED_PRECONDITION] = EXITCODE_FAILED,
	[PDV_ABORTED] = EXITCODE_CONFLICT,
	[PDV_OUT_OF_RANGE] = EXITCODE_INVALID,
	[PDV_UNIMPLEMENTED] = EXITCODE_FAILED,
	[PDV_INTERNAL] = EXITCODE_FAILED,
	[PDV_UNAVAILABLE] = EXITCODE_UNAVAILABLE,
	[PDV_DATA_LOSS] = EXITCODE_FAILED,
	[PDV_UNAUTHENTICATED] = EXITCODE_DENIED,
};

static const struct {
	enum exitcode exit;
	const char *meaning;
} meanings[] = {
	{EXITCODE_DONE, "done"},
	{EXITCODE_FAILED, "failed"},
	{EXITCODE_USAGE, "wrong command line or settings"},
	{EXITCODE_NOT_FOUND, "not found, also an id of another vault"},
	{EXITCODE_ERASED, "erased: the subject, or the category asked for"},
	{EXITCODE_DENIED, "permission denied"},
	{EXITCODE_UNAVAILABLE, "unavailable, overloaded or out of time; try again"},
	{EXITCODE_CONFLICT, "conflict: exists already, or changed meanwhile (etag)"},
	{EXITCODE_INVALID, "invalid input, also a malformed id or a refused row"},
	{EXITCODE_UNKNOWN_OUTCOME, "outcome unknown: repeat with the same idempotency key"},
};

enum exitcode
exitcode_of(enum pdv_code code, const char *reason)
{
	size_t i;

	for (i = 0; code != PDV_OK && reason != NULL && i < COUNT(by_reason); i++)
		if (strcmp(reason, by_reason[i].reason) == 0)
			return by_reason[i].exit;
	return (size_t)code < COUNT(by_code) ? by_code[code] : EXITCODE_FAILED;
}

void
exitcode_help(FILE *to)
{
	size_t i;

	(void)fputs("Exit codes:\n", to);
	for (i = 0; i < COUNT(meanings); i++)
		(void)fprintf(to, "  %d  %s\n", (int)meanings[i].exit, meanings[i].meaning);
}
