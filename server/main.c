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

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "force-class-d", no_argument, NULL, 'f' },
	{ "from", required_argument, NULL, 'o' },
	{ "previous", no_argument, NULL, 'p' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'v' },
	{ NULL, 0, NULL, 0 },
};

/* --from and --previous belong to one verb each; recover needs the latter. */
static int
run_verb(char **word, int count, const char *path, const struct verb_options *o)
{
	const struct verb *v = verb_find(word, count);

	if (v == NULL)
		return usage(count == 0 ? "a verb was expected" : "unknown verb");
	if (v->run != verb_anchor_move && o->from.count > 0)
		return usage("only anchor move takes --from");
	if ((v->run == verb_recover) != o->previous)
		return usage("recover needs --previous, and nothing else takes it");
	return path != NULL ? run(v, path, o) : usage("--config is missing");
}

int
main(int argc, char **argv)
{
	const char *path = NULL;
	struct verb_options o = { .force_class_d = false };
	int got;

	while ((got = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (got == 'h') {
			verb_help();
			return DONE;
		}
		if (got == 'v')
			return puts("pdvaultd " VERSION_TEXT) < 0;
		if (got == '?')
			return USAGE;		/* getopt_long has said what */
		if (got == 'o' && o.from.count == ANCHOR_FILES_MAX)
			return usage("too many files --from");
		if (got == 'o')
			o.from.path[o.from.count++] = optarg;
		if (got == 'c')
			path = optarg;
		o.force_class_d |= got == 'f';
		o.previous |= got == 'p';
	}
	if (optind + 1 == argc && strcmp(argv[optind], "config-help") == 0) {
		config_help(stdout);
		return DONE;
	}
	return run_verb(argv + optind, argc - optind, path, &o);
}
