/*
 * A vault whose anchor may be several files, for tests. One thread.
 */
#ifndef TESTS_UNIT_ANCHORS_H
#define TESTS_UNIT_ANCHORS_H

#include <stddef.h>
#include <stdint.h>

#include "server/keys/anchor.h"
#include "vault_bed.h"

enum { ANCHORS = 3 };

extern struct vault_bed anchors_bed;
extern char anchors_name[ANCHORS][320];		/* the first is anchors_bed.anchor, the others are not made */

/* Of cmocka: a vault that is not served yet, with the first file. */
int anchors_setup(void **state);
int anchors_teardown(void **state);

/* ${count} files from ${first} on are named in the options. */
void anchors_use(size_t first, size_t count);

/* All three, and served. */
void anchors_three(void);

/* The bytes of a file: read, put in place, put in place at random. */
void anchors_image(const char *path, uint8_t out[static ANCHOR_LEN]);
void anchors_put(const char *path, const uint8_t bytes[static ANCHOR_LEN]);
void anchors_noise(const char *path);

/* The valid slots of a file, of any vault: epochs, 0 for none. */
void anchors_slots(const char *path, uint64_t epoch[static 2]);

/* Exactly the slot of ${epoch} is valid. */
void anchors_assert_only(const char *path, uint64_t epoch);

#endif /* TESTS_UNIT_ANCHORS_H */
