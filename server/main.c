#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "server/config.h"
#include "server/harden.h"
#include "server/init.h"
#include "server/serve.h"
#include "server/version.h"

/* Exit statuses; a storage error whose outcome is unknown is WRITER_EXIT_INDETERMINATE. */
enum { DONE = 0, FAILED = 1, USAGE = 2, MISCONFIGURED = 3, REFUSED = 4 };

static const struct verb {
	const char *name;
	enum status (*run)(const struct config *c, bool force_class_d);
	const char *help;
} verbs[] = {
	{ "init", init_vault, "make a new vault: store, anchor and key file" },
	{ "run", serve_run, "serve until SIGTERM; SIGHUP reads the certificates again" },
	{ "check", init_check, "say whether the server could start" },
};

static int
help(void)
{
	size_t i;

	(void)puts("usage: pdvaultd VERB --config FILE [--force-class-d]\n");
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		(void)printf("  %-12s %s\n", verbs[i].name, verbs[i].help);
	(void)puts("  config-help  print every key of the configuration file\n\n"
	    "  --config FILE     the configuration file\n"
	    "  --force-class-d   take a place for the anchor where old keys cannot be erased\n"
	    "  --help, --version\n\n"
	    "exit status: 0 done, 1 failed, 2 usage, 3 configuration not usable, 4 refused (the\n"
	    "log says why; a restart will not help), 70 a storage error of unknown outcome (a\n"
	    "restart recovers)");
	return DONE;
}

static int
usage(const char *what)
{
	(void)fprintf(stderr, "pdvaultd: %s; see pdvaultd --help\n", what);
	return USAGE;
}

static int
exit_status(enum status rc)
{
	return rc == STATUS_OK ? DONE : rc == STATUS_CONFIG ? MISCONFIGURED
	    : rc == STATUS_REFUSED ? REFUSED : FAILED;
}

static int
run(const struct verb *v, const char *path, bool force_class_d)
{
	struct ini_faults f = { 0 };
	struct config *c = NULL;
	enum status rc;
	unsigned i;

	if ((rc = harden_process()) != STATUS_OK)
		goto out;
	rc = config_read(path, &c, &f);
	for (i = 0; i < f.count; i++)
		log_event(LOG_CONFIG, LOG_S(PATH, path), LOG_N(LINE, f.row[i].line),
		    LOG_S(WHAT, f.row[i].text));
	if (rc != STATUS_OK)
		goto out;
	log_set_level(c->log_level);
	rc = v->run(c, force_class_d);
out:
	config_free(c);
	return exit_status(rc);
}

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "force-class-d", no_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ NULL, 0, NULL, 0 },
};

int
main(int argc, char **argv)
{
	const char *path = NULL;
	bool force_class_d = false;
	size_t i;
	int got;

	while ((got = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (got == 'h')
			return help();
		if (got == 'v')
			return puts("pdvaultd " VERSION_TEXT) < 0;
		if (got == '?')
			return USAGE;		/* getopt_long has said what */
		if (got == 'c')
			path = optarg;
		force_class_d |= got == 'f';
	}
	if (optind + 1 != argc)
		return usage("exactly one verb was expected");
	if (strcmp(argv[optind], "config-help") == 0) {
		config_help(stdout);
		return DONE;
	}
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[optind], verbs[i].name) == 0)
			return path != NULL ? run(&verbs[i], path, force_class_d)
			    : usage("--config is missing");
	return usage("unknown verb");
}
