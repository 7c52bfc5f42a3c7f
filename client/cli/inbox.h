/*
 * Answers on their way from the client library's threads to the one that imports.
 */
#ifndef CLI_INBOX_H
#define CLI_INBOX_H

#include <pthread.h>

#include "pdvault/code.h"

/* In each thing that waits for an answer. */
struct inbox_letter {
	struct inbox_letter *next;
};

struct inbox {
	pthread_mutex_t lock;
	struct inbox_letter *first, **last;
	int fd;				/* an eventfd: readable when something is there */
};

/*
 * inbox_open(b):
 * INTERNAL without a descriptor.
 */
enum pdv_code inbox_open(struct inbox *b);

/*
 * inbox_put(b, letter):
 * Any thread; never blocks. The letter is the inbox's until it is taken.
 */
void inbox_put(struct inbox *b, struct inbox_letter *letter);

/*
 * inbox_take(b):
 * All letters there are, oldest first, chained; NULL for none. Never blocks. One thread.
 */
struct inbox_letter *inbox_take(struct inbox *b);

/*
 * inbox_close(b):
 * Nobody puts any more.
 */
void inbox_close(struct inbox *b);

#endif /* CLI_INBOX_H */
