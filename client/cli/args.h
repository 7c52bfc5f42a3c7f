/*
 * The command line: tables of flags and verbs, and what was given. Parsing, help and shell
 * completion are all made from these tables.
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failure.h"

enum flag {
	FLAG_NONE,			/* ends a verb's list */
	FLAG_MAP,
	FLAG_FORMAT,
	FLAG_RESUME,
	FLAG_EMAIL,
	FLAG_PHONE,
	FLAG_ACCOUNT,
	FLAG_INPUT,
	FLAG_MASK,
	FLAG_ETAG,
	FLAG_CATEGORY,
	FLAG_SUBJECT,
	FLAG_CONTEXT,
	FLAG_YES,
	FLAG_LIMIT,
	FLAG_PAGE_TOKEN,
	FLAG_HEAD,
	FLAG_SIGNING_KEY,
	FLAG_SINCE,
	FLAG_RATE,
	FLAG_LIFETIME,
	FLAG_OUTSTANDING,
	FLAG_OUT,
	FLAG_SPLIT,
	FLAG_SHARE,
	FLAG_CONFIG,
	FLAG_KEYS,
	FLAG_RECOVERY,
	FLAG_LEDGER,
	FLAG_PLACE,
	FLAG_NOTE,
	FLAG_OLDER_THAN,
	FLAG_SEAL,
	FLAG_RETIRE,
	FLAG_DETACH,
	FLAG_SECRET,
	FLAG_IDEMPOTENCY_KEY,
	FLAG_JSON,			/* from here on: of every verb */
	FLAG_SERVER,
	FLAG_CA,
	FLAG_CERT,
	FLAG_KEY,
	FLAG_CRL,
	FLAG_SERVER_SPIFFE,
	FLAG_TIMEOUT,
	FLAG_PURPOSE,
	FLAG_HELP,
	FLAG_VERSION,
	FLAGS
};

enum { ARGS_REPEAT_MAX = 64, ARGS_VERB_FLAGS = 8 };

struct args_flag {
	const char *name;		/* "--json" */
	const char *value;		/* how help calls its value; NULL: it has none */
	bool repeats;			/* at most one such flag in a verb */
	const char *summary;
};

struct args;

struct args_verb {
	const char *noun;
	const char *name;		/* NULL: the noun is the whole command */
	const char *operand;		/* "SUBJECT", or "IN OUT"; NULL: it has none */
	const char *summary;
	enum flag flags[ARGS_VERB_FLAGS];
	enum pdv_code (*run)(const struct args *a, struct failure *f);
};

struct args_table {
	const struct args_verb *verbs;
	size_t n;
};

struct args {
	const struct args_table *table;
	const struct args_verb *verb;	/* NULL: help for ${noun}, or for all */
	const char *noun;		/* NULL: none was given */
	const char *operand, *second;
	const char *values[FLAGS];	/* NULL: not given; of a flag without value "" */
	const char *repeated[ARGS_REPEAT_MAX];
	size_t repeated_n;
};

/* One for each flag, by its number. */
extern const struct args_flag args_flags[FLAGS];

/*
 * args_parse(table, argv, out, f):
 * Read ${argv}, which ends with NULL and outlives ${out}. A usage failure names the nearest
 * known word. With --help or --version anything that can be read is good.
 */
enum pdv_code args_parse(const struct args_table *table, const char *const *argv,
    struct args *out, struct failure *f);

/*
 * args_takes(v, flag):
 * Whether the verb has that flag.
 */
bool args_takes(const struct args_verb *v, enum flag flag);

/*
 * args_number(a, flag, most, out, f):
 * The value of a flag as a number from 1 to ${most}; ${out} stays as it is without the flag.
 */
enum pdv_code args_number(const struct args *a, enum flag flag, unsigned long most,
    unsigned long *out, struct failure *f);

/*
 * args_time(a, flag, most, out, f): The value of a flag in seconds, 1 to ${most}: "7d", "12h", "30m",
 * "90s" (a number alone could mean any of them); 0 without the flag.
 */
enum pdv_code args_time(const struct args *a, enum flag flag, uint32_t most, uint32_t *out,
    struct failure *f);

#endif /* CLI_ARGS_H */
