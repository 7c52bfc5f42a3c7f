/*
 * Whether the server still lives: the main thread ticks, and now and then a job that
 * changes nothing goes through the writer.
 */
#ifndef SERVER_PULSE_H
#define SERVER_PULSE_H

#include <stdatomic.h>
#include <stdint.h>

#include "server/store/writer.h"

/* Seldom enough that the writer, which tidies up when a second passes idle, has such seconds. */
#define PULSE_EVERY_NS 5000000000u
#define PULSE_LIMIT_NS 30000000000u	/* so long without a sign of life is stuck */

/* Outlives the writer. */
struct pulse {
	struct write_job job;
	uint64_t commits;		/* as last seen: those of others are signs of life too */
	uint64_t next_ns;		/* when job is to go next */
	_Atomic(uint64_t) main_ns, writer_ns;	/* last signs of life */
	atomic_bool under_way;		/* job is the writer's */
};

/* Before any other. now: CLOCK_MONOTONIC. */
void pulse_start(struct pulse *p, uint64_t now);

/* The main thread, every second or so. */
void pulse_tick(struct pulse *p, struct writer *w, uint64_t now);

/* NULL: well, else what is stuck, static. Any thread. */
const char *pulse_stuck(const struct pulse *p, uint64_t now);

#endif /* SERVER_PULSE_H */
