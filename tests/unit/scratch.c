#include "scratch.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/must.h"

static int saved_stderr = -1;
static FILE *log_file;

void
scratch_make(char out[static 256])
{
	const char *base = getenv("TMPDIR");
	int n = snprintf(out, 256, "%s/pdvault-XXXXXX", base == NULL || !*base ? "/tmp" : base);

	must(n > 0 && n < 256 && mkdtemp(out) != NULL);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void
scratch_remove(const char *folder)
{
	must(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

const char *
scratch_path(const char *folder, const char *name)
{
	static char paths[4][512];
	static unsigned turn;
	char *out = paths[turn++ % 4];
	int n = snprintf(out, sizeof(paths[0]), "%s/%s", folder, name);

	must(n > 0 && (size_t)n < sizeof(paths[0]));
	return out;
}

void
scratch_write(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && close(fd) == 0);
}

/* A test that failed in between never came to its end: what it had to say is in the file. */
static void
give_up(void)
{
	char *text;
	size_t len;

	if (saved_stderr < 0)
		return;
	text = scratch_log_end(&len);
	must(write(STDERR_FILENO, text, len) == (ssize_t)len);
	free(text);
}

void
scratch_log_begin(void)
{
	static int registered;

	give_up();
	if (!registered++)
		must(atexit(give_up) == 0);
	must((log_file = tmpfile()) != NULL);
	must((saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) >= 0);
	/* Appending, so that lines of several threads or processes follow each other. */
	must(fcntl(fileno(log_file), F_SETFL, O_APPEND) == 0);
	must(dup2(fileno(log_file), STDERR_FILENO) == STDERR_FILENO);
}

char *
scratch_log_end(size_t *len)
{
	struct stat st;
	char *text;

	must(dup2(saved_stderr, STDERR_FILENO) == STDERR_FILENO && close(saved_stderr) == 0);
	saved_stderr = -1;
	must(fstat(fileno(log_file), &st) == 0 && (text = malloc((size_t)st.st_size + 1)) != NULL);
	must(pread(fileno(log_file), text, (size_t)st.st_size, 0) == (ssize_t)st.st_size);
	text[st.st_size] = '\0';
	must(fclose(log_file) == 0);
	if (len != NULL)
		*len = (size_t)st.st_size;
	return text;
}
