/*
 * An alarm: somebody else opens a file of the anchor. The vault opens each once, at start, so whatever
 * opens one later is another process (inotify(7), IN_OPEN). It tells that, not who; and nothing of who
 * reads the device itself.
 */
#ifndef SERVER_KEYS_ANCHOR_WATCH_H
#define SERVER_KEYS_ANCHOR_WATCH_H

#include "server/keys/anchor.h"

struct anchor_watch;

/* After anchor_open(). STATUS_IO: the kernel gives no more watches; STATUS_NO_MEMORY. */
enum status anchor_watch_new(const struct anchor *a, struct anchor_watch **out) MUST_USE;

/* NULL does nothing. */
void anchor_watch_free(struct anchor_watch *w);

/* How often one was opened since it was asked last; logs and counts (METRIC_ANCHOR_OPENED). One thread. */
unsigned anchor_watch_poll(struct anchor_watch *w);

#endif /* SERVER_KEYS_ANCHOR_WATCH_H */
