#include "server/keys/anchor_watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "server/keys/anchor_internal.h"
#include "server/log.h"
#include "server/metrics.h"

struct anchor_watch {
	int fd;
	size_t files;
	int id[2 * ANCHOR_FILES_MAX];
	char *path[2 * ANCHOR_FILES_MAX];
};

enum status
anchor_watch_new(const struct anchor *a, struct anchor_watch **out)
{
	struct anchor_watch *w = calloc(1, sizeof(*w));
	enum status rc = STATUS_NO_MEMORY;

	if (w == NULL)
		return rc;
	rc = (w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) < 0 ? STATUS_IO : STATUS_OK;
	for (size_t i = 0; i < a->files && rc == STATUS_OK; i++) {
		if ((w->path[i] = strdup(a->file[i].path)) == NULL)
			rc = STATUS_NO_MEMORY;
		else if ((w->id[i] = inotify_add_watch(w->fd, w->path[i], IN_OPEN)) < 0)
			rc = STATUS_IO;
		w->files++;
	}
	if (rc == STATUS_OK) {
		*out = w;
		w = NULL;
	}
	anchor_watch_free(w);
	return rc;
}

void
anchor_watch_free(struct anchor_watch *w)
{
	if (w == NULL)
		return;
	if (w->fd >= 0)
		(void)close(w->fd);
	for (size_t i = 0; i < w->files; i++)
		free(w->path[i]);
	free(w);
}

static void
alarm_of(const struct anchor_watch *w, int id)
{
	for (size_t i = 0; i < w->files; i++)
		if (w->id[i] == id)
			log_event(LOG_ANCHOR_OPENED, LOG_S(PATH, w->path[i]),
			    LOG_S(WHAT, "another process has opened the anchor: who reads it can open what is "
			    "erased from now on, if it gets a seal's key, too"));
}

unsigned
anchor_watch_poll(struct anchor_watch *w)
{
	_Alignas(struct inotify_event) char buf[4096];
	unsigned opened = 0;
	ssize_t n;

	while ((n = read(w->fd, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n; ) {
			const struct inotify_event *e = (const struct inotify_event *)(const void *)(buf + at);

			/* An overflow of the queue is many. */
			if ((e->mask & (IN_OPEN | IN_Q_OVERFLOW)) != 0) {
				alarm_of(w, e->wd);
				opened++;
			}
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	metrics_add(METRIC_ANCHOR_OPENED, opened);
	return opened;
}
