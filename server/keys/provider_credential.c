/*
 * A credential of the service manager (systemd.exec(5), LoadCredential=, LoadCredentialEncrypted=): a file in
 * the folder that the environment variable CREDENTIALS_DIRECTORY names. Whatever it holds, at least 32 random
 * bytes of it, the KEK and its id are derived from. pdvault neither makes nor destroys it: a new
 * version is another credential, added under another name, before the old one is removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/keys/provider_internal.h"
#include "server/keys/secret.h"

#define CONTENT_MIN 32u
#define CONTENT_MAX 4096u

/* Where it is: an absolute path as it stands, a name (the section's, if none is given) in the folder. */
static bool
place(const struct provider *p, char out[static PATH_MAX], const char **why)
{
	const char *name = p->o.path[0] != '\0' ? p->o.path : p->o.name;
	const char *folder = name[0] == '/' ? "" : getenv("CREDENTIALS_DIRECTORY");
	int n;

	if (folder == NULL) {
		*why = "CREDENTIALS_DIRECTORY is not set: start pdvaultd as a service with LoadCredential=";
		return false;
	}
	n = snprintf(out, PATH_MAX, "%s%s%s", folder, name[0] == '/' ? "" : "/", name);
	*why = "its path is too long";
	return n > 0 && n < PATH_MAX;
}

/*
 * The service manager gives the file to the user by an access control list, which shows as a group
 * that may read. Others may not, and nobody but the owner may write.
 */
static bool
is_private(int fd, struct stat *st, const char **why)
{
	if (fstat(fd, st) != 0)
		*why = "cannot be looked at";
	else if (!S_ISREG(st->st_mode))
		*why = "is not a regular file";
	else if ((st->st_mode & (S_IRWXO | S_IWGRP)) != 0)
		*why = "is open to others";
	else if (st->st_uid != 0 && st->st_uid != geteuid())
		*why = "belongs to another user";
	else if (st->st_size < (off_t)CONTENT_MIN || st->st_size > (off_t)CONTENT_MAX)
		*why = "is not 32 to 4096 bytes long";
	else
		return true;
	return false;
}

static enum status
load(struct provider *p, struct provider_kek *out)
{
	uint8_t *content = secret_alloc(CONTENT_MAX);
	const char *why = NULL;
	char path[PATH_MAX];
	enum status rc = STATUS_NO_MEMORY;
	struct stat st;
	int fd = -1;

	if (content == NULL)
		return rc;
	errno = 0;
	rc = STATUS_CONFIG;
	if (!place(p, path, &why))
		goto out;
	why = "cannot be opened";
	if ((fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)) < 0 || !is_private(fd, &st, &why))
		goto out;
	why = "cannot be read";
	if (read(fd, content, (size_t)st.st_size) != st.st_size)
		goto out;
	provider_derive(bytes_of(content, (size_t)st.st_size), out);
	rc = STATUS_OK;
out:
	if (rc != STATUS_OK)
		provider_complain(p, why);
	if (fd >= 0)
		(void)close(fd);
	secret_free(content, CONTENT_MAX);
	return rc;
}

static enum status
renew(struct provider *p, struct provider_kek *out)
{
	(void)out;
	errno = 0;
	provider_complain(p, "a credential is made by who runs the service: add one under another name");
	return STATUS_REFUSED;
}

static enum status
open_one(struct provider *p, struct provider_kek *out, unsigned *count)
{
	enum status rc = load(p, out);

	if (rc == STATUS_OK)
		*count = 1;
	return rc;
}

static enum status
keep(struct provider *p, const uint8_t *id)
{
	(void)p;
	(void)id;
	return STATUS_OK;
}

static char
class(struct provider *p, const char **why)
{
	(void)p;
	*why = "a credential that comes from elsewhere and is not destroyed";
	return PROVIDER_LASTING;
}

const struct provider_kind provider_credential = {
	.name = "credential", .renews = false, .opens = true, .create = load, .renew = renew, .open = open_one,
	.keep = keep, .class = class,
};
