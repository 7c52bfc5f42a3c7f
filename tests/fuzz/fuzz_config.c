/*
 * Any bytes as a configuration: a fault or a configuration, never both, and every bound
 * holds.
 */
#include <stdlib.h>

#include "server/config.h"
#include "server/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
look(const struct config *c)
{
	unsigned i;

	must(c->vault_number >= 1 && c->vault_number <= 65535);
	must(c->urls.count >= 1 && c->urls.count <= CONFIG_WORDS_MAX);
	must(c->vault_path[0] == '/' && strlen(c->vault_path) < CONFIG_PATH_MAX);
	must(c->default_timeout_ms <= c->max_timeout_ms);
	must(c->principal_count >= 1 && c->principal_count <= CONFIG_PRINCIPALS_MAX);
	for (i = 0; i < c->principal_count; i++)
		must(c->principals[i].name != NULL && c->principals[i].spiffe != NULL
		    && c->principals[i].methods.count >= 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ini_faults f = { 0 };
	struct config *c = NULL;
	enum status rc = config_parse(bytes_of(data, len), "/etc/pdvault", &c, &f);
	unsigned i;

	must((rc == STATUS_OK) == (c != NULL) && (rc == STATUS_OK) == (f.count == 0));
	must(f.count <= INI_FAULTS_MAX);
	for (i = 0; i < f.count; i++)
		must(strlen(f.row[i].text) > 0);
	if (c != NULL)
		look(c);
	config_free(c);
	return 0;
}
