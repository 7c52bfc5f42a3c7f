/*
 * What a row changes of what the vault holds.
 */
#ifndef CLI_MERGE_H
#define CLI_MERGE_H

#include <jansson.h>

/*
 * merge_changes(held, wanted):
 * The top-level fields of ${held} (an identity or billing object) that change, with their
 * new values: an empty object if none does; NULL without memory. For json_decref(). What
 * ${wanted} lacks stays as it is. A message and the attributes are taken over member by
 * member; account ids are added; other lists are replaced.
 */
json_t *merge_changes(const json_t *held, const json_t *wanted);

#endif /* CLI_MERGE_H */
