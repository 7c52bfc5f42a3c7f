/*
 * Programs that a test starts: a token's tool, a TPM in software. One thread.
 */
#ifndef TESTS_UNIT_PROGRAMS_H
#define TESTS_UNIT_PROGRAMS_H

#include <sys/types.h>

/* Runs it to its end, its output into /dev/null: its exit status, -1 if it did not come to one. */
int programs_run(const char *const argv[]);

/* Starts it; the descriptor ${fd} is its descriptor 3. It ends with the test, however that ends. */
pid_t programs_start(const char *const argv[], int fd);

/* Ends it with SIGTERM and waits. */
void programs_end(pid_t pid);

#endif /* TESTS_UNIT_PROGRAMS_H */
