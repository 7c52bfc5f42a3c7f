/*
 * Where a passphrase or PIN comes from: a descriptor, a file, or the terminal. Never the command line or the
 * environment, which others can read.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "server/keys/provider_internal.h"
#include "server/keys/secret.h"

#define FD "fd:"
#define FILE_ "file:"
#define ASK "ask"

/* To its end, or to the end of the line; what fills out[cap] without one fails. */
static enum status
read_line(int fd, char *out, size_t cap, size_t *len)
{
	size_t n = 0;
	ssize_t got = 1;
	char *end = NULL;

	while (n < cap && end == NULL && got != 0) {
		if ((got = read(fd, out + n, cap - n)) < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return STATUS_CONFIG;
		end = memchr(out + n, '\n', (size_t)got);
		n += (size_t)got;
	}
	if (end != NULL)
		n = (size_t)(end - out);
	if (n == 0 || n == cap)
		return STATUS_CONFIG;
	*len = n;
	return STATUS_OK;
}

/* -1: it is no number of a descriptor that a secret could come by. */
static int
descriptor(const char *number)
{
	char *end;
	long fd = strtol(number, &end, 10);

	return end == number || *end != '\0' || fd < 3 || fd > 65535 ? -1 : (int)fd;
}

const char *
provider_secret_fault(const char *from)
{
	if (strcmp(from, ASK) == 0)
		return NULL;
	if (strncmp(from, FD, strlen(FD)) == 0)
		return descriptor(from + strlen(FD)) < 0 ? "secret is not fd:N with a number above 2" : NULL;
	if (strncmp(from, FILE_, strlen(FILE_)) == 0)
		return from[strlen(FILE_)] != '/' ? "the file of its secret needs an absolute path" : NULL;
	return "secret is none of fd:N, file:PATH, ask";
}

static enum status
from_fd(int fd, char *out, size_t *len, const char **why)
{
	enum status rc = read_line(fd, out, PROVIDER_SECRET_ROOM, len);

	*why = "its descriptor gives no line of 1 to 511 bytes";
	(void)close(fd);
	return rc;
}

static enum status
from_file(const char *path, char *out, size_t *len, const char **why)
{
	struct version_buffer b = { (uint8_t *)out, PROVIDER_SECRET_ROOM, 0 };
	const char *end;

	if (versions_read(path, VERSION_NOW, &b, why) != STATUS_OK)
		return STATUS_CONFIG;
	if ((end = memchr(out, '\n', b.len)) != NULL)
		b.len = (size_t)(end - out);
	*why = "the file of its secret has no first line of 1 to 511 bytes";
	*len = b.len;
	return b.len > 0 && b.len <= PROVIDER_SECRET_MAX ? STATUS_OK : STATUS_CONFIG;
}

/* One line of the terminal, which does not show it. */
static enum status
ask_once(int tty, const char *prompt, char *out, size_t *len)
{
	struct termios was, hidden;
	enum status rc;

	if (tcgetattr(tty, &was) != 0)
		return STATUS_CONFIG;
	hidden = was;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	hidden.c_lflag |= ECHONL;
	if (tcsetattr(tty, TCSAFLUSH, &hidden) != 0)
		return STATUS_CONFIG;
	rc = write(tty, prompt, strlen(prompt)) < 0 ? STATUS_CONFIG :
	    read_line(tty, out, PROVIDER_SECRET_ROOM, len);
	(void)tcsetattr(tty, TCSAFLUSH, &was);
	return rc;
}

static enum status
ask(const struct provider *p, bool twice, char *out, size_t *len)
{
	char *again = secret_alloc(PROVIDER_SECRET_ROOM), prompt[PROVIDER_NAME_MAX + 64];
	size_t again_len = 0;
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	enum status rc = STATUS_CONFIG;

	if (again == NULL || tty < 0)
		goto out;
	(void)snprintf(prompt, sizeof(prompt), "secret of seal %s: ", p->o.name);
	if ((rc = ask_once(tty, prompt, out, len)) != STATUS_OK || !twice)
		goto out;
	(void)snprintf(prompt, sizeof(prompt), "the same again: ");
	if ((rc = ask_once(tty, prompt, again, &again_len)) == STATUS_OK &&
	    (again_len != *len || sodium_memcmp(again, out, *len) != 0))
		rc = STATUS_CONFIG;
out:
	if (tty >= 0)
		(void)close(tty);
	secret_free(again, PROVIDER_SECRET_ROOM);
	return rc;
}

static enum status
fetch(struct provider *p, bool twice, char *out, size_t *len)
{
	const char *from = p->o.secret, *why = NULL, *path = p->o.path;
	enum status rc;

	errno = 0;
	if (strncmp(from, FD, strlen(FD)) == 0) {
		rc = from_fd(descriptor(from + strlen(FD)), out, len, &why);
	} else if (strncmp(from, FILE_, strlen(FILE_)) == 0) {
		path = from + strlen(FILE_);
		rc = from_file(path, out, len, &why);
	} else {
		rc = ask(p, twice, out, len);
		why = "its secret cannot be asked for on a terminal, is empty, or the two differ";
	}
	if (rc != STATUS_OK)
		provider_complain_of(p, path, why);
	return rc;
}

enum status
provider_secret(struct provider *p, bool twice, struct bytes *out)
{
	char *secret;
	size_t len = 0;
	enum status rc;

	if (p->secret == NULL) {
		if ((secret = secret_alloc(PROVIDER_SECRET_ROOM)) == NULL)
			return STATUS_NO_MEMORY;
		if ((rc = fetch(p, twice, secret, &len)) != STATUS_OK) {
			secret_free(secret, PROVIDER_SECRET_ROOM);
			return rc;
		}
		p->secret = secret;
		p->secret_len = len;
	}
	*out = bytes_of(p->secret, p->secret_len);
	return STATUS_OK;
}

enum status
provider_set_secret(struct provider *p, struct bytes secret)
{
	if (secret.len == 0 || secret.len > PROVIDER_SECRET_MAX)
		return STATUS_CONFIG;
	if (p->secret == NULL && (p->secret = secret_alloc(PROVIDER_SECRET_ROOM)) == NULL)
		return STATUS_NO_MEMORY;
	sodium_memzero(p->secret, PROVIDER_SECRET_ROOM);	/* one of before may have been longer */
	memcpy(p->secret, secret.p, secret.len);
	p->secret_len = secret.len;
	return STATUS_OK;
}

void
provider_forget_secret(struct provider *p)
{
	secret_free(p->secret, PROVIDER_SECRET_ROOM);
	p->secret = NULL;
	p->secret_len = 0;
}
