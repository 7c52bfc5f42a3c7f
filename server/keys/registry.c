#include "server/keys/registry.h"

#ifdef PDV_KEY_REGISTRY

#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int fd = -1;

static void
open_file(void)
{
	const char *path = getenv("PDVAULT_KEY_REGISTRY");

	if (path != NULL)
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

void
registry_add(const struct key *k, enum seal_purpose purpose)
{
	uint8_t id[16];
	char line[sizeof(id) * 2 + 4];

	must(pthread_once(&once, open_file) == 0);
	if (fd < 0)
		return;
	must(crypto_generichash(id, sizeof(id), k->b, SEAL_KEY_LEN, NULL, 0) == 0);
	must(sodium_bin2hex(line, sizeof(line), id, sizeof(id)) != NULL);
	line[32] = ' ';
	line[33] = "0123456789abcdef"[purpose % 16];
	line[34] = '\n';
	must(write(fd, line, 35) == 35);
}

#else

/* An empty translation unit is not C. */
extern int registry_unused;

#endif
