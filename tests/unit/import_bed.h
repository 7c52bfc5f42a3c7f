/*
 * `pdvault import` in this process, against import_vault.h over real TLS: files of a folder go
 * in, the exit status and both outputs come back. One thread.
 */
#ifndef TESTS_IMPORT_BED_H
#define TESTS_IMPORT_BED_H

#include <stdbool.h>

enum { IMPORT_BED_TEXT = 65536, IMPORT_BED_PATH = 512 };

/* What the last run printed. */
struct import_bed {
	char out[IMPORT_BED_TEXT], err[IMPORT_BED_TEXT];
};
extern struct import_bed import_bed;

/* import_bed_start, import_bed_stop: of a group of tests. */
int import_bed_start(void **state);
int import_bed_stop(void **state);

/* import_bed_empty: before a test: an empty vault, and the maps s.map and t.map (subjects, transactions). */
int import_bed_empty(void **state);

/* import_bed_path(name): a file of the folder, in one of four buffers that take turns. */
const char *import_bed_path(const char *name);

/* import_bed_write(name, text): make it, or write it anew. */
void import_bed_write(const char *name, const char *text);

/*
 * import_bed_run(input, map, timeout, resume):
 * Import a file by a map; with ${resume} the progress is kept in "state". The exit status.
 */
int import_bed_run(const char *input, const char *map, const char *timeout, bool resume);

/* import_bed_counts(created, updated, unchanged, failed): the last run said so, or the test fails. */
void import_bed_counts(int created, int updated, int unchanged, int failed);

#endif /* TESTS_IMPORT_BED_H */
