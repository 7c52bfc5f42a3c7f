/*
 * JSON into the client library's structs, by the tables of schema.h. A field that the
 * table does not have, or a value of another type, is a violation with the field's path.
 */
#ifndef CLI_JSON_IN_H
#define CLI_JSON_IN_H

#include <jansson.h>

#include "failure.h"
#include "keep.h"
#include "schema.h"

/*
 * json_in_parse(text, len, out, f):
 * One JSON value, without duplicate keys, for json_decref(). The error names the line,
 * never a byte of the text.
 */
enum pdv_code json_in_parse(const char *text, size_t len, json_t **out, struct failure *f);

/* What is read, and where it is kept. */
struct json_in {
	const struct schema *schema;
	const char *path;		/* how violations call it: "identity" */
	struct keep *keep;
};

/*
 * json_in_message(in, value, out, f):
 * Read ${value} as a message. On PDV_OK ${out} is a struct of in->schema->size bytes; it
 * and its lists live in in->keep, its texts in ${value}. Absent and null are the same.
 * INVALID_ARGUMENT with all violations otherwise.
 */
enum pdv_code json_in_message(const struct json_in *in, const json_t *value, const void **out,
    struct failure *f);

/*
 * json_in_only(value, path, names, f):
 * ${value} is an object without other fields than ${names}, which end with NULL. ${path}
 * may be "".
 */
enum pdv_code json_in_only(const json_t *value, const char *path, const char *const *names,
    struct failure *f);

#endif /* CLI_JSON_IN_H */
