/*
 * A vault_bed whose configuration names two seals with key files, the first of which the vault was made
 * with; jobs of its seals, and what becomes of their files.
 */
#ifndef TESTS_UNIT_SEAL_BED_H
#define TESTS_UNIT_SEAL_BED_H

#include "rotate_bed.h"

#define SEAL_LINE 112u		/* of a key file */

extern struct vault_bed seal_bed;
extern char seal_second[320];		/* file of the seal "second"; that of the first is seal_bed.key */
extern uint8_t seal_person[16];		/* somebody in it */

/* Of each test; at its end the vault may be stopped or not. */
int seal_setup(void **state);
int seal_teardown(void **state);

/* A file that stays open shows what became of its bytes. */
struct seal_held {
	int fd;
	char line[SEAL_LINE];
};
struct seal_held seal_hold(const char *path);

/* Its key is not in it any more; closes it. */
bool seal_is_destroyed(struct seal_held *h);

bool seal_is_there(const char *path, const char *suffix);

/* Asked for, and waited for. */
void seal_run(enum job_kind kind, const char *name, struct job *j);

/* Stopped; it opens with the seal at ${path} while the other, if there is one, is away. */
void seal_opens_alone(const char *path, const char *other);

#endif /* TESTS_UNIT_SEAL_BED_H */
