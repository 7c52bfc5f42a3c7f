/*
 * Rotations of a vault_bed: jobs asked for, done step by step by hand or by the runner, and what the vault's
 * keys are meanwhile.
 */
#ifndef TESTS_UNIT_ROTATE_BED_H
#define TESTS_UNIT_ROTATE_BED_H

#include "server/rotate/rotate.h"
#include "server/store/subject.h"
#include "vault_bed.h"

#define ROTATE_BED_PEOPLE 512u

/* In the writer's thread, as a job of its own; waits for it. */
typedef enum status rotate_bed_fn(struct writeset *ws, void *arg);
enum status rotate_bed_do(struct vault_bed *b, rotate_bed_fn *f, void *arg);

/* rotate_ask() and rotate_wish(). */
enum status rotate_bed_ask(struct vault_bed *b, const struct job *ask, struct job *out);
enum status rotate_bed_wish(struct vault_bed *b, enum rotate_wish wish, struct job *j);

/*
 * One step of ${units} at most, and its row, as the runner does it; ${j} is what it is then. A job that waits
 * begins. Not of jobs of seals.
 */
enum status rotate_bed_step(struct vault_bed *b, struct job *j, unsigned units);

/* Asked for, and steps of ${units} until it has ended. */
void rotate_bed_run(struct vault_bed *b, const struct job *ask, unsigned units, struct job *out);

/* The runner, with that rate for jobs that ask for none. */
struct rotate *rotate_bed_runner(struct vault_bed *b, uint32_t rate);

/* Waits until it has ended or is paused. */
void rotate_bed_wait(struct vault_bed *b, struct job *j);

/* The row is signed by the vault's present key, and is DONE. */
void rotate_bed_assert_done(struct vault_bed *b, const struct job *j);

/* Keyrings in the order of slots, opened; those that do not open are left out. */
struct rotate_bed_keys {
	struct keyring keyring[ROTATE_BED_PEOPLE];
	unsigned count;
	struct root root;
	uint64_t least_epoch;	/* of all keyrings, buckets and pages */
	unsigned rows;		/* of the trees */
	unsigned entries, before;	/* of look-ups, and those under the key before */
};
void rotate_bed_look(struct vault_bed *b, struct rotate_bed_keys *out);

/* The keyring of a subject; NULL. */
const struct keyring *rotate_bed_keyring(const struct rotate_bed_keys *k, const uint8_t id[static 16]);

/* The keyring of a subject is changed by ${f} and written. */
typedef void rotate_bed_change(struct keyring *k, void *arg);
void rotate_bed_edit(struct vault_bed *b, const uint8_t id[static 16], rotate_bed_change *f, void *arg);

/* Phone of a request "Vault.FindSubject": how many have it, and whether ${id} (or NULL) is among them. */
unsigned rotate_bed_sharers(struct vault_bed *b, const char *phone, const uint8_t *id, bool *among);

#endif /* TESTS_UNIT_ROTATE_BED_H */
