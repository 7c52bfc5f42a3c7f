/* `pdvault import`: rows in, outcomes out; see import_internal.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "import_internal.h"
#include "json_out.h"
#include "must.h"
#include "nouns.h"
#include "resume.h"
#include "rows.h"

enum { CHUNK = 64 * 1024, WAIT_MS = 200, SAVE_SECONDS = 1 };

/* Beyond what lanes need to know. */
struct reading {
	struct import im;
	struct rows *rows;
	int fd;
	bool opened;			/* fd is ours */
	bool inbox_opened;
	bool hungry;			/* the reader needs more bytes */
	bool ended;			/* all rows have been read */
	uint64_t taken;			/* bytes of the input */
	uint64_t skip;			/* rows of an earlier run */
	struct resume resume;
	time_t saved;
	char chunk[CHUNK];
};

static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* The first signal ends the import between two rows; the second ends the process. */
static void
catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sa.sa_flags = (int)SA_RESETHAND;
	(void)sigemptyset(&sa.sa_mask);
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGHUP, &sa, NULL);
}

void
import_row_free(struct import *im, struct import_row *row)
{
	if (row == NULL)
		return;
	im->bytes -= row->bytes;
	import_claim_drop(im, row);
	convert_drop(&row->data);
	free(row);
}

static void
refuse_row(struct import *im, const struct rows_row *row, uint64_t number)
{
	struct failure f;

	(void)failure_invalid(&f, row->column != NULL ? row->column : "row", row->rule);
	import_report(im, number, row->line, &f);
	tally_end(&im->tally, number, TALLY_FAILED);
}

/* A row that could be read: on its way, parked, or refused. */
static void
begin_row(struct import *im, const struct rows_row *row, uint64_t number)
{
	struct import_row *r = calloc(1, sizeof(*r));
	struct failure f;

	if (r == NULL) {
		(void)failure_memory(&im->fatal);
		return;
	}
	r->number = number;
	r->line = row->line;
	r->bytes = row->bytes;
	im->bytes += r->bytes;
	if (convert_row(im->map, row, &r->data, &f) != PDV_OK) {
		import_row_free(im, r);
		if (f.code != PDV_INVALID_ARGUMENT) {
			im->fatal = f;
			return;
		}
		import_report(im, number, row->line, &f);
		tally_end(&im->tally, number, TALLY_FAILED);
	} else if (!lane_add(im, r)) {
		im->parked = r;
	}
}

static bool
wants_row(const struct reading *rd)
{
	const struct import *im = &rd->im;

	return !rd->ended && !interrupted && im->fatal.code == PDV_OK && im->parked == NULL &&
	    im->bytes < IMPORT_BYTES_MAX && tally_room(&im->tally);
}

/* One step of reading. False: bytes are needed, or nothing is wanted. */
static bool
next_row(struct reading *rd)
{
	struct import *im = &rd->im;
	struct rows_row row;
	enum rows_event event;

	if (rd->hungry || !wants_row(rd))
		return false;
	event = rows_next(rd->rows, &row);
	rd->hungry = event == ROWS_MORE;
	rd->ended = event == ROWS_END || event == ROWS_FAILED;
	if (event == ROWS_FAILED)
		(void)rows_why(rd->rows, &im->fatal);
	if (event != ROWS_ROW && event != ROWS_REFUSED)
		return event == ROWS_END;
	if (rd->skip > 0)
		rd->skip--;
	else if (event == ROWS_REFUSED)
		refuse_row(im, &row, tally_begin(&im->tally));
	else
		begin_row(im, &row, tally_begin(&im->tally));
	return true;
}

static void
read_chunk(struct reading *rd)
{
	ssize_t n = read(rd->fd, rd->chunk, sizeof(rd->chunk));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) {
		(void)failure_set(&rd->im.fatal, PDV_FAILED_PRECONDITION, "FILE_UNREADABLE",
		    "cannot read the input: %s", strerror(errno));
		return;
	}
	if (n == 0)
		rows_end(rd->rows);
	else if (rows_feed(rd->rows, rd->chunk, (size_t)n) != PDV_OK)
		(void)failure_memory(&rd->im.fatal);
	rd->taken += (uint64_t)n;
	rd->hungry = false;
}

