#include "progress.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH = 30, INTERVAL_MS = 100, ESTIMATE_MS = 1000, LINE_LEN = 160 };

static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
progress_start(struct progress *p, int fd, FILE *to, uint64_t size)
{
	memset(p, 0, sizeof(*p));
	p->to = isatty(fd) ? to : NULL;
	p->size = size;
	p->started_ms = now_ms();
}

void
progress_line(char *out, size_t len, const struct progress_figures *at)
{
	uint64_t rate = at->ms > 0 ? at->rows * 1000 / (uint64_t)at->ms : 0;
	uint64_t bytes = at->bytes < at->size ? at->bytes : at->size;
	const char *what = at->what != NULL ? at->what : "rows";
	char bar[WIDTH + 1], refused[40] = "", left[48] = "";
	size_t full;

	if (at->refused > 0)
		(void)snprintf(refused, sizeof(refused), ", %" PRIu64 " refused", at->refused);
	if (at->size == 0) {
		(void)snprintf(out, len, "%" PRIu64 " %s%s, %" PRIu64 "/s", at->rows, what, refused, rate);
		return;
	}
	if (bytes > 0 && bytes < at->size && at->ms >= ESTIMATE_MS)
		(void)snprintf(left, sizeof(left), ", about %" PRIu64 " s left",
		    (uint64_t)((double)(at->size - bytes) / (double)bytes * (double)at->ms / 1000) + 1);
	full = (size_t)((double)bytes / (double)at->size * WIDTH);
	memset(bar, ' ', WIDTH);
	memset(bar, '#', full);
	bar[WIDTH] = '\0';
	(void)snprintf(out, len, "[%s] %3d %%, %" PRIu64 " %s%s, %" PRIu64 "/s%s", bar,
	    (int)((double)bytes / (double)at->size * 100), at->rows, what, refused, rate, left);
}

void
progress_show(struct progress *p, uint64_t bytes, uint64_t rows, uint64_t refused)
{
	struct progress_figures at = {p->size, bytes, rows, refused, 0, p->what};
	char line[LINE_LEN];
	int64_t now;

	if (p->to == NULL || (now = now_ms()) - p->shown_ms < INTERVAL_MS)
		return;
	at.ms = now - p->started_ms;
	progress_line(line, sizeof(line), &at);
	(void)fprintf(p->to, "\r%s\x1b[K", line);
	(void)fflush(p->to);
	p->shown_ms = now;
	p->shown = true;
}

void
progress_clear(struct progress *p)
{
	if (!p->shown)
		return;
	(void)fputs("\r\x1b[K", p->to);
	(void)fflush(p->to);
	p->shown = false;
}
