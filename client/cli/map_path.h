/*
 * The left side of a map: "identity.postal_addresses[0].lines" into steps, checked
 * against the schema.
 */
#ifndef CLI_MAP_PATH_H
#define CLI_MAP_PATH_H

#include <stdbool.h>

#include "map.h"

/*
 * map_path(kind, text, field, complaint, len):
 * Fill path, steps and value of ${field}. False: no such field; ${complaint}, of ${len}
 * bytes, says so, with the nearest that there is.
 */
bool map_path(enum map_kind kind, const char *text, struct map_field *field, char *complaint,
    size_t len);

#endif /* CLI_MAP_PATH_H */
