#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backup_call.h"
#include "json_out.h"
#include "must.h"
#include "nouns.h"

enum { WORDS_MAX = 2 * ARGS_REPEAT_MAX + 2 * 16 + 16, SHARES_MAX = 16 };

extern char **environ;

/* The command line of pdvaultd. */
struct words {
	char *list[WORDS_MAX];
	size_t n;
};

static void
add(struct words *w, const char *word)
{
	if (w->n + 1 < WORDS_MAX)
		w->list[w->n++] = (char *)(uintptr_t)word;	/* it is only read */
}

static void
add_pair(struct words *w, const char *flag, const char *value)
{
	add(w, flag);
	add(w, value);
}

/* pdvaultd of the same installation, else whatever PATH has. */
static void
find_program(char out[static PATH_MAX])
{
	static const char name[] = "pdvaultd";
	ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - sizeof(name));
	char *slash;

	if (len > 0) {
		out[len] = '\0';
		if ((slash = strrchr(out, '/')) != NULL) {
			memcpy(slash + 1, name, sizeof(name));
			if (access(out, X_OK) == 0)
				return;
		}
	}
	memcpy(out, name, sizeof(name));
}

/* With --json what it says is no part of the answer. */
static enum pdv_code
run(struct words *w, bool json, struct failure *f)
{
	posix_spawn_file_actions_t actions;
	char program[PATH_MAX];
	int status = 0, rc;
	pid_t pid;

	find_program(program);
	w->list[0] = program;
	must(posix_spawn_file_actions_init(&actions) == 0);
	if (json)
		must(posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO) == 0);
	rc = posix_spawnp(&pid, program, &actions, NULL, w->list, environ);
	must(posix_spawn_file_actions_destroy(&actions) == 0);
	if (rc != 0)
		return failure_set(f, PDV_INTERNAL, "NO_SERVER_PROGRAM", "%s: %s", program, strerror(rc));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return failure_set(f, PDV_INTERNAL, "NO_SERVER_PROGRAM", "%s: %s", program,
			    strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return PDV_OK;
	return failure_set(
	    f, PDV_FAILED_PRECONDITION, "DRILL_FAILED", "what went wrong is said above, by pdvaultd");
}

enum pdv_code
noun_backup_drill(const struct args *a, struct failure *f)
{
	static const enum flag needed[] = {FLAG_CONFIG, FLAG_KEYS, FLAG_RECOVERY, FLAG_LEDGER, FLAG_PLACE};
	struct words w = {.n = 1};
	const bool json = a->values[FLAG_JSON] != NULL;
	char *shares, *at, *share;
	enum pdv_code rc;

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (a->values[needed[i]] == NULL)
			return failure_usage(f, "%s is missing", args_flags[needed[i]].name);
	if ((shares = at = strdup(a->values[FLAG_RECOVERY])) == NULL)
		return failure_memory(f);
	add(&w, "drill");
	add_pair(&w, "--config", a->values[FLAG_CONFIG]);
	for (size_t i = 0; i < a->repeated_n; i++)
		add_pair(&w, "--data", a->repeated[i]);
	add_pair(&w, "--data", a->operand);
	add_pair(&w, "--keys", a->values[FLAG_KEYS]);
	for (unsigned n = 0; n < SHARES_MAX && (share = strsep(&at, ",")) != NULL; n++)
		add_pair(&w, "--recovery", share);
	add_pair(&w, "--ledger", a->values[FLAG_LEDGER]);
	add_pair(&w, "--place", a->values[FLAG_PLACE]);
	if ((rc = run(&w, json, f)) == PDV_OK)
		rc = backup_note(a, PDVAULT__V1__BACKUP_CHECK__DRILL, f);
	if (rc == PDV_OK && json)
		rc = json_out_print(json_pack("{s:s}", "drill", "PASSED"), true, STDOUT_FILENO, f);
	free(shares);
	return rc;
}
