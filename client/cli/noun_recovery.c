#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/backup/recovery.h"
#include "json_out.h"
#include "must.h"
#include "nouns.h"

enum { HEX_LEN = 2 * RECOVERY_KEY_LEN + 1, LINES_LEN = 128 };

/* In memory of sodium_malloc(). */
struct shown {
	struct recovery_pair pair;
	char secret[HEX_LEN], file[RECOVERY_TEXT_MAX];
};

static enum pdv_code
failed(enum backup_result r, const struct backup_fault *fault, struct failure *f)
{
	static const struct {
		enum pdv_code code;
		const char *reason;
	} as[] = {
		[BACKUP_BAD] = {PDV_DATA_LOSS, "RECOVERY_KEY"},
		[BACKUP_ABSENT] = {PDV_NOT_FOUND, "FILE"},
		[BACKUP_EXISTS] = {PDV_ALREADY_EXISTS, "FILE"},
		[BACKUP_IO] = {PDV_INTERNAL, "FILE"},
		[BACKUP_NO_MEMORY] = {PDV_INTERNAL, "OUT_OF_MEMORY"},
	};

	if (r == BACKUP_OK)
		return PDV_OK;
	must((size_t)r < sizeof(as) / sizeof(as[0]));
	return failure_set(f, as[r].code, as[r].reason, "%s", fault->text);
}

static unsigned
number(const char **at)
{
	unsigned n = 0;

	for (; **at >= '0' && **at <= '9' && n <= RECOVERY_SHARES_MAX; ++*at)
		n = 10 * n + (unsigned)(**at - '0');
	return n;
}

/* "2/3" */
static enum pdv_code
split_of(const char *text, unsigned *k, unsigned *n, struct failure *f)
{
	*k = number(&text);
	if (*text == '/') {
		text++;
		*n = number(&text);
		if (*text == '\0' && *k >= 2 && *k <= *n && *n <= RECOVERY_SHARES_MAX)
			return PDV_OK;
	}
	return failure_usage(f, "--split: K/N, with 2 <= K <= N <= %u", RECOVERY_SHARES_MAX);
}

/* What the server's configuration is to have. */
static void
lines_of(const struct recovery_pair *p, char out[static LINES_LEN])
{
	char hex[HEX_LEN];

	(void)snprintf(out, LINES_LEN, "[backup]\nrecovery_key = %s\n",
	    sodium_bin2hex(hex, sizeof(hex), p->public, sizeof(p->public)));
}

static enum pdv_code
print_public(const struct args *a, const struct recovery_pair *p, struct failure *f)
{
	char lines[LINES_LEN];

	if (a->values[FLAG_JSON] != NULL)
		return json_out_print(json_pack("{s:o}", "recovery_key",
		    json_out_hex(p->public, sizeof(p->public))), true, STDOUT_FILENO, f);
	lines_of(p, lines);
	return json_out_text(lines, STDOUT_FILENO, f);
}

/* Standard output then has nothing but what a secret file has. */
static enum pdv_code
print_secret(const struct args *a, struct shown *s, struct failure *f)
{
	const struct recovery_pair *p = &s->pair;
	struct backup_fault fault;
	char lines[LINES_LEN];
	enum pdv_code rc;

	if ((rc = failed(recovery_text(p, s->file, &fault), &fault, f)) != PDV_OK)
		return rc;
	lines_of(p, lines);
	(void)fprintf(stderr, "pdvault: the secret is shown this once, and kept nowhere; for the server's "
	    "configuration:\n%s", lines);
	if (a->values[FLAG_JSON] == NULL)
		return json_out_text(s->file, STDOUT_FILENO, f);
	(void)sodium_bin2hex(s->secret, sizeof(s->secret), p->secret, sizeof(p->secret));
	return json_out_print(json_pack("{s:o, s:s, s:s}", "recovery_key",
	    json_out_hex(p->public, sizeof(p->public)), "secret", s->secret, "file", s->file), true,
	    STDOUT_FILENO, f);
}

static enum pdv_code
make(const struct args *a, struct shown *s, struct failure *f)
{
	const char *out = a->values[FLAG_OUT], *split = a->values[FLAG_SPLIT];
	struct backup_fault fault;
	unsigned k = 0, n = 0;
	enum pdv_code rc;

	if (split != NULL && out == NULL)
		return failure_usage(f, "--split needs --out FILE, for FILE.1, FILE.2 and so on");
	if (split != NULL && (rc = split_of(split, &k, &n, f)) != PDV_OK)
		return rc;
	if (out == NULL && a->values[FLAG_YES] == NULL && isatty(STDOUT_FILENO) == 0)
		return failure_usage(f,
		    "standard output is no terminal: --out FILE, or --yes to have the secret printed");
	recovery_new(&s->pair);
	if (out == NULL)
		return print_secret(a, s, f);
	rc = failed(split != NULL ? recovery_split(&s->pair, k, n, out, &fault) :
	    recovery_write(&s->pair, out, &fault), &fault, f);
	return rc == PDV_OK ? print_public(a, &s->pair, f) : rc;
}

enum pdv_code
noun_recovery_new(const struct args *a, struct failure *f)
{
	struct shown *s = sodium_malloc(sizeof(*s));
	enum pdv_code rc = s == NULL ? failure_memory(f) : make(a, s, f);

	sodium_free(s);
	return rc;
}

enum pdv_code
noun_recovery_show(const struct args *a, struct failure *f)
{
	const char *path[1 + ARGS_REPEAT_MAX] = {a->operand};
	struct shown *s = sodium_malloc(sizeof(*s));
	struct backup_fault fault;
	enum pdv_code rc;

	if (s == NULL)
		return failure_memory(f);
	memcpy(&path[1], a->repeated, a->repeated_n * sizeof(path[0]));
	rc = failed(recovery_read(path, 1 + a->repeated_n, &s->pair, &fault), &fault, f);
	if (rc == PDV_OK)
		rc = print_public(a, &s->pair, f);
	sodium_free(s);
	return rc;
}
