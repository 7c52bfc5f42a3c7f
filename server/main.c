#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "server/config.h"
#include "server/harden.h"
#include "server/serve.h"
#include "server/store/writer.h"
#include "server/verbs.h"
#include "server/version.h"

/* Exit statuses; a storage error whose outcome is unknown is WRITER_EXIT_INDETERMINATE. */
enum { DONE = 0, FAILED = 1, USAGE = 2, MISCONFIGURED = 3, REFUSED = 4 };

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
	    : rc == STATUS_INDETERMINATE ? WRITER_EXIT_INDETERMINATE
	    : rc == STATUS_REFUSED ? REFUSED : FAILED;
}

static int
run(const struct verb *v, const char *path, const struct verb_options *o)
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
	rc = v->run(c, o);
out:
	config_free(c);
	return exit_status(rc);
}

static int
run_verb(char **word, int count, const struct verb_options *o)
{
	const struct verb *v = verb_find(word, count);
	const char *why;

	if (v == NULL)
		return usage(count == 0 ? "a verb was expected" : "unknown verb");
	if ((why = verb_misused(v, o)) != NULL)
		return usage(why);
	return o->config != NULL ? run(v, o->config, o) : usage("--config is missing");
}

int
main(int argc, char **argv)
{
	const struct option *options = verb_getopt();
	struct verb_options o = { .config = NULL };
	const char *why;
	int got, which = 0;

	while ((got = getopt_long(argc, argv, "", options, &which)) != -1) {
		if (got == 'h') {
			verb_help();
			return DONE;
		}
		if (got == 'v')
			return puts("pdvaultd " VERSION_TEXT) < 0;
		if (got == '?')
			return USAGE;		/* getopt_long has said what */
		if ((why = verb_option(options[which].name, optarg, &o)) != NULL)
			return usage(why);
	}
	if (optind + 1 == argc && strcmp(argv[optind], "config-help") == 0) {
		config_help(stdout);
		return DONE;
	}
	return run_verb(argv + optind, argc - optind, &o);
}
