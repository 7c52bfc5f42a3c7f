/*
 * What the steps share: going through all subjects by their slots.
 */
#ifndef SERVER_ROTATE_STEP_INTERNAL_H
#define SERVER_ROTATE_STEP_INTERNAL_H

#include "server/rotate/step.h"
#include "server/store/overlay.h"

/* Between a job's cursor and a walker over the trees. */
void step_walker_load(const struct job *j, struct overlay_walker *w);
void step_walker_save(const struct overlay_walker *w, struct job *j);

/* What is counted as damage, and left as it is. */
bool step_is_damage(enum status rc);

/*
 * Calls ${unit} for each keyring from the job's cursor (a slot) on, in the order of slots, until it has
 * been called ${s->units} times, the batch is full, or there are no more (s->ended). ${unit} puts what
 * it changes into s->ws, which is merged behind it. What it says: STATUS_OK; STATUS_ABSENT: nothing was
 * to be done; what step_is_damage() tells: the subject is counted as damaged and left as it is;
 * STATUS_BUSY: the batch is at work on it, so the step ends before it; else the step fails. A keyring that
 * does not open counts as damaged.
 */
typedef enum status step_unit(struct step *s, const struct keyring *k, void *arg);
enum status step_each_subject(struct step *s, step_unit *unit, void *arg) MUST_USE;

#endif /* SERVER_ROTATE_STEP_INTERNAL_H */
