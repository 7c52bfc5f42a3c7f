#include "life.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/must.h"

/* Under ThreadSanitizer each end would wait a second for last words of threads. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);

const char *
__tsan_default_options(void)
{
	return "atexit_sleep_ms=0";
}

static void
show(FILE *log)
{
	char line[1024];

	rewind(log);
	while (fgets(line, sizeof(line), log) != NULL)
		(void)fputs(line, stderr);
}

int
life_run(void (*life)(void))
{
	FILE *log = tmpfile();
	int status;
	pid_t pid;

	must(log != NULL);
	(void)fflush(NULL);
	must((pid = fork()) >= 0);
	if (pid == 0) {
		must(dup2(fileno(log), STDERR_FILENO) == STDERR_FILENO);
		life();
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid);
	if (WIFSIGNALED(status))
		show(log);
	(void)fclose(log);
	return WIFEXITED(status) ? WEXITSTATUS(status) : LIFE_SIGNAL + WTERMSIG(status);
}

void *
life_shared(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED);
	return p;
}
