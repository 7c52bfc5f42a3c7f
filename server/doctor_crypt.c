#include "server/doctor_crypt.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/doctor_text.h"

static bool is_crypt(const char *folder, unsigned layers);

/* All devices below it are, and there is one. */
static bool
lies_on_crypt(const char *folder, unsigned layers)
{
	char path[PATH_MAX];
	const struct dirent *e;
	bool all = false;
	DIR *dir;

	if (layers == 0 || snprintf(path, sizeof(path), "%s/slaves", folder) >= (int)sizeof(path) ||
	    (dir = opendir(path)) == NULL)
		return false;
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		all = snprintf(path, sizeof(path), "%s/slaves/%s", folder, e->d_name) < (int)sizeof(path) &&
		    is_crypt(path, layers - 1);
		if (!all)
			break;
	}
	(void)closedir(dir);
	return all;
}

static bool
is_crypt(const char *folder, unsigned layers)
{
	char path[PATH_MAX], *uuid;
	bool crypt;

	if (snprintf(path, sizeof(path), "%s/dm/uuid", folder) >= (int)sizeof(path) ||
	    (uuid = doctor_text(path)) == NULL)
		return false;
	crypt = strncmp(uuid, "CRYPT-", 6) == 0;
	free(uuid);
	return crypt || lies_on_crypt(folder, layers);
}

bool
doctor_crypt(const char *folder)
{
	return is_crypt(folder, DOCTOR_CRYPT_LAYERS);
}
