/*
 * What comes from files and standard input, in memory that is wiped.
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include <jansson.h>
#include <stddef.h>

#include "failure.h"

enum { INPUT_MAX = 4 * 1024 * 1024, INPUT_VALUE_MAX = 4096 };

/*
 * input_read(path, most, out, len, f):
 * All of a file, or of standard input if ${path} is "-", at most ${most} bytes; with a NUL
 * behind, for keep_drop().
 */
enum pdv_code input_read(const char *path, size_t most, char **out, size_t *len,
    struct failure *f);

/*
 * input_json(path, out, f):
 * The same as one JSON value, for json_decref().
 */
enum pdv_code input_json(const char *path, json_t **out, struct failure *f);

/*
 * input_value(value, out, f):
 * A copy of ${value}, or if that is "-" what standard input holds, without the end of the
 * line; for keep_drop(). INVALID_ARGUMENT if it holds none, a NUL or several lines.
 */
enum pdv_code input_value(const char *value, char **out, struct failure *f);

#endif /* CLI_INPUT_H */
