#include <stdio.h>
#include <string.h>

#include "client/backup/recovery.h"
#include "server/doctor.h"
#include "server/serve.h"
#include "server/verbs.h"

static enum status
serve(const struct config *c, const struct verb_options *o)
{
	return serve_run(c, o->force_class_d);
}

static enum status
doctor(const struct config *c, const struct verb_options *o)
{
	return doctor_run(c, o->config, o->force_class_d);
}

static const struct verb verbs[] = {
	{ "init", NULL, verb_init, "make a new vault: store, anchor and what its seals keep" },
	{ "run", NULL, serve, "serve until SIGTERM; SIGHUP reads certificates and new seals again" },
	{ "check", NULL, verb_check, "say whether the server could start" },
	{ "doctor", NULL, doctor, "what is wrong with machine and vault, and what mends it" },
	{ "anchor", "verify", verb_anchor_verify, "read every file of the anchor; the server is down" },
	{ "anchor", "move", verb_anchor_move, "from the files --from to those of the configuration" },
	{ "restore", NULL, verb_restore, "a vault out of its backups, into an empty place" },
	{ "drill", NULL, verb_drill, "try such a restore in a folder of its own, and remove it again" },
	{ "recover", NULL, verb_recover, "with --previous: take a store that is refused back by one commit;\n"
	    "                 with --recovery: new keys for seals that are lost" },
};

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_LIST };

/* An option: where it goes, how often it may be given, the one verb that takes it (NULL: all), and help. */
static const struct row {
	const char *name, *value;
	enum option_kind kind;
	size_t place, max;
	enum status (*verb)(const struct config *c, const struct verb_options *o);
	const char *misused, *help;
} options[] = {
#define ONE(kind, field, verb) kind, offsetof(struct verb_options, field), 1, verb
#define LIST(field, max, verb) OPTION_LIST, offsetof(struct verb_options, field), max, verb
	{ "config", "FILE", ONE(OPTION_TEXT, config, NULL), NULL, "the configuration file" },
	{ "force-class-d", NULL, ONE(OPTION_FLAG, force_class_d, NULL), NULL,
	    "take a place for the anchor where old keys cannot be erased" },
	{ "from", "FILE", LIST(from, ANCHOR_FILES_MAX, verb_anchor_move), "only anchor move takes --from",
	    "anchor move: a file that was the anchor, up to four; none: ends\n"
	    "                              a move that was cut off, when the file is gone" },
	{ "previous", NULL, ONE(OPTION_FLAG, previous, verb_recover), "only recover takes --previous",
	    "recover: go back; what the newest commit held is lost" },
	{ "data", "DIR", LIST(data, VERB_PATHS_MAX, verb_restore), "only restore takes --data",
	    "restore: a backup of data, then those since; before them may be\n"
	    "                              the store of a vault" },
	{ "keys", "DIR", ONE(OPTION_TEXT, keys, verb_restore), "only restore takes --keys",
	    "restore: a backup of keys" },
	{ "recovery", "FILE", LIST(recovery, RECOVERY_SHARES_MAX, verb_restore),
	    "only restore and recover take --recovery",
	    "restore, recover: the recovery secret, or each of its shares" },
	{ "living", "DIR", ONE(OPTION_TEXT, living, verb_restore), "only restore takes --living",
	    "restore: instead of --keys, the store of a vault that lacks records" },
	{ "ledger", "FILE", ONE(OPTION_TEXT, ledger, verb_restore), "only restore takes --ledger",
	    "restore: a copy of the ledger of erasures" },
	{ "head", "HASH", ONE(OPTION_TEXT, head, verb_restore), "only restore takes --head",
	    "restore: of an entry that the ledger must have" },
	{ "accept-resurrection", "HASH", ONE(OPTION_TEXT, accept, verb_restore),
	    "only restore takes --accept-resurrection",
	    "restore: take the ledger with this head, though a newer is known" },
	{ "place", "DIR", ONE(OPTION_TEXT, place, verb_drill), "only drill takes --place",
	    "drill: a folder with room" },
	{ "report", "FILE", ONE(OPTION_TEXT, report, verb_restore), "only restore takes --report",
	    "restore: a new file for the ids of those whose identity is lost" },
#undef ONE
#undef LIST
};
#define OPTIONS (sizeof(options) / sizeof(options[0]))

