/*
 * What the files of the runner share.
 */
#ifndef SERVER_ROTATE_ROTATE_INTERNAL_H
#define SERVER_ROTATE_ROTATE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/rotate/rotate.h"
#include "server/store/seals_change.h"

struct rotate {
	struct rotate_options o;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;		/* a step is through, or the end */
	bool stopping, ended;		/* it is to end; the thread has nothing more to do */
	struct arena *arena;		/* of the steps */
	uint64_t looked_ns, tested_ns;	/* when schedule and seals were last seen to */
	uint32_t asked;			/* of the vault's, when seals were last tested */
	uint64_t credit_ns;		/* when the job's rate allows the next step */
	uint64_t seals_ns;		/* when versions of seals may be made again */
	uint64_t seals_wait_ns;		/* how long that was; 0: the last were not made in vain */
};

/* One request to the writer; ${apply} runs there. Waits for it. */
typedef enum status rotate_apply(struct rotate *r, struct writeset *ws, void *arg);
enum status rotate_do(struct rotate *r, rotate_apply *apply, void *arg) MUST_USE;

/*
 * One step of a job, as rotate_apply: its row is read and written in the same batch, so a wish that came
 * between counts.
 */
struct rotate_going {
	uint8_t id[JOB_ID_LEN];
	unsigned units;
	uint64_t looked;	/* out */
	bool runs;		/* out: it has not ended and nobody wants it to wait */
};
enum status rotate_step(struct rotate *r, struct writeset *ws, void *going) MUST_USE;

/* A job of seals from its beginning to its end: changes of the set are one switch. ${j} is as it was loaded. */
void rotate_seals(struct rotate *r, const struct job *j);

/* Jobs that the schedule wants, and that are not there yet. */
void rotate_schedule(struct rotate *r);

/* The job has ended so; the row is signed if it is done. In the writer's thread. */
enum status rotate_end_job(struct writeset *ws, struct job *j, enum job_state state, enum status why) MUST_USE;

#endif /* SERVER_ROTATE_ROTATE_INTERNAL_H */