/* Until an answer is there, or bytes that are needed. */
static void
wait_for_more(struct reading *rd)
{
	bool bytes = rd->hungry && wants_row(rd);
	struct pollfd fds[2] = {{.fd = rd->im.inbox.fd, .events = POLLIN},
	    {.fd = bytes ? rd->fd : -1, .events = POLLIN}};

	if (poll(fds, 2, WAIT_MS) > 0 && bytes && fds[1].revents != 0)
		read_chunk(rd);
}

static void
take_answers(struct import *im)
{
	struct inbox_letter *letter = inbox_take(&im->inbox), *next;
	struct import_row *parked;

	for (; letter != NULL; letter = next) {
		next = letter->next;
		lane_answered((struct import_lane *)(void *)letter);
	}
	if ((parked = im->parked) == NULL || im->fatal.code != PDV_OK)
		return;
	im->parked = NULL;
	if (!lane_add(im, parked))
		im->parked = parked;
}

static void
save(struct reading *rd, bool now)
{
	struct failure f;

	if (!now && time(NULL) - rd->saved < SAVE_SECONDS)
		return;
	rd->saved = time(NULL);
	if (resume_save(&rd->resume, &rd->im.tally, &f) != PDV_OK && rd->im.fatal.code == PDV_OK)
		rd->im.fatal = f;
}

static void
pump(struct reading *rd)
{
	struct import *im = &rd->im;
	bool over;

	do {
		while (next_row(rd))
			take_answers(im);
		take_answers(im);
		import_tell(im, im->tally.mark);
		progress_show(&im->progress, rd->taken, im->tally.next,
		    tally_count(&im->tally, TALLY_FAILED));
		save(rd, false);
		over = (rd->ended || interrupted || im->fatal.code != PDV_OK) &&
		    im->lanes_n == 0 && (im->parked == NULL || im->fatal.code != PDV_OK ||
		    interrupted);
		if (!over)
			wait_for_more(rd);
	} while (!over);
	import_row_free(im, im->parked);
	im->parked = NULL;
	import_tell(im, im->tally.next);
	progress_clear(&im->progress);
	save(rd, true);
}

static bool
ends_with(const char *text, const char *tail)
{
	size_t n = strlen(text), t = strlen(tail);

	return n >= t && strcmp(text + n - t, tail) == 0;
}

static enum pdv_code
format_of(const struct args *a, const struct map *m, enum rows_format *out, struct failure *f)
{
	const char *given = a->values[FLAG_FORMAT];

	must(m != NULL);
	if (given != NULL && strcmp(given, "csv") != 0 && strcmp(given, "jsonl") != 0)
		return failure_usage(f, "--format is csv or jsonl");
	if (given != NULL)
		*out = strcmp(given, "jsonl") == 0 ? ROWS_JSONL : ROWS_CSV;
	else if (m->format_given)
		*out = m->format;
	else
		*out = ends_with(a->operand, ".jsonl") || ends_with(a->operand, ".ndjson")
		    ? ROWS_JSONL : ROWS_CSV;
	return PDV_OK;
}

static enum pdv_code
open_map(const struct args *a, struct reading *rd, struct failure *f)
{
	const char *path = a->values[FLAG_MAP];
	enum pdv_code rc;
	FILE *in;

	if (path == NULL)
		return failure_usage(f, "--map is missing");
	if ((in = fopen(path, "re")) == NULL)
		return failure_set(f, PDV_FAILED_PRECONDITION, "FILE_UNREADABLE",
		    "cannot open %.200s: %s", path, strerror(errno));
	(void)resume_file(fileno(in), &rd->resume.map);
	rc = map_read(in, path, &rd->im.map, f);
	(void)fclose(in);
	return rc;
}

static enum pdv_code
open_input(const struct args *a, struct reading *rd, struct failure *f)
{
	rd->fd = STDIN_FILENO;
	rd->im.name = strcmp(a->operand, "-") == 0 ? "standard input" : a->operand;
	if (strcmp(a->operand, "-") != 0) {
		if ((rd->fd = open(a->operand, O_RDONLY | O_CLOEXEC)) < 0)
			return failure_set(f, PDV_FAILED_PRECONDITION, "FILE_UNREADABLE",
			    "cannot open %.200s: %s", a->operand, strerror(errno));
		rd->opened = true;
	}
	if (!resume_file(rd->fd, &rd->resume.input))
		return failure_set(f, PDV_FAILED_PRECONDITION, "FILE_UNREADABLE",
		    "cannot read the input: %s", strerror(errno));
	return PDV_OK;
}