void
verb_help(void)
{
	size_t i;
	char name[40];

	(void)puts("usage: pdvaultd VERB --config FILE [options]\n");
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s%s%s", verbs[i].name, verbs[i].more != NULL ? " " : "",
		    verbs[i].more != NULL ? verbs[i].more : "");
		(void)printf("  %-14s %s\n", name, verbs[i].help);
	}
	(void)puts("  config-help    print every key of the configuration file\n");
	for (i = 0; i < OPTIONS; i++) {
		const char *value = options[i].value;

		(void)snprintf(name, sizeof(name), "--%s%s%s", options[i].name, value != NULL ? " " : "",
		    value != NULL ? value : "");
		(void)printf("  %-27s %s\n", name, options[i].help);
	}
	(void)puts("  --help, --version\n\n"
	    "exit status: 0 done, 1 failed, 2 usage, 3 configuration not usable, 4 refused (the\n"
	    "log says why; a restart will not help), 70 a storage error of unknown outcome (a\n"
	    "restart recovers)");
}

/* NULL: there is none of that name. */
static const struct row *
find_option(const char *name)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

const char *
verb_option(const char *name, const char *value, struct verb_options *o)
{
	const struct row *r = find_option(name);
	char *at = (char *)o;
	struct verb_paths *list;

	must(r != NULL);
	at += r->place;
	list = (struct verb_paths *)(void *)at;
	switch (r->kind) {
	case OPTION_FLAG:
		*(bool *)(void *)at = true;
		return NULL;
	case OPTION_TEXT:
		if (*(const char **)(void *)at != NULL)
			return "an option is given twice";
		*(const char **)(void *)at = value;
		return NULL;
	case OPTION_LIST:
		if (list->count == r->max)
			return "an option is given too often";
		list->path[list->count++] = value;
		return NULL;
	}
	return NULL;
}

static bool
is_given(const struct row *r, const struct verb_options *o)
{
	const char *at = (const char *)o + r->place;

	return r->kind == OPTION_FLAG ? *(const bool *)(const void *)at :
	    r->kind == OPTION_TEXT ? *(const char *const *)(const void *)at != NULL :
	    ((const struct verb_paths *)(const void *)at)->count > 0;
}

const char *
verb_misused(const struct verb *v, const struct verb_options *o)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (options[i].verb != NULL && options[i].verb != v->run && is_given(&options[i], o) &&
		    !(v->run == verb_recover && options[i].place == offsetof(struct verb_options, recovery)) &&
		    !(v->run == verb_drill && options[i].verb == verb_restore && options[i].place !=
		    offsetof(struct verb_options, report)))
			return options[i].misused;
	if (v->run == verb_recover && o->previous == (o->recovery.count > 0))
		return "recover needs --previous or --recovery";
	if (v->run == verb_drill && (o->place == NULL || o->living != NULL))
		return "drill needs --place, and --keys";
	if (v->run != verb_restore && v->run != verb_drill)
		return NULL;
	if ((o->keys != NULL) == (o->living != NULL))
		return "--keys or --living is missing";
	if ((o->keys != NULL) != (o->recovery.count > 0))
		return "--keys and --recovery go together";
	return o->data.count == 0 ? "--data is missing" : NULL;
}

const struct option *
verb_getopt(void)
{
	static struct option all[OPTIONS + 3];

	for (size_t i = 0; i < OPTIONS; i++)
		all[i] = (struct option){ options[i].name,
			options[i].kind == OPTION_FLAG ? no_argument : required_argument, NULL, 'o' };
	all[OPTIONS] = (struct option){ "help", no_argument, NULL, 'h' };
	all[OPTIONS + 1] = (struct option){ "version", no_argument, NULL, 'v' };
	return all;
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
