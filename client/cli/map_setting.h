/*
 * The keys of a map's section [map].
 */
#ifndef CLI_MAP_SETTING_H
#define CLI_MAP_SETTING_H

#include <stdbool.h>

#include "map.h"

/*
 * map_setting(m, key, value, complaint, len):
 * Put one key into ${m}. False: ${complaint}, of ${len} bytes, says why not.
 */
bool map_setting(struct map *m, const char *key, const char *value, char *complaint, size_t len);

#endif /* CLI_MAP_SETTING_H */
