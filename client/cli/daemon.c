#include "daemon.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "must.h"

extern char **environ;

void
daemon_word(struct daemon_words *w, const char *word)
{
	if (w->n + 1 < DAEMON_WORDS_MAX)
		w->list[w->n++] = (char *)(uintptr_t)word;	/* it is only read */
}

void
daemon_pair(struct daemon_words *w, const char *flag, const char *value)
{
	daemon_word(w, flag);
	daemon_word(w, value);
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

enum pdv_code
daemon_run(struct daemon_words *w, int out, int *status, struct failure *f)
{
	posix_spawn_file_actions_t actions;
	char program[PATH_MAX];
	int ended = 0, rc;
	pid_t pid;

	find_program(program);
	w->list[0] = program;
	must(posix_spawn_file_actions_init(&actions) == 0);
	if (out != STDOUT_FILENO)
		must(posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO) == 0);
	rc = posix_spawnp(&pid, program, &actions, NULL, w->list, environ);
	must(posix_spawn_file_actions_destroy(&actions) == 0);
	if (rc != 0)
		return failure_set(f, PDV_INTERNAL, "NO_SERVER_PROGRAM", "%s: %s", program, strerror(rc));
	while (waitpid(pid, &ended, 0) < 0)
		if (errno != EINTR)
			return failure_set(f, PDV_INTERNAL, "NO_SERVER_PROGRAM", "%s: %s", program,
			    strerror(errno));
	*status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
	return PDV_OK;
}
