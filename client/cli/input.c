#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "json_in.h"
#include "keep.h"

enum { CHUNK = 16 * 1024 };

static enum pdv_code
read_all(int fd, size_t most, char **out, size_t *len, struct failure *f)
{
	char *text = NULL, *more;
	size_t n = 0, room = 0;
	ssize_t got;

	for (;;) {
		if (room - n < CHUNK + 1) {
			if ((more = keep_resize(text, 2 * room + CHUNK + 1)) == NULL) {
				keep_drop(text);
				return failure_memory(f);
			}
			text = more;
			room = 2 * room + CHUNK + 1;
		}
		if ((got = read(fd, text + n, CHUNK)) < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		if ((n += (size_t)got) > most)
			break;
	}
	if (got < 0 || n > most) {
		keep_drop(text);
		return got < 0 ? failure_set(f, PDV_FAILED_PRECONDITION, "FILE_UNREADABLE",
		    "cannot read the input: %s", strerror(errno))
		    : failure_set(f, PDV_INVALID_ARGUMENT, "INPUT_TOO_LONG",
		    "the input is over %zu bytes", most);
	}
	text[n] = '\0';
	*out = text;
	*len = n;
	return PDV_OK;
}

enum pdv_code
input_read(const char *path, size_t most, char **out, size_t *len, struct failure *f)
{
	enum pdv_code rc;
	int fd;

	if (strcmp(path, "-") == 0)
		return read_all(STDIN_FILENO, most, out, len, f);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return failure_set(f, PDV_FAILED_PRECONDITION, "FILE_UNREADABLE",
		    "cannot open %.200s: %s", path, strerror(errno));
	rc = read_all(fd, most, out, len, f);
	(void)close(fd);
	return rc;
}

enum pdv_code
input_json(const char *path, json_t **out, struct failure *f)
{
	enum pdv_code rc;
	char *text = NULL;
	size_t len = 0;

	if ((rc = input_read(path, INPUT_MAX, &text, &len, f)) != PDV_OK)
		return rc;
	rc = json_in_parse(text, len, out, f);
	keep_drop(text);
	return rc;
}

enum pdv_code
input_value(const char *value, char **out, struct failure *f)
{
	enum pdv_code rc;
	char *text = NULL;
	size_t len = 0;

	if (strcmp(value, "-") != 0) {
		*out = keep_copy(value, strlen(value));
		return *out != NULL ? PDV_OK : failure_memory(f);
	}
	if ((rc = input_read(value, INPUT_VALUE_MAX, &text, &len, f)) != PDV_OK)
		return rc;
	if (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	if (len > 0 && text[len - 1] == '\r')
		text[--len] = '\0';
	if (len == 0 || strlen(text) != len || strchr(text, '\n') != NULL) {
		keep_drop(text);
		return failure_set(f, PDV_INVALID_ARGUMENT, "INVALID_INPUT",
		    "standard input has to be one line");
	}
	*out = text;
	return PDV_OK;
}
