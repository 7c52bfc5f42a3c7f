/*
 * What tests need around them: a folder of their own, and what was logged. One thread.
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <stddef.h>

/* A new empty folder under $TMPDIR or /tmp; removed with all in it by scratch_remove(). */
void scratch_make(char out[static 256]);
void scratch_remove(const char *folder);

/* folder/name in one of four buffers that take turns. */
const char *scratch_path(const char *folder, const char *name);

/* Writes a file, 0600, replacing what was there. */
void scratch_write(const char *path, const void *bytes, size_t len);

/* From begin to end, standard error goes to a file; end gives what it holds, to be freed. */
void scratch_log_begin(void);
char *scratch_log_end(size_t *len);

#endif /* TESTS_UNIT_SCRATCH_H */
