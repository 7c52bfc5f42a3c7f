/*
 * What the tool's exit status says, made from the status codes: one table, which the
 * help prints too.
 */
#ifndef CLI_EXITCODE_H
#define CLI_EXITCODE_H

#include <stdbool.h>
#include <stdio.h>

#include "pdvault/code.h"

enum exitcode {
	EXITCODE_DONE = 0,
	EXITCODE_FAILED = 1,
	EXITCODE_USAGE = 2,
	EXITCODE_NOT_FOUND = 3,
	EXITCODE_ERASED = 4,
	EXITCODE_DENIED = 5,
	EXITCODE_UNAVAILABLE = 6,
	EXITCODE_CONFLICT = 7,
	EXITCODE_INVALID = 8,
	EXITCODE_UNKNOWN_OUTCOME = 9
};

/*
 * exitcode_of(code, reason):
 * ${reason} may be NULL; it decides where a code alone says too little. A code that
 * is in no table is EXITCODE_FAILED.
 */
enum exitcode exitcode_of(enum pdv_code code, const char *reason);

/*
 * exitcode_help(to):
 * The exit codes with their meaning, one a line.
 */
void exitcode_help(FILE *to);

#endif /* CLI_EXITCODE_H */
