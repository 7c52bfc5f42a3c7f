/*
 * A bar on standard error while something long is done, if that is a terminal.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
	FILE *to;			/* NULL: nobody looks */
	uint64_t size;			/* bytes of the input; 0: not known */
	const char *what;		/* is counted; NULL: rows */
	int64_t started_ms, shown_ms;
	bool shown;
};

/*
 * progress_start(p, fd, to, size):
 * Show on ${to} if ${fd} is a terminal.
 */
void progress_start(struct progress *p, int fd, FILE *to, uint64_t size);

/*
 * progress_show(p, bytes, rows, refused):
 * At most ten times a second; cheap to call.
 */
void progress_show(struct progress *p, uint64_t bytes, uint64_t rows, uint64_t refused);

/*
 * progress_line(out, len, at):
 * The bar's text, as it is shown; for the tests too.
 */
struct progress_figures {
	uint64_t size, bytes, rows, refused;
	int64_t ms;
	const char *what;
};
void progress_line(char *out, size_t len, const struct progress_figures *at);

/*
 * progress_clear(p):
 * Take the bar away, so that a line can be printed; it comes back.
 */
void progress_clear(struct progress *p);

#endif /* CLI_PROGRESS_H */
