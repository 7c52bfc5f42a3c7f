/*
 * A few threads for reads that are too long for nng's own threads, behind a bounded queue.
 */
#ifndef SERVER_RPC_POOL_H
#define SERVER_RPC_POOL_H

#include "server/status.h"

struct pool;

/* Embedded in what it works on, and alive until run was called. */
struct pool_job {
	void (*run)(struct pool_job *job);	/* on one of the pool's threads, once */
	struct pool_job *next;			/* the pool's */
};

/* Starts ${threads} threads; ${queue} jobs may wait. STATUS_NO_MEMORY: or no thread. */
enum status pool_start(unsigned threads, unsigned queue, struct pool **out) MUST_USE;

/* STATUS_BUSY: the queue is full, run is not called. Any thread but after pool_stop. */
enum status pool_submit(struct pool *p, struct pool_job *job) MUST_USE;

/* Runs what waits, ends the threads, frees ${p}. NULL: nothing. */
void pool_stop(struct pool *p);

#endif /* SERVER_RPC_POOL_H */
