/*
 * The configuration of pdvaultd: an INI file (ini.h) whose keys are the rows of one table,
 * from which help and docs/OPERATIONS.md are made. Relative paths are relative to the
 * file's own folder.
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "server/ini.h"
#include "server/log.h"
#include "server/status.h"

#define CONFIG_PATH_MAX 1024u		/* bytes of a path, made absolute or not */
#define CONFIG_WORDS_MAX 64u		/* words of a list */
#define CONFIG_PRINCIPALS_MAX 256u
#define CONFIG_SEALS_MAX 8u
#define CONFIG_COPIES_MAX 3u		/* files of the anchor besides the first */
#define CONFIG_LEDGERS_MAX 4u		/* copies of the ledger */

struct config_words {
	char *text;			/* what the words point into */
	const char **word;
	unsigned count;
};

struct config_address {
	bool off;
	char host[46];			/* an IPv4 or IPv6 address */
	uint16_t port;
};

#define CONFIG_PUBLIC_LEN 32u

struct config_public {
	bool given;
	uint8_t key[CONFIG_PUBLIC_LEN];
};

struct config_principal {
	char *name, *spiffe;
	struct config_words methods;	/* as written: patterns are for access to judge */
	unsigned line;			/* of its section */
};

/* A section [seal NAME]; strings that were not given are "". docs/KEYS.md. */
struct config_seal {
	char *name;
	char *kind, *path, *credential, *secret, *module, *token, *mechanism, *tcti;
	unsigned line;
};

struct config {
	char *source;			/* the file; NULL: read from memory */
	char *vault_path, *anchor_path;
	struct config_words anchor_copies, ledger_copies;
	uint64_t ledger_late_ms;
	struct config_public recovery_key;
	uint64_t vault_number;
	uint64_t country_code;		/* 0: none */
	uint64_t map_bytes, reserve_bytes;

	struct config_words urls;
	char *tls_ca, *tls_cert, *tls_key;
	char *tls_crl;			/* or "" */

	/* How often each is rotated by itself, in ms; 0: never. And how fast, in units a second. */
	uint64_t rotate_seal_ms, rotate_tree_ms, rotate_subjects_ms, rotate_index_ms, rotate_signing_ms;
	uint64_t rotate_rate;

	uint64_t secret_bytes;

	uint64_t contexts, connections_max, connections_per_principal, in_flight_per_connection,
	    in_flight_per_principal;
	uint64_t idle_timeout_ms, handshake_timeout_ms, default_timeout_ms, max_timeout_ms;
	uint64_t send_timeout_ms;
	uint64_t pool_threads, pool_queue;

	struct config_address metrics;
	enum log_level log_level;

	struct config_principal *principals;
	unsigned principal_count;
	struct config_seal *seals;
	unsigned seal_count;
};

/*
 * config_read(path, out, f): the file at ${path}. The caller frees ${out} by config_free and
 * empties ${f} before. STATUS_CONFIG: ${f} says what is wrong. Start-up's thread.
 */
enum status config_read(const char *path, struct config **out, struct ini_faults *f) MUST_USE;

/* The same from memory; ${folder} is what relative paths are relative to. */
enum status config_parse(struct bytes text, const char *folder, struct config **out,
    struct ini_faults *f) MUST_USE;

/* NULL: nothing. */
void config_free(struct config *c);

/* The table of keys in Markdown: what `pdvaultd config-help` prints. */
void config_help(FILE *to);

#endif /* SERVER_CONFIG_H */
