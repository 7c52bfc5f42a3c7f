/*
 * For tests of seal providers: a folder, providers with any options, and what holds of all that have versions.
 */
#ifndef TESTS_UNIT_PROVIDER_BED_H
#define TESTS_UNIT_PROVIDER_BED_H

#include "server/keys/provider.h"

extern char provider_folder[256];

/* Of a group of tests: folder, secret memory. */
int provider_begin(void **state);
int provider_end(void **state);

/* The caller frees it. */
struct provider *provider_made(const struct provider_options *o);

/* Opens it anew; gives how many versions there are. */
unsigned provider_versions(struct provider *p, struct provider_kek out[static PROVIDER_VERSIONS_MAX]);

bool provider_same(const struct provider_kek *a, const struct provider_kek *b);

/* Opening is STATUS_CONFIG, with ${why} and its name in the log, and nothing of ${secret}. */
void provider_refuses(struct provider *p, const char *why, const char *secret);

/*
 * One that has nothing yet goes through its versions, whose files are at ${path}: after each step as if
 * the process had ended there. In the end it has nothing again.
 */
void provider_lives(struct provider *p, const char *path);

#endif /* TESTS_UNIT_PROVIDER_BED_H */
