#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backup_call.h"
#include "daemon.h"
#include "json_out.h"
#include "nouns.h"

enum { SHARES_MAX = 16 };

/* With --json what it says is no part of the answer. */
static enum pdv_code
run(struct daemon_words *w, bool json, struct failure *f)
{
	int status;
	enum pdv_code rc = daemon_run(w, json ? STDERR_FILENO : STDOUT_FILENO, &status, f);

	if (rc != PDV_OK || status == 0)
		return rc;
	return failure_set(
	    f, PDV_FAILED_PRECONDITION, "DRILL_FAILED", "what went wrong is said above, by pdvaultd");
}

enum pdv_code
noun_backup_drill(const struct args *a, struct failure *f)
{
	static const enum flag needed[] = {FLAG_CONFIG, FLAG_KEYS, FLAG_RECOVERY, FLAG_LEDGER, FLAG_PLACE};
	struct daemon_words w = {.n = 1};
	const bool json = a->values[FLAG_JSON] != NULL;
	char *shares, *at, *share;
	enum pdv_code rc;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (a->values[needed[i]] == NULL)
			return failure_usage(f, "%s is missing", args_flags[needed[i]].name);
	if ((shares = at = strdup(a->values[FLAG_RECOVERY])) == NULL)
		return failure_memory(f);
	daemon_word(&w, "drill");
	daemon_pair(&w, "--config", a->values[FLAG_CONFIG]);
	for (size_t i = 0; i < a->repeated_n; i++)
		daemon_pair(&w, "--data", a->repeated[i]);
	daemon_pair(&w, "--data", a->operand);
	daemon_pair(&w, "--keys", a->values[FLAG_KEYS]);
	for (unsigned n = 0; n < SHARES_MAX && (share = strsep(&at, ",")) != NULL; n++)
		daemon_pair(&w, "--recovery", share);
	daemon_pair(&w, "--ledger", a->values[FLAG_LEDGER]);
	daemon_pair(&w, "--place", a->values[FLAG_PLACE]);
	if ((rc = run(&w, json, f)) == PDV_OK)
		rc = backup_note(a, PDVAULT__V1__BACKUP_CHECK__DRILL, f);
	if (rc == PDV_OK && json)
		rc = json_out_print(json_pack("{s:s}", "drill", "PASSED"), true, STDOUT_FILENO, f);
	free(shares);
	return rc;
}
