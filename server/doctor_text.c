#include "server/doctor_text.h"

#include <fcntl.h>
#include <unistd.h>

char *
doctor_text(const char *path)
{
	char *out = calloc(1, DOCTOR_TEXT_FILE);
	int fd = out != NULL ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return out;
	while (len < DOCTOR_TEXT_FILE - 1 && (n = read(fd, out + len, DOCTOR_TEXT_FILE - 1 - len)) > 0)
		len += (size_t)n;
	(void)close(fd);
	if (len > 0 && out[len - 1] == '\n')
		out[len - 1] = '\0';
	return out;
}
