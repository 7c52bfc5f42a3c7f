#include "server/config.h"

#include <libgen.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include "server/config_value.h"
#include "server/nearest.h"

#define KEY(section, name, type, place, preset, min, max, help) \
	{ section, name, CONFIG_##type, offsetof(struct config, place), preset, min, max, help }
#define PRINCIPAL_KEY(name, type, place, min, max, help)                                     \
	{ "principal NAME", name, CONFIG_##type, offsetof(struct config_principal, place), NULL, \
	    min, max, help }

#define SEAL_KEY(name, type, place, min, max, help)                                              \
	{ "seal NAME", name, CONFIG_##type, offsetof(struct config_seal, place), "", min, max, help }

#define NAME_MAX_ 32u	/* characters of the name of a principal, and one more than of a seal's */

#define KIB ((uint64_t)1 << 10)
#define MIB (KIB << 10)
#define GIB (MIB << 10)
#define SECOND 1000u
#define HOUR (3600u * SECOND)
#define DAY ((uint64_t)24 * HOUR)

static const struct config_key keys[] = {
	KEY("vault", "path", PATH, vault_path, NULL, 1, 0,
	    "Folder of the store. Its file system needs room for map_size and is best a volume of "
	    "its own, outside backups and snapshots."),
	KEY("vault", "number", COUNT, vault_number, "1", 1, 65535,
	    "Number of this vault: the first two bytes of every subject id. Set by `init`, never "
	    "changed."),
	KEY("vault", "default_country_code", COUNT, country_code, "0", 0, 999,
	    "Calling code for phone numbers that have none, as 49; 0: they are taken as they are. "
	    "Set by `init`, never changed."),
	KEY("vault", "map_size", BYTES, map_bytes, "64G", 16 * MIB, 16384 * GIB,
	    "Upper limit of the store; address space, not memory."),
	KEY("vault", "reserve", BYTES, reserve_bytes, "16M", MIB, 16 * GIB,
	    "Disk space kept allocated so that people can be erased when the disk is full."),
	KEY("anchor", "path", PATH, anchor_path, NULL, 1, 0,
	    "The file that holds the root key, overwritten in place. Never on a copy-on-write or "
	    "network file system, never in a backup."),
	KEY("anchor", "copies", PATHS, anchor_copies, "", 0, CONFIG_COPIES_MAX,
	    "Further such files, with commas between them, each best on a device of its own: all are "
	    "written and all are erased, any one of them opens the vault."),
	KEY("ledger", "copies", PATHS, ledger_copies, "", 0, CONFIG_LEDGERS_MAX,
	    "Files on other devices, with commas between them, to which each erasure is copied: what a "
	    "restored vault has to forget again."),
	KEY("ledger", "late_after", TIME, ledger_late_ms, "1m", SECOND, 24 * HOUR,
	    "A copy that lacks an entry for so long makes /readyz fail."),
	KEY("backup", "recovery_key", PUBLIC, recovery_key, "", 0, 0,
	    "Public half of the recovery key (`pdvault recovery new`), which keys are backed up for; "
	    "empty: keys are not backed up."),
	KEY("listen", "urls", URLS, urls, NULL, 0, 0,
	    "Where to listen; port 0 takes any free one."),
	KEY("tls", "ca", PATH, tls_ca, NULL, 1, 0,
	    "PEM file of the CA that clients' certificates come from."),
	KEY("tls", "crl", PATH, tls_crl, "", 0, 0,
	    "PEM file of that CA's revocation list; read again on SIGHUP."),
	KEY("tls", "cert", PATH, tls_cert, NULL, 1, 0,
	    "PEM file of the server's certificate, then its intermediates."),
	KEY("tls", "key", PATH, tls_key, NULL, 1, 0,
	    "PEM file of its private key, mode 0600 or 0400."),
	KEY("rotation", "seal", TIME, rotate_seal_ms, "0s", 0, 3650 * DAY,
	    "How old the keys of the seals may become before new ones are made; 0s: as old as they get."),
	KEY("rotation", "subjects", TIME, rotate_subjects_ms, "0s", 0, 3650 * DAY,
	    "The same for the keys of subjects' categories."),
	KEY("rotation", "index", TIME, rotate_index_ms, "0s", 0, 3650 * DAY,
	    "The same for the look-up key."),
	KEY("rotation", "tree", TIME, rotate_tree_ms, "0s", 0, 3650 * DAY,
	    "The same for the pages that hold keys."),
	KEY("rotation", "signing", TIME, rotate_signing_ms, "0s", 0, 3650 * DAY,
	    "The same for the signing key."),
	KEY("rotation", "rate", COUNT, rotate_rate, "500", 1, 1000000,
	    "Subjects (or pages) a second of rotations that are asked for without a rate, or made by "
	    "themselves."),
	KEY("secret", "memory", BYTES, secret_bytes, "4M", 4 * MIB, 256 * MIB,
	    "Locked memory for keys; needs RLIMIT_MEMLOCK of at least as much."),
	KEY("limits", "requests_in_flight", COUNT, contexts, "256", 1, 4096,
	    "Requests received and not yet answered, of all connections together."),
	KEY("limits", "connections", COUNT, connections_max, "1024", 1, 65536,
	    "Open connections; more are refused."),
	KEY("limits", "connections_per_principal", COUNT, connections_per_principal, "256", 1, 65536,
	    "Open connections of one principal."),
	KEY("limits", "in_flight_per_connection", COUNT, in_flight_per_connection, "128", 1, 4096,
	    "Requests in flight on one connection; more are answered TOO_MANY_IN_FLIGHT."),
	KEY("limits", "in_flight_per_principal", COUNT, in_flight_per_principal, "192", 1, 4096,
	    "Requests in flight of one principal; more are answered TOO_MANY_IN_FLIGHT."),
	KEY("limits", "idle_timeout", TIME, idle_timeout_ms, "10m", SECOND, 24 * HOUR,
	    "A connection without a request for so long is closed."),
	KEY("limits", "handshake_timeout", TIME, handshake_timeout_ms, "10s", 100, 60 * SECOND,
	    "A connection that has not shown its certificate by then is closed."),
	KEY("limits", "default_timeout", TIME, default_timeout_ms, "5s", 10, HOUR,
	    "Deadline of a request that brings none."),
	KEY("limits", "max_timeout", TIME, max_timeout_ms, "60s", 10, HOUR,
	    "Longest deadline that a request may bring."),
	KEY("limits", "send_timeout", TIME, send_timeout_ms, "1500ms", 10, 60 * SECOND,
	    "A connection that does not take its answer within this time is closed."),
	KEY("limits", "pool_threads", COUNT, pool_threads, "2", 1, 16,
	    "Threads for reads of many records."),
	KEY("limits", "pool_queue", COUNT, pool_queue, "256", 1, 65536,
	    "Such reads that may wait; more are answered QUEUE_FULL."),
	KEY("metrics", "address", LOOPBACK, metrics, "127.0.0.1:9464", 0, 0,
	    "Where /metrics, /livez and /readyz are served, over HTTP, on loopback only; port 0 "
	    "takes any free one."),
	KEY("log", "level", LEVEL, log_level, "info", 0, 0, "Events below it are not logged."),
};

static const struct config_key principal_keys[] = {
	PRINCIPAL_KEY("spiffe", SPIFFE, spiffe, 0, 0,
	    "SPIFFE id in the certificate of the calling service; one principal each."),
	PRINCIPAL_KEY("methods", WORDS, methods, 0, 0,
	    "What it may call: names as Vault.GetIdentity, or Vault.* or *."),
};

static const struct config_key seal_keys[] = {
	SEAL_KEY("kind", TEXT, kind, 0, 16,
	    "What keeps the key that wraps the root key: file, credential, passphrase, pkcs11, tpm, "
	    "recovery; where it is not given, the section's NAME. docs/KEYS.md."),
	SEAL_KEY("path", PATH, path, 0, 0,
	    "file, passphrase, pkcs11, tpm: the file (mode 0600) of its state; of kind file the key "
	    "itself. Best on another device than the anchor."),
	SEAL_KEY("credential", TEXT, credential, 0, 128,
	    "credential: its name in CREDENTIALS_DIRECTORY; where it is not given, the section's NAME."),
	SEAL_KEY("secret", TEXT, secret, 0, 512,
	    "passphrase, pkcs11: where passphrase or PIN come from: ask (the terminal), fd:N, or file:PATH "
	    "(absolute)."),
	SEAL_KEY("module", PATH, module, 0, 0, "pkcs11: the module's shared library."),
	SEAL_KEY("token", TEXT, token, 0, 32, "pkcs11: the token's label."),
	SEAL_KEY("mechanism", TEXT, mechanism, 0, 16, "pkcs11: aes-gcm (the default) or rsa-oaep."),
	SEAL_KEY("tcti", TEXT, tcti, 0, 256,
	    "tpm: how it is reached, as tpm2-tss has it: device:/dev/tpmrm0 (the default), swtpm:port=2321."),
};

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
_Static_assert(COUNT_OF(keys) <= 64, "the keys that were given are bits of one word");

/* Sections of which there may be several, each with a name. */
struct group {
	const char *prefix;
	const struct config_key *keys;
	size_t count;
	bool all;		/* every key must be given */
};

enum { GROUP_PRINCIPAL, GROUP_SEAL, GROUPS };
static const struct group groups[GROUPS] = {
	{ "principal ", principal_keys, COUNT_OF(principal_keys), true },
	{ "seal ", seal_keys, COUNT_OF(seal_keys), false },
};

struct parse {
	struct config *config;
	const char *folder;
	struct ini_faults *faults;
	uint64_t given;			/* bit i: keys[i] was */
	const struct group *group;	/* the present section's, or NULL */
	void *member;			/* what it is in the configuration */
	unsigned member_line, member_given;
	bool ignoring;			/* the present section is at fault */
};

__attribute__((format(printf, 4, 5))) static void
unknown(struct parse *p, unsigned line, const struct nearest *n, const char *format, ...)
{
	char what[INI_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	ini_fault(p->faults, line, "%s%s%s%s", what, n->best != NULL ? "; did you mean " : "",
	    n->best != NULL ? n->best : "", n->best != NULL ? "?" : "");
}

static void
missing(struct parse *p, unsigned line, const char *section, const char *key)
{
	ini_fault(p->faults, line, "[%s] lacks the key %s", section, key);
}

static void
check_principal(struct parse *p, const struct config_principal *who)
{
	for (unsigned i = 0; who->spiffe != NULL && i + 1 < p->config->principal_count; i++)
		if (p->config->principals[i].spiffe != NULL
		    && strcmp(p->config->principals[i].spiffe, who->spiffe) == 0)
			ini_fault(p->faults, who->line, "the principal of line %u has this SPIFFE id",
			    p->config->principals[i].line);
}

/* The section of a principal or seal has ended: is it whole? */
static void
finish_member(struct parse *p)
{
	const struct group *g = p->group;

	for (unsigned i = 0; g != NULL && i < g->count; i++) {
		struct ini_pair pair = { .value = "", .line = p->member_line };
		char why[CONFIG_WHY_MAX];

		if ((p->member_given & (1u << i)) != 0)
			continue;
		if (g->all)
			missing(p, p->member_line, g->keys[i].section, g->keys[i].name);
		else if (config_value_set(&g->keys[i], pair.value, p->folder, p->member, why) != STATUS_OK)
			ini_fault(p->faults, p->member_line, "out of memory");
	}
	if (g == &groups[GROUP_PRINCIPAL])
		check_principal(p, p->member);
	p->group = NULL;
	p->member = NULL;
	p->member_given = 0;
}

static bool
name_ok(const char *name, size_t most)
{
	size_t len = strlen(name);

	return len > 0 && len <= most && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == len;
}

/* The next principal, or seal; NULL: there are too many. Where its name and its line go. */
static void *
next_member(struct config *c, const struct group *g, char ***name, unsigned **line)
{
	if (g == &groups[GROUP_PRINCIPAL] && c->principal_count < CONFIG_PRINCIPALS_MAX) {
		struct config_principal *who = &c->principals[c->principal_count++];

		*name = &who->name;
		*line = &who->line;
		return who;
	}
	if (g == &groups[GROUP_SEAL] && c->seal_count < CONFIG_SEALS_MAX) {
		struct config_seal *seal = &c->seals[c->seal_count++];

		*name = &seal->name;
		*line = &seal->line;
		return seal;
	}
	return NULL;
}

static void
begin_member(struct parse *p, const struct group *g, const char *name, unsigned line)
{
	size_t most = g == &groups[GROUP_SEAL] ? NAME_MAX_ - 1 : NAME_MAX_;
	int word = (int)strlen(g->prefix) - 1;
	unsigned *its_line = NULL;
	char **its_name = NULL;

	p->ignoring = true;
	if (!name_ok(name, most)) {
		ini_fault(p->faults, line, "a %.*s's name is 1 to %zu of a-z 0-9 - _ .", word, g->prefix, most);
	} else if ((p->member = next_member(p->config, g, &its_name, &its_line)) == NULL) {
		ini_fault(p->faults, line, "more than %u %.*ss",
		    g == &groups[GROUP_SEAL] ? CONFIG_SEALS_MAX : CONFIG_PRINCIPALS_MAX, word, g->prefix);
	} else if ((*its_name = strdup(name)) == NULL) {
		ini_fault(p->faults, line, "out of memory");
	} else {
		*its_line = p->member_line = line;
		p->group = g;
		p->ignoring = false;
	}
}

static void
take_section(void *owner, const char *name, unsigned line)
{
	struct parse *p = owner;
	struct nearest n = NEAREST_START(name);
	unsigned i;

	finish_member(p);
	p->ignoring = false;
	for (i = 0; i < GROUPS; i++) {
		size_t prefix = strlen(groups[i].prefix);

		if (strncmp(name, groups[i].prefix, prefix) == 0) {
			begin_member(p, &groups[i], name + prefix, line);
			return;
		}
		nearest_offer(&n, groups[i].keys[0].section);
	}
	for (i = 0; i < COUNT_OF(keys); i++) {
		if (strcmp(keys[i].section, name) == 0)
			return;
		nearest_offer(&n, keys[i].section);
	}
	unknown(p, line, &n, "unknown section [%s]", name);
	p->ignoring = true;
}

static void
set(struct parse *p, const struct config_key *k, const struct ini_pair *pair)
{
	void *object = p->group != NULL ? p->member : (void *)p->config;
	char why[CONFIG_WHY_MAX];
	enum status rc = config_value_set(k, pair->value, p->folder, object, why);

	if (rc != STATUS_OK)
		ini_fault(p->faults, pair->line, "%s: %s", k->name,
		    rc == STATUS_CONFIG ? why : status_text(rc));
}

static void
take_member_pair(struct parse *p, const struct ini_pair *pair)
{
	struct nearest n = NEAREST_START(pair->key);
	unsigned i;

	for (i = 0; i < p->group->count; i++) {
		if (strcmp(p->group->keys[i].name, pair->key) == 0) {
			p->member_given |= 1u << i;
			set(p, &p->group->keys[i], pair);
			return;
		}
		nearest_offer(&n, p->group->keys[i].name);
	}
	unknown(p, pair->line, &n, "unknown key %s in [%s]", pair->key, pair->section);
}

static void
take_pair(void *owner, const struct ini_pair *pair)
{
	struct parse *p = owner;
	struct nearest n = NEAREST_START(pair->key);
	unsigned i;

	if (p->ignoring)
		return;
	if (p->group != NULL) {
		take_member_pair(p, pair);
		return;
	}
	for (i = 0; i < COUNT_OF(keys); i++) {
		if (strcmp(keys[i].section, pair->section) != 0)
			continue;
		if (strcmp(keys[i].name, pair->key) == 0) {
			p->given |= (uint64_t)1 << i;
			set(p, &keys[i], pair);
			return;
		}
		nearest_offer(&n, keys[i].name);
	}
	unknown(p, pair->line, &n, "unknown key %s in [%s]", pair->key, pair->section);
}

/* Presets for what was not given, and what only the whole can be judged by. */
static void
complete(struct parse *p)
{
	struct config *c = p->config;
	unsigned i;

	finish_member(p);
	for (i = 0; i < COUNT_OF(keys); i++) {
		struct ini_pair pair = { .value = keys[i].preset };

		if ((p->given & ((uint64_t)1 << i)) != 0)
			continue;
		if (keys[i].preset == NULL)
			missing(p, 0, keys[i].section, keys[i].name);
		else
			set(p, &keys[i], &pair);
	}
	if (p->faults->count > 0)	/* what is not there cannot contradict */
		return;
	if (c->seal_count == 0)
		ini_fault(p->faults, 0, "no [seal NAME]: nothing would open the anchor");
	if (c->principal_count == 0)
		ini_fault(p->faults, 0, "no [principal NAME]: nobody could call anything");
	if (c->default_timeout_ms > c->max_timeout_ms)
		ini_fault(p->faults, 0, "[limits] default_timeout is above max_timeout");
	if (c->in_flight_per_principal >= c->contexts)
		ini_fault(p->faults, 0, "[limits] in_flight_per_principal has to be below requests_in_flight, "
		    "or one principal can keep out all others");
	if (c->reserve_bytes > c->map_bytes / 4)
		ini_fault(p->faults, 0, "[vault] reserve is above a quarter of map_size");
}

enum status
config_parse(struct bytes text, const char *folder, struct config **out, struct ini_faults *f)
{
	enum status rc = STATUS_NO_MEMORY;
	struct parse p = { .folder = folder, .faults = f };
	const struct ini_receiver to = { .owner = &p, .section = take_section, .pair = take_pair };

	if ((p.config = calloc(1, sizeof(*p.config))) == NULL
	    || (p.config->principals =
	        calloc(CONFIG_PRINCIPALS_MAX, sizeof(*p.config->principals))) == NULL
	    || (p.config->seals = calloc(CONFIG_SEALS_MAX, sizeof(*p.config->seals))) == NULL) {
		ini_fault(f, 0, "out of memory");
		goto out;
	}
	/* On faults too: what else is wrong is worth telling at once. */
	rc = ini_read(text, &to, f);
	complete(&p);
	if (f->count > 0)
		rc = STATUS_CONFIG;
	if (rc != STATUS_OK)
		goto out;
	*out = p.config;
	p.config = NULL;
out:
	config_free(p.config);
	return rc;
}

enum status
config_read(const char *path, struct config **out, struct ini_faults *f)
{
	enum status rc;
	struct bytes text = { NULL, 0 };
	char *copy = NULL, *folder = NULL;

	if ((rc = ini_load(path, &text, f)) != STATUS_OK)
		goto out;
	/* Absolute, so that the paths in the log and in messages are. */
	if ((copy = strdup(path)) == NULL || (folder = realpath(dirname(copy), NULL)) == NULL) {
		ini_fault(f, 0, "its folder cannot be found");
		rc = STATUS_CONFIG;
		goto out;
	}
	if ((rc = config_parse(text, folder, out, f)) == STATUS_OK &&
	    ((*out)->source = realpath(path, NULL)) == NULL) {
		config_free(*out);
		*out = NULL;
		ini_fault(f, 0, "it cannot be found any more");
		rc = STATUS_CONFIG;
	}
out:
	free(folder);
	free(copy);
	free((void *)(uintptr_t)text.p);
	return rc;
}

void
config_free(struct config *c)
{
	unsigned i, k;

	if (c == NULL)
		return;
	for (i = 0; i < COUNT_OF(keys); i++)
		config_value_free(&keys[i], c);
	for (i = 0; c->principals != NULL && i < c->principal_count; i++) {
		for (k = 0; k < COUNT_OF(principal_keys); k++)
			config_value_free(&principal_keys[k], &c->principals[i]);
		free(c->principals[i].name);
	}
	for (i = 0; c->seals != NULL && i < c->seal_count; i++) {
		for (k = 0; k < COUNT_OF(seal_keys); k++)
			config_value_free(&seal_keys[k], &c->seals[i]);
		free(c->seals[i].name);
	}
	free(c->seals);
	free(c->source);
	free(c->principals);
	free(c);
}

static void
help_rows(FILE *to, const struct config_key *row, size_t count)
{
	char form[CONFIG_WHY_MAX];
	size_t i;

	for (i = 0; i < count; i++) {
		config_value_describe(&row[i], form);
		(void)fprintf(to, "| [%s] | %s | %s | %s | %s |\n", row[i].section, row[i].name, form,
		    row[i].preset == NULL ? "(must be given)"
		    : row[i].preset[0] == '\0' ? "(none)" : row[i].preset, row[i].help);
	}
}

void
config_help(FILE *to)
{
	(void)fputs("| section | key | value | default | meaning |\n"
	    "| --- | --- | --- | --- | --- |\n", to);
	help_rows(to, keys, COUNT_OF(keys));
	help_rows(to, seal_keys, COUNT_OF(seal_keys));
	help_rows(to, principal_keys, COUNT_OF(principal_keys));
}
