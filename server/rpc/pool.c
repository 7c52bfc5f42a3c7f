#include "server/rpc/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/*
 * 1. waiting is the length of the list at first, and at most queue.
 * 2. last points at the NULL that ends the list.
 */
struct pool {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct pool_job *first, **last;
	unsigned waiting, queue;
	bool stopping;
	unsigned threads;
	pthread_t thread[];
};

/* NULL: stopping, and nothing waits any more. */
static struct pool_job *
next_job(struct pool *p)
{
	struct pool_job *job;

	must(pthread_mutex_lock(&p->lock) == 0);
	while (p->first == NULL && !p->stopping)
		must(pthread_cond_wait(&p->more, &p->lock) == 0);
	if ((job = p->first) != NULL) {
		if ((p->first = job->next) == NULL)
			p->last = &p->first;
		p->waiting--;
	}
	must(pthread_mutex_unlock(&p->lock) == 0);
	return job;
}

static void *
work(void *arg)
{
	struct pool_job *job;

	while ((job = next_job(arg)) != NULL)
		job->run(job);
	return NULL;
}

enum status
pool_start(unsigned threads, unsigned queue, struct pool **out)
{
	struct pool *p;

	must(threads > 0 && queue > 0);
	if ((p = calloc(1, sizeof(*p) + threads * sizeof(p->thread[0]))) == NULL)
		return STATUS_NO_MEMORY;
	must(pthread_mutex_init(&p->lock, NULL) == 0);
	must(pthread_cond_init(&p->more, NULL) == 0);
	p->last = &p->first;
	p->queue = queue;
	for (; p->threads < threads; p->threads++) {
		if (pthread_create(&p->thread[p->threads], NULL, work, p) != 0) {
			pool_stop(p);
			return STATUS_NO_MEMORY;
		}
	}
	*out = p;
	return STATUS_OK;
}

enum status
pool_submit(struct pool *p, struct pool_job *job)
{
	enum status rc = STATUS_BUSY;

	must(pthread_mutex_lock(&p->lock) == 0);
	must(!p->stopping);
	if (p->waiting < p->queue) {
		job->next = NULL;
		*p->last = job;
		p->last = &job->next;
		p->waiting++;
		rc = STATUS_OK;
	}
	must(pthread_mutex_unlock(&p->lock) == 0);
	if (rc == STATUS_OK)
		must(pthread_cond_signal(&p->more) == 0);
	return rc;
}

void
pool_stop(struct pool *p)
{
	unsigned i;

	if (p == NULL)
		return;
	must(pthread_mutex_lock(&p->lock) == 0);
	p->stopping = true;
	must(pthread_cond_broadcast(&p->more) == 0);
	must(pthread_mutex_unlock(&p->lock) == 0);
	for (i = 0; i < p->threads; i++)
		must(pthread_join(p->thread[i], NULL) == 0);
	must(pthread_cond_destroy(&p->more) == 0);
	must(pthread_mutex_destroy(&p->lock) == 0);
	free(p);
}
