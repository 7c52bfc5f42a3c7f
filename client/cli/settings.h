/*
 * Where the server is and who we are: each setting from its flag, else its environment
 * variable, else ~/.config/pdvault/client.conf.
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <stdint.h>

#include "args.h"

enum settings_key {
	SETTINGS_SERVER,
	SETTINGS_CA,
	SETTINGS_CERT,
	SETTINGS_KEY,
	SETTINGS_CRL,
	SETTINGS_SERVER_SPIFFE,
	SETTINGS_TIMEOUT,
	SETTINGS_PURPOSE,
	SETTINGS_COUNT
};

enum { SETTINGS_SERVERS_MAX = 16 };

struct settings {
	char *values[SETTINGS_COUNT];	/* NULL: not set anywhere */
	char *servers[SETTINGS_SERVERS_MAX];
	size_t servers_n;
	uint32_t timeout_ms;
};

/*
 * settings_load(a, out, f):
 * A usage failure for what is missing or cannot be read: server, ca, cert and key are
 * needed. The file is optional; a relative path in it is relative to its folder. On
 * PDV_OK ${out} is for settings_free().
 */
enum pdv_code settings_load(const struct args *a, struct settings *out, struct failure *f);

/*
 * settings_timeout(text, out):
 * "10", "10s", "500ms" or "2m", from 1 ms to an hour, as milliseconds. False: none of these.
 */
bool settings_timeout(const char *text, uint32_t *out);

/*
 * settings_free(s):
 * All zero is allowed.
 */
void settings_free(struct settings *s);

#endif /* CLI_SETTINGS_H */
