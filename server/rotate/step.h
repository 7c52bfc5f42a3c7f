/*
 * One step of a job: as many units as it may take, as a part of a batch. The writer's thread only.
 */
#ifndef SERVER_ROTATE_STEP_H
#define SERVER_ROTATE_STEP_H

#include "server/rotate/job.h"

struct step {
	struct writeset *ws;
	struct arena *arena;		/* empty, and left so */
	struct job *job;		/* done, damaged, step and cursor move on */
	unsigned units;			/* at most */
	bool ended;			/* out: nothing is left to do */
};

/*
 * STATUS_OK: what was done is merged into the batch unit by unit, and stands by itself; else nothing
 * was done. Rows of the job are the caller's.
 */
enum status step_tree(struct step *s) MUST_USE;
enum status step_subjects(struct step *s) MUST_USE;
enum status step_index(struct step *s) MUST_USE;
enum status step_signing(struct step *s) MUST_USE;

#endif /* SERVER_ROTATE_STEP_H */
