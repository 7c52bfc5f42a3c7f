/*
 * The client library's structs as JSON, and JSON as what the tool prints.
 */
#ifndef CLI_JSON_OUT_H
#define CLI_JSON_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "failure.h"
#include "pdvault/pdvault.h"
#include "schema.h"

/*
 * json_out_message(s, message):
 * ${message}, a struct of ${s}, as an object for json_decref(); absent fields are left
 * out. NULL without memory.
 */
json_t *json_out_message(const struct schema *s, const void *message);

/*
 * json_out_subject(id), json_out_erasure(id), json_out_time(t):
 * Their texts as JSON strings. A time beyond RFC 3339 is null.
 */
json_t *json_out_subject(const struct pdv_subject_id *id);
json_t *json_out_erasure(const struct pdv_erasure_id *id);
json_t *json_out_time(const struct pdv_time *t);

/* json_out_hex(bytes, len): at most 128 bytes, in hexadecimal. json_out_proof(p): both of its parts so. */
json_t *json_out_hex(const uint8_t *bytes, size_t len);

/* The same of any length, allocated for a moment. */
json_t *json_out_hex_long(const uint8_t *bytes, size_t len);
json_t *json_out_proof(const struct pdv_ledger_proof *p);

/*
 * json_out_print(doc, json, fd, f):
 * Write ${doc} to ${fd}: as JSON, or as indented lines for people, in which control
 * characters are shown as '?'. Takes ${doc}, which may be NULL for want of memory. It
 * goes past stdio, and what was made for it is wiped.
 */
enum pdv_code json_out_print(json_t *doc, bool json, int fd, struct failure *f);

/* json_out_text(text, fd, f): write ${text} to ${fd} as it is, past stdio. */
enum pdv_code json_out_text(const char *text, int fd, struct failure *f);

#endif /* CLI_JSON_OUT_H */
