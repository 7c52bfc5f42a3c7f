/*
 * The types of values in the configuration: text to value, with the range that a key
 * allows. All pure; a fault goes to the caller as a static text or a filled buffer.
 */
#ifndef SERVER_CONFIG_VALUE_H
#define SERVER_CONFIG_VALUE_H

#include "server/config.h"

enum config_type {
	CONFIG_PATH,		/* char *: a path */
	CONFIG_PATHS,		/* struct config_words: up to max paths with commas between them, or none */
	CONFIG_TEXT,		/* char *: up to max printable characters */
	CONFIG_COUNT,		/* uint64_t */
	CONFIG_BYTES,		/* uint64_t: a number with K, M, G or T (powers of 1024) */
	CONFIG_TIME,		/* uint64_t, milliseconds: a number with ms, s, m, h or d */
	CONFIG_URLS,		/* struct config_words of tls+tcp URLs */
	CONFIG_WORDS,		/* struct config_words */
	CONFIG_LOOPBACK,	/* struct config_address: ADDRESS:PORT on loopback, or off */
	CONFIG_LEVEL,		/* enum log_level */
	CONFIG_PUBLIC,		/* struct config_public: 32 bytes in hexadecimal, or empty */
	CONFIG_SPIFFE,		/* char *: a SPIFFE id */
};

struct config_key {
	const char *section, *name;
	enum config_type type;
	size_t place;			/* offset in struct config or of what its section is of */
	const char *preset;		/* as written; NULL: must be given */
	uint64_t min, max;
	const char *help;
};

#define CONFIG_WHY_MAX 128u

/*
 * config_value_set(k, text, folder, object, why):
 * Parse ${text} as ${k} wants it into its place in ${object}, which was all zero there.
 * STATUS_CONFIG: ${why} says what was expected; STATUS_NO_MEMORY.
 */
enum status config_value_set(const struct config_key *k, const char *text, const char *folder,
    void *object, char why[static CONFIG_WHY_MAX]) MUST_USE;

/* Frees what config_value_set allocated in the place of ${k}. */
void config_value_free(const struct config_key *k, void *object);

/* What the type looks like, for help. */
const char *config_value_form(enum config_type type);

/* The same with the range of ${k}, where it has one: "a number; 1 to 16". */
void config_value_describe(const struct config_key *k, char out[static CONFIG_WHY_MAX]);

#endif /* SERVER_CONFIG_VALUE_H */
