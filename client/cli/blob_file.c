#include "blob_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keep.h"

#define MIB (UINT64_C(1) << 20)

/* The name until it is whole; "": there is none. For the handler of signals, so there is one for all. */
static char unfinished[BLOB_FILE_PATH];
static const int ending[] = {SIGINT, SIGTERM, SIGHUP};

static enum pdv_code
storage(const char *name, const char *what, struct failure *f)
{
	return failure_set(f, PDV_INTERNAL, "FILE", "%.200s: %s: %s", name, what, strerror(errno));
}

/* An unfinished file may be somebody's data in the clear: it does not stay. */
static void
give_up(int number)
{
	(void)unlink(unfinished);
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

static void
handle(void (*handler)(int))
{
	struct sigaction before, a = {.sa_handler = handler};

	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		if (sigaction(ending[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			(void)sigaction(ending[i], &a, NULL);
}

static enum pdv_code
open_in(struct blob_file *b, struct failure *f)
{
	struct stat st;

	if (strcmp(b->from, "-") == 0)
		b->in = STDIN_FILENO;
	else if ((b->in = open(b->from, O_RDONLY | O_CLOEXEC)) < 0)
		return failure_set(f, errno == ENOENT ? PDV_NOT_FOUND : PDV_INTERNAL, "FILE",
		    "cannot open %.200s: %s", b->from, strerror(errno));
	if (fstat(b->in, &st) != 0)
		return storage(b->from, "cannot be looked at", f);
	progress_start(&b->progress, STDERR_FILENO, stderr, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
	b->progress.what = "MiB";
	return PDV_OK;
}

static enum pdv_code
open_out(struct blob_file *b, struct failure *f)
{
	struct stat st;

	if (strcmp(b->to, "-") == 0) {
		b->out = STDOUT_FILENO;
		return PDV_OK;
	}
	if (stat(b->to, &st) == 0 && !S_ISREG(st.st_mode))
		return failure_usage(f, "%.200s is no regular file; - is standard output", b->to);
	if (snprintf(unfinished, sizeof(unfinished), "%s.XXXXXX", b->to) >= (int)sizeof(unfinished)) {
		unfinished[0] = '\0';
		return failure_usage(f, "the name of the output is too long");
	}
	if ((b->out = mkostemp(unfinished, O_CLOEXEC)) < 0) {	/* mode 0600 */
		unfinished[0] = '\0';
		return failure_set(f, PDV_INTERNAL, "FILE", "cannot make %.200s: %s", b->to, strerror(errno));
	}
	handle(give_up);
	return PDV_OK;
}

enum pdv_code
blob_file_open(struct blob_file *b, const char *from, const char *to, struct failure *f)
{
	enum pdv_code rc;

	*b = (struct blob_file){.from = from, .to = to, .in = -1, .out = -1};
	b->room.size = PDV_BLOB_ROOM((size_t)BLOB_FILE_PIECE);
	if ((b->piece = keep_new(BLOB_FILE_PIECE)) == NULL || (b->room.data = keep_new(b->room.size)) == NULL)
		return failure_memory(f);
	if ((rc = open_in(b, f)) != PDV_OK)
		return rc;
	return open_out(b, f);
}

enum pdv_code
blob_file_next(struct blob_file *b, size_t *len, struct failure *f)
{
	*len = 0;
	while (*len < BLOB_FILE_PIECE) {
		ssize_t n = read(b->in, b->piece + *len, BLOB_FILE_PIECE - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return storage(b->from, "cannot be read", f);
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	b->read += *len;
	progress_show(&b->progress, b->read, b->read / MIB, 0);
	return PDV_OK;
}

enum pdv_code
blob_file_put(struct blob_file *b, struct failure *f)
{
	size_t at = 0;

	while (at < b->room.length) {
		ssize_t n = write(b->out, b->room.data + at, b->room.length - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return storage(b->to, "cannot be written", f);
		at += (size_t)n;
	}
	b->written += at;
	b->room.length = 0;
	return PDV_OK;
}

enum pdv_code
blob_file_done(struct blob_file *b, struct failure *f)
{
	progress_clear(&b->progress);
	if (b->out == STDOUT_FILENO)
		return PDV_OK;
	if (fsync(b->out) != 0 || rename(unfinished, b->to) != 0)
		return storage(b->to, "cannot be written", f);
	handle(SIG_DFL);
	unfinished[0] = '\0';
	return PDV_OK;
}

void
blob_file_close(struct blob_file *b)
{
	progress_clear(&b->progress);
	if (unfinished[0] != '\0') {
		(void)unlink(unfinished);
		handle(SIG_DFL);
		unfinished[0] = '\0';
	}
	if (b->in > STDERR_FILENO)
		(void)close(b->in);
	if (b->out > STDERR_FILENO)
		(void)close(b->out);
	keep_drop(b->piece);
	keep_drop(b->room.data);
}
