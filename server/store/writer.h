/*
 * The one thread that changes the vault. Jobs that wait while a batch is being made
 * durable form the next batch (group commit without any delay of our own). The steps K1 to
 * K7 of docs/DESIGN.md run here, in switch.c and in the anchor.
 */
#ifndef SERVER_STORE_WRITER_H
#define SERVER_STORE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "server/status.h"

struct vault;
struct writer;
struct writeset;

#define WRITER_QUEUE_MAX 1024u	/* jobs waiting; more are refused with STATUS_BUSY */
#define WRITER_BATCH_MAX 128u

/*
 * One mutation. The owner fills apply, done, deadline_ns and erasure, keeps the job alive until
 * done was called, and embeds it in whatever it needs.
 */
struct write_job {
	/*
	 * K1, on the writer's thread: read through ws, put what is to change into ws. Anything
	 * but STATUS_OK drops ws and fails this job alone. May be called a second time, with a
	 * new ws, when the batch before it turned out to be full.
	 */
	enum status (*apply)(struct write_job *job, struct writeset *ws);
	/*
	 * K7, on the writer's thread, exactly once: outcome of apply, or of the whole batch.
	 * epoch is the one that the batch was decided under, or the present one after a failure.
	 */
	void (*done)(struct write_job *job, enum status rc, uint64_t epoch);
	uint64_t deadline_ns;		/* CLOCK_MONOTONIC; later it is dropped with STATUS_EXPIRED */
	bool erasure;			/* may use the reserve of a full store */
	bool modest;			/* where it finds no room it alone is refused: it asks for less then */

	struct write_job *next;		/* the writer's */
	uint64_t queued_ns;
	enum status rc;
};

/* Starts the thread. v is borrowed and must outlive it. */
enum status writer_start(struct vault *v, struct writer **out) MUST_USE;

/*
 * STATUS_OK: done will be called. STATUS_BUSY: the queue is full; STATUS_DRAINING: it is
 * stopping; done is not called then. Any thread.
 */
enum status writer_submit(struct writer *w, struct write_job *job) MUST_USE;

/*
 * Refuses new jobs, finishes those that wait, ends the thread. A storage error whose
 * outcome is unknown ends the whole process instead (exit status WRITER_EXIT_INDETERMINATE), after
 * every caller of the batch was answered.
 */
#define WRITER_EXIT_INDETERMINATE 70
void writer_stop(struct writer *w);

#ifdef PDV_TEST_HOOKS
/* How often the live slot of the anchor is read again. */
void writer_test_verify_every(uint64_t ns);
#endif

#endif /* SERVER_STORE_WRITER_H */
