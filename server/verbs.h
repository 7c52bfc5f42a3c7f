/*
 * The verbs of pdvaultd. Those that do not serve are the process's only thread. What went wrong is in the log.
 */
#ifndef SERVER_VERBS_H
#define SERVER_VERBS_H

#include <getopt.h>
#include <stdbool.h>

#include "server/config.h"
#include "server/keys/anchor.h"
#include "server/status.h"

#define VERB_PATHS_MAX 64u

struct verb_paths {
	const char *path[VERB_PATHS_MAX];
	size_t count;
};

/* The options of the command line. Paths are relative to the working folder. */
struct verb_options {
	const char *config;
	bool force_class_d;
	bool previous;			/* recover */
	struct verb_paths from;		/* anchor move */
	struct verb_paths data, recovery;	/* restore, as all that follow; recovery also recover */
	const char *keys, *living, *ledger, *head, *accept, *report, *place;
};

struct verb {
	const char *name, *more;	/* more: a second word, or NULL */
	enum status (*run)(const struct config *c, const struct verb_options *o);
	const char *help;
};

/* The verb of these words; NULL: there is none. */
const struct verb *verb_find(char **word, int count);

/*
 * verb_option(name, value, o): one option of the command line. NULL: taken; else what is wrong with it.
 * verb_misused(v, o): NULL, or the option that verb does not take or lacks.
 */
const char *verb_option(const char *name, const char *value, struct verb_options *o);
const char *verb_misused(const struct verb *v, const struct verb_options *o);

/* The same for getopt_long(), ended by zeros. */
const struct option *verb_getopt(void);

/* All verbs and options, to standard output. */
void verb_help(void);

/* A new vault where ${c} says. */
enum status verb_init(const struct config *c, const struct verb_options *o) MUST_USE;

/*
 * Whether a server could start with ${c}: principals, certificates, files and their modes,
 * class of the anchor. What is found goes to standard output, a line each. Only
 * reads and locks nothing, so it may run beside the server. STATUS_CONFIG: it could not.
 */
enum status verb_check(const struct config *c, const struct verb_options *o) MUST_USE;

/*
 * Each file of the anchor, read past the page cache, a line each on standard output; the server is down.
 * STATUS_ANCHOR: one of them does not open the store.
 */
enum status verb_anchor_verify(const struct config *c, const struct verb_options *o) MUST_USE;

/* custody_move() from o->from to what ${c} names. */
enum status verb_anchor_move(const struct config *c, const struct verb_options *o) MUST_USE;

/* custody_previous() with --previous, custody_reseal() with --recovery. */
enum status verb_recover(const struct config *c, const struct verb_options *o) MUST_USE;

/* restore_run() into the places that ${c} names. What was restored goes to standard output, a line each. */
enum status verb_restore(const struct config *c, const struct verb_options *o) MUST_USE;

/* drill_run() below o->place, with the sizes and numbers of ${c}. */
enum status verb_drill(const struct config *c, const struct verb_options *o) MUST_USE;

#endif /* SERVER_VERBS_H */
