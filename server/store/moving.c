#include "server/store/moving.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/keys/own_file.h"
#include "server/log.h"

static enum status
complain(const char *path, const char *what)
{
	log_event(LOG_STORE_ERROR, LOG_S(PATH, path), LOG_S(WHAT, what), LOG_S(ERRNO, strerror(errno)));
	return STATUS_IO;
}

static enum status
name(const char *store, char out[static PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/anchor.moving", store);

	return n >= 0 && n < PATH_MAX ? STATUS_OK : STATUS_CONFIG;
}

enum status
moving_stands(const char *store, bool *out)
{
	char path[PATH_MAX];
	enum status rc = name(store, path);

	if (rc != STATUS_OK)
		return rc;
	*out = access(path, F_OK) == 0;
	return *out || errno == ENOENT ? STATUS_OK : complain(path, "cannot be looked for");
}

enum status
moving_begin(const char *store)
{
	static const char text[] = "pdvaultd anchor move is not through\n";
	char path[PATH_MAX];
	const char *why = NULL;
	enum status rc = name(store, path);

	if (rc != STATUS_OK)
		return rc;
	rc = own_file_create(path, bytes_of(text, sizeof(text) - 1), &why);
	/* One that stands may not be durable yet. */
	if (rc == STATUS_REFUSED && own_file_flush_folder(path))
		rc = STATUS_OK;
	return rc == STATUS_OK ? rc : complain(path, why);
}

enum status
moving_end(const char *store)
{
	char path[PATH_MAX];
	enum status rc = name(store, path);

	if (rc != STATUS_OK)
		return rc;
	if (unlink(path) != 0)
		return errno == ENOENT ? STATUS_OK : complain(path, "cannot be removed");
	return own_file_flush_folder(path) ? STATUS_OK : complain(path, "cannot be removed durably");
}
