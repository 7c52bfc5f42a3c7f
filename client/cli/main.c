/* pdvault: the operators' tool. */
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exitcode.h"
#include "failure.h"
#include "help.h"
#include "json_out.h"
#include "keep.h"
#include "nouns.h"
#include "pdvault/pdvault.h"

/* Even where the command line cannot be read, who asked for JSON gets JSON. */
static bool
wants_json(char **argv)
{
	for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++)
		if (strcmp(*argv, "--json") == 0)
			return true;
	return false;
}

static int
tell(const struct args *a, const struct failure *f, bool json)
{
	struct failure ignored;

	if (f->usage || !json)
		failure_print(f, stderr);
	if (f->usage && strcmp(f->reason, FAILURE_USAGE) == 0)
		help_usage(a, stderr);
	if (json)
		(void)json_out_print(json_pack("{s:o}", "error", failure_json(f)), true,
		    STDOUT_FILENO, &ignored);
	return f->usage ? (int)EXITCODE_USAGE : (int)exitcode_of(f->code, f->reason);
}

static int
run(char **argv)
{
	struct args a = {.table = &nouns_table};
	struct failure f = {.code = PDV_OK};
	enum pdv_code rc = args_parse(&nouns_table, (const char *const *)argv, &a, &f);

	if (rc == PDV_OK && a.values[FLAG_HELP] != NULL) {
		help_print(&a, stdout);
	} else if (rc == PDV_OK && a.values[FLAG_VERSION] != NULL) {
		(void)printf("pdvault %s\n", pdv_version());
	} else {
		if (rc == PDV_OK)
			rc = a.verb->run(&a, &f);
		if (rc != PDV_OK && f.told)
			return (int)exitcode_of(f.code, f.reason);
		if (rc != PDV_OK)
			return tell(&a, &f, wants_json(argv));
	}
	if (fflush(stdout) != 0) {
		(void)failure_set(&f, PDV_INTERNAL, "OUTPUT_FAILED", "cannot write the output");
		return tell(&a, &f, false);
	}
	return EXITCODE_DONE;
}

int
main(int argc, char **argv)
{
	if (argc < 1 || sodium_init() < 0)
		return EXITCODE_FAILED;
	/* A closed pipe is a failed write, not a silent death. */
	(void)signal(SIGPIPE, SIG_IGN);
	keep_json();
	return run(argv + 1);
}
