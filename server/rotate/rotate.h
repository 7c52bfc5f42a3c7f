/*
 * The thread that gets on with jobs: one job at a time, step by step through the writer, no faster than
 * its rate. It also makes the jobs that the schedule wants, and tests the seals once a day.
 */
#ifndef SERVER_ROTATE_ROTATE_H
#define SERVER_ROTATE_ROTATE_H

#include "server/rotate/job.h"
#include "server/store/writer.h"

#define ROTATE_FULL UINT32_MAX

struct rotate;

/* How often each is done by itself, in ms; 0: never. */
struct rotate_schedule {
	uint64_t seal, tree, subjects, index, signing;
};

struct rotate_options {
	struct vault *vault;		/* both are borrowed and outlive it */
	struct writer *writer;
	struct rotate_schedule every;
	uint32_t rate;			/* of jobs that ask for none */
};

/* Starts the thread; the rate becomes the vault's preset. STATUS_NO_MEMORY. */
enum status rotate_start(const struct rotate_options *o, struct rotate **out) MUST_USE;

/*
 * Ends it after the step in hand; the job goes on at the next start. false: after that time it was
 * still waiting for the device of a seal, and nothing was freed: the process must end. NULL: true.
 */
bool rotate_stop(struct rotate *r, uint64_t patience_ms) MUST_USE;

/*
 * A new job as it was asked for: kind, rate (0: the preset; ROTATE_FULL: no limit), older_s, category,
 * subject, seal, retire and principal are looked at. The writer's thread. STATUS_BUSY: too many are open;
 * STATUS_INVALID: what is asked for does not fit the kind.
 */
enum status rotate_ask(struct writeset *ws, const struct job *ask, struct job *out) MUST_USE;

/* What somebody wants of a job that is open. */
enum rotate_wish { ROTATE_PAUSE, ROTATE_RESUME, ROTATE_CANCEL };

/* The writer's thread. STATUS_ABSENT: there is none of that id; STATUS_REFUSED: it has ended. */
enum status rotate_wish(struct writeset *ws, const uint8_t id[static JOB_ID_LEN], enum rotate_wish wish,
    struct job *out) MUST_USE;

/* All seals are tested soon. Any thread. */
void rotate_check_seals(struct vault *v);

#endif /* SERVER_ROTATE_ROTATE_H */
