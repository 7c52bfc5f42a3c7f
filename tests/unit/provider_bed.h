/*
 * For tests of seal providers: a folder, providers with any options, and what holds of all that
 * have versions.
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
 * One that has nothing yet goes through its versions, whose files are at ${path}: after each step
 * as if the process had ended there. In the end it has nothing again.
 */
void provider_lives(struct provider *p, const char *path);

/* Of files in the folder, by name. */
#define PROVIDER_FILE_MAX 1024u
size_t provider_read(const char *name, uint8_t out[static PROVIDER_FILE_MAX]);
void provider_write(const char *name, const void *bytes, size_t len);
void provider_copy(const char *from, const char *to);
bool provider_stands(const char *name);

/* It opens to these ${n} versions. */
void provider_opens(struct provider *p, const struct provider_kek *want, unsigned n);

/*
 * It does not open, with ${want}; the log says ${why}, and nothing of ${secret}, which may be
 * NULL.
 */
void provider_closed(struct provider *p, enum status want, const char *why, const char *secret);

/* What was logged since scratch_log_begin() has ${why}, and nothing of ${secret}. */
void provider_logged(const char *why, const char *secret);

/* Destroys all versions, and frees it. */
void provider_destroy(struct provider *p);

/* One that has nothing yet leaves no key of a version in memory once it has given it, and was called. */
void provider_leaves_nothing(struct provider *p);

/*
 * Its file ${name} is of ${len} bytes, or any where that is 0: damage of each byte of it, and
 * each other length up to PROVIDER_FILE_MAX, is STATUS_CONFIG.
 */
void provider_notices_damage(struct provider *p, const char *name, size_t len);

#endif /* TESTS_UNIT_PROVIDER_BED_H */
