#include <stdio.h>
#include <string.h>

#include "server/serve.h"
#include "server/verbs.h"

static enum status
serve(const struct config *c, const struct verb_options *o)
{
	return serve_run(c, o->force_class_d);
}

static const struct verb verbs[] = {
	{ "init", NULL, verb_init, "make a new vault: store, anchor and key file" },
	{ "run", NULL, serve, "serve until SIGTERM; SIGHUP reads the certificates again" },
	{ "check", NULL, verb_check, "say whether the server could start" },
	{ "anchor", "verify", verb_anchor_verify, "read every file of the anchor; the server is down" },
	{ "anchor", "move", verb_anchor_move, "from the files --from to those of the configuration" },
	{ "recover", NULL, verb_recover, "with --previous: take a store that is refused back by one commit" },
};

void
verb_help(void)
{
	size_t i;
	char name[32];

	(void)puts("usage: pdvaultd VERB --config FILE [options]\n");
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s%s", verbs[i].name, verbs[i].more != NULL ? " " : "",
		    verbs[i].more != NULL ? verbs[i].more : "");
		(void)printf("  %-14s %s\n", name, verbs[i].help);
	}
	(void)puts("  config-help    print every key of the configuration file\n\n"
	    "  --config FILE     the configuration file\n"
	    "  --force-class-d   take a place for the anchor where old keys cannot be erased\n"
	    "  --from FILE       anchor move: a file that was the anchor, up to four; none: ends a move\n"
	    "                    that was cut off, when the file is gone\n"
	    "  --previous        recover: go back; what the newest commit held is lost\n"
	    "  --help, --version\n\n"
	    "exit status: 0 done, 1 failed, 2 usage, 3 configuration not usable, 4 refused (the\n"
	    "log says why; a restart will not help), 70 a storage error of unknown outcome (a\n"
	    "restart recovers)");
}

const struct verb *
verb_find(char **word, int count)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (count == (verbs[i].more != NULL ? 2 : 1) && strcmp(word[0], verbs[i].name) == 0 &&
		    (count == 1 || strcmp(word[1], verbs[i].more) == 0))
			return &verbs[i];
	return NULL;
}
