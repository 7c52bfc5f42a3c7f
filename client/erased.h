/*
 * Who keeps something of a subject hears of its erasure from any answer to the same handle: that it, or a
 * category of it, is erased, and every answer to a request for an erasure, whatever it is. Any thread.
 */
#ifndef CLIENT_ERASED_H
#define CLIENT_ERASED_H

#include <pthread.h>

#include "pdvault/types.h"

struct call;

/* One who listens; its owner keeps it. */
struct erased_listener {
	void (*heard)(void *arg, const uint8_t subject[PDV_ID_LEN]); /* does not wait */
	void *arg;
	struct erased_listener *next;
};

struct erased {
	pthread_mutex_t lock;
	struct erased_listener *first;
};

void erased_init(struct erased *e);
void erased_fini(struct erased *e);

/* erased_listen(e, l), erased_leave(e, l): after erased_leave() ${l} is not called any more. */
void erased_listen(struct erased *e, struct erased_listener *l);
void erased_leave(struct erased *e, struct erased_listener *l);

/* erased_see(e, call): the result of ${call} is final; it was not given to its owner yet. */
void erased_see(struct erased *e, const struct call *call);

#endif /* CLIENT_ERASED_H */
