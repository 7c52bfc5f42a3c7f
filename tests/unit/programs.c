#include "programs.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/must.h"

#define STARTED_MAX 8

extern char **environ;

static pid_t started[STARTED_MAX];

static pid_t
spawn(const char *const argv[], int fd)
{
	posix_spawn_file_actions_t actions;
	char *args[32];
	pid_t pid;
	size_t n;

	for (n = 0; argv[n] != NULL; n++) {
		must(n + 1 < sizeof(args) / sizeof(args[0]));
		args[n] = (char *)(uintptr_t)argv[n];
	}
	args[n] = NULL;
	must(posix_spawn_file_actions_init(&actions) == 0);
	for (int out = 1; out <= 2; out++)
		must(posix_spawn_file_actions_addopen(&actions, out, "/dev/null", O_WRONLY, 0) == 0);
	if (fd >= 0)
		must(posix_spawn_file_actions_adddup2(&actions, fd, 3) == 0);
	must(posix_spawnp(&pid, args[0], &actions, NULL, args, environ) == 0);
	must(posix_spawn_file_actions_destroy(&actions) == 0);
	return pid;
}

int
programs_run(const char *const argv[])
{
	int status;
	pid_t pid = spawn(argv, -1);

	must(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
end_all(void)
{
	for (size_t i = 0; i < STARTED_MAX; i++)
		if (started[i] != 0)
			programs_end(started[i]);
}

pid_t
programs_start(const char *const argv[], int fd)
{
	static int registered;
	pid_t pid = spawn(argv, fd);
	size_t i = 0;

	if (!registered++)
		must(atexit(end_all) == 0);
	while (i < STARTED_MAX && started[i] != 0)
		i++;
	must(i < STARTED_MAX);
	return started[i] = pid;
}

void
programs_end(pid_t pid)
{
	int status;

	for (size_t i = 0; i < STARTED_MAX; i++)
		if (started[i] == pid)
			started[i] = 0;
	must(kill(pid, SIGTERM) == 0 && waitpid(pid, &status, 0) == pid);
}
