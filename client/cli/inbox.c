#include "inbox.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "must.h"

enum pdv_code
inbox_open(struct inbox *b)
{
	b->first = NULL;
	b->last = &b->first;
	if ((b->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
		return PDV_INTERNAL;
	must(pthread_mutex_init(&b->lock, NULL) == 0);
	return PDV_OK;
}

void
inbox_put(struct inbox *b, struct inbox_letter *letter)
{
	uint64_t one = 1;

	letter->next = NULL;
	must(pthread_mutex_lock(&b->lock) == 0);
	*b->last = letter;
	b->last = &letter->next;
	/* Under the lock: who takes the last letter may close the descriptor at once. */
	must(write(b->fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
	must(pthread_mutex_unlock(&b->lock) == 0);
}

struct inbox_letter *
inbox_take(struct inbox *b)
{
	struct inbox_letter *all;
	uint64_t count;
	ssize_t n;

	must(pthread_mutex_lock(&b->lock) == 0);
	n = read(b->fd, &count, sizeof(count));
	(void)n;			/* nothing to read: nothing was put */
	all = b->first;
	b->first = NULL;
	b->last = &b->first;
	must(pthread_mutex_unlock(&b->lock) == 0);
	return all;
}

void
inbox_close(struct inbox *b)
{
	must(pthread_mutex_destroy(&b->lock) == 0);
	(void)close(b->fd);
}