static enum pdv_code
open_resume(const struct args *a, struct reading *rd, struct failure *f)
{
	bool other;

	rd->resume.path = a->values[FLAG_RESUME];
	if (rd->resume.path != NULL && rd->resume.input.inode == 0)
		return failure_usage(f, "--resume: the input has to be a file, not a pipe");
	if (resume_load(&rd->resume, &rd->im.tally, &other, f) != PDV_OK)
		return f->code;
	if (other)
		(void)fprintf(stderr, "pdvault: %s is of another input or map: from the beginning\n",
		    rd->resume.path);
	else if (rd->im.tally.mark > 0)
		(void)fprintf(stderr, "pdvault: going on after %" PRIu64 " rows\n",
		    rd->im.tally.mark);
	rd->skip = rd->im.told = rd->im.tally.mark;
	return PDV_OK;
}

/* The map before the session: a zone changes the process while it has one thread. */
static enum pdv_code
open_all(const struct args *a, struct reading *rd, struct failure *f)
{
	struct rows_options options = {.format = ROWS_CSV};

	if (open_map(a, rd, f) != PDV_OK || open_input(a, rd, f) != PDV_OK ||
	    format_of(a, rd->im.map, &options.format, f) != PDV_OK ||
	    open_resume(a, rd, f) != PDV_OK)
		return f->code;
	must(rd->im.map != NULL);
	options.columns = (const char *const *)rd->im.map->columns;
	options.columns_n = rd->im.map->columns_n;
	options.delimiter = rd->im.map->delimiter;
	if (rows_new(&options, &rd->rows) != PDV_OK || inbox_open(&rd->im.inbox) != PDV_OK)
		return failure_memory(f);
	rd->inbox_opened = true;
	if (session_open(&rd->im.session, a, IMPORT_IN_FLIGHT, f) != PDV_OK)
		return f->code;
	catch_signals();
	progress_start(&rd->im.progress, STDERR_FILENO, stderr, rd->resume.input.size);
	return PDV_OK;
}

static enum pdv_code
outcome(struct reading *rd, struct failure *f)
{
	if (rd->im.fatal.code != PDV_OK) {
		*f = rd->im.fatal;
		return f->code;
	}
	if (interrupted)
		return failure_set(f, PDV_CANCELLED, "INTERRUPTED",
		    "stopped by a signal; run it again to go on");
	resume_done(&rd->resume);
	if (tally_count(&rd->im.tally, TALLY_FAILED) == 0)
		return PDV_OK;
	return failure_set(f, PDV_INVALID_ARGUMENT, "ROWS_REFUSED",
	    "some rows were refused, the others are done");
}

/* The figures, and if the import ended early why, in one document. */
static enum pdv_code
print(struct reading *rd, bool json, struct failure *f)
{
	const struct tally *t = &rd->im.tally;
	enum pdv_code rc = outcome(rd, f), printed;
	struct failure output;
	json_t *doc = json_pack("{s:I, s:I, s:I, s:I}",
	    "created", (json_int_t)tally_count(t, TALLY_CREATED),
	    "updated", (json_int_t)tally_count(t, TALLY_UPDATED),
	    "unchanged", (json_int_t)tally_count(t, TALLY_UNCHANGED),
	    "failed", (json_int_t)tally_count(t, TALLY_FAILED));

	f->told = json || strcmp(f->reason, "ROWS_REFUSED") == 0;
	if (rc != PDV_OK && json && strcmp(f->reason, "ROWS_REFUSED") != 0)
		(void)json_object_set_new(doc, "error", failure_json(f));
	printed = json_out_print(doc, json, STDOUT_FILENO, &output);
	if (rc == PDV_OK && printed != PDV_OK)
		*f = output;
	return rc != PDV_OK ? rc : printed;
}

enum pdv_code
noun_import(const struct args *a, struct failure *f)
{
	struct reading *rd = calloc(1, sizeof(*rd));
	enum pdv_code rc;

	if (rd == NULL)
		return failure_memory(f);
	rd->fd = -1;
	if ((rc = open_all(a, rd, f)) == PDV_OK) {
		pump(rd);
		rc = print(rd, a->values[FLAG_JSON] != NULL, f);
	}
	session_close(&rd->im.session);
	if (rd->inbox_opened)
		inbox_close(&rd->im.inbox);
	rows_free(rd->rows);
	map_free(rd->im.map);
	if (rd->opened)
		(void)close(rd->fd);
	sodium_memzero(rd, sizeof(*rd));
	free(rd);
	return rc;
}
